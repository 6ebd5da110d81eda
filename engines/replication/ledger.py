"""What a replication did and how far it got: counted, reported, and recorded at both ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from uuid import uuid4

from engines.replication.checkpoints import Checkpoints
from engines.replication.model import (
    DENIED_KEPT,
    ERRORS_KEPT,
    MISSING,
    START,
    Document,
    Failure,
    Options,
    Page,
    Peer,
    Report,
    Seq,
)
from engines.replication.pipeline import Ahead

_RECORD_S = 5.0
_OTHERS = Failure(
    *("…", None, "denied"),
    f"more did not get through than the {DENIED_KEPT:,} that are kept by name; once those are "
    "fewer, everything is compared anew",
    refused=True,
)
Mark = tuple[str, str]
"""Of what did not get through: id and revision."""


class Ledger:
    """
    Of a replication from *source* to *target*.

    Args:
        clock: Seconds since the epoch, for the record alone: nothing is decided on it.
        on_progress: Called with a report whenever a place was recorded.
    """

    idle_s = _RECORD_S
    """A continuous replication records its place so often, once it is quiet, and when it stops."""

    def __init__(
        self,
        source: Peer,
        target: Peer,
        options: Options,
        clock: Callable[[], float],
        on_progress: Callable[[Report], None] | None,
    ) -> None:
        self.records = Checkpoints(source, target, options)
        self.session_id = uuid4().hex
        self.retries = 0
        self.found = False
        self.reached: Seq = START
        self._target = target
        self._options = options
        self._clock = clock
        self._on_progress = on_progress
        self._began = clock(), time.monotonic()
        self._start: Seq = START
        self._recorded_at = -_RECORD_S
        self._unrecorded = False
        self._saving: tuple[Ahead[None], Report] | None = None
        self._count: Counter[str] = Counter()
        self._errors: dict[tuple[str, str | None], Failure] = {}  # DENIED_KEPT at most
        self._more = False
        self._recorded_denied: tuple[list[Mark], bool] = [], False
        self._forgotten: set[tuple[str, str | None]] = set()
        self._refusals: set[tuple[str, str | None]] = set()

    def begin(self) -> None:
        """The time counts from now."""
        self._began = self._clock(), time.monotonic()

    def find(self, verify: Callable[[Peer], None]) -> None:
        """Go to where the last session was."""
        self.reached = self.records.find(verify) or self._options.since or START
        if not self.found:
            self._start, self.found = self.reached, True
        self._unrecorded = False
        # What failed behind that place is come to again.
        before, denied = self._errors, self.records.denied
        self._errors = {mark: before[mark] for mark in self._forgotten if mark in before}
        self._errors |= {mark: before.get(mark) or _denied(*mark) for mark in denied[:DENIED_KEPT]}
        self._more = self.records.denied_more or len(denied) > DENIED_KEPT
        self._recorded_denied = self._denied, self._more

    @property
    def report(self) -> Report:
        """What was done so far."""
        at, tick = self._began
        return Report(
            replication_id=self.records.id,
            session_id=self.session_id,
            start_time=at,
            start_last_seq=self._start,
            end_last_seq=self.reached,
            seconds=time.monotonic() - tick,
            retries=self.retries,
            errors=self._told,
            doc_write_failures=len(self._refusals),
            **self._count,
        )

    @property
    def _told(self) -> tuple[Failure, ...]:
        if not self._more:
            return tuple(islice(self._errors.values(), ERRORS_KEPT))
        return *islice(self._errors.values(), ERRORS_KEPT - 1), _OTHERS

    @property
    def _denied(self) -> list[Mark]:
        return [
            (name, rev)
            for name, rev in self._errors
            if rev is not None and (name, rev) not in self._forgotten
        ]

    def again(self) -> Page | None:
        """What did not get through before the place that was reached, as a page of changes."""
        rows: dict[str, list[str]] = {}
        for name, rev in self._denied:
            rows.setdefault(name, []).append(rev)
        if not rows:
            return None
        return Page(list(rows.items()), self.reached, last=False, again=True)

    # --- counting ----------------------------------------------------------------------------

    def checked(self, asked: int, missing: int) -> None:
        self._count["missing_checked"] += asked
        self._count["missing_found"] += missing

    def read(self, documents: int, failures: Sequence[Failure]) -> None:
        self._count["docs_read"] += documents
        self._note(failures)

    def written(self, documents: int, failures: Sequence[Failure]) -> None:
        self._count["docs_written"] += documents - len(failures)
        self._refusals |= {(one.id, one.rev) for one in failures if one.refused}
        self._note(failures)

    def _note(self, failures: Sequence[Failure]) -> None:
        for failure in failures:
            mark = (failure.id, failure.rev)
            if mark in self._errors or len(self._errors) < DENIED_KEPT:
                self._errors[mark] = failure
            else:
                self._more = True

    def through(self, page: Page, failures: Sequence[Failure]) -> None:
        """All of *page* was tried: of its documents *failures* are what did not get through."""
        if not self._errors:
            return
        names = {name for name, _ in page.rows}
        failed = {(one.id, one.rev) for one in failures}
        self._errors = {
            mark: one
            for mark, one in self._errors.items()
            if mark[0] not in names or mark in failed
        }
        # What the source has no more, asked for the second time, is told and asked for no more.
        gone = {(one.id, one.rev) for one in failures if page.again and one.error in MISSING}
        self._forgotten = (self._forgotten - failed) | gone

    # --- recording ---------------------------------------------------------------------------

    def record_with(self, page: Page, coming: int) -> Document | None:
        """The record to put with the last *coming* documents of *page*, if it is time for one."""
        if self.records.alone or not (self._target.writes_with_local and self._is_due(page)):
            return None
        return self._record(page.last_seq, coming)

    def reach(self, page: Page, record: Document | None) -> None:
        """All of *page* is at the target; so is *record*, if there is one."""
        due = self._is_due(page)
        changed = (self._denied, self._more) != self._recorded_denied
        self._unrecorded = self._unrecorded or self._moves(page) or changed
        self.reached = page.last_seq
        if record is not None:
            self._save(record)
        elif due:
            self.record_now()

    def record_now(self) -> None:
        """Record the place, if that is not done yet."""
        if not self._unrecorded:
            return
        record = self._record(self.reached)
        for name, told in self.records.local(record).items():
            self._target.put_local(name, told)
        self._save(record)

    def _moves(self, page: Page) -> bool:
        """Whether there is something to record: a sequence alone may read differently each time."""
        chosen = not self._options.choice.everything
        return page.last_seq != self.reached and (bool(page.rows) or chosen)

    def _is_due(self, page: Page) -> bool:
        recently = time.monotonic() - self._recorded_at < _RECORD_S
        return self._moves(page) and not (self._options.continuous and recently)

    def _record(self, seq: Seq, coming: int = 0) -> Document:
        """The record of having got to *seq*, once *coming* documents are written with it."""
        written = self._count["docs_written"] + coming
        report = replace(self.report, end_last_seq=seq, docs_written=written)
        denied, more = self._recorded_denied = self._denied, self._more
        return self.records.record(report, self._clock(), denied, more=more)

    def _save(self, record: Document) -> None:
        """Begin to put *record* where it is not yet; what comes next need not wait for that."""
        self.settle()
        self._saving = Ahead(self._put(record)), self.report
        self._recorded_at = time.monotonic()
        self._unrecorded = False

    def _put(self, record: Document) -> Iterator[None]:
        self.records.save(record)
        yield None

    def settle(self) -> None:
        """Return once what was to be recorded is."""
        saving, self._saving = self._saving, None
        if saving is None:
            return
        for _ in saving[0]:
            """Until it is done; or raises what kept it."""
        if self._on_progress:
            self._on_progress(saving[1])


def _denied(doc_id: str, rev: str) -> Failure:
    return Failure(doc_id, rev, "denied", "it did not get through before", refused=True)
