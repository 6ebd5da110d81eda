"""
Where a journal ends: what was acknowledged, and what a crash left behind it.

Only an unacknowledged tail is ever cut, and it is kept aside as evidence.  A bad line with a good
one after it is not the mark of a crash: that journal is refused, not repaired.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from engines.durable import sync_data, sync_folder
from engines.journal.head import Head
from engines.journal.line import MalformedLine, parse, recompute
from engines.journal.reader import START, Fault, FaultFound, Position, read_tail, scan


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


def find_ending(fd: int, head: Head | None) -> Ending:
    """
    Return where the journal open as *fd* ends.

    With an exact head that is where the head says.  With one that may lag, whole lines that follow
    on count too, except those of a batch that did not arrive whole.

    Raises:
        FaultFound: The file is shorter than what was acknowledged, the last acknowledged line is
            not in its place, or a bad line stands before a good one.
    """
    status = os.fstat(fd)
    known = Position(head.seq + 1, head.event_hash, head.size) if head else START
    if status.st_size < known.offset:
        missing = known.offset - status.st_size
        what = f"{missing} acknowledged bytes are missing at the end"
        raise FaultFound(Fault("truncated", 0, known.seq - 1, what))
    if known.seq:
        _check_last(fd, known)
    if head and head.is_exact_for(status):
        return Ending(known, status.st_size - known.offset)
    end = known
    try:
        for _, behind in scan(fd, known, status.st_size):
            end = behind
    except FaultFound:
        # Blocks of a batch under way may reach the disk in any order, so good lines within it
        # prove nothing; behind it they prove that it was acknowledged.
        if _good_line_from(fd, max(end.offset, head.pending if head else 0), status.st_size):
            raise
    if head and end.offset < head.pending:
        end = known
    return Ending(end, status.st_size - end.offset)


def _check_last(fd: int, known: Position) -> None:
    """Make sure that the line before *known* is the one its hash stands for."""
    size = 1 << 12
    while True:
        begin = max(0, known.offset - size)
        block = os.pread(fd, known.offset - begin, begin)
        if begin == 0 or block.count(b"\n") > 1:
            break
        size *= 16
    line = block[block.rfind(b"\n", 0, -1) + 1 :]
    carried = b'"%b"}\n' % (known.parent_hash or "").encode()
    if line.endswith(carried) and recompute(line[:-1]) == known.parent_hash:
        return
    read_tail(fd, known.offset, 1)  # says what is wrong with it, if it is not another sound line
    what = "it is not the line that was acknowledged"
    raise FaultFound(Fault("replaced", known.seq, known.seq - 1, what))


def set_aside(path: Path, fd: int, ending: Ending) -> SetAside:
    """Move the leftover bytes of the journal at *path* into a file of their own, durably."""
    data = os.pread(fd, ending.leftover, ending.position.offset)
    digest = hashlib.sha256(data).hexdigest()
    target = path.with_name(f"{path.stem}.unacknowledged-{ending.position.offset}-{digest[:8]}")
    with target.open("wb") as file:
        file.write(data)
        file.flush()
        sync_data(file.fileno())
    sync_folder(path.parent)
    os.ftruncate(fd, ending.position.offset)
    sync_data(fd)
    return SetAside(target, len(data), digest)


def _good_line_from(fd: int, offset: int, size: int) -> bool:
    """Whether some whole line from *offset* on carries the right hash of its own."""
    for line in os.pread(fd, size - offset, offset).split(b"\n") if size > offset else ():
        try:
            if parse(line)["event_hash"] == recompute(line):
                return True
        except MalformedLine:
            continue
    return False
