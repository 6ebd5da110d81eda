"""
One direction of a replication: everything of the source that the target lacks, and then what comes.

    changes ─▶ which of these are missing? ─▶ read them ─▶ write them ─▶ record the place
    └ a thread ┘ └────────────── a thread ────────────────┘ └────── the caller's thread ──────┘

so that a page of changes, the documents of the page before and the writing of the one before that
are under way at once.  Order is kept: a place is recorded when everything up to it is at the target
and durable there.  Whatever is cut off, at any point, is taken up from the last place recorded;
what was done since is asked about again, and not done again.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from engines.replication.errors import (
    DocumentsFailed,
    PeerFault,
    PeerTimedOut,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)
from engines.replication.ledger import Ledger
from engines.replication.model import (
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
from engines.replication.pipeline import Ahead

_MOSTLY = 0.8


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
        self._pause = pause or self._wait_for
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._ledger = Ledger(source, target, self.options, clock, on_progress)
        self._size = BatchSize(self.options.batch_size, self.options.batch_max)
        self._backoff = Backoff(self.options.backoff_s, random)
        self._all_new = False
        self._blank = False
        self._again: Page | None = None

    def run(self) -> Report:
        """
        Replicate; a continuous replication goes on until `stop` is called in another thread.

        Raises:
            ReplicationError: It cannot be done; `report` says how far it got.
        """
        self._ledger.begin()
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
        return self._ledger.records.id

    @property
    def report(self) -> Report:
        """What was done so far."""
        return self._ledger.report

    # --- a session, and what ends it ---------------------------------------------------------

    def _session(self) -> None:
        self.state = "starting"
        self._ledger.find(self._open)
        self._all_new = self._blank = self.target.is_empty()
        self._again = self._ledger.again()
        pages = self._pages(self._ledger.reached)
        idle_s = self._ledger.idle_s if self.options.continuous else None
        loads = Ahead(self._loads(pages), idle_s=idle_s)
        try:
            self._write_all(loads)
        finally:
            loads.close()
            self._ledger.settle()
        self._ledger.record_now()
        self._ledger.settle()

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
        absent = not self._ledger.found and getattr(error, "offline", False)
        tried_enough = self._backoff.failures + 1 >= self.options.attempts
        if (absent or tried_enough) and not self.options.continuous:
            raise error
        self.last_error = error
        self.state = "waiting"
        self._ledger.retries += 1
        self._pause(self._backoff.after_failure(getattr(error, "retry_after_s", None)))

    def _wait_for(self, seconds: float) -> None:
        self._woken.wait(seconds)
        if not self._stopped.is_set():
            self._woken.clear()

    # --- the stages --------------------------------------------------------------------------

    def _pages(self, since: Seq) -> Iterator[Page]:
        """The changes of the source behind *since*, until there are no more or for ever."""
        choice = self.options.choice
        if self._again:
            yield self._again
        while not self._stopped.is_set():
            self.state = "replicating"
            page = self.source.changes(since, self._size.now, choice, documents=self._all_new)
            yield page
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

    def _loads(self, pages: Iterator[Page]) -> Iterator[_Load]:
        """What the target lacks of them, in parcels."""
        coming = Ahead(pages)
        try:
            for page in coming:
                assert page is not None  # noqa: S101  it is not asked to be told of idleness
                lot = self._compared(page)
                before = None
                for parcel in self._parcels(lot):
                    if before is not None:
                        yield _Load(lot, before, last=False)
                    before = parcel
                yield _Load(lot, before or Parcel(), last=True)
        finally:
            coming.close()

    def _compared(self, page: Page) -> _Lot:
        asked: dict[str, list[str]] = {}
        for name, revs in page.rows:
            asked.setdefault(name, []).extend(revs)
        # Of one that had nothing when this began nothing needs to be asked; and to send what it
        # got from others since does no harm.
        all_of_it = {name: {"missing": revs} for name, revs in asked.items()} if self._blank else {}
        missing = all_of_it or (self.target.revs_diff(asked) if asked else {})
        self._blank = self._blank and not page.last
        wanted = [
            Wanted(name, rev, told.get("possible_ancestors", ()))
            for name, told in missing.items()
            for rev in told.get("missing", ())
        ]
        checked = sum(map(len, asked.values()))
        # Where a page was new to the target, and had no history, the next one will be as well.
        self._all_new = sum(one.rev.startswith("1-") for one in wanted) > _MOSTLY * checked
        return _Lot(page, checked, wanted)

    def _parcels(self, lot: _Lot) -> Iterator[Parcel]:
        there = lot.page.documents
        came = [there[one.id, one.rev] for one in lot.wanted if (one.id, one.rev) in there]
        if came:
            yield Parcel(came)
        if rest := [one for one in lot.wanted if (one.id, one.rev) not in there]:
            yield from self.source.read(rest, self.target.has_attachment)

    def _write_all(self, loads: Iterator[_Load | None]) -> None:
        failures: list[Failure] = []
        for load in loads:
            if load is None:
                self._ledger.record_now()
                continue
            record = self._write(load, failures)
            if load.last:
                page = load.lot.page
                if self._held_up(page, failures):
                    # The others of the page are through; all of it is asked about again.
                    raise _failed([one for one in failures if not one.refused])
                self._ledger.through(page, failures)
                self._ledger.reach(page, record)
                if not page.again:
                    self._went_well(load.lot)
                failures = []

    def _held_up(self, page: Page, failures: Sequence[Failure]) -> bool:
        """Whether to stay here: something may get through at once, and was not tried often."""
        tried_enough = self._backoff.failures + 1 >= self.options.attempts
        passing = any(not one.refused for one in failures)
        return passing and not tried_enough and not page.again

    def _write(self, load: _Load, failures: list[Failure]) -> Document | None:
        """
        Write a parcel; the record of its place, where that went with it.

        Args:
            failures: Gets what failed of it.
        """
        documents, ledger = load.parcel.documents, self._ledger
        unread = _named(load.parcel.failures, [(one.id, one.rev) for one in load.lot.wanted])
        ledger.read(len(documents), unread)
        failures += unread
        record = None
        if load.last:
            ledger.checked(load.lot.checked, len(load.lot.wanted))
            if not failures:
                record = ledger.record_with(load.lot.page, len(documents))
        local = ledger.records.local(record) if record else {}
        told = self.target.write(documents, local) if documents or local else ()
        unwritten = _named(told, [(one["_id"], one["_rev"]) for one in documents])
        ledger.written(len(documents), unwritten)
        failures += unwritten
        # It went along before anybody knew of these; what the source has not got does not count.
        return None if unwritten else record

    def _went_well(self, lot: _Lot) -> None:
        self._size.went_well()
        # What was known already is no progress for one that has so many attempts.
        if lot.wanted or self.options.continuous:
            self._backoff.went_well()


def _named(failures: Sequence[Failure], asked: Sequence[tuple[str, str]]) -> list[Failure]:
    """*failures* with their revisions, also where a server does not name them."""
    found = []
    for one in failures:
        if one.rev is None:
            of_it = [mark for mark in asked if mark[0] == one.id] or asked
            found += [replace(one, id=name, rev=rev) for name, rev in of_it]
        else:
            found.append(one)
    return found


def _failed(failures: list[Failure]) -> DocumentsFailed:
    one = failures[0]
    more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
    return DocumentsFailed(f"document {one.id!r} did not get through ({one.error}){more}")
