"""What the journal `memory_log` is told of a memory's changes; see `engines.records`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from random import getrandbits
from typing import Any, NamedTuple

import orjson

from engines import records
from engines.records import Entry, named, together

ADDED, DELETED, EXPIRED = "memory_added", "memory_deleted", "memory_expired"
CHANGED = "memory_changed"  # many of these in one line
_ENDS = {DELETED: "deleted", EXPIRED: "expired"}
_FORMAT_1 = {ADDED, DELETED, "memory_cleared", "memory_restored"}  # which named no token
_AT_ONCE, _AT_ONCE_BYTES = 4_000, 16 * 2**20  # rows that move together
_IN_ONE_ROW = 1_000  # changes
_TAKE = "SELECT n, token, at, entries FROM pending ORDER BY n LIMIT ?"
_PUT = "INSERT INTO pending (token, at, entries) VALUES (?, ?, ?)"


class Moving(NamedTuple):
    """Rows of `pending`: their lines, and which is the last."""

    rows: list[tuple[int, int, float, bytes]]

    @property
    def last(self) -> int:
        return self.rows[-1][0] if self.rows else 0


class Records(records.Records[Moving]):
    """The pending lines of a memory."""

    of_another_journal = "memory_of_another_journal"

    def is_pending(self, db: sqlite3.Connection) -> bool:
        return bool(db.execute("SELECT EXISTS (SELECT 1 FROM pending)").fetchone()[0])

    def taken(self, db: sqlite3.Connection) -> Moving:
        rows: list[tuple[int, int, float, bytes]] = []
        size = 0
        for row in db.execute(_TAKE, [_AT_ONCE]):
            rows.append(row)
            size += len(row[3])
            if size > _AT_ONCE_BYTES:
                break
        return Moving(rows)

    def lines(self, moving: Moving, there: set[int]) -> Iterable[Entry]:
        try:
            return list(self._lines(moving, there))
        except (ValueError, TypeError):
            raise sqlite3.DatabaseError("malformed: what is pending") from None

    def _lines(self, moving: Moving, there: set[int]) -> Iterator[Entry]:
        """What the journal is told, but for what it has; many changes in one line."""
        run: list[Entry] = []
        for _, token, at, told in moving.rows:
            if token in there:
                continue
            more = {"at": at, "change": named(token)}
            for kind, facts in orjson.loads(told):
                if kind == ADDED or kind in _ENDS:
                    run.append((kind, {**facts, **more}))
                else:
                    yield from together(run, _itself, _as_one)
                    run = []
                    yield kind, {**facts, **more}
        yield from together(run, _itself, _as_one)

    def moved(self, db: sqlite3.Connection, moving: Moving) -> None:
        db.execute("DELETE FROM pending WHERE n <= ?", [moving.last])

    def tokens(self, db: sqlite3.Connection) -> Iterable[int]:
        return (token for (token,) in db.execute("SELECT token FROM pending"))

    def names_in(self, event: Mapping[str, Any]) -> list[str]:
        found = [one["change"] for one in event.get("entries_changed", (event,)) if "change" in one]
        if not found and event["event_type"] in _FORMAT_1:
            return [""]  # a change, and none that is on its way here
        return found

    def facts(self, db: sqlite3.Connection) -> dict[str, Any]:
        return {"entries": db.execute("SELECT COUNT(*) FROM entries").fetchone()[0]}


def note(db: sqlite3.Connection, at: float, entries: list[Entry]) -> None:
    """Have the journal say *entries* of the transaction that is open."""
    # A token for each row: rows of one transaction may move, and be found again, apart.
    rows = (
        (getrandbits(63), at, orjson.dumps(entries[begin : begin + _IN_ONE_ROW]))
        for begin in range(0, len(entries), _IN_ONE_ROW)
    )
    db.executemany(_PUT, rows)


def _itself(entry: Entry) -> Entry:
    return entry


def _as_one(run: list[Entry]) -> Entry:
    return CHANGED, {"entries_changed": [_listed(*one) for one in run]}


def _listed(kind: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, _ENDS[kind]: True} if kind in _ENDS else facts
