"""
Verification: is this journal what its writers wrote, as far as it can say so itself?

Recomputes every hash, link and number from the raw bytes, through all segments, and holds the end
against the head.  Without a checkpoint held elsewhere the best verdict is "internally consistent,
unanchored": a tail cut together with its head, or a complete rewrite, is not excluded, and the
report says so.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from engines.errors import JournalError
from engines.journal.checked import OnProgress
from engines.journal.head import Head, HeadFile
from engines.journal.reader import Fault
from engines.journal.recorded import open_with_head
from engines.journal.report import Report, Since
from engines.journal.segment import Segment
from engines.journal.spanning import Spanning

T = TypeVar("T")
_TRIES = 20


def verify(
    path: str | Path,
    *,
    sizes: Sequence[int] | None = None,
    since: Since | None = None,
    jobs: int = 1,
    on_progress: OnProgress | None = None,
) -> Report:
    """
    Verify the journal at *path* from its first byte to its last.

    One whose first event a crash prevented has a head that remembers nothing, and is sound.

    Args:
        sizes: Tree sizes whose roots are wanted.
        since: Begin here, on the word of somebody who knows that the lines before stand.
        jobs: How many processes may work on it.
        on_progress: Called now and then.

    Raises:
        OSError: The file cannot be read.
    """
    path, step = Path(path), on_progress or _silent
    return undisturbed(
        path, lambda: _verified(path, sizes, since, jobs, step), lambda report: report.ok
    )


def undisturbed(path: Path, look: Callable[[], T], stands: Callable[[T], bool]) -> T:
    """
    What *look* finds of the journal at *path*, anew where that does not stand and the files are
    others by then: what is pruned while it is read looks like lines that somebody removed.
    """
    tries = _TRIES
    while True:
        files, tries = _files_of(path), tries - 1
        try:
            found = look()
        except (JournalError, OSError):
            if not tries or _files_of(path) == files:
                raise
        else:
            if stands(found) or not tries or _files_of(path) == files:
                return found


def _files_of(path: Path) -> list[tuple[str, int]]:
    """The sealed files, and what stands for those that were pruned, as they are now."""
    found = []
    for file in (*path.parent.glob(f"{path.stem}.??????.jsonl*"), path.with_suffix(".base")):
        with contextlib.suppress(FileNotFoundError):
            found.append((file.name, file.stat().st_ino))
    return sorted(found)


def _verified(
    path: Path, sizes: Sequence[int] | None, since: Since | None, jobs: int, step: OnProgress
) -> Report:
    head_file = HeadFile(path.with_suffix(".head"))
    # Size and head of one moment; whatever is appended later lies behind both.
    with head_file.held_still():
        live, head = open_with_head(path, head_file)
        end = live.end if live else 0
    gone = live is None
    if live is None:
        if not head_file.path.exists():
            raise FileNotFoundError(2, "no such journal", str(path))
        live = Segment.of(path, os.open(os.devnull, os.O_RDONLY), b"")
    try:
        checking = Spanning(live, end, head, sizes=sizes, since=since)
        report = checking.run(jobs, step)
    finally:
        live.close()
    return _without_live(report, head, head_file) if gone else report


def _without_live(report: Report, head: Head | None, head_file: HeadFile) -> Report:
    """*report* on the sealed segments of a journal whose live file is not there."""
    if head and head.size:
        what = f"the file is gone; its head remembers {head.seq + 1} lines"
    elif head is None and head_file.path.stat().st_size:
        what = "the file is gone, and its head cannot be read"
    else:
        return report
    if report.fault and report.fault.seq < report.lines:
        return report
    return replace(report, fault=Fault("missing", 1, report.lines, what))


def _silent(_: int) -> None:
    """Nobody watches."""
