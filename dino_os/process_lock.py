"""
A lock that one process at a time holds, and that dies with it.

Whether it is held, and by which process, is what the kernel says: a number written into a file may
be that of a process which ended long ago.  The file says, to those who find it held, who holds it
and since when.

Children do not inherit a lock of this kind.  A process that closes the file loses it, whoever in it
had opened it: nothing but this module opens these files, and it does not where it holds the lock.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.errors import DinoError
from engines.checks import time_text
from engines.durable import make_folder

# struct flock: how it is laid out is the system's.
if sys.platform == "linux":
    _FLOCK, _KIND, _PID = struct.Struct("hhqqi4x"), 0, 4
    _ASKED = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
else:
    _FLOCK, _KIND, _PID = struct.Struct("qqihh"), 3, 2
    _ASKED = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)

_PAUSE_S = 0.05
_MOST_BYTES = 4096
_ours: dict[str, int] = {}
"""The files of the locks that this process holds, by path."""
_guard = threading.Lock()


def _hold_nothing() -> None:
    _ours.clear()
    _guard.release()


os.register_at_fork(
    before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_hold_nothing
)


class Busy(DinoError):
    """
    Another process is doing it, or another thread of this one.

    Attributes:
        holder: Which.
    """

    exit_code = 4

    def __init__(self, message: str, *, hint: str, holder: Holder) -> None:
        self.holder = holder
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Holder:
    """
    Who holds a lock.

    Attributes:
        pid: Its process; 0 where that is out of our sight, in another container for example.
        by: Who took it, as far as it could be read.
    """

    pid: int = 0
    by: str = "another process"
    since: float | None = None

    def __str__(self) -> str:
        who = f"{self.by} (process {self.pid})" if self.pid else self.by
        since = "" if self.since is None else f" since {time_text(self.since)}"
        return f"{who}{since}"


class ProcessLock:
    """
    The lock that the file at *path* is.

    Args:
        by: Who takes it and through which door.
        what: What is being done under it, for those who find it held.
    """

    def __init__(
        self, path: Path, *, by: str, what: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self._name = os.path.realpath(path)
        self._by = by
        self._what = what
        self._clock = clock

    @contextlib.contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """
        Hold it.

        Raises:
            Busy: Another one has held it for *wait_s* seconds longer.
        """
        make_folder(self.path.parent)
        deadline = time.monotonic() + wait_s
        while not self._take():
            if time.monotonic() >= deadline:
                holder = self.holder() or Holder()  # it may have ended just now
                raise Busy(
                    f"busy: {holder} is {self._what}",
                    hint="try again when it is done, or wait for it with --wait 30s",
                    holder=holder,
                )
            time.sleep(_PAUSE_S)  # the lock has no queue to wait in with a deadline
        try:
            yield
        finally:
            with _guard:
                if (fd := _ours.pop(self._name, None)) is not None:  # else we are a fork's child
                    os.close(fd)

    def holder(self) -> Holder | None:
        """Who holds it now; None where nobody does."""
        with _guard:
            if (ours := _ours.get(self._name)) is not None:
                return _told(ours, os.getpid())
            try:
                fd = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                found = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _ASKED))
                # One of another machine has a negative number.
                return None if found[_KIND] == fcntl.F_UNLCK else _told(fd, max(found[_PID], 0))
            finally:
                os.close(fd)

    def _take(self) -> bool:
        with _guard:
            if self._name in _ours:
                return False
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                note = {"pid": os.getpid(), "by": self._by, "since": self._clock()}
                os.ftruncate(fd, 0)
                os.pwrite(fd, json.dumps(note).encode(), 0)
            except BaseException as error:
                os.close(fd)
                if isinstance(error, OSError) and error.errno in {errno.EACCES, errno.EAGAIN}:
                    return False
                raise
            _ours[self._name] = fd
            return True


def _told(fd: int, pid: int) -> Holder:
    """What the file says of the process *pid*; it may speak of the one before."""
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, OSError):
        found: Any = json.loads(os.pread(fd, _MOST_BYTES, 0))
        since = float(found["since"])
        time_text(since)
        if pid in {0, found["pid"]}:
            return Holder(pid, str(found["by"]), since)
    return Holder(pid)
