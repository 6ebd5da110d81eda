"""
A small world around the sandbox that is worth attacking: secrets, a process, servers, a workspace.

All of it is this test's own.  What attacks change is put back, and the world can say what changed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

INTERPRETER = os.path.realpath(sys.executable)
# Holds a secret in its memory, its environment and a descriptor, and says when it is signalled.
_VICTIM = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
libc.prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
secret = ctypes.create_string_buffer(os.environ["SECRET"].encode())
held = os.open(sys.argv[1], os.O_RDONLY)
os.chdir(sys.argv[2])
say = lambda text: os.write(1, (text + chr(10)).encode())
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
say(f"{ctypes.addressof(secret)} {held}")
while sys.stdin.buffer.raw.readline():
    struck = signal.sigtimedwait({signal.SIGUSR1}, 0)
    say("struck" if struck else "not")
"""
_HIGH = 2000
_IPC_PRIVATE, _IPC_RMID, _ATTACHED = 0, 0, 4096


class Victim:
    """A process of the same user, outside."""

    def __init__(self, secret: str, file: Path) -> None:
        self._process = subprocess.Popen(
            [INTERPRETER, "-I", "-S", "-u", "-c", _VICTIM, str(file), str(file.parent)],
            env={"SECRET": secret},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._process.pid
        self.address, self.held = map(int, self._said().split())

    def _said(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()

    def was_struck(self) -> bool:
        """Whether a signal has come to it since this was asked last, or killed it."""
        try:
            assert self._process.stdin
            self._process.stdin.write(b"?\n")
            self._process.stdin.flush()
        except OSError:
            return True
        return self._said() != "not"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class World:
    """
    Attributes:
        canary: What nothing inside may ever see.
        facts: Where everything is: what an attack is told.
    """

    def __init__(self) -> None:
        self.canary = f"canary-{secrets.token_hex(8)}"
        self._closing = ExitStack()
        made = tempfile.mkdtemp(prefix="dino world ")
        self._closing.callback(shutil.rmtree, made, ignore_errors=True)
        self.folder = Path(made)
        self.folder.chmod(0o755)
        self.workspace = self.folder / "wörk space"
        self.outside = self.folder / "outside"
        self._listeners = Listeners(self.canary.encode(), self.folder / "sockets")
        self._closing.callback(self._listeners.close)
        self._build()
        self._make_victim()
        self.facts = self._facts()

    def close(self) -> None:
        self._closing.close()

    # --- files -------------------------------------------------------------------------------

    def restore(self) -> bool:
        """Put all files back to how they were; whether those folders that are granted are new."""
        if not self.files_changed():
            _empty(self.workspace / "out", but=("socket", "socket.d"))
            return False
        before = self._granted
        self._build()
        return self._granted != before

    def _build(self) -> None:
        """What is granted stays where it is an ordinary folder: who was given it holds on to it."""
        if self.outside.is_symlink() or not self.outside.is_dir():
            self.outside.unlink(missing_ok=True)
        self.outside.mkdir(exist_ok=True)  # one, for ever: it is also where the victim is
        self.outside.chmod(0o755)
        _empty(self.outside)
        self.workspace.mkdir(exist_ok=True)
        granted = [self.workspace / name for name in ("data", "out")]
        stay = [path.name for path in granted if path.is_dir() and not path.is_symlink()]
        _empty(self.workspace, but=stay)
        for path in granted:
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
            _empty(path)
        self._granted = [path.stat().st_ino for path in granted]
        ssh, vault = self.outside / "home" / ".ssh", self.workspace / "memory" / "vault"
        for folder in (ssh, vault, self.workspace / "skills"):
            folder.mkdir(parents=True)
        for file in (
            self.outside / "secret",
            ssh / "id_ed25519",
            vault / "vault.json",
            self.workspace / "memory" / "runs.jsonl",
            self.workspace / "config.yaml",
        ):
            file.write_text(self.canary)
        (self.outside / "empty").mkdir()
        (self.outside / "link").symlink_to(f"/nowhere/{self.canary}")
        (self.workspace / "data" / "given").write_text("given")
        (self.workspace / "data" / "link").symlink_to(self.outside / "secret")
        for folder in (self.outside, self.workspace / "out"):
            for name in ("socket", "socket.d"):
                os.link(self.folder / "sockets" / name, folder / name)
        self._before = self._contents()

    def _contents(self) -> dict[str, Any]:
        """All but what may be written to."""
        return {
            str(path): (status.st_mode, status.st_nlink, status.st_mtime_ns, _read(path))
            for top in (self.outside, self.workspace)
            for path in sorted(top.rglob("*"))
            if not path.is_relative_to(self.workspace / "out")
            for status in [path.lstat()]
        }

    def files_changed(self) -> bool:
        return self._contents() != self._before

    # --- what came out -----------------------------------------------------------------------

    def was_struck(self) -> bool:
        return self._victim.was_struck()

    def something_lives_on(self) -> bool:
        """Whether a process that an attack left still holds its lock."""
        with (self.workspace / "out" / "lives").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def left_a_set_id_file(self) -> bool:
        files = (self.workspace / "out").iterdir()
        return any(file.lstat().st_mode & 0o6000 for file in files)

    # --- the rest ----------------------------------------------------------------------------

    def _make_victim(self) -> None:
        """With a number that nobody inside has: in a container this may be among the first."""
        while (victim := Victim(self.canary, self.outside / "secret")).pid < _HIGH:
            victim.close()
            many = f"i=0; while [ $i -lt {_HIGH} ]; do (:); i=$((i+1)); done"
            subprocess.run(["/bin/sh", "-c", many], check=True)
        self._victim = victim
        self._closing.callback(victim.close)

    def _facts(self) -> dict[str, Any]:
        shared, queue, key = _shared_memory(self.canary), _queue(self.canary), _key(self.canary)
        self._closing.callback(shared[1])
        self._closing.callback(queue[1])
        temporary = Path("/tmp") / f"dino-test-{os.getpid()}.txt"
        shown = Path("/dev/shm") / f"dino-test-{os.getpid()}"
        for file in (temporary, shown):
            with suppress(OSError):
                file.write_text(self.canary)
                self._closing.callback(file.unlink, missing_ok=True)
        return {
            "canary": self.canary,
            "workspace": str(self.workspace),
            "outside": str(self.outside),
            "secret": str(self.outside / "secret"),
            "home": str(self.outside / "home"),
            "temporary": str(temporary),
            "shared_file": str(shown),
            "victim": self._victim.pid,
            "address": self._victim.address,
            "held": self._victim.held,
            "shared_memory": shared[0],
            "queue": queue[0],
            "key": key,
            "host_name": socket.gethostname(),
            **self._listeners.facts(),
        }


class Listeners:
    """Servers outside; each answers with the secret."""

    def __init__(self, secret: bytes, folder: Path) -> None:
        self._secret = secret
        self._closing = ExitStack()
        self._places: dict[str, Any] = {}
        for name, family, host in (("tcp", socket.AF_INET, "127.0.0.1"), ("tcp6", socket.AF_INET6, "::1")):  # fmt: skip
            with suppress(OSError):
                listener = socket.create_server((host, 0), family=family)
                self._places[name] = listener.getsockname()[1]
                self._serve(listener)
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        self._places["udp"] = datagrams.getsockname()[1]
        self._serve(datagrams)
        abstract = socket.socket(socket.AF_UNIX)
        self._places["abstract"] = f"dino-{secrets.token_hex(8)}"
        abstract.bind(f"\0{self._places['abstract']}")
        abstract.listen()
        self._serve(abstract)
        folder.mkdir()
        for kind, name in ((socket.SOCK_STREAM, "socket"), (socket.SOCK_DGRAM, "socket.d")):
            listener = socket.socket(socket.AF_UNIX, kind)
            listener.bind(str(folder / name))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self._serve(listener)

    def _serve(self, listener: socket.socket) -> None:
        def serve() -> None:
            while select.select([listener, stop], [], [])[0] == [listener]:
                with suppress(OSError):
                    self._answer(listener)
            listener.close()
            stop.close()

        stop, stopper = socket.socketpair()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self._closing.callback(thread.join)
        self._closing.callback(stopper.close)

    def _answer(self, listener: socket.socket) -> None:
        if listener.type == socket.SOCK_DGRAM:
            _, sender = listener.recvfrom(1024)
            if sender:
                listener.sendto(self._secret, sender)
            return
        connection, _ = listener.accept()
        with connection:
            body = b"HTTP/1.0 200 OK\r\n\r\n" + self._secret
            connection.sendall(body)
            connection.settimeout(5)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    def facts(self) -> dict[str, Any]:
        return self._places

    def close(self) -> None:
        self._closing.close()


def _empty(folder: Path, but: Iterable[str] = ()) -> None:
    for path in folder.iterdir():
        if path.name in but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _shared_memory(secret: str) -> tuple[int, Callable[[], Any]]:
    """A segment of System V's shared memory; its number, and what removes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(_IPC_PRIVATE, _ATTACHED, 0o1666)
    ctypes.memmove(libc.shmat(number, None, 0), secret.encode(), len(secret))
    return number, lambda: libc.shmctl(number, _IPC_RMID, None)


def _queue(secret: str) -> tuple[int, Callable[[], Any]]:
    """A queue of messages; its number, and what removes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.msgget(_IPC_PRIVATE, 0o1666)
    text = (1).to_bytes(8, "little") + secret.encode()
    libc.msgsnd(number, text, len(secret), 0)
    return number, lambda: libc.msgctl(number, _IPC_RMID, None)


def _key(secret: str) -> int:
    """A key in this user's keyring, which this user may read and find; its number, 0 for none."""
    libc = ctypes.CDLL(None, use_errno=True)
    add_key, keyctl = (217, 219) if os.uname().machine == "aarch64" else (248, 250)
    text = secret.encode()
    number: int = libc.syscall(add_key, b"user", b"dino-test", text, len(text), ctypes.c_int(-4))
    if number < 0:
        return 0
    libc.syscall(keyctl, 5, number, 0x3F3F0000)
    return number
