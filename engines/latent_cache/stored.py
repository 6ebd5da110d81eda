"""What every part of a document store stands on: the file, its clock, its transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from engines.database import transaction, without_waiting
from engines.errors import DinoError, InvalidInput, JournalError
from engines.journal import Journal
from engines.latent_cache import lapsed
from engines.latent_cache.batch import Batch
from engines.latent_cache.errors import CacheError
from engines.latent_cache.records import Records
from engines.latent_cache.schema import database
from engines.latent_cache.single import Lately
from engines.records import close_at_exit

_LEAST_REVS = 2
FAILURES = (sqlite3.Error, OSError, UnicodeEncodeError)
"""What SQLite answers with; the last to a text that is none."""
SPLIT_DUE = (
    "SELECT id FROM docs WHERE expires > 0 AND losers > 0 AND expires <= ?1 "
    "UNION ALL SELECT id FROM losers WHERE expires > 0 AND expires <= ?1"
)
"""Documents of whose leaves one has expired, so that another may win."""


class Stored:
    """
    The file at *path*.

    Args:
        journal: Where every change is recorded, by hash and size; None records none.
        clock: Seconds since the epoch.
        revs_limit: So many of the last revisions of each path are known; two sides that go on
            from a revision that one of them has forgotten find a conflict.
        expire: What becomes of a document whose time is up: "local" forgets its body here and
            nowhere else, "everywhere" deletes it, which is replicated.
        read_only: Refuse every change.
        timeout_s: How long to wait for another process's change.
    """

    def __init__(
        self,
        path: str | Path,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.time,
        revs_limit: int = 1000,
        expire: str = "local",
        read_only: bool = False,
        timeout_s: float = 30.0,
    ) -> None:
        if revs_limit < _LEAST_REVS:
            raise InvalidInput(f"revs_limit must be at least {_LEAST_REVS}, found {revs_limit!r}")
        if expire not in {"local", "everywhere"}:
            raise InvalidInput(f'expire must be "local" or "everywhere", found {expire!r}')
        self.path = Path(path)
        self.clock = clock
        self.revs_limit = revs_limit
        self._everywhere = expire == "everywhere"
        self._read_only = read_only
        self._database = database(self.path, timeout_s, make=not read_only)
        self._guard = self._database.guard
        self._records = Records(self._database, journal)
        self._changed = threading.Condition()
        self._followers = 0  # who wait for it
        self._lately = Lately()
        self._tidying = False
        self._stands_in = False  # while a reader sees what could not be written
        self.looks = [0, 0]  # hits and misses that are not written down yet
        close_at_exit(self)

    def settle(self) -> int:
        """
        Move the record of all changes into the journal, for whoever is about to read it.

        Raises:
            JournalError: It cannot be written, or does not stand.
        """
        if self._read_only or not self.path.exists():
            return 0
        with self._errors():
            return self._records.settle()

    def close(self) -> None:
        """Settle, and let go of the file; it opens again when it is used."""
        if self._database.connection and self.path.exists():  # else somebody has removed it
            with contextlib.suppress(JournalError, CacheError):  # it is moved at the next open
                self._tidy()
        with self._guard:  # below a thread that reads it would take the whole process along
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- for the parts of this package -------------------------------------------------------

    def begin_anew(self) -> None:
        """In a child after a fork: share no lock with the parent, and count nothing of its."""
        self.looks = [0, 0]
        self._changed = threading.Condition()
        self._followers = 0
        self._records.let_go()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """
        The connection; one thread has it at a time.

        Of what has expired other leaves have taken the place: in the file where that can be written
        at once, else for this reader alone.
        """
        with self._guard, self._errors():
            db = self._database.connection or self._open()
            now = self.clock()
            if self._stands_in or db.in_transaction or not _due(db, now) or self._parted(db):
                yield db
                return
            self._stands_in = True
            try:
                with lapsed.shown(db, _due(db, now), now):
                    yield db
            finally:
                self._stands_in = False

    def opened(self) -> sqlite3.Connection:
        """
        The connection, under the guard, to be changed.

        Raises:
            CacheError: The store is only read.
        """
        if self._read_only:
            raise CacheError(f"{self.path}: a rehearsal changes nothing")
        return self._database.connection or self._open()

    @contextlib.contextmanager
    def changing(self) -> Iterator[Batch]:
        """One transaction, all of it or none, with its record; durable on leaving."""
        with self._guard, self._errors(), transaction(self.opened()) as db:
            batch = Batch(db, self.clock(), self.revs_limit, records=self._records.kept)
            yield batch
            batch.flush()
            self._records.added(batch.changes)
        self.changed_something()

    def _parted(self, db: sqlite3.Connection) -> bool:
        """Whether `_part` could be done without waiting for anybody."""
        if self._read_only:
            return False
        try:
            with without_waiting(db):
                self._part()
        except (CacheError, *FAILURES):
            return False
        return True

    # --- below the face ----------------------------------------------------------------------

    def changed_something(self) -> None:
        """Wake those that follow the feed, and do what is due now and then."""
        if self._followers:
            with self._changed:
                self._changed.notify_all()
        if self._records.due and not self._tidying:
            self._tidying = True
            try:
                self._tidy()
            finally:
                self._tidying = False

    def _part(self) -> int:
        """Let what has expired give way to other leaves, before anyone looks."""
        raise NotImplementedError

    def _tidy(self) -> None:
        """What is done now and then, behind a change that stands whatever becomes of this."""
        with contextlib.suppress(JournalError):
            self._records.settle()

    def _open(self) -> sqlite3.Connection:
        """Open the file, and move what a process that died left to be moved."""
        db = self._database.reading()
        if not self._read_only:
            # Whoever only reads can do without: it is moved with the next change.
            with contextlib.suppress(JournalError, *FAILURES):
                self._records.settle()
        return db

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> DinoError:
        if isinstance(error, UnicodeEncodeError):
            return InvalidInput(f"an id must be text, found {error.object[:100]!r}")
        text = error.strerror if isinstance(error, OSError) else str(error)
        return CacheError(f"{self.path}: {text}", hint=_hint(str(error)))


def _due(db: sqlite3.Connection, now: float) -> list[str]:
    return [name for (name,) in db.execute(SPLIT_DUE, (now,))]


def _hint(error: str) -> str | None:
    if "locked" in error:
        return "another process is writing; try again"
    return "make room, then try again" if "full" in error else None
