"""When a live segment is sealed, how a journal goes on in the next, how a sealed one is packed."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engines.durable import sync_data, sync_folder, write_all
from engines.journal.segment import PLAIN, Position, Sealed, Segment, decompressed


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a live segment is sealed: at *max_bytes*, or *max_age_s* after its first line."""

    max_bytes: int | None = 32 * 2**20
    max_age_s: float | None = None

    def is_due(self, live: Segment, end: Position, now: float) -> bool:
        if self.max_bytes is not None and end.offset - live.begin.offset >= self.max_bytes:
            return True
        return self.max_age_s is not None and now - live.began_at >= self.max_age_s


def start_next(live: Segment, first_line: bytes) -> Segment:
    """
    Seal *live* and go on in a new file that begins with *first_line*; durable on return.

    At no moment is there no live file: the old one gets its second name first, and the new one
    takes the first name over.  A crash in between leaves one file with two names, which readers
    tell by its number.

    Raises:
        OSError: The folder could not be changed; *live* is then still the live one.
    """
    path = live.path
    sealed = path.with_name(f"{path.stem}.{live.number:06}{PLAIN}")
    draft = path.with_name(f".{path.name}.next")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        write_all(fd, first_line)
        sync_data(fd)
        with contextlib.suppress(FileExistsError):  # a crash came after the link, before the rest
            os.link(path, sealed)
        _check_one_file(sealed, path)
        sync_folder(path.parent)
        draft.replace(path)
        sync_folder(path.parent)
    except BaseException:
        os.close(fd)
        raise
    with contextlib.suppress(OSError):  # only so that nobody writes to it by mistake
        sealed.chmod(0o444)
    return Segment.of(path, fd, first_line)


def compress(segment: Sealed) -> None:
    """
    Put a plain sealed segment's packed form in its place, after reading that back.

    Where another process does so already, or has, there is nothing to do.

    Raises:
        OSError: The disk is full, or gave back other bytes.
    """
    try:
        source = segment.path.open("rb")
    except FileNotFoundError:
        return
    with source:
        try:
            fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if os.fstat(source.fileno()).st_nlink:
            _pack(source, segment.path)


def _pack(source: BinaryIO, path: Path) -> None:
    import zstandard  # noqa: PLC0415  heavy, and only for this

    target = path.with_name(path.name + ".zst")
    draft = path.with_name(f".{target.name}.tmp")
    draft.unlink(missing_ok=True)  # of one that died here, and cannot be written to any more
    try:
        with draft.open("wb") as file:
            size = os.fstat(source.fileno()).st_size  # it takes tables that fit
            compressor = zstandard.ZstdCompressor(level=9, write_checksum=True)
            compressor.copy_stream(source, file, size=size)
            file.flush()
            sync_data(file.fileno())
        source.seek(0)
        _check_same_bytes(source, draft)
        draft.chmod(0o444)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    path.unlink()
    sync_folder(target.parent)


def _check_one_file(one: Path, other: Path) -> None:
    if not one.samefile(other):
        raise FileExistsError(17, "another file has the sealed segment's name", str(one))


def _check_same_bytes(plain: BinaryIO, compressed: Path) -> None:
    same = all(piece == plain.read(len(piece)) for piece in decompressed(compressed))
    if not same or plain.read(1):
        raise OSError(5, "the compressed copy reads back differently", str(compressed))
