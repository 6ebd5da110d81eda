"""
Reading a journal as a whole: all its segments, up to what was acknowledged.

Needs no lock and no right to write.  What lies behind the acknowledged end is not handed out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from engines.errors import JournalError
from engines.journal.failures import broken
from engines.journal.head import Head, HeadFile
from engines.journal.line import Event
from engines.journal.reader import Block, Fault, FaultFound, read_tail, scan
from engines.journal.recovery import ends_at, find_ending
from engines.journal.segment import (
    START,
    Position,
    Sealed,
    Segment,
    open_live,
    sealed_before,
)


class RecordedJournal:
    """The journal at *path*, `…/NAME.jsonl`, to be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.head = HeadFile(self.path.with_suffix(".head"))

    def read(self, start: Position = START) -> Iterator[tuple[list[Event], Position]]:
        """
        Hand out the acknowledged events from *start* on, in blocks with the place behind each.

        Needs no lock and no right to write; every line is checked on the way.

        Raises:
            JournalBroken: At the first line that does not stand.
        """
        for block in self.blocks(start):
            yield block.events, block.behind

    def blocks(self, start: Position = START) -> Iterator[Block]:
        """As `read`, with the lines' own bytes."""
        with self._reading() as (live, end):
            if live is None:
                return
            if start.offset > end.offset:
                what = f"{start.seq - end.seq} lines that were read before are gone"
                raise FaultFound(Fault("truncated", 0, end.seq, what))
            if start.offset < live.begin.offset:
                yield from self._sealed_blocks(start, live)
                start = live.begin
            if start.offset < end.offset:
                yield from scan(live, start, end.offset)

    def begin(self) -> Position:
        """Before the first line that is still there: what lies before it was pruned."""
        live = self._peek()
        if live is None:
            return START
        for sealed in sealed_before(live):
            with contextlib.suppress(FileNotFoundError):  # pruned since it was listed
                return sealed.begin()
        return live.begin

    def live_begin(self) -> Position:
        """Before the first line of the file that is written to."""
        live = self._peek()
        return live.begin if live else START

    def sealed(self) -> list[Sealed]:
        """Its sealed segments, oldest first."""
        live = self._peek()
        return sealed_before(live) if live else []

    def line(self, seq: int) -> bytes:
        """
        The bytes of line *seq* without its newline.

        Raises:
            IndexError: There is no such line.
        """
        for block in self.blocks(self.file_with(seq)):
            if seq < block.behind.seq:
                return block.lines[seq - block.behind.seq + len(block.lines)]
        raise IndexError(f"{self.path}: no line {seq}")

    def file_with(self, seq: int) -> Position:
        """Where the file begins that has line *seq*, or would have it."""
        live = self._peek()
        begins = [*(s.begin() for s in sealed_before(live)), live.begin] if live else []
        return max((begin for begin in begins if begin.seq <= seq), key=_by_seq, default=START)

    def acknowledged(self) -> Position:
        """Behind the last line that was acknowledged; reads only the end."""
        with self._reading() as (_, end):
            return end

    def length(self) -> int:
        """How many lines were acknowledged; reads only the end."""
        return self.acknowledged().seq

    def holds(self, place: Position) -> bool:
        """Whether the line before *place* is the one that *place* names, byte for byte."""
        live = self._open_to_read()
        if live is None or place.offset == 0:
            return place == START
        try:
            if place.offset > live.begin.offset:
                return ends_at(live, place)
            for sealed in reversed(sealed_before(live)):
                if sealed.begin().offset < place.offset:
                    with self._opened(sealed) as segment:
                        return ends_at(segment, place)
            return False
        finally:
            live.close()

    @property
    def snapshot_path(self) -> Path:
        """Where an engine may keep what it folded from this journal."""
        return self.path.with_suffix(".snapshot")

    def events(self) -> Iterator[Event]:
        """Every acknowledged event, oldest first."""
        for events, _ in self.read():
            yield from events

    def tail(self, count: int) -> list[Event]:
        """The last *count* acknowledged events, oldest first; reads only the end of the journal."""
        return [event for block in self.tail_blocks(count) for event in block.events]

    def tail_blocks(self, count: int) -> list[Block]:
        """As `tail`, with the lines' own bytes."""
        found: list[Block] = []
        if count <= 0:
            return found
        with self._reading() as (live, end):
            if live is None:
                return found
            found.append(read_tail(live, end.offset, count))
            count -= len(found[0].lines)
            for sealed in reversed(sealed_before(live)):
                if count:
                    with self._opened(sealed) as segment:
                        found.insert(0, read_tail(segment, segment.end, count))
                    count -= len(found[0].lines)
        return found

    # --- below the face ----------------------------------------------------------------------

    def _open_to_read(self) -> Segment | None:
        try:
            live = open_live(self.path)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read: {error.strerror}") from None
        if live is None:
            self.check_never_begun()
        return live

    def _peek(self) -> Segment | None:
        """The live segment, closed again: what it says of itself."""
        live = self._open_to_read()
        if live:
            live.close()
        return live

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[Segment | None, Position]]:
        """The live segment, and where what was acknowledged ends; faults become errors."""
        try:
            live, head = open_with_head(self.path, self.head)
        except OSError as error:
            raise JournalError(f"{self.path}: cannot be read: {error.strerror}") from None
        if live is None:
            self.check_never_begun()
            yield None, START
            return
        try:
            with self.faults_as_errors():
                yield live, find_ending(live, head).position
        finally:
            live.close()

    def _sealed_blocks(self, start: Position, live: Segment) -> Iterator[Block]:
        """What lies from *start* on in the segments before the live one."""
        before = sealed_before(live)
        first = next(
            (i for i in reversed(range(len(before))) if before[i].begin().offset <= start.offset), 0
        )
        for sealed in before[first:]:
            with self._opened(sealed) as segment:
                if start.offset < segment.begin.offset:
                    what = f"lines {start.seq + 1} to {segment.begin.seq} are in no file"
                    raise FaultFound(Fault("missing", 1, start.seq, what, sealed.path.name))
                for block in scan(segment, start, max(start.offset, segment.end)):
                    yield block
                    start = block.behind
        if start != live.begin:
            what = f"lines {start.seq + 1} to {live.begin.seq} are in no file"
            raise FaultFound(Fault("missing", 1, start.seq, what, live.path.name))

    @contextlib.contextmanager
    def _opened(self, sealed: Sealed) -> Iterator[Segment]:
        try:
            segment = sealed.open()
        except OSError as error:
            raise JournalError(f"{sealed.path}: cannot be read: {error.strerror}") from None
        try:
            yield segment
        finally:
            segment.close()

    def check_never_begun(self) -> None:
        head = self.head.read()
        # Whoever began it did so between two looks, or the file is gone.
        if head and head.size and not self.path.exists():
            what = f"the file is gone; its head remembers {head.seq + 1} lines"
            raise broken(self.path, Fault("missing", 0, 0, what))

    @contextlib.contextmanager
    def faults_as_errors(self) -> Iterator[None]:
        try:
            yield
        except FaultFound as found:
            raise broken(self.path, found.fault) from None


def open_with_head(path: Path, head_file: HeadFile) -> tuple[Segment | None, Head | None]:
    """
    The live segment of the journal at *path*, and the head that belongs to it.

    Raises:
        OSError: One of them cannot be read.
    """
    while live := open_live(path):
        try:
            head = head_file.read()
            if live.is_at(path):
                return live, head
        except OSError:
            live.close()
            raise
        live.close()  # a rotation came between the two
    return None, head_file.read()


def _by_seq(place: Position) -> int:
    return place.seq
