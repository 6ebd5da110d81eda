"""
Rate limits that all processes share, by the generic cell rate algorithm (GCRA).

For each name one number is kept: the time at which its bucket will be full again.  In any window W
no more than burst + floor(W / T) are admitted, T being the time between two at the steady rate.

The numbers lie in `memory/rate_limits`, a table of fixed size that is mapped into memory and held
under a lock.  Times are whole nanoseconds since the machine was started (CLOCK_BOOTTIME), which no
setting of the clock moves; after a start the buckets begin empty.  Whatever is wrong with the file,
nothing is admitted.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from dino_os.errors import SecurityError
from engines.durable import make_folder

_MAGIC = b"dinoGCRA"
_HEADER, _SLOT, _SLOTS, _REACH = 64, 32, 4096, 64
_SIZE = _HEADER + _SLOTS * _SLOT
_slot = struct.Struct("=16sq8x")
_time = struct.Struct("=q")
_NEVER = bytes(16)
_MINUTE_NS = 60 * 10**9
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS counts sleep in neither


def since_boot() -> int:
    return time.clock_gettime_ns(_CLOCK)


@dataclass(frozen=True, slots=True)
class Admission:
    """
    Whether one more is admitted.

    Attributes:
        remaining: How many more would be at once.
        retry_after_s: When the next one will be; 0 where this one was.
    """

    allowed: bool
    remaining: int
    retry_after_s: float


class RateLimiter:
    """
    The limits in the file at *path*, which is made where there is none.

    Args:
        clock: Nanoseconds since *boot*; never goes back within one.
        boot: What tells this start of the machine from every other.
    """

    def __init__(
        self,
        path: Path,
        *,
        per_minute: int,
        burst: int,
        clock: Callable[[], int] = since_boot,
        boot: str | None = None,
    ) -> None:
        self._path = path
        self._every = max(_MINUTE_NS // per_minute, 1)
        self._depth = self._every * (burst - 1)
        self._clock = clock
        self._boot = blake2b((_boot_id() if boot is None else boot).encode(), digest_size=16)
        self._mutex = threading.Lock()  # the file's lock is one for all threads of this object
        self._table: mmap.mmap | None = None
        self._fd = self._pid = -1

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
            os.close(self._fd)
            self._table = None

    def take(self, name: str) -> Admission:
        """
        Admit one more of *name*, or say when.

        Raises:
            SecurityError: The table cannot be used.
        """
        key = blake2b(name.encode(), digest_size=16).digest()
        with self._mutex:
            if self._pid != os.getpid():  # a lock that came through a fork is its parent's too
                self.close()
            table = self._table or self._open()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                return self._decide(table, key, self._clock())
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _decide(self, table: mmap.mmap, key: bytes, now: int) -> Admission:
        self._begin_boot(table, now)
        place, full_at = self._find(table, key, now)
        if place is None:
            return Admission(allowed=False, remaining=0, retry_after_s=self._every / 1e9)
        # Further off than an honest one can be: the clock went back under us, so begin empty.
        furthest = now + self._depth + self._every
        if full_at > furthest:
            full_at = furthest
            _slot.pack_into(table, place, key, full_at)
        full_at = max(full_at, now)
        wait = full_at - now - self._depth
        if wait > 0:
            return Admission(allowed=False, remaining=0, retry_after_s=wait / 1e9)
        full_at += self._every
        _slot.pack_into(table, place, key, full_at)
        left = (now + self._depth - full_at) // self._every + 1
        return Admission(allowed=True, remaining=max(left, 0), retry_after_s=0.0)

    def _find(self, table: mmap.mmap, key: bytes, now: int) -> tuple[int | None, int]:
        """Where the bucket of *key* is or can be, and when it is full."""
        first, free = int.from_bytes(key[:4]), None
        for step in range(_REACH):
            place = _HEADER + (first + step) % _SLOTS * _SLOT
            found, full_at = _slot.unpack_from(table, place)
            if found == key:
                return place, full_at
            if free is None and (found == _NEVER or full_at <= now):
                free = place  # a bucket that is full says nothing
            if found == _NEVER:
                break
        # Of one that is not in the table: full, or else it was emptied before the last start.
        (empty_until,) = _time.unpack_from(table, 24)
        return free, empty_until

    def _begin_boot(self, table: mmap.mmap, now: int) -> None:
        """After a start of the machine the old times mean nothing; what was used up still does."""
        boot = self._boot.digest()
        if table[8:24] != boot:
            was_used = table[8:24] != _NEVER
            empty_until = now + self._depth + self._every if was_used else 0
            table[_HEADER:] = bytes(_SIZE - _HEADER)
            _time.pack_into(table, 24, empty_until)
            table[8:24] = boot

    def _open(self) -> mmap.mmap:
        make_folder(self._path.parent)
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            table = self._map(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._table, self._pid = fd, table, os.getpid()
        return table

    def _map(self, fd: int) -> mmap.mmap:
        if os.fstat(fd).st_size == 0:
            os.ftruncate(fd, _SIZE)
        size, magic = os.fstat(fd).st_size, os.pread(fd, len(_MAGIC), 0)
        if size == _SIZE and magic == bytes(len(_MAGIC)):  # new
            os.pwrite(fd, _MAGIC, 0)
        elif (size, magic) != (_SIZE, _MAGIC):
            raise self._unusable("not a table of rate limits")
        return mmap.mmap(fd, _SIZE)

    def _unusable(self, why: str) -> SecurityError:
        return SecurityError(
            f"{self._path}: {why}; nothing is admitted",
            hint="remove the file to begin anew",
        )


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
