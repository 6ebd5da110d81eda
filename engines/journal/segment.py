"""
The files of a journal: sealed segments, and the one that is written to.

    NAME.000001.jsonl      sealed: never written again (or .jsonl.zst: the same bytes, compressed)
    NAME.000002.jsonl
    NAME.jsonl             live: its first line says which one it is and where it begins

Chain, line numbers and offsets run through all of them as if they were one file.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from engines.durable import sync_data
from engines.journal.line import MalformedLine, parse

SEGMENT_STARTED = "segment_started"
JOURNAL_PRUNED = "journal_pruned"
PLAIN, _COMPRESSED = ".jsonl", ".jsonl.zst"
_FIRST_LINE_LIMIT = 1 << 14  # such a line is a few hundred bytes
_PIECE = 1 << 17
_sealed_name = re.compile(r"(?P<journal>.+)\.(?P<number>[0-9]{6})\.jsonl(?:\.zst)?").fullmatch


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: the next line's number and parent, and its offset in bytes."""

    seq: int = 0
    parent_hash: str | None = None
    offset: int = 0


START = Position()


@dataclass(frozen=True, slots=True)
class Segment:
    """
    One file of a journal, open.  Offsets are those of the whole journal.

    Attributes:
        file: What tells it from every other file, whatever their names.
        number: From 1; 0 where its first line does not say.
        begin: Before its first line.
        began_at: When that was written, in seconds since the epoch.
    """

    path: Path
    fd: int
    file: str
    number: int
    begin: Position
    began_at: float

    @classmethod
    def of(cls, path: Path, fd: int, head: bytes | None = None) -> Segment:
        """The open file *fd*, which begins with *head* or will."""
        head = os.pread(fd, _FIRST_LINE_LIMIT, 0) if head is None else head
        return cls(path, fd, file_id(os.fstat(fd)), *where_it_begins(head))

    @property
    def end(self) -> int:
        return self.begin.offset + os.fstat(self.fd).st_size

    def is_at(self, path: Path) -> bool:
        """Whether *path* is a name of this file."""
        try:
            return file_id(path.stat()) == self.file
        except FileNotFoundError:
            return False

    def read(self, size: int, offset: int) -> bytes:
        return os.pread(self.fd, size, offset - self.begin.offset)

    def cut(self, offset: int) -> None:
        """Make it end at *offset*, durably."""
        os.ftruncate(self.fd, offset - self.begin.offset)
        sync_data(self.fd)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what was synced stands, whatever this says
            os.close(self.fd)


class NotDecompressed(OSError):
    """A compressed file does not hold what was packed into it."""


class Sealed(NamedTuple):
    """A sealed segment by its name, not open."""

    number: int
    path: Path

    @classmethod
    def at(cls, path: Path) -> Sealed:
        """
        The sealed segment at *path*.

        Raises:
            ValueError: It is not named as one.
        """
        match = _sealed_name(path.name)
        if not match:
            raise ValueError(f"{path.name} is not a sealed segment's name")
        return cls(int(match["number"]), path)

    @property
    def compressed(self) -> bool:
        return self.path.name.endswith(_COMPRESSED)

    def open(self) -> Segment:
        """
        Open it; a compressed one as a temporary copy of the bytes it stands for.

        Raises:
            OSError: It cannot be read, or decompressed.
        """
        if self.compressed:
            import tempfile  # noqa: PLC0415  for packed files alone

            with tempfile.TemporaryFile() as copy:
                copy.writelines(decompressed(self.path))
                copy.flush()
                fd = os.dup(copy.fileno())
        else:
            try:
                fd = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                return self._packed().open()
        return Segment.of(self.path, fd)

    def begin(self) -> Position:
        """Where it says that it begins; one that says nothing is taken for the first."""
        if not self.compressed:
            with contextlib.suppress(FileNotFoundError), self.path.open("rb") as source:
                return where_it_begins(source.read(_FIRST_LINE_LIMIT))[1]
            return self._packed().begin()
        head = b""
        with contextlib.suppress(NotDecompressed):  # whoever reads on finds the fault
            for piece in decompressed(self.path):
                head += piece
                if len(head) >= _FIRST_LINE_LIMIT:
                    break
        return where_it_begins(head)[1]

    @property
    def size(self) -> int:
        """Its bytes on the disk."""
        with contextlib.suppress(FileNotFoundError):
            return self.path.stat().st_size
        return self._packed().path.stat().st_size

    def _packed(self) -> Sealed:
        """Its compressed form, which may take its place at any moment."""
        return Sealed(self.number, self.path.with_name(f"{self.path.stem}{_COMPRESSED}"))


def open_live(path: Path, flags: int = os.O_RDONLY) -> Segment | None:
    """The live segment of the journal at *path*, or None where there is no file."""
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        return None
    try:
        return Segment.of(path, fd)
    except OSError as error:  # a folder, which opens and does not read
        os.close(fd)
        raise OSError(error.errno, error.strerror, str(path)) from None


def files_of(path: Path) -> list[Path]:
    """The files of the journal at *path*, oldest first, without what a crash left half rotated."""
    live = open_live(path)
    if live is None:
        return []
    live.close()
    return [*(sealed.path for sealed in sealed_before(live)), path]


def sealed_before(live: Segment) -> list[Sealed]:
    """
    The sealed segments of the journal whose live one is *live*, by number.

    Half rotated, a live file has the sealed name too; one whose first line was damaged comes last.
    """
    found = sealed_segments(live.path)
    return [s for s in found if s.number < live.number] if live.number else found


def sealed_segments(path: Path) -> list[Sealed]:
    """The sealed segments of the journal at *path*, by number; a plain file before a copy."""
    found: dict[int, Sealed] = {}
    # Plain ones first: what is packed meanwhile is in one of the two lists, or in both.
    for ending in (PLAIN, _COMPRESSED):
        for file in path.parent.glob(f"{path.stem}.??????{ending}"):
            with contextlib.suppress(ValueError):
                sealed = Sealed.at(file)
                found.setdefault(sealed.number, sealed)
    return [found[number] for number in sorted(found)]


def decompressed(path: Path) -> Iterator[bytes]:
    """
    The bytes that a packed file stands for, piece by piece.

    Raises:
        NotDecompressed: It is not one whole frame, and nothing behind it.
    """
    import zstandard  # noqa: PLC0415  as above

    # The library's own reader takes a file that was cut for one that ends there.
    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while packed := file.read(_PIECE):
            try:
                yield frame.decompress(packed)
            except zstandard.ZstdError as error:
                raise NotDecompressed(5, f"cannot be unpacked: {error}", str(path)) from None
            if frame.eof and (frame.unused_data or file.read(1)):
                raise NotDecompressed(5, "cannot be unpacked: something follows", str(path))
    if not frame.eof:
        raise NotDecompressed(5, "cannot be unpacked: it was cut", str(path))


def file_id(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def where_it_begins(head: bytes) -> tuple[int, Position, float]:
    """Number, beginning and time of the segment that *head* begins, as its first line says."""
    return _what_it_says(head[: head.find(b"\n")])


@lru_cache(64)  # whoever follows a journal opens it over and over
def _what_it_says(first_line: bytes) -> tuple[int, Position, float]:
    # One that cannot be read says nothing; whoever reads on finds the fault.
    with contextlib.suppress(MalformedLine):
        event = parse(first_line)
        number, offset = event.get("segment"), event.get("offset")
        if event["event_type"] == SEGMENT_STARTED and type(number) is type(offset) is int:
            here = Position(event["seq"], event["parent_hash"], offset)
            return number, here, event["timestamp"]
        return int(event["seq"] == 0), START, event["timestamp"]
    return 0, START, math.inf
