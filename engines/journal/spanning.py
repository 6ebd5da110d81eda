"""One journal's segments, checked each by itself and put together one after the other."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engines.journal.checked import Checked, OnProgress, check_sealed, check_segment
from engines.journal.head import Head
from engines.journal.line import Event
from engines.journal.reader import Fault, FaultFound
from engines.journal.recovery import find_ending
from engines.journal.report import Report, Since
from engines.journal.segment import START, NotDecompressed, Sealed, Segment, sealed_before
from engines.merkle import EMPTY_ROOT, RightEdge

if TYPE_CHECKING:
    from concurrent.futures import Future

# Below this a second process costs more than it saves.
_WORTH_A_PROCESS = 32 * 2**20


class Spanning:
    """
    The verification of one journal.

    Args:
        live: Its live segment.
        end: Where that ended when the head was read.
        sizes: Tree sizes whose roots are wanted; None hashes no leaves.
        since: Where to begin.
    """

    def __init__(
        self,
        live: Segment,
        end: int,
        head: Head | None,
        *,
        sizes: Sequence[int] | None,
        since: Since | None,
    ) -> None:
        self._live = live
        self._end = end
        self._head = head
        self._asked = frozenset(sizes or ())
        self._sizes = None if sizes is None else sorted(self._asked)
        self._start = self._here = since.position if since else START
        self._edge = RightEdge(since.edge if since else ())
        self._roots = {0: EMPTY_ROOT}
        self._first: Event | None = None
        self._prunings: list[tuple[int, str | None]] = []
        self._files: list[tuple[int, str]] = []  # each with the number of its first line
        self._number = 0  # of the last file
        self._head_seen = head is None or head.size <= self._start.offset

    def run(self, jobs: int, on_progress: OnProgress) -> Report:
        """Check all of it, by *jobs* processes."""
        self._on_progress = on_progress
        before = self._sealed_before()
        fault = self._find_beginning(before)
        if not fault:
            with self._checking(before, jobs) as results:
                found = (self._add(checked, sealed) for checked, sealed in results)
                fault = next(filter(None, found), None)
        fault = fault or self._check_pruned() or self._check_end()
        origin = (self._first or {}).get("origin")
        return Report(
            path=self._live.path,
            lines=min(self._here.seq, fault.good_lines) if fault else self._here.seq,
            head_hash=None if fault else self._here.parent_hash,
            origin=dict(origin) if isinstance(origin, dict) else {},
            fault=fault,
            head_kept=self._head is not None,
            segments=len(before) + 1,
            prunings=tuple(self._prunings),
            roots=self._roots,
        )

    # --- the files ---------------------------------------------------------------------------

    def _sealed_before(self) -> list[Sealed]:
        """The sealed segments from where verification begins."""
        found = sealed_before(self._live)
        if self._start == START:
            return found
        if self._start.offset >= self._live.begin.offset:
            return []
        while len(found) > 1 and found[1].begin().offset <= self._start.offset:
            del found[0]
        return found

    def _find_beginning(self, before: Sequence[Sealed]) -> Fault | None:
        begin = before[0].begin() if before else self._live.begin
        self._gone = begin.seq if self._start in {START, begin} else 0
        if self._start != START or begin == START:
            return None
        # Pruned, it must turn out, and the hashes of those lines are not known here.
        self._start = self._here = begin
        self._sizes, self._roots = None, {}
        if before and before[0].number == 1:
            what = "this file does not begin with the journal's first line"
            return Fault("reordered", 1, 0, what, before[0].path.name)
        return None

    @contextlib.contextmanager
    def _checking(
        self, before: Sequence[Sealed], jobs: int
    ) -> Iterator[Iterator[tuple[Checked, Sealed | None]]]:
        """Each segment's result, oldest first: worked out one by one, or by several processes."""
        # Only the first can have been begun before.
        begins = [self._here if self._start != START else None, *[None] * len(before)]
        work = [
            partial(check_sealed, sealed.path, begin, self._wanted, self._sizes)
            for sealed, begin in zip(before, begins, strict=False)
        ]
        file_sizes = [sealed.size for sealed in before]
        if jobs == 1 or sum(file_sizes) < _WORTH_A_PROCESS:
            yield self._in_turn(before, (self._counted(task()) for task in work))
            return
        from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415  for large journals alone
        from multiprocessing import get_context  # noqa: PLC0415

        # This process is one of them.
        with ProcessPoolExecutor(jobs - 1, mp_context=get_context(_method())) as pool:
            own = self._own_share(file_sizes, jobs)
            others: dict[int, Future[Checked]] = {
                n: pool.submit(task) for n, task in enumerate(work) if n not in own
            }
            try:
                live = self._check_live()
                done = {n: self._counted(work[n]()) for n in own}
                results = (
                    done[n] if n in done else self._counted(others[n].result())
                    for n in range(len(work))
                )
                yield self._in_turn(before, results, live)
            finally:
                pool.shutdown(cancel_futures=True)

    def _own_share(self, sizes: Sequence[int], jobs: int) -> list[int]:
        """Which of the sealed segments this process checks, so that all are done at once."""
        loads = [self._end - self._live.begin.offset, *[0] * (jobs - 1)]
        own = []
        for n in sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True):
            least = loads.index(min(loads))
            loads[least] += sizes[n]
            if least == 0:
                own.append(n)
        return own

    def _counted(self, checked: Checked) -> Checked:
        self._on_progress(checked.size)
        return checked

    def _in_turn(
        self, before: Sequence[Sealed], results: Iterator[Checked], live: Checked | None = None
    ) -> Iterator[tuple[Checked, Sealed | None]]:
        for sealed, checked in zip(before, results, strict=True):
            yield checked, sealed
        yield live or self._check_live(), None

    def _check_live(self) -> Checked:
        begins_here = self._start.offset > self._live.begin.offset
        return check_segment(
            self._live,
            self._start if begins_here else self._live.begin,
            end=self._end,
            wanted=self._wanted,
            sizes=self._sizes,
            on_progress=self._on_progress,
        )

    @property
    def _wanted(self) -> list[int]:
        return [self._head.seq] if self._head else []

    # --- one behind the other ----------------------------------------------------------------

    def _add(self, checked: Checked, sealed: Sealed | None) -> Fault | None:
        """Put a segment behind those before it; return what is wrong with it, if anything."""
        if checked.begin != self._here:
            checked = self._check_again(sealed)
        self._files.append((checked.begin.seq, (sealed or self._live).path.name))
        if fault := self._check_first_line(checked, sealed):
            return fault
        for size, subtrees in checked.steps:
            self._edge.extend(subtrees)
            if size in self._asked:
                self._roots[size] = self._edge.root()
        self._prunings += checked.prunings
        self._here = checked.behind
        if fault := self._check_head_passed(checked):
            return fault
        if checked.fault:
            return checked.fault if sealed else self._torn(checked.fault)
        if sealed and not checked.size:
            return self._fault("truncated", self._here.seq, "it is empty")
        if sealed and checked.behind.offset < checked.begin.offset + checked.size:
            return self._fault("torn", self._here.seq, "it was sealed, and ends within a line")
        return None

    def _check_again(self, sealed: Sealed | None) -> Checked:
        """Check a segment that does not begin where the one before it ends, to say why."""
        here = self._here
        try:
            segment = sealed.open() if sealed else self._live
        except NotDecompressed as error:
            what, file = error.strerror or "", Path(error.filename).name
            return Checked(here, here, 0, fault=Fault("malformed", 0, here.seq, what, file))
        try:
            misplaced = replace(segment, begin=here)
            end = None
            if not sealed:
                end = self._end = self._end + here.offset - segment.begin.offset
                self._live = misplaced
            found = check_segment(misplaced, here, end=end, wanted=self._wanted)
        finally:
            if sealed:
                segment.close()
        if found.fault is None:
            says = f"its first line says that it begins at byte {segment.begin.offset}"
            kind, what = ("reordered", says) if found.size else ("truncated", "it is empty")
            fault = Fault(kind, 1, here.seq, what, segment.path.name)
            return Checked(here, here, found.size, fault=fault)
        return found

    def _check_first_line(self, checked: Checked, sealed: Sealed | None) -> Fault | None:
        """That a file is the one that its name and its neighbours say."""
        if checked.fault and checked.fault.seq == checked.begin.seq:
            return None  # there is a worse thing to say of it
        if self._first is None and checked.first and self._start == START:
            self._first = checked.first
            if what := _unlike_a_birth(self._live.path, checked.first):
                return self._fault("foreign", 0, what)
        before, number = self._number, sealed.number if sealed else checked.number
        self._number = number
        if checked.number not in {0, number} or (before and number not in {0, before + 1}):
            what = f"it says that it is file {checked.number}, behind file {before}"
            return self._fault("reordered", checked.begin.seq, what)
        return None

    def _check_head_passed(self, checked: Checked) -> Fault | None:
        head = self._head
        if head is None or self._head_seen or self._here.seq <= head.seq:
            return None
        self._head_seen = True
        if checked.hashes.get(head.seq) == head.event_hash:
            return None
        what = f"line {head.seq + 1} is not the one that was acknowledged"
        return self._fault("replaced", head.seq, what)

    def _torn(self, fault: Fault) -> Fault:
        """*fault*, unless it is no more than what a power cut leaves and the next write removes."""
        if self._head is None or self._head.is_exact_for(self._live.file):
            return fault
        with contextlib.suppress(FaultFound):
            if find_ending(self._live, self._head).position == self._here:
                what = f"{self._end - self._here.offset} bytes that never became whole lines"
                return replace(fault, kind="torn", what=what)
        return fault

    # --- the ends ----------------------------------------------------------------------------

    def _check_pruned(self) -> Fault | None:
        if self._gone <= max((lines for lines, _ in self._prunings), default=0):
            return None
        what = f"lines 1 to {self._gone} are in no file, and no line says that they were pruned"
        return Fault("missing", 1, 0, what, self._files[0][1])

    def _check_end(self) -> Fault | None:
        here, head = self._here, self._head
        if head and not self._head_seen:
            missing = head.seq + 1 - here.seq
            what = f"{missing} acknowledged line{'s' if missing != 1 else ''} missing at the end"
            return self._fault("truncated", here.seq, what)
        if head and head.size < here.offset:
            exact = head.is_exact_for(self._live.file)
            if exact or here.offset < head.pending:
                of = "" if exact else " of a batch that did not arrive whole"
                what = f"{here.seq - head.seq - 1} lines{of} past the end that was acknowledged"
                return self._fault("unacknowledged", head.seq + 1, what)
        if here.offset < self._end:
            what = f"{self._end - here.offset} bytes of a line that was never finished"
            return self._fault("torn", here.seq, what)
        return None

    def _fault(self, kind: str, seq: int, what: str) -> Fault:
        """A fault at line *seq* of the journal, in whichever file that is."""
        begin, file = next(f for f in reversed(self._files) if f[0] <= seq)
        return Fault(kind, seq - begin + 1, seq, what, file)


def _method() -> str:
    """How another process is begun: as a copy of this one, where that is safe and cheap."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    return "fork" if alone else "spawn"


def _is_id(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def _unlike_a_birth(path: Path, first: Event) -> str | None:
    """Why *first* is not the first line of the journal at *path*, or None."""
    if first["event_type"] != "journal_created":
        return "the first line is not a journal's beginning"
    if first.get("journal") != path.stem:
        return f"this is the journal {first.get('journal')!r} under another name"
    if type(first.get("format")) is not int or first["format"] != 1:
        return f"format {first.get('format')!r} is not known here"
    if not isinstance(first.get("origin"), dict) or not _is_id(first.get("id")):
        return "the first line does not say where the journal belongs"
    return None
