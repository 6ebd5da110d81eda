"""
The head of a journal, kept outside the journal: how far it is acknowledged, and who may write.

`NAME.head` is one line of JSON of fixed size, overwritten in place after every commit, and the file
whose lock makes a process the writer.  A chain alone cannot show that its tail was cut; the head
can.

Its law: the head never names more than is on disk.  It is written after the journal was synced and
is itself not synced, so it may lag after a power cut.  It is therefore *exact* only within the boot
and for the very file it was written for; in a copied or restored workspace, or after a reboot, it
is a lower bound.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson

from engines.durable import make_folder, sync_data, sync_folder
from engines.errors import JournalBusy

_SIZE = 384
_TEXT_SIZE = _SIZE - 17  # the text, a newline-terminated 16-digit check after it
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.0002, 0.01
_PATIENCE_S = (0.0002,) * 500 + (0.01,) * 500


@dataclass(frozen=True, slots=True)
class Head:
    """
    The last acknowledged state of a journal.

    Attributes:
        seq: Number of the last line, -1 before the first.
        event_hash: That line's hash, or None.
        size: Bytes up to and including that line.
        pending: Size the file will have when the batch under way is complete, else 0.
        file: Device and inode of the journal it was written for.
        boot: The boot of the machine in which it was written.
    """

    seq: int
    event_hash: str | None
    size: int
    pending: int
    file: str
    boot: str

    def is_exact_for(self, file: str) -> bool:
        """Whether bytes past `size` of *file* can only be a write that was never acknowledged."""
        return bool(self.boot) and self.boot == boot_id() and self.file == file


@cache
def boot_id() -> str:
    """What tells this boot of the machine from every other, or "" where nothing does."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class HeadFile:
    """The file itself: reading it needs nothing, writing it needs the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._written = b""

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, TypeError):  # the interpreter is going down
            self.close()

    def close(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(OSError):  # it is gone all the same
                os.close(self._fd)
            self._fd = -1

    def read(self) -> Head | None:
        """The head as last written, or None where there is none that can be trusted."""
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            # A reader without the lock can meet a write half done; its checksum tells.
            for _ in range(3):
                if head := _decode(os.pread(fd, _SIZE, 0)):
                    return head
            return None
        finally:
            os.close(fd)

    def adopt(self) -> Head | None:
        """Read the head under the lock, and take it for what this object wrote last."""
        self._written = os.pread(self._fd, _SIZE, 0)
        return _decode(self._written)

    def write(self, head: Head, *, durable: bool = False) -> None:
        self._written = _encode(head)
        os.pwrite(self._fd, self._written, 0)
        if durable:
            sync_data(self._fd)

    def is_as_written(self) -> bool:
        """Whether it still holds what this object wrote last.  Only under the lock."""
        return os.pread(self._fd, _SIZE, 0) == self._written

    def lock(self, timeout_s: float) -> None:
        """
        Become the one writer.

        Raises:
            JournalBusy: Another process has held the lock for *timeout_s* seconds.
            OSError: The folder or file cannot be written.
        """
        deadline = time.monotonic() + timeout_s
        pause = _FIRST_PAUSE_S
        while True:
            if self._fd < 0:
                self._open()
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                if time.monotonic() > deadline:
                    raise JournalBusy(
                        f"{self.path.with_suffix('.jsonl')}: another process has been writing "
                        f"for {timeout_s:g} s",
                        hint="try again; `fuser` on the .head file names the process",
                    ) from None
                time.sleep(pause)  # the lock has no queue to wait in with a deadline
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if self._is_still_the_file():
                return
            # Deleted or replaced behind our back: a lock on the old file excludes nobody.
            self.close()

    @contextlib.contextmanager
    def held_still(self) -> Iterator[None]:
        """Keep writers out for a moment, as far as the file's permissions and they allow."""
        try:
            fd = os.open(self.path, os.O_RDONLY)
        except OSError:
            yield
            return
        try:
            for pause in _PATIENCE_S:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    break
                time.sleep(pause)
            yield
        finally:
            os.close(fd)

    def unlock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
        except OSError:  # what was done under it stands; closing releases it too
            self.close()

    def _open(self) -> None:
        try:
            self._fd = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            make_folder(self.path.parent)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            sync_folder(self.path.parent)

    def _is_still_the_file(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False


def _encode(head: Head) -> bytes:
    text = orjson.dumps(head).ljust(_TEXT_SIZE)
    return text + _check(text) + b"\n"


def _decode(record: bytes) -> Head | None:
    if len(record) != _SIZE or _check(record[:_TEXT_SIZE]) != record[_TEXT_SIZE:-1]:
        return None
    return Head(**orjson.loads(record[:_TEXT_SIZE]))


def _check(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
