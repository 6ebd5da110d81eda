"""
Which process serves the scheduler here: it holds a lock, and the kernel says who does.

A number written into a file may be that of a process which ended long ago, or of another one; a
lock of the kernel's goes with its holder.  It is one that children do not inherit.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dino_os.errors import SchedulerError
from engines.durable import make_folder

# struct flock: how it is laid out is the system's.
if sys.platform == "linux":
    _FLOCK, _KIND, _PID = struct.Struct("hhqqi4x"), 0, 4
    _ASKED = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
else:
    _FLOCK, _KIND, _PID = struct.Struct("qqihh"), 3, 2
    _ASKED = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)

_POLL_S = 0.05


class Serving:
    """The lock of the service that works in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.lock"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """
        Be the one service here.

        Raises:
            SchedulerError: There is one already.
        """
        make_folder(self._file.parent)
        fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in {errno.EACCES, errno.EAGAIN}:
                    raise
                raise SchedulerError(
                    f"the scheduler is running here already, as process {_holder(fd)}",
                    hint="`dino scheduler stop` ends it",
                ) from None
            yield
        finally:
            os.close(fd)

    def pid(self) -> int | None:
        """The process that holds it; None where there is none, 0 where it is out of our sight."""
        try:
            fd = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _holder(fd)
        finally:
            os.close(fd)

    def stop(self, timeout_s: float) -> int | None:
        """
        Tell the service to end, and wait until it has; its process, or None where none ran.

        Raises:
            SchedulerError: It cannot be told, or has not ended by then.
        """
        pid = self.pid()
        if pid is None:
            return None
        if pid <= 0:
            raise SchedulerError(
                "the scheduler runs in another container or on another machine",
                hint="stop it there",
            )
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + timeout_s
        while self.pid() == pid:
            if time.monotonic() > until:
                raise SchedulerError(
                    f"process {pid} was told to stop and has not within {timeout_s:g} s",
                    hint="it waits for what it runs; give it longer with --timeout",
                )
            time.sleep(_POLL_S)
        return pid


def _holder(fd: int) -> int | None:
    found = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _ASKED))
    return None if found[_KIND] == fcntl.F_UNLCK else int(found[_PID])
