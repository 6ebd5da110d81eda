"""
The short way for what a cache does most: one value takes the place of another.

As `batch` for one document without conflicts and attachments, in as few statements as there can be:
where this process wrote it last it is not looked up, and one statement, which says what it expects
to find, is the whole transaction (see the trigger in `schema`).

Nor is such a revision named as CouchDB would name the edit, since to write a body as Erlang does
takes longer than all the rest: its hash is the MD5 of the revision before and of the body's
SHA-256, which the record needs anyway.  The same value set on two sides still is no conflict.
"""

from __future__ import annotations

import sqlite3
from hashlib import md5
from random import getrandbits
from typing import NamedTuple

from engines.database import transaction
from engines.latent_cache.tree import GONE, HASH_SIZE, Path, follow

_MOST, _LONGEST = 4096, 2048  # documents; bytes of a path
_SET = (
    "INSERT INTO setting (n, id, old, rev, at, path, body, token, sha256, size_bytes) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_FIND = "SELECT n, seq, rev, deleted, expires, losers, path FROM docs WHERE id = ?"
_APPEND = (
    "INSERT INTO feed (id, before, token, at, rev, deleted, sha256, size_bytes) "
    "VALUES (?, ?, ?, ?, ?, 0, ?, ?)"
)
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

    Blobs are bytearrays here: of bytes the module sqlite3 asks each time whether they adapt.

    Attributes:
        sha256: Of the body.
        records: Whether there is a journal to be told.
    """

    id: str
    body: bytearray | str
    sha256: bytearray
    size: int
    expires: float | None
    now: float
    limit: int
    records: bool

    @property
    def token(self) -> int | None:
        return getrandbits(63) if self.records else None


class Known(NamedTuple):
    """
    How this process left a document, which had no other leaves then.

    Attributes:
        rev: Its hash was made here, and so is an MD5.
    """

    n: int
    pos: int
    rev: str
    path: Path | bytearray


class Lately(dict[str, Known]):
    """The documents that this process wrote last; so many, and of short paths only."""

    _cursor: sqlite3.Cursor | None = None

    def keep(self, doc_id: str, known: Known) -> None:
        if known.path and len(known.path) > _LONGEST:
            self.pop(doc_id, None)
            return
        if len(self) >= _MOST:
            self.clear()
        self[doc_id] = known

    def cursor(self, db: sqlite3.Connection) -> sqlite3.Cursor:
        """The one that is kept for such changes: to make one takes as long as some statements."""
        if self._cursor is None or self._cursor.connection is not db:
            self._cursor = db.cursor()
        return self._cursor


def hash_of_set(before: str, sha256: bytes | bytearray) -> str:
    """The hash of the revision by which that body takes the place of the revision *before*."""
    return md5(before.encode() + sha256, usedforsecurity=False).hexdigest()


def replace(db: sqlite3.Cursor, new: Setting, known: Known | None) -> Known | None:
    """
    Write it, in a transaction of its own.

    Args:
        known: How this process left it, if it knows; others may have changed it since.

    Returns:
        How it is now; None where that takes longer, and nothing was done.
    """
    if known and new.expires is None:
        try:
            return _follow(db, new, known)
        except sqlite3.IntegrityError:
            pass  # it is not as it was left
    with transaction(db.connection):
        return _look_up_and_follow(db, new)


def _follow(db: sqlite3.Cursor, new: Setting, old: Known) -> Known:
    number, pos, old_rev, old_path = old
    pos += 1
    rev = f"{pos}-{hash_of_set(old_rev, new.sha256)}"
    path: Path | bytearray
    if isinstance(old_path, str):
        path = follow(old_rev.partition("-")[2], old_path, new.limit)
    else:
        path = bytearray.fromhex(old_rev[-2 * HASH_SIZE :]) + (old_path or b"")
        path = path[: (new.limit - 1) * HASH_SIZE]
    told = (new.token, new.sha256, new.size)
    db.execute(_SET, (number, new.id, old_rev, rev, new.now, path, new.body, *told))
    return Known(number, pos, rev, path)


def _look_up_and_follow(db: sqlite3.Cursor, new: Setting) -> Known | None:
    row = db.execute(_FIND, (new.id,)).fetchone()
    if row is None:
        return _add(db, new)
    number, before, old, deleted, expires, losers, path = row
    if losers:
        return None
    if deleted or expires == GONE:
        db.execute(_COUNT, (int(deleted and expires != GONE),))
    pos, _, hash_ = old.partition("-")
    path = follow(hash_, path, new.limit)
    rev = f"{int(pos) + 1}-{hash_of_set(old, new.sha256)}"
    seq = _append(db, new, rev, before)
    db.execute(_REPLACE, (seq, rev, new.expires, new.now, path, new.body, number))
    return Known(number, int(pos) + 1, rev, path)


def _add(db: sqlite3.Cursor, new: Setting) -> Known:
    rev = f"1-{hash_of_set('', new.sha256)}"
    seq = _append(db, new, rev, None)
    db.execute(_ADD, (new.id, seq, rev, new.expires, new.now, new.body))
    number = db.lastrowid or 0
    db.execute(_COUNT, (0,))
    return Known(number, 1, rev, None)


def _append(db: sqlite3.Cursor, new: Setting, rev: str, before: int | None) -> int:
    """Say so in the feed of changes, and what the journal will say; the change's place."""
    row = (new.id, before, new.token, new.now, rev, new.sha256, new.size)
    db.execute(_APPEND, row)
    return db.lastrowid or 0
