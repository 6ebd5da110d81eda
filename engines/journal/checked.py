"""
One segment checked by itself, on what its first line says of where it begins.

Whoever puts a journal's segments together holds the end of one against the beginning of the next;
so they can be checked in any order, and by several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from engines.journal.line import Event
from engines.journal.reader import Fault, FaultFound, scan
from engines.journal.segment import (
    JOURNAL_PRUNED,
    NotDecompressed,
    Position,
    Sealed,
    Segment,
)
from engines.merkle import HASH_SIZE, Subtrees, leaf_hashes, subtrees

NOWHERE = Position(-1)
_type_of = itemgetter("event_type")
OnProgress = Callable[[int], None]
"""Told how many more bytes have been verified."""


@dataclass(slots=True)
class Checked:
    """
    What was found in one segment.

    Attributes:
        begin: Where it says that it begins.
        number: Which file it says that it is; 0 where it does not say.
        behind: Behind the last line that stands.
        size: Bytes that follow on *begin*, a torn line included.
        first: Its first event.
        prunings: Each record of one: how many lines from the journal's first on, and the SHA-256
            of the state that stands for them.
        hashes: Of the lines that were asked for, by number.
        steps: The complete subtrees of its leaves up to each tree size that was asked for, then up
            to its end: each size with the subtrees that lie between it and the one before.
    """

    begin: Position
    behind: Position
    size: int
    number: int = 0
    first: Event | None = None
    fault: Fault | None = None
    prunings: list[tuple[int, str | None]] = field(default_factory=list)
    hashes: dict[int, str] = field(default_factory=dict)
    steps: list[tuple[int, Subtrees]] = field(default_factory=list)


def check_segment(
    segment: Segment,
    here: Position,
    *,
    end: int | None = None,
    wanted: Sequence[int] = (),
    sizes: Sequence[int] | None = None,
    on_progress: OnProgress | None = None,
) -> Checked:
    """
    Check the lines of *segment* from *here* to *end*.

    Args:
        wanted: Numbers of lines whose hashes are asked for.
        sizes: Tree sizes to stop at, ascending; None hashes no leaves.
        on_progress: Told of each block's bytes.
    """
    end = segment.end if end is None else end
    found = Checked(here, here, end - here.offset, segment.number)
    leaves = bytearray()
    try:
        for block in scan(segment, here, end):
            found.first = found.first or block.events[0]
            for number in wanted:
                if found.behind.seq <= number < block.behind.seq:
                    found.hashes[number] = block.events[number - found.behind.seq]["event_hash"]
            if JOURNAL_PRUNED in map(_type_of, block.events):
                found.prunings += map(_pruning, filter(_is_pruning, block.events))
            if sizes is not None:
                leaves += b"".join(leaf_hashes(block.lines))
            if on_progress:
                on_progress(block.behind.offset - found.behind.offset)
            found.behind = block.behind
    except FaultFound as error:
        found.fault = error.fault
    if sizes is not None:
        found.steps = list(_steps(here.seq, found.behind.seq, bytes(leaves), sizes))
    return found


def _steps(
    begin: int, end: int, leaves: bytes, sizes: Sequence[int]
) -> Iterator[tuple[int, Subtrees]]:
    here = begin
    for size in (*(size for size in sizes if begin < size < end), end):
        part = leaves[(here - begin) * HASH_SIZE : (size - begin) * HASH_SIZE]
        yield size, subtrees(here, part)
        here = size


def _is_pruning(event: Event) -> bool:
    return bool(event["event_type"] == JOURNAL_PRUNED)


def _pruning(event: Event) -> tuple[int, str | None]:
    lines, digest = event.get("lines"), event.get("base_sha256")
    return lines if isinstance(lines, int) else 0, digest if isinstance(digest, str) else None


def check_sealed(
    path: Path, here: Position | None, wanted: Sequence[int], sizes: Sequence[int] | None
) -> Checked:
    """
    As `check_segment`, for the sealed segment at *path*: from *here*, or where it says it begins.

    One that does not decompress begins nowhere.

    Raises:
        OSError: It cannot be read.
    """
    try:
        segment = Sealed.at(path).open()
    except NotDecompressed:
        return Checked(NOWHERE, NOWHERE, 0)
    try:
        return check_segment(segment, here or segment.begin, wanted=wanted, sizes=sizes)
    finally:
        segment.close()
