"""
Changes on their way into the journal.

A change and what the journal will say of it stand in one transaction of the store, so that keeping
a document takes one sync and not two.  From there the lines move into the journal, many at a time:
once there are enough of them, when the store is closed, opened or audited.

    store:    feed: … [t1] [t2] [t3]        recorded: behind line 41
    journal:  … 41 ← t1 t2 t3, durable      then recorded moves on

A crash between the two leaves lines that are both pending and in the journal.  Each bears a token
of its transaction, so that whoever moves next knows those behind `recorded` again and moves none
of them twice.  A line whose change is in no store was left by a file that somebody put back.
"""

from __future__ import annotations

import contextlib
import sqlite3
from operator import itemgetter
from typing import Any

import orjson

from engines.database import Database
from engines.journal import Journal, Position
from engines.latent_cache.batch import Entry, event_of

_AT_ONCE = 10_000  # events in one batch of the journal
_MOVED_AT = 4_000  # events after which it is worth it
_CHANGES_NOT_KEPT = "changes_not_kept"
_IS_PENDING = (
    "SELECT (SELECT coalesce(max(seq), 0) FROM feed) > (SELECT feed FROM recorded) "
    "OR EXISTS (SELECT 1 FROM pending)"
)
_CHANGES = (
    "SELECT seq, token, at, id, rev, deleted, sha256, size_bytes FROM feed WHERE seq > ? "
    "ORDER BY seq LIMIT ?"
)
_OTHERS = "SELECT behind, token, at, entries FROM pending WHERE behind <= ? ORDER BY n"
_TOKENS = (
    "SELECT DISTINCT token FROM feed WHERE seq > (SELECT feed FROM recorded) "
    "UNION SELECT token FROM pending"
)


class Records:
    """
    The pending lines of the store in *database*.

    Args:
        journal: Where they go; None records nothing.
    """

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
            while db.execute(_IS_PENDING).fetchone()[0]:
                locked = self._journal.locked() if self._journal else contextlib.nullcontext()
                with locked, self._database.writing() as db:
                    moved += self._move(db)
            self._waiting = 0
        return moved

    def _move(self, db: sqlite3.Connection) -> int:
        (done,) = db.execute("SELECT feed FROM recorded").fetchone()
        rows = db.execute(_CHANGES, (done, _AT_ONCE)).fetchall()
        last = rows[-1][0] if rows else done
        drafts: list[tuple[str, dict[str, Any]]] = []
        if self._journal:
            there = self._account_for_the_past(db, self._journal)
            others = db.execute(_OTHERS, [last]).fetchall()
            for _, token, at, *told in sorted([*rows, *others], key=itemgetter(0)):
                # Nothing is to be told of what was done without a journal.
                if token is not None and token not in there:
                    more = {"at": at, "change": _named(token)}
                    drafts += [(kind, {**facts, **more}) for kind, facts in _entries(told)]
            if drafts:
                self._journal.append_many(drafts)
            end = self._journal.end
            place = (end.seq, end.parent_hash, end.offset)
            db.execute("UPDATE recorded SET seq = ?, hash = ?, offset = ?", place)
        _sweep(db, done, last)
        return len(drafts)

    def _account_for_the_past(self, db: sqlite3.Connection, journal: Journal) -> set[int]:
        """
        The pending tokens that are in the journal already.

        Records where the two differ otherwise: after a file was put back, or the journal was.
        """
        place = Position(*db.execute("SELECT seq, hash, offset FROM recorded").fetchone())
        if place == journal.end:
            return set()
        begin = journal.begin()
        if place.seq < begin.seq:  # pruned
            place = begin
        elif not journal.holds(place):
            journal.append("cache_of_another_journal", {})
            return set()
        ours = {_named(token): token for (token,) in db.execute(_TOKENS) if token is not None}
        there: set[int] = set()
        lost: list[int] = []
        for events, _ in journal.read(place):
            for event in events:
                named = event.get("change")
                if named in ours:
                    there.add(ours[named])
                elif event["event_type"] == _CHANGES_NOT_KEPT:
                    lost.clear()  # known already
                elif named is not None:
                    lost.append(event["seq"])
        if lost:
            facts = {"first_seq": lost[0], "last_seq": lost[-1], "changes": len(lost)}
            journal.append(_CHANGES_NOT_KEPT, facts)
        return there


def _entries(told: list[Any]) -> list[Entry]:
    if len(told) == 1:
        found: list[Entry] = orjson.loads(told[0])
        return found
    return [event_of(*told)] if told[1] is not None else []


def _named(token: int) -> str:
    return f"{token:016x}"


def _sweep(db: sqlite3.Connection, done: int, last: int) -> None:
    """What the journal has needs no record here, nor the feed a row that was replaced."""
    db.execute("DELETE FROM pending WHERE behind <= ?", [last])
    replaced = "SELECT before FROM feed WHERE seq > ? AND seq <= ? AND before IS NOT NULL"
    db.execute(f"DELETE FROM feed WHERE seq <= ? AND seq IN ({replaced})", (last, done, last))  # noqa: S608
    db.execute("UPDATE recorded SET feed = ?", [last])
