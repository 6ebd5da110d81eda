"""
Changes on their way into the journal.

A change and what the journal will say of it stand in one transaction of the store, so that keeping
a document takes one sync and not two.  From there the lines move into the journal, many at a time:
once there are enough of them, when the store is closed, opened or audited.

    store:    … pending: [t1] [t2] [t3]      recorded: behind line 41
    journal:  … 41 ← t1 t2 t3, durable       then pending goes, and recorded moves on

A crash between the two leaves lines that are both pending and in the journal.  Each bears a token
of its transaction, so that whoever moves next knows those behind `recorded` again and moves none
of them twice.  A line whose change is in no store was left by a file that somebody put back.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any
from uuid import uuid4

import orjson

from engines.database import Database
from engines.journal import Journal, Position
from engines.latent_cache.batch import Entry

_AT_ONCE = 10_000  # events in one batch of the journal
_MOVED_AT = 1_000  # events after which it is worth it
_CHANGES_NOT_KEPT = "changes_not_kept"


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

    def let_go(self) -> None:
        """Close the journal, which opens again when it is used: a fork shares the parent's lock."""
        if self._journal:
            self._journal.close()

    def note(self, db: sqlite3.Connection, at: float, entries: list[Entry]) -> None:
        """Keep *entries*, in the transaction that makes the changes they speak of."""
        if self._journal is None or not entries:
            return
        row = (uuid4().hex[:16], at, orjson.dumps(entries))
        db.execute("INSERT INTO pending (token, at, entries) VALUES (?, ?, ?)", row)
        self._waiting += len(entries)

    def settle(self) -> int:
        """
        Move what is pending into the journal; how many events.

        Raises:
            JournalError: It cannot be written, or does not stand; everything stays pending.
        """
        moved = 0
        if self._journal is None:
            return moved
        with self._database.guard:
            db = self._database.reading()
            while db.execute("SELECT 1 FROM pending LIMIT 1").fetchone():
                with self._journal.locked(), self._database.writing() as db:
                    moved += self._move(db, self._journal)
            self._waiting = 0
        return moved

    def _move(self, db: sqlite3.Connection, journal: Journal) -> int:
        there = self._account_for_the_past(db, journal)
        drafts: list[tuple[str, dict[str, Any]]] = []
        last = 0
        with contextlib.closing(db.execute("SELECT * FROM pending ORDER BY n")) as rows:
            for number, token, at, entries in rows:
                last = number
                if token not in there:
                    more = {"at": at, "change": token}
                    drafts += [(kind, {**told, **more}) for kind, told in orjson.loads(entries)]
                if len(drafts) >= _AT_ONCE:
                    break
        if drafts:
            journal.append_many(drafts)
        db.execute("DELETE FROM pending WHERE n <= ?", [last])
        end = journal.end
        db.execute(
            "UPDATE recorded SET seq = ?, hash = ?, offset = ?",
            (end.seq, end.parent_hash, end.offset),
        )
        return len(drafts)

    def _account_for_the_past(self, db: sqlite3.Connection, journal: Journal) -> set[str]:
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
        ours = {token for (token,) in db.execute("SELECT token FROM pending")}
        there: set[str] = set()
        lost: list[int] = []
        for events, _ in journal.read(place):
            for event in events:
                token = event.get("change")
                if token in ours:
                    there.add(str(token))
                elif event["event_type"] == _CHANGES_NOT_KEPT:
                    lost.clear()  # known already
                elif token is not None:
                    lost.append(event["seq"])
        if lost:
            facts = {"first_seq": lost[0], "last_seq": lost[-1], "changes": len(lost)}
            journal.append(_CHANGES_NOT_KEPT, facts)
        return there
