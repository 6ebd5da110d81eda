"""
The short way for what a cache does most: one value takes the place of another.

As `batch` for one document without conflicts and attachments, in as few statements as there can be.
"""

from __future__ import annotations

import sqlite3
from random import getrandbits
from typing import NamedTuple

from engines.latent_cache.batch import fact
from engines.latent_cache.revision import hash_of
from engines.latent_cache.tree import GONE, Body, follow

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
_REPLACE = (
    "UPDATE docs SET seq = ?, rev = ?, deleted = 0, own = 1, expires = ?, at = ?, path = ?, "
    "attachments = NULL, body = ? WHERE n = ?"
)
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


def replace(db: sqlite3.Connection, new: Setting) -> str | None:
    """Write it, in a transaction that is open; the revision, or None where that takes longer."""
    row = db.execute(_FIND, (new.id,)).fetchone()
    if row is None:
        rev = f"1-{hash_of(new.term, 0, '')}"
        seq = _append(db, new, rev, None)
        db.execute(_ADD, (new.id, seq, rev, new.expires, new.now, new.body))
        db.execute(_COUNT, (0,))
        return rev
    number, before, old, deleted, expires, losers, path = row
    if losers:
        return None
    head, _, old_hash = old.partition("-")
    pos = int(head)
    rev = f"{pos + 1}-{hash_of(new.term, pos, old_hash)}"
    path = follow(old_hash, path, new.limit)
    seq = _append(db, new, rev, before)
    db.execute(_REPLACE, (seq, rev, new.expires, new.now, path, new.body, number))
    if deleted or expires == GONE:
        db.execute(_COUNT, (int(deleted and expires != GONE),))
    return rev


def _append(db: sqlite3.Connection, new: Setting, rev: str, before: int | None) -> int | None:
    """Say so in the feed of changes, and what the journal will say; the change's place."""
    if not new.records:
        return db.execute(_BARE, (new.id, before)).lastrowid
    _, _, digest, size = fact(rev, new.body, False)  # noqa: FBT003  a column
    row = (new.id, before, getrandbits(63), new.now, rev, digest, size)
    return db.execute(_APPEND, row).lastrowid
