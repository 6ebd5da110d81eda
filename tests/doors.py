"""`dino …` in processes of their own, which cost little: see `programs/doors.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from select import poll

_HERE = Path(__file__).resolve().parent


class Doors:
    """A program that starts commands; it ends with this process."""

    def __init__(self) -> None:
        self._asking, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._guard = threading.Lock()
        with other:
            program = [sys.executable, str(_HERE / "programs" / "doors.py"), str(other.fileno())]
            self._process = subprocess.Popen(
                program,
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_HERE.parent), **_language()},
            )

    def run(
        self,
        door: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        given: bytes = b"",
        timeout_s: float,
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` would, with *given* on a pipe."""
        asked = {
            "door": door,
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
        }
        read, end = os.pipe()
        given_there, giving = os.pipe()
        assert os.write(giving, given) == len(given) < 1 << 16  # what a pipe takes at once
        os.close(giving)
        with (
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            os.fdopen(read, "rb", 0) as told,
        ):
            handed = [given_there, out.fileno(), err.fileno(), end]
            with self._guard:
                socket.send_fds(self._asking, [json.dumps(asked).encode()], handed)
            os.close(given_there)
            os.close(end)
            pid = int(told.readline())
            code = _ended(told.fileno(), pid, timeout_s) and int(told.readline())
            texts = [_text(file.fileno()) for file in (out, err)]
        if code is False:
            raise subprocess.TimeoutExpired([door, *arguments], timeout_s, *texts)
        return subprocess.CompletedProcess([door, *arguments], code, *texts)


@cache
def doors() -> Doors:
    """This process's one."""
    return Doors()


def can_run(environment: Mapping[str, str], arguments: Sequence[str]) -> bool:
    """Whether a forked process would take this: how an interpreter starts cannot be changed."""
    ours = {"PYTHONPATH", "PYTHON_KEYRING_BACKEND"}
    same = environment.get("PYTHONPATH", "").split(os.pathsep)[0] == str(_HERE.parent)
    language = {name: environment[name] for name in environment if _is_language(name)}
    plain = all(not name.startswith("PYTHON") or name in ours for name in environment)
    utf8 = not any(0xD800 <= ord(letter) < 0xE000 for letter in "".join(arguments))
    return same and plain and utf8 and language == _language() and hasattr(os, "pidfd_open")


def _ended(descriptor: int, pid: int, timeout_s: float) -> bool:
    watch = poll()
    watch.register(descriptor)
    if watch.poll(timeout_s * 1000):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return False


def _text(descriptor: int) -> str:
    """As text mode reads it."""
    with os.fdopen(os.dup(descriptor), encoding="utf-8") as file:
        file.seek(0)
        return file.read()


def _language() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if _is_language(name)}


def _is_language(name: str) -> bool:
    return name in {"LANG", "TZ"} or name.startswith("LC_")
