"""
The short way for what a cache does most: one value takes the place of another.

As `batch` for one document without conflicts and attachments, in as few statements as there can be.
Where this process wrote it last, it is not looked up: the change says what it expects to find.
"""

from __future__ import annotations

import sqlite3
from random import getrandbits
from typing import NamedTuple

from engines.latent_cache.batch import fact
from engines.latent_cache.revision import hash_of
from engines.latent_cache.tree import GONE, Body, Path, follow

_MOST, _LONGEST = 4096, 2048  # documents; bytes of a path
_FIND = "SELECT n, seq, rev, deleted, expires, losers, path FROM docs WHERE id = ?"
_APPEND = (
    "INSERT INTO feed (id, before, token, at, rev, deleted, sha256, size_bytes) "
    "VALUES (?, ?, ?, ?, ?, 0, ?, ?)"
)
_BARE = "INSERT INTO feed (id, before) VALUES (?, ?)"
_ADD = (
    "INSERT INTO docs (id, seq, rev, deleted, own, losers, expires, at, body) "
    "VALUES (?, ?, ?, 0, 1, 0, ?, ?, ?)"
)
# A place in the feed is given to one change only; what fades away without one shows in `expires`.
_REPLACE = (
    "UPDATE docs SET seq = ?, rev = ?, deleted = 0, own = 1, expires = ?, at = ?, path = ?, "  # noqa: S608
    f"attachments = NULL, body = ? WHERE n = ? AND seq = ? AND rev = ? AND expires IS NOT {GONE}"
)
_REVIVE = "UPDATE docs SET expires = NULL WHERE n = ?"
_TAKE_BACK = "DELETE FROM feed WHERE seq = ?"
_COUNT = "UPDATE counts SET live = live + 1, dead = dead - ?"


class Setting(NamedTuple):
    """
    A document's new body.

    Attributes:
        term: Of the body, as `revision.body_term` has it.
        records: Whether there is a journal to be told.
    """

    id: str
    body: Body
    term: bytes
    expires: float | None
    now: float
    limit: int
    records: bool


class Known(NamedTuple):
    """How a document was left, which has no other leaves, by whoever wrote it last."""

    n: int
    seq: int
    pos: int
    hash: str
    path: Path

    @property
    def rev(self) -> str:
        return f"{self.pos}-{self.hash}"


class Lately(dict[str, Known]):
    """How this process left the documents it wrote last; so many, and of short paths only."""

    def keep(self, doc_id: str, known: Known) -> None:
        if known.path and len(known.path) > _LONGEST:
            self.pop(doc_id, None)
            return
        if len(self) >= _MOST:
            self.clear()
        self[doc_id] = known


def replace(db: sqlite3.Connection, new: Setting, known: Known | None) -> Known | None:
    """
    Write it, in a transaction that is open.

    Args:
        known: How this process left it, if it knows; others may have changed it since.

    Returns:
        How it is now; None where that takes longer, and nothing was done.
    """
    if known and (now := _follow(db, new, known)):
        return now
    row = db.execute(_FIND, (new.id,)).fetchone()
    if row is None:
        return _add(db, new)
    number, seq, rev, deleted, expires, losers, path = row
    if losers:
        return None
    if deleted or expires == GONE:
        db.execute(_REVIVE, (number,))
        db.execute(_COUNT, (int(deleted and expires != GONE),))
    pos, _, hash_ = rev.partition("-")
    return _follow(db, new, Known(number, seq, int(pos), hash_, path))


def _add(db: sqlite3.Connection, new: Setting) -> Known:
    hash_ = hash_of(new.term, 0, "")
    rev = f"1-{hash_}"
    seq = _append(db, new, rev, None)
    added = db.execute(_ADD, (new.id, seq, rev, new.expires, new.now, new.body))
    db.execute(_COUNT, (0,))
    return Known(added.lastrowid or 0, seq, 1, hash_, None)


def _follow(db: sqlite3.Connection, new: Setting, old: Known) -> Known | None:
    number, before, pos, old_hash, path = old
    hash_ = hash_of(new.term, pos, old_hash)
    rev = f"{pos + 1}-{hash_}"
    path = follow(old_hash, path, new.limit)
    seq = _append(db, new, rev, before)
    found = (number, before, f"{pos}-{old_hash}")
    if db.execute(_REPLACE, (seq, rev, new.expires, new.now, path, new.body, *found)).rowcount:
        return Known(number, seq, pos + 1, hash_, path)
    db.execute(_TAKE_BACK, (seq,))
    return None


def _append(db: sqlite3.Connection, new: Setting, rev: str, before: int | None) -> int:
    """Say so in the feed of changes, and what the journal will say; the change's place."""
    if not new.records:
        return db.execute(_BARE, (new.id, before)).lastrowid or 0
    _, _, digest, size = fact(rev, new.body, False)  # noqa: FBT003  a column
    row = (new.id, before, getrandbits(63), new.now, rev, digest, size)
    return db.execute(_APPEND, row).lastrowid or 0
