"""
The cache's changes on their way into the journal; see `engines.records`.

What was done to documents is told by the feed of changes, the rest by the table `pending`, each
line of which names the change that it lies behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import orjson

from engines import records
from engines.latent_cache.batch import DELETED, WRITTEN
from engines.records import Entry, named, together

_AT_ONCE = 10_000  # events in one batch of the journal
_CHANGED = "documents_changed"
_IS_PENDING = (
    "SELECT (SELECT coalesce(max(seq), 0) FROM feed) > (SELECT feed FROM recorded) "
    "OR EXISTS (SELECT 1 FROM pending)"
)
_CHANGES = (
    "SELECT seq, token, at, id, rev, deleted, sha256, size_bytes FROM feed WHERE seq > ? "
    "ORDER BY seq LIMIT ?"
)
_COLUMNS = ("id", "rev", "deleted", "sha256", "size_bytes", "at", "change")
_Row: TypeAlias = "tuple[Any, ...]"
_OF_OTHERS = 4  # columns
_OTHERS = "SELECT behind, token, at, entries FROM pending WHERE behind <= ? ORDER BY n"
_TOKENS = (
    "SELECT DISTINCT token FROM feed WHERE seq > (SELECT feed FROM recorded) "
    "UNION SELECT token FROM pending"
)


class Moving(NamedTuple):
    """Changes, in their order: of the feed those behind *done* up to *last*."""

    changes: list[tuple[Any, ...]]
    done: int
    last: int


class Records(records.Records[Moving]):
    """The pending lines of a document store."""

    of_another_journal = "cache_of_another_journal"

    def is_pending(self, db: sqlite3.Connection) -> bool:
        return bool(db.execute(_IS_PENDING).fetchone()[0])

    def taken(self, db: sqlite3.Connection) -> Moving:
        (done,) = db.execute("SELECT feed FROM recorded").fetchone()
        rows = db.execute(_CHANGES, (done, _AT_ONCE)).fetchall()
        last = rows[-1][0] if rows else done
        others = db.execute(_OTHERS, [last]).fetchall()
        return Moving(sorted([*rows, *others], key=itemgetter(0)) if others else rows, done, last)

    def lines(self, moving: Moving, there: set[int]) -> Iterator[Entry]:
        """What the journal is told, but for what it has; many documents in one line."""
        run: list[_Row] = []
        for change in moving.changes:
            token = change[1]
            # Nothing is to be told of what was done without a journal.
            if token is None or token in there:
                continue
            if len(change) == _OF_OTHERS:
                yield from together(run, _event_of, _as_one)
                run = []
                more = {"at": change[2], "change": named(token)}
                yield from ((kind, {**facts, **more}) for kind, facts in orjson.loads(change[3]))
            elif change[4] is not None:
                _, _, at, name, rev, deleted, digest, size = change
                run.append((name, rev, deleted, digest.hex(), size, at, f"{token:016x}"))
        yield from together(run, _event_of, _as_one)

    def moved(self, db: sqlite3.Connection, moving: Moving) -> None:
        """What the journal has needs no record here, nor the feed a row that was replaced."""
        _, done, last = moving
        db.execute("DELETE FROM pending WHERE behind <= ?", [last])
        replaced = "SELECT before FROM feed WHERE seq > ? AND seq <= ? AND before IS NOT NULL"
        db.execute(f"DELETE FROM feed WHERE seq <= ? AND seq IN ({replaced})", (last, done, last))  # noqa: S608
        db.execute("UPDATE recorded SET feed = ?", [last])

    def tokens(self, db: sqlite3.Connection) -> Iterable[int]:
        return (token for (token,) in db.execute(_TOKENS) if token is not None)

    def names_in(self, event: Mapping[str, Any]) -> list[str]:
        if event["event_type"] == _CHANGED:
            return [row[-1] for row in event["documents"]]
        return [event["change"]] if "change" in event else []


def _event_of(row: _Row) -> Entry:
    told = dict(zip(_COLUMNS, row, strict=True))
    return DELETED if told.pop("deleted") else WRITTEN, told


def _as_one(run: list[_Row]) -> Entry:
    return _CHANGED, {"columns": _COLUMNS, "documents": run}
