"""
The cache's changes on their way into the journal; see `engines.records`.

What was done to documents is told by the feed of changes, the rest by the table `pending`, each
line of which names the change that it lies behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from engines import records
from engines.latent_cache.batch import WRITTEN, event_of
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
        run: list[Entry] = []
        for _, token, at, *told in moving.changes:
            # Nothing is to be told of what was done without a journal.
            if token is None or token in there:
                continue
            more = {"at": at, "change": named(token)}
            if len(told) == 1:
                yield from together(run, _as_one)
                run = []
                yield from ((kind, {**facts, **more}) for kind, facts in orjson.loads(told[0]))
            elif told[1] is not None:
                kind, facts = event_of(*told)
                facts |= more
                run.append((kind, facts))
        yield from together(run, _as_one)

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
        return [one["change"] for one in event.get("documents", (event,)) if "change" in one]


def _as_one(run: list[Entry]) -> Entry:
    return _CHANGED, {"documents": [_listed(*one) for one in run]}


def _listed(kind: str, facts: dict[str, Any]) -> dict[str, Any]:
    return facts if kind == WRITTEN else {**facts, "deleted": True}
