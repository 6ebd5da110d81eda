"""
The keeper: the first process inside, confined before anything foreign runs.  It runs one job after
another, each in a child of its own, and leaves nothing of it behind.

Started as `python -I -S keeper.py DESCRIPTOR`, with one socket to the parent.  It is told what to
enforce, does it, answers what it did, and then waits:

    parent → keeper    {"confine": …} once; {"run": …} with descriptors; {"stop": why}
    keeper → parent    {"ready": …} with descriptors, or {"failed": why}; {"ended": …}

When the parent is gone, so is everything inside.  A child cannot signal, trace or read its keeper,
so what the keeper says of how a job ended is so.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.realpath(f"{__file__}/../../../.."))

from dino_os.tool_sandbox import wire
from dino_os.tool_sandbox.inside import job as jobs
from dino_os.tool_sandbox.inside import scratch
from dino_os.tool_sandbox.kernel import calls, landlock, limits, network, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:  # each import that a start does not need is a part of a millisecond
    from typing import Any, NoReturn

_FRAME_LIMIT = 1 << 28
_LOOK_EVERY_MS = 200
_CLONE3 = 435
_BROKEN = 70


def main(descriptor: int) -> NoReturn:
    """Serve the socket with that number until the parent is gone."""
    control = socket.socket(fileno=descriptor)
    try:
        setup = _expect(control)["confine"]
        granted = _confine(setup)
    except (OSError, wire.Malformed, KeyError, ImportError) as error:
        wire.send(control, {"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    wire.send(control, {"ready": True}, granted)
    for listened in granted:
        os.close(listened)
    keeper = Keeper(control, setup)
    gc.freeze()  # a job's collector leaves what it shares with its keeper alone: no page is copied
    while (came := wire.receive(control, _FRAME_LIMIT)) is not None:
        message, descriptors = came
        if "run" in message:  # a late "stop" is for a job that has ended
            keeper.run(message["run"], descriptors)
    scratch.clear(setup["scratch"])
    os._exit(0)


def _expect(control: socket.socket) -> dict[str, Any]:
    came = wire.receive(control, _FRAME_LIMIT)
    if came is None:
        raise ConnectionError("the parent is gone")
    return came[0]


# --- the walls ---------------------------------------------------------------------------------


def _confine(setup: dict[str, Any]) -> list[int]:
    """Put up every wall that *setup* asks for; the descriptors that the parent listens at."""
    sys.path[:] = setup["sys_path"]
    sys.prefix = sys.exec_prefix = setup["prefix"]
    for name in setup["preload"]:
        __import__(name)
    os.umask(0o077)
    os.environ.clear()
    os.environ.update(setup["environment"])
    if setup["own_network"]:
        network.own_network()
    heard = [_listen()] if setup["network"] else []
    granted = [descriptor for descriptor, _ in heard]
    beneath = [(_open(rule), rule["rights"]) for rule in setup["landlock"] or ()]
    calls.prctl(calls.PR_SET_CHILD_SUBREAPER, 1)
    calls.prctl(calls.PR_SET_DUMPABLE, 0)  # no core files, no reader of its memory
    calls.prctl(calls.PR_SET_NO_NEW_PRIVS, 1)
    if setup["landlock"] is not None:
        landlock.restrict(beneath, ports=[port for _, port in heard])
    _close_all_but(setup["keep"] + granted)
    if setup["seccomp"]:
        listener = seccomp.install(bytes.fromhex(setup["seccomp"]), notify=True)
        granted += [listener] if listener is not None else []
    _check(setup)
    return granted


def _open(rule: dict[str, Any]) -> int:
    descriptor: int | None = rule["descriptor"]
    return os.open(rule["path"], os.O_PATH | os.O_CLOEXEC) if descriptor is None else descriptor


def _listen() -> tuple[int, int]:
    """A socket on this network's own loopback, at which the parent's proxy answers; its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    port: int = listener.getsockname()[1]
    proxy = f"http://127.0.0.1:{port}"
    for name in ("http_proxy", "https_proxy"):
        os.environ[name] = os.environ[name.upper()] = proxy
    return listener.detach(), port


def _close_all_but(kept: list[int]) -> None:
    first = 3
    for descriptor in [*sorted(kept), 1 << 30]:
        os.closerange(first, descriptor)
        first = descriptor + 1


def _check(setup: dict[str, Any]) -> None:
    """
    Try the walls before anything foreign runs behind them.

    Raises:
        OSError: One does not stand.
    """
    if setup["seccomp"]:
        try:
            calls.syscall(_CLONE3, None, 0)
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise PermissionError("the filter of system calls does not hold") from None
    if setup["alone"] and not _is_alone(setup):
        raise PermissionError("signals to processes outside are not stopped")


def _is_alone(setup: dict[str, Any]) -> bool:
    """
    Whether a signal to everybody reaches none but the keeper's own.

    Tried, never believed: where it is not so, such a signal ends whatever else runs here.
    """
    with contextlib.suppress(OSError):
        if os.stat("/proc/self/ns/pid").st_ino != setup["pid_namespace"]:
            return True
    if os.getppid() != setup["parent"]:  # it is gone, and there is nobody to try it on
        return False
    try:
        os.kill(setup["parent"], 0)
    except PermissionError:
        return True
    return False


# --- jobs --------------------------------------------------------------------------------------


class Keeper:
    """Runs jobs one after another."""

    def __init__(self, control: socket.socket, setup: dict[str, Any]) -> None:
        self._control = control
        self._isolated = setup["landlock"] is not None
        self._alone = _is_alone(setup)
        self._scratch: list[str] = setup["scratch"]

    def run(self, job: dict[str, Any], descriptors: list[int]) -> None:
        """Do *job* in a child, end whatever it leaves, and tell the parent how it ended."""
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            self._become(job, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        why = self._watch(child, job)
        _, status, usage = os.wait4(child, 0)
        self._end_the_rest()
        ended = {
            "status": os.waitstatus_to_exitcode(status),
            "why": why,
            "seconds": time.monotonic() - began,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
            "clean": scratch.clear(self._scratch),
        }
        wire.send(self._control, {"ended": ended})

    def _become(self, job: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """Be the job's process; nothing of the keeper's stays open in it."""
        try:
            self._control.close()
            calls.prctl(calls.PR_SET_PDEATHSIG, signal.SIGKILL)  # where no namespace ends it
            os.setsid()
            limits.limit(job["limits"])
            if self._isolated:
                landlock.isolate()
            jobs.run(job, descriptors)
            os._exit(0)
        finally:
            os._exit(_BROKEN)

    def _watch(self, child: int, job: dict[str, Any]) -> str | None:
        """Wait until *child* has ended or must end; why it must."""
        process = os.pidfd_open(child)
        waiting = select.poll()
        waiting.register(process, select.POLLIN)
        waiting.register(self._control, select.POLLIN)
        why = None
        try:
            while why is None:
                ready = {descriptor for descriptor, _ in waiting.poll(_LOOK_EVERY_MS)}
                if process in ready:
                    return None
                if self._control.fileno() in ready:
                    why = self._told()
                elif scratch.is_too_full(self._scratch, job["scratch_files"], job["scratch_bytes"]):
                    why = "disk"
        finally:
            os.close(process)
        os.kill(child, signal.SIGKILL)
        return why

    def _told(self) -> str:
        came = wire.receive(self._control, _FRAME_LIMIT)
        if came is None:  # the parent is gone, and nobody waits for an answer
            self._end_the_rest()
            scratch.clear(self._scratch)
            os._exit(1)
        return str(came[0].get("stop"))

    def _end_the_rest(self) -> None:
        """End whatever the job started; where it can be, in one call that no fork can outrun."""
        with contextlib.suppress(ChildProcessError):
            while True:
                for process in [-1] if self._alone else _children():
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process, signal.SIGKILL)
                os.waitpid(-1, 0)


def _children() -> list[int]:
    """Those whose parents are gone come to the keeper, one generation after another."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(process) for process in file.read().split()]


if __name__ == "__main__":
    main(int(sys.argv[1]))
