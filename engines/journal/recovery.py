"""
Where a journal ends: what was acknowledged, and what a crash left behind it.

Only an unacknowledged tail is ever cut, and it is kept aside as evidence.  A bad line with a good
one after it is not the mark of a crash: that journal is refused, not repaired.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from engines.durable import sync_data, sync_folder
from engines.journal.head import Head
from engines.journal.line import MalformedLine, parse, recompute
from engines.journal.reader import Fault, FaultFound, read_tail, scan
from engines.journal.segment import Position, Segment


@dataclass(frozen=True, slots=True)
class Ending:
    """
    The end of a journal.

    Attributes:
        position: Behind the last line that counts.
        leftover: Bytes after it that were never acknowledged.
    """

    position: Position
    leftover: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """Bytes that a crash left and recovery moved out of the journal."""

    path: Path
    size: int
    sha256: str


def find_ending(segment: Segment, head: Head | None) -> Ending:
    """
    Return where the journal ends whose live segment is *segment*.

    With an exact head that is where the head says.  With one that may lag, whole lines that follow
    on count too, except those of a batch that did not arrive whole.

    Raises:
        FaultFound: The file is shorter than what was acknowledged, the last acknowledged line is
            not in its place, or a bad line stands before a good one.
    """
    size = segment.end
    known = Position(head.seq + 1, head.event_hash, head.size) if head else segment.begin
    if known.offset <= segment.begin.offset:
        known = segment.begin  # the head has not followed into this segment yet
    elif size < known.offset:
        what = f"{known.offset - size} acknowledged bytes are missing at the end"
        raise FaultFound(Fault("truncated", 0, known.seq - 1, what))
    else:
        _check_last(segment, known)
    if head and head.is_exact_for(segment.file):
        return Ending(known, size - known.offset)
    end = known
    try:
        for block in scan(segment, known, size):
            end = block.behind
    except FaultFound:
        # Blocks of a batch under way may reach the disk in any order, so good lines within it
        # prove nothing; behind it they prove that it was acknowledged.
        if _good_line_from(segment, max(end.offset, head.pending if head else 0), size):
            raise
    if head and end.offset < head.pending:
        end = known
    return Ending(end, size - end.offset)


def _check_last(segment: Segment, known: Position) -> None:
    """Make sure that the line before *known* is the one its hash stands for."""
    if not ends_at(segment, known):
        # Says what is wrong with the line, if it is not another sound one.
        read_tail(segment, known.offset, 1)
        what = "it is not the line that was acknowledged"
        raise FaultFound(Fault("replaced", known.seq, known.seq - 1, what))


def ends_at(segment: Segment, place: Position) -> bool:
    """Whether the line of *segment* before *place* is the one that *place* names."""
    if place.offset > segment.end:
        return False
    size = 1 << 12
    while True:
        begin = max(segment.begin.offset, place.offset - size)
        block = segment.read(place.offset - begin, begin)
        if begin == segment.begin.offset or block.count(b"\n") > 1:
            break
        size *= 16
    line = block[block.rfind(b"\n", 0, -1) + 1 :]
    carried = b'"%b"}\n' % (place.parent_hash or "").encode()
    return (
        line.endswith(carried)
        and recompute(line[:-1]) == place.parent_hash
        and _is_numbered(line[:-1], place.seq - 1)
    )


def _is_numbered(line: bytes, seq: int) -> bool:
    if line.startswith(b'{"seq":%d,' % seq):
        return True
    try:  # there are other spellings
        return bool(parse(line)["seq"] == seq)
    except MalformedLine:
        return False


def set_aside(segment: Segment, ending: Ending) -> SetAside:
    """Move the leftover bytes of a live segment into a file of their own, durably."""
    path, data = segment.path, segment.read(ending.leftover, ending.position.offset)
    digest = hashlib.sha256(data).hexdigest()
    target = path.with_name(f"{path.stem}.unacknowledged-{ending.position.offset}-{digest[:8]}")
    with target.open("wb") as file:
        file.write(data)
        file.flush()
        sync_data(file.fileno())
    sync_folder(path.parent)
    segment.cut(ending.position.offset)
    return SetAside(target, len(data), digest)


def _good_line_from(segment: Segment, offset: int, size: int) -> bool:
    """Whether some whole line from *offset* on carries the right hash of its own."""
    for line in segment.read(size - offset, offset).split(b"\n") if size > offset else ():
        try:
            if parse(line)["event_hash"] == recompute(line):
                return True
        except MalformedLine:
            continue
    return False
