"""
A lock that one process at a time holds, and that dies with it.

The file says who holds it and since when, for those who find it held; whether it is held is what
the kernel says of the file, never what stands in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.errors import DinoError
from engines.checks import from_epoch, rfc3339
from engines.durable import make_folder

_PAUSE_S = 0.05
_MOST_BYTES = 4096


class Busy(DinoError):
    """Another process is doing it."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, as far as it could be read."""

    by: str = "another process"
    pid: int = 0
    since: float | None = None

    def __str__(self) -> str:
        who = f"{self.by} (process {self.pid})" if self.pid else self.by
        since = "" if self.since is None else f" since {rfc3339(from_epoch(self.since))}"
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
        self._by = by
        self._what = what
        self._clock = clock

    @contextlib.contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """
        Hold it.

        Raises:
            Busy: Another process has held it for *wait_s* seconds longer.
        """
        make_folder(self.path.parent)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(fd, time.monotonic() + wait_s)
            note = {"pid": os.getpid(), "by": self._by, "since": self._clock()}
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(note).encode(), 0)
            yield
        finally:
            # A process that we forked has the same open file: closing ours would not free it.
            with contextlib.suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def _take(self, fd: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if time.monotonic() >= deadline:
                    raise Busy(
                        f"busy: {_holder(fd)} is {self._what}",
                        hint="try again when it is done, or wait for it with --wait 30s",
                    ) from None
                time.sleep(_PAUSE_S)  # the lock has no queue to wait in with a deadline
            else:
                return


def _holder(fd: int) -> Holder:
    """What the file says; it may be about to be written."""
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError, OSError):
        found: Any = json.loads(os.pread(fd, _MOST_BYTES, 0))
        since = float(found["since"])
        rfc3339(from_epoch(since))
        return Holder(str(found["by"]), int(found["pid"]), since)
    return Holder()
