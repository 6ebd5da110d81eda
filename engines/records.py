"""
Changes of a store on their way into its journal.

A change and what the journal will say of it stand in one transaction of the store, so that keeping
something takes one sync and not two.  From there the lines move into the journal, many at a time:
once there are enough of them, when the store is closed, opened or audited.

    store:    … [t1] [t2] [t3]              recorded: behind line 41
    journal:  … 41 ← t1 t2 t3, durable      then recorded moves on

A crash between the two leaves lines that are both pending and in the journal.  Each bears a token,
so that whoever moves next knows those behind `recorded` again and moves none of them twice.  A line
whose change is in no store was left by a file that somebody put back.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from weakref import WeakSet

from engines.database import Database
from engines.journal import Journal, Position

Entry = tuple[str, dict[str, Any]]
"""An event of the journal: type and payload."""
Moving = TypeVar("Moving")
Change = TypeVar("Change")
_MOVED_AT = 4_000  # events after which it is worth it
_WORTH_IT, _IN_ONE_LINE = 10, 1_000  # changes
_CHANGES_NOT_KEPT = "changes_not_kept"


class Records(ABC, Generic[Moving]):
    """
    The pending lines of the store in *database*, which has a table `recorded`.

    Args:
        journal: Where they go; None records nothing.
    """

    of_another_journal: ClassVar[str]
    """The event that says that the journal does not know where the store's changes are from."""

    def __init__(self, database: Database, journal: Journal | None) -> None:
        self._database = database
        self._journal = journal
        self._waiting = 0

    @property
    def due(self) -> bool:
        """Whether there are enough of them to be moved."""
        return self._waiting >= _MOVED_AT

    @property
    def kept(self) -> bool:
        """Whether there is a journal."""
        return self._journal is not None

    def let_go(self) -> None:
        """Close the journal, which opens again when it is used: a fork shares the parent's lock."""
        if self._journal:
            self._journal.close()

    def added(self, count: int) -> None:
        """So many more changes are on their way."""
        self._waiting += count

    def settle(self) -> int:
        """
        Move what is pending into the journal; how many events.

        Raises:
            JournalError: It cannot be written, or does not stand; everything stays pending.
        """
        moved = 0
        with self._database.guard:
            db = self._database.reading()
            while self.is_pending(db):
                locked = self._journal.locked() if self._journal else contextlib.nullcontext()
                with locked, self._database.writing() as db:
                    moved += self._move(db)
            self._waiting = 0
        return moved

    # --- a store's own -----------------------------------------------------------------------

    @abstractmethod
    def is_pending(self, db: sqlite3.Connection) -> bool:
        """Whether anything is on its way."""

    @abstractmethod
    def taken(self, db: sqlite3.Connection) -> Moving:
        """What moves next."""

    @abstractmethod
    def lines(self, moving: Moving, there: set[int]) -> Iterable[Entry]:
        """What the journal is told of it, but for the tokens that are *there*."""

    @abstractmethod
    def moved(self, db: sqlite3.Connection, moving: Moving) -> None:
        """The journal has it: forget it here."""

    @abstractmethod
    def tokens(self, db: sqlite3.Connection) -> Iterable[int]:
        """Of all that is on its way."""

    @abstractmethod
    def names_in(self, event: Mapping[str, Any]) -> list[str]:
        """The tokens in a line of the journal, as `named` writes them; of others' none."""

    def facts(self, db: sqlite3.Connection) -> dict[str, Any]:  # noqa: ARG002  for those who do
        """What to say of a store whose journal is another one."""
        return {}

    # --- below -------------------------------------------------------------------------------

    def _move(self, db: sqlite3.Connection) -> int:
        moving = self.taken(db)
        drafts: list[Entry] = []
        if self._journal:
            there = self._account_for_the_past(db, self._journal)
            drafts += self.lines(moving, there)
            if drafts:
                self._journal.write_many(drafts)
            end = self._journal.end
            place = (end.seq, end.parent_hash, end.offset)
            db.execute("UPDATE recorded SET seq = ?, hash = ?, offset = ?", place)
        self.moved(db, moving)
        return len(drafts)

    def _account_for_the_past(self, db: sqlite3.Connection, journal: Journal) -> set[int]:
        """
        The pending tokens that are in the journal already.

        Records where the two differ otherwise: after a file was put back, or the journal was.
        """
        place = _place(db)
        if place == journal.end:
            return set()
        begin = journal.begin()
        if place.seq < begin.seq:  # pruned
            place = begin
        elif not journal.holds(place):
            journal.append(self.of_another_journal, self.facts(db))
            return set()
        ours = {named(token): token for token in self.tokens(db)}
        there: set[int] = set()
        lost: list[int] = []
        for events, _ in journal.read(place):
            for event in events:
                if event["event_type"] == _CHANGES_NOT_KEPT:
                    lost.clear()  # known already
                for name in self.names_in(event):
                    if name in ours:
                        there.add(ours[name])
                    else:
                        lost.append(event["seq"])
        if lost:
            facts = {"first_seq": lost[0], "last_seq": lost[-1], "changes": len(lost)}
            journal.append(_CHANGES_NOT_KEPT, facts)
        return there


def _place(db: sqlite3.Connection) -> Position:
    """Behind which line of the journal the store goes on."""
    seq, hash_, offset = (
        db.execute("SELECT seq, hash, offset FROM recorded").fetchone() or (None,) * 3
    )
    if not isinstance(seq, int) or not isinstance(offset, int) or not isinstance(hash_, str | None):
        raise sqlite3.DatabaseError("malformed: what is recorded")
    return Position(seq, hash_, offset)


def named(token: int) -> str:
    """A token as it stands in the journal."""
    return f"{token:016x}"


def together(
    run: list[Change], alone: Callable[[Change], Entry], as_one: Callable[[list[Change]], Entry]
) -> Iterator[Entry]:
    """The lines of a *run* of changes; of many, in one line so many as are well read."""
    if len(run) < _WORTH_IT:
        yield from map(alone, run)
        return
    for at in range(0, len(run), _IN_ONE_LINE):
        yield as_one(run[at : at + _IN_ONE_LINE])


# --- stores that have such records ---------------------------------------------------------------


class Recorded(Protocol):
    """A store whose lines are to be moved when the process ends."""

    def close(self) -> None:
        """Settle, and let go of the file."""

    def begin_anew(self) -> None:
        """In a child after a fork: share no lock with the parent."""


_open: WeakSet[Recorded] = WeakSet()


def close_at_exit(store: Recorded) -> None:
    """See to it that *store* is closed when the process ends, and begins anew in a child."""
    _open.add(store)


@atexit.register
def _close_all() -> None:
    for store in list(_open):
        with contextlib.suppress(Exception):  # what is pending is moved at the next open
            store.close()


def _begin_anew() -> None:
    for store in list(_open):
        store.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
