"""
One direction of a replication: everything of the source that the target lacks, and then what comes.

    changes ─▶ which of these are missing? ─▶ read them ─▶ write them ─▶ record the place
    └──────────── a thread ──────────────┘ └─ a thread ─┘ └─────── the caller's thread ───────┘

so that a page of changes, the documents of the page before and the writing of the one before that
are under way at once.  Order is kept: a place is recorded when everything up to it is at the target
and durable there.  Whatever is cut off, at any point, is taken up from the last place recorded;
what was done since is asked about again, and not done again.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import uuid4

from engines.replication.checkpoints import Checkpoints
from engines.replication.errors import (
    DocumentsFailed,
    PeerFault,
    PeerTimedOut,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)
from engines.replication.model import (
    ERRORS_KEPT,
    START,
    Document,
    Failure,
    Options,
    Page,
    Parcel,
    Peer,
    Report,
    Seq,
    Wanted,
)
from engines.replication.pace import Backoff, BatchSize
from engines.replication.pipeline import ahead

_MOSTLY = 0.8
_RECORD_S = 5.0  # a continuous replication records its place so often, and when it stops


class _Lot(NamedTuple):
    """A page of changes, how many revisions it names, and those that the target lacks."""

    page: Page
    checked: int
    wanted: list[Wanted]


class _Load(NamedTuple):
    """A parcel of a lot."""

    lot: _Lot
    parcel: Parcel
    last: bool


class Replicator:
    """
    From *source* to *target*.

    Args:
        on_progress: Called with a report as far as it goes, whenever a place was recorded.
        clock: Seconds since the epoch, for the record alone: nothing is decided on it.
        random: For the length of pauses.
        pause: How to wait so many seconds; by default until then, `stop` or `nudge`.
    """

    def __init__(
        self,
        source: Peer,
        target: Peer,
        options: Options | None = None,
        *,
        on_progress: Callable[[Report], None] | None = None,
        clock: Callable[[], float] = time.time,
        random: random.Random = random.Random(),  # noqa: B008, S311  one for all will do
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self.source = source
        self.target = target
        self.options = options or Options()
        self.state = "new"
        self.last_error: ReplicationError | None = None
        self._on_progress = on_progress
        self._clock = clock
        self._pause = pause or self._wait_for
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._records = Checkpoints(source, target, self.options)
        self._size = BatchSize(self.options.batch_size, self.options.batch_max)
        self._backoff = Backoff(self.options.backoff_s, random)
        self._session_id = uuid4().hex
        self._begun: tuple[float, float] | None = None
        self._start: Seq = START
        self._reached: Seq = START
        self._recorded_at = 0.0
        self._unrecorded = False
        self._met = False
        self._retries = 0
        self._count: Counter[str] = Counter()
        self._errors: dict[tuple[str, str | None], Failure] = {}

    def run(self) -> Report:
        """
        Replicate; a continuous replication goes on until `stop` is called in another thread.

        Raises:
            ReplicationError: It cannot be done; `report` says how far it got.
        """
        self._begun = self._clock(), time.monotonic()
        try:
            while not self._stopped.is_set():
                try:
                    self._session()
                    break
                except ReplicationError as error:
                    self._cope(error)
        except ReplicationError as error:
            error.report = self.report
            self.last_error = error
            raise
        finally:
            self.state = "ended"
        return self.report

    def stop(self) -> None:
        """Have `run` record where it is, and return."""
        self._stopped.set()
        self._woken.set()
        self.source.interrupt()

    def nudge(self) -> None:
        """Try again now, if it waits to: the network is back."""
        self._woken.set()

    @property
    def replication_id(self) -> str:
        return self._records.id

    @property
    def report(self) -> Report:
        """What was done so far."""
        begun, tick = self._begun or (self._clock(), time.monotonic())
        return Report(
            replication_id=self.replication_id,
            session_id=self._session_id,
            start_time=begun,
            start_last_seq=self._start,
            end_last_seq=self._reached,
            seconds=time.monotonic() - tick,
            retries=self._retries,
            errors=tuple(self._errors.values())[:ERRORS_KEPT],
            **self._count,
        )

    # --- a session, and what ends it ---------------------------------------------------------

    def _session(self) -> None:
        self.state = "starting"
        found = self._records.find(self._open)
        if not self._met:
            self._start = found or self.options.since or START
            self._met = True
        self._reached = found or self.options.since or START
        self._unrecorded = False
        # What failed and may not fail this time.
        self._errors = {mark: one for mark, one in self._errors.items() if one.refused}
        idle_s = _RECORD_S if self.options.continuous else None
        loads = ahead(self._read(self._lots(self._reached)), idle_s=idle_s)
        try:
            self._write_all(loads)
        finally:
            loads.close()
        self._record_now()

    def _open(self, peer: Peer) -> None:
        """Make sure that *peer* is there; one that has a record is."""
        peer.open(create=peer is self.target and self.options.create_target)

    def _cope(self, error: ReplicationError) -> None:
        """Wait before another attempt; or raise *error*, if there is to be none."""
        if self._stopped.is_set():
            return  # it was cut off because of that
        if not isinstance(error, PeerUnreachable | TooLarge):
            raise error
        if isinstance(error, TooLarge) and self._size.now > 1:
            self._size.was_too_much()
            return
        if isinstance(error, PeerTimedOut):
            self._size.was_too_much()
        # Somebody waits for one that ends: who is not there at all will not be there in a moment.
        absent = not self._met and getattr(error, "offline", False)
        tried_enough = self._backoff.failures + 1 >= self.options.attempts
        if (absent or tried_enough) and not self.options.continuous:
            raise error
        self.last_error = error
        self.state = "waiting"
        self._retries += 1
        self._pause(self._backoff.after_failure(getattr(error, "retry_after_s", None)))

    def _wait_for(self, seconds: float) -> None:
        self._woken.wait(seconds)
        if not self._stopped.is_set():
            self._woken.clear()

    # --- the stages --------------------------------------------------------------------------

    def _lots(self, since: Seq) -> Iterator[_Lot]:
        """Pages of changes, and which of their revisions the target lacks."""
        choice = self.options.choice
        all_new = False
        while not self._stopped.is_set():
            self.state = "replicating"
            page = self.source.changes(since, self._size.now, choice, documents=all_new)
            lot = self._compared(page)
            # Where the last page was new to the target, and had no history, the next one will be.
            all_new = sum(one.rev.startswith("1-") for one in lot.wanted) > _MOSTLY * lot.checked
            yield lot
            if page.last:
                if not self.options.continuous:
                    return
                self._wait_for_news(page.last_seq)
            elif page.last_seq == since:
                raise PeerFault(f"{self.source.name}: its changes do not get on from {since!r}")
            since = page.last_seq

    def _wait_for_news(self, since: Seq) -> None:
        self.state = "listening"
        choice, heartbeat_s = self.options.choice, self.options.heartbeat_s
        try:
            while not self._stopped.is_set():
                if self.source.wait(since, choice, heartbeat_s, self._stopped):
                    return
        except ReplicationError:
            if not self._stopped.is_set():  # that is what cut it off
                raise

    def _compared(self, page: Page) -> _Lot:
        asked: dict[str, list[str]] = {}
        for name, revs in page.rows:
            asked.setdefault(name, []).extend(revs)
        missing = self.target.revs_diff(asked) if asked else {}
        wanted = [
            Wanted(name, rev, told.get("possible_ancestors", ()))
            for name, told in missing.items()
            for rev in told.get("missing", ())
        ]
        return _Lot(page, sum(map(len, asked.values())), wanted)

    def _read(self, lots: Iterator[_Lot]) -> Iterator[_Load]:
        """What is wanted, in parcels."""
        coming = ahead(lots)
        try:
            for lot in coming:
                assert lot is not None  # noqa: S101  it is not asked to be told of idleness
                before = None
                for parcel in self._parcels(lot):
                    if before is not None:
                        yield _Load(lot, before, last=False)
                    before = parcel
                yield _Load(lot, before or Parcel(), last=True)
        finally:
            coming.close()

    def _parcels(self, lot: _Lot) -> Iterator[Parcel]:
        there = lot.page.documents
        came = [there[one.id, one.rev] for one in lot.wanted if (one.id, one.rev) in there]
        if came:
            yield Parcel(came)
        if rest := [one for one in lot.wanted if (one.id, one.rev) not in there]:
            yield from self.source.read(rest, self.target.has_attachment)

    def _write_all(self, loads: Iterator[_Load | None]) -> None:
        held_up: list[Failure] = []
        for load in loads:
            if load is None:
                self._record_now()
                continue
            held_up += [one for one in load.parcel.failures if not one.refused]
            record = self._write(load, held_up)
            if load.last:
                if held_up:
                    # The others of the page are through; all of it is asked about again.
                    raise _failed(held_up)
                self._reach(load.lot.page, record)

    def _write(self, load: _Load, held_up: list[Failure]) -> Document | None:
        """Write a parcel; the record of its place, where that went with it."""
        documents = load.parcel.documents
        self._count["docs_read"] += len(documents)
        record = None
        if load.last:
            self._count["missing_checked"] += load.lot.checked
            self._count["missing_found"] += len(load.lot.wanted)
            if self.target.writes_with_local and not held_up and self._is_due(load.lot.page):
                record = self._record(load.lot.page.last_seq, coming=len(documents))
        local = self._records.local(record) if record else {}
        failures = self.target.write(documents, local) if documents or local else ()
        self._count["docs_written"] += len(documents) - len(failures)
        self._count["doc_write_failures"] += sum(one.refused for one in failures)
        for failure in (*load.parcel.failures, *failures):
            self._errors[failure.id, failure.rev] = failure
        held_up += [one for one in failures if not one.refused]
        if len(documents) > len(failures) or self.options.continuous:
            self._backoff.went_well()
        return record

    # --- the record --------------------------------------------------------------------------

    def _reach(self, page: Page, record: Document | None) -> None:
        self._size.went_well()
        due = self._is_due(page)
        self._unrecorded = self._unrecorded or self._moves(page)
        self._reached = page.last_seq
        if record is not None:
            self._save(record)
        elif due:
            self._record_now()

    def _moves(self, page: Page) -> bool:
        """Whether there is something to record: a sequence alone may read differently each time."""
        return page.last_seq != self._reached and bool(
            page.rows or not self.options.choice.everything
        )

    def _is_due(self, page: Page) -> bool:
        recently = time.monotonic() - self._recorded_at < _RECORD_S
        return self._moves(page) and not (self.options.continuous and recently)

    def _record(self, seq: Seq, coming: int = 0) -> Document:
        """The record of having got to *seq*, once *coming* documents are written with it."""
        written = self._count["docs_written"] + coming
        report = replace(self.report, end_last_seq=seq, docs_written=written)
        return self._records.record(report, self._clock())

    def _record_now(self) -> None:
        """Record the place, if that is not done yet."""
        if not self._unrecorded:
            return
        record = self._record(self._reached)
        for name, told in self._records.local(record).items():
            self.target.put_local(name, told)
        self._save(record)

    def _save(self, record: Document) -> None:
        self._records.save(record)
        self._recorded_at = time.monotonic()
        self._unrecorded = False
        if self._on_progress:
            self._on_progress(self.report)


def _failed(failures: list[Failure]) -> DocumentsFailed:
    one = failures[0]
    more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
    return DocumentsFailed(f"document {one.id!r} did not get through ({one.error}){more}")
