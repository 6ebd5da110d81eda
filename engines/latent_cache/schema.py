"""The tables of a document store."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from uuid import uuid4

from engines.database import Database, Schema
from engines.latent_cache.errors import CacheError


def _first_tables(db: sqlite3.Connection) -> None:
    _documents(db)
    _requests(db)
    _records(db)


def _documents(db: sqlite3.Connection) -> None:
    # One row for each document: its winning leaf.  seq: its place in the feed of changes.
    # own: whether it was edited here last.  losers: how many other leaves it has.  expires: of
    # that leaf, -1 where the body has gone for that.  at: of the last change.
    db.execute(
        "CREATE TABLE docs (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, seq INTEGER NOT NULL, "
        "rev TEXT NOT NULL, deleted INTEGER NOT NULL, own INTEGER NOT NULL, "
        "losers INTEGER NOT NULL, expires REAL, at REAL NOT NULL, path, attachments TEXT, body)"
    )
    # What was changed, in order: only ever added to, so that a change costs two pages, not five.
    # A row that its document has moved on from says nothing any more, and is swept later.
    # before: the document's place until then.  The others are what the journal will say of it, NULL
    # where there is none; token: of the transaction.
    db.execute(
        "CREATE TABLE feed (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, before INTEGER, "
        "token INTEGER, at REAL, rev TEXT, deleted INTEGER, sha256 BLOB, size_bytes INTEGER)"
    )
    db.execute("CREATE INDEX expiring ON docs (expires) WHERE expires IS NOT NULL")
    db.execute("CREATE INDEX splitting ON docs (expires) WHERE expires > 0 AND losers > 0")
    db.execute(
        "CREATE TABLE losers (id TEXT NOT NULL, pos INTEGER NOT NULL, hash TEXT NOT NULL, "
        "deleted INTEGER NOT NULL, expires REAL, path, attachments TEXT, body, "
        "PRIMARY KEY (id, pos, hash)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX losing ON losers (expires) WHERE expires > 0")
    # Attachments by what is in them.
    db.execute(
        "CREATE TABLE blobs (digest TEXT PRIMARY KEY, sha256 BLOB NOT NULL, data BLOB NOT NULL)"
    )
    db.execute(
        "CREATE TABLE locals (id TEXT PRIMARY KEY, rev INTEGER NOT NULL, body NOT NULL) "
        "WITHOUT ROWID"
    )
    # synced: operations so far.  synced_seq: those behind it wait; NULL where none does.
    db.execute(
        "CREATE TABLE counts (live INTEGER NOT NULL, dead INTEGER NOT NULL, "
        "hits INTEGER NOT NULL, misses INTEGER NOT NULL, synced INTEGER NOT NULL, "
        "synced_seq INTEGER, uuid TEXT NOT NULL)"
    )
    db.execute("INSERT INTO counts VALUES (0, 0, 0, 0, 0, NULL, ?)", [uuid4().hex])


def _requests(db: sqlite3.Connection) -> None:
    # The offline queue.  live: 1 while it is to be sent, else NULL.  due: of one that is claimed,
    # when the lease ends.  decided: when that was decided.  released: when somebody let it go.
    # granted: the token that it came with, as JSON.  What was sent has no headers, body or size.
    db.execute(
        "CREATE TABLE requests (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
        "domain TEXT NOT NULL, subject TEXT NOT NULL, key TEXT NOT NULL, method TEXT NOT NULL, "
        "path TEXT NOT NULL, headers TEXT NOT NULL, body BLOB, ordered_by TEXT NOT NULL, "
        "flow TEXT NOT NULL, timeout_s REAL, sha256 TEXT NOT NULL, authorised INTEGER NOT NULL, "
        "granted TEXT, repeatable INTEGER NOT NULL, size INTEGER NOT NULL, released REAL, "
        "state TEXT NOT NULL, live INTEGER, attempts INTEGER NOT NULL, "
        "answered INTEGER NOT NULL, due REAL NOT NULL, decided REAL NOT NULL, "
        "queued REAL NOT NULL, expires REAL, ended REAL, owner TEXT, status INTEGER, "
        "reason TEXT NOT NULL, UNIQUE (domain, subject, key))"
    )
    db.execute("CREATE INDEX live_requests ON requests (due) WHERE live = 1")
    db.execute(
        "CREATE INDEX lines ON requests (domain, ordered_by, n) WHERE live = 1 AND ordered_by <> ''"
    )
    db.execute("CREATE INDEX sizes ON requests (size) WHERE size > 0")
    db.execute("CREATE INDEX ended_requests ON requests (state, ended) WHERE live IS NULL")


def _records(db: sqlite3.Connection) -> None:
    # What else the journal will say: behind which change it was, and of which transaction.
    db.execute(
        "CREATE TABLE pending (n INTEGER PRIMARY KEY, behind INTEGER, token INTEGER, at REAL, "
        "entries)"
    )
    # Up to which change the journal has it all, and behind which of its lines it goes on.
    db.execute("CREATE TABLE recorded (feed INTEGER, seq INTEGER, hash TEXT, offset INTEGER)")
    db.execute("INSERT INTO recorded VALUES (0, 0, NULL, 0)")


def _cells(db: sqlite3.Connection) -> None:
    # Whose gate a queued request passes: "" is the domain's own.
    db.execute("ALTER TABLE requests ADD COLUMN cell TEXT NOT NULL DEFAULT ''")


def _releases(db: sqlite3.Connection) -> None:
    # What the gate log had recorded as somebody let a request go, by number: no clock tells that.
    db.execute("ALTER TABLE requests ADD COLUMN released_number INTEGER")


def _settings(db: sqlite3.Connection) -> None:
    # A value that takes the place of another, as one statement, which is a transaction by itself:
    # only where the document still is as whoever sets it left it, and nothing else is to be done.
    columns = ("n", "id", "old", "rev", "at", "path", "body", "token", "sha256", "size_bytes")
    db.execute(
        f"CREATE VIEW setting ({', '.join(columns)}) AS "
        f"SELECT {', '.join('NULL' for _ in columns)} WHERE 0"
    )
    db.execute(
        "CREATE TRIGGER set_value INSTEAD OF INSERT ON setting BEGIN "
        "INSERT INTO feed (id, before, token, at, rev, deleted, sha256, size_bytes) "
        "SELECT id, seq, new.token, new.at, new.rev, 0, new.sha256, new.size_bytes FROM docs "
        "WHERE n = new.n AND id = new.id AND rev = new.old AND own AND NOT deleted AND losers = 0 "
        "AND expires IS NULL AND attachments IS NULL; "
        "SELECT RAISE (ABORT, 'it is not as it was left') WHERE changes() = 0; "
        "UPDATE docs SET seq = last_insert_rowid(), rev = new.rev, at = new.at, path = new.path, "
        "body = new.body WHERE n = new.n; END"
    )


_TABLES = (_first_tables, _cells, _releases, _settings)
# A value that is set writes two pages: smaller ones are sooner summed and on the disk.
_SCHEMA = Schema("document store", 0x44494E43, _TABLES, CacheError, page_bytes=2048)


def database(path: Path, timeout_s: float, *, make: bool) -> Database:
    """The document store in the file at *path*."""
    return Database(path, _SCHEMA, timeout_s, make=make)
