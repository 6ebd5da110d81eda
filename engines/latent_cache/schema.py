"""The tables of a document store."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import uuid4

from engines.database import Database, Schema
from engines.latent_cache.errors import CacheError


def _first_tables(db: sqlite3.Connection) -> None:
    # One row for each document: its winning leaf.  The row's number is the document's place in the
    # feed of changes, so that what was changed last lies behind all others.
    # expires: -1 where the body has gone for that.  at: of the last change.  losers: other leaves.
    db.execute(
        "CREATE TABLE docs (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rev TEXT NOT NULL, "
        "deleted INTEGER NOT NULL, losers INTEGER NOT NULL, expires REAL, at REAL NOT NULL, "
        "path, attachments TEXT, body)"
    )
    db.execute("CREATE INDEX expiring ON docs (expires) WHERE expires IS NOT NULL")
    db.execute(
        "CREATE TABLE losers (id TEXT NOT NULL, pos INTEGER NOT NULL, hash TEXT NOT NULL, "
        "deleted INTEGER NOT NULL, path, attachments TEXT, body, PRIMARY KEY (id, pos, hash)) "
        "WITHOUT ROWID"
    )
    # Attachments by what is in them.
    db.execute(
        "CREATE TABLE blobs (digest TEXT PRIMARY KEY, sha256 BLOB NOT NULL, data BLOB NOT NULL)"
    )
    db.execute(
        "CREATE TABLE locals (id TEXT PRIMARY KEY, rev INTEGER NOT NULL, body NOT NULL) "
        "WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE counts (seq INTEGER NOT NULL, live INTEGER NOT NULL, dead INTEGER NOT NULL, "
        "hits INTEGER NOT NULL, misses INTEGER NOT NULL, uuid TEXT NOT NULL)"
    )
    db.execute("INSERT INTO counts VALUES (0, 0, 0, 0, 0, ?)", [uuid4().hex])
    # What is still to be moved into the journal, and behind which of its lines that goes on.
    db.execute("CREATE TABLE pending (n INTEGER PRIMARY KEY, token TEXT, at REAL, entries BLOB)")
    db.execute("CREATE TABLE recorded (seq INTEGER, hash TEXT, offset INTEGER)")
    db.execute("INSERT INTO recorded VALUES (0, NULL, 0)")


_SCHEMA = Schema("document store", 0x44494E43, (_first_tables,), CacheError)


def database(path: Path, timeout_s: float, *, make: bool) -> Database:
    """The document store in the file at *path*."""
    return Database(path, _SCHEMA, timeout_s, make=make)
