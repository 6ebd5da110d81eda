"""
The tables of a memory.

    entries    what is there now; the id of one is never given to another
    tags       of entries
    versions   what keys were before; where nothing follows, until they were deleted
    words      full text of entries
    models     which embedding model's vectors there are: one serves, another may be being built
    vectors    of entries, by model; `n` is the order of change: a new vector is a new row
    waiting    entries that have no vector of a model yet
    removed    vectors that are no more, for the indexes beside the file
    pending    what the journal will say; `recorded`: behind which of its lines this goes on

Migrations are only ever added to.
"""

from __future__ import annotations

import json
import sqlite3

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.words import text_of
from engines.database import Schema


def _first_tables(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "
        "value TEXT NOT NULL, embed INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL)"
    )
    # An index of `entries`: rowid is its id.
    db.execute(
        "CREATE VIRTUAL TABLE words USING fts5(key, body, tokenize='unicode61 remove_diacritics 2')"
    )
    # A word in the key says more than one in the value.
    db.execute("INSERT INTO words (words, rank) VALUES ('rank', 'bm25(2.0, 1.0)')")
    # Behind which line of the journal the entries stand.
    db.execute("CREATE TABLE recorded (seq INTEGER, hash TEXT, offset INTEGER)")
    db.execute("INSERT INTO recorded VALUES (0, NULL, 0)")


def _second_tables(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE entries RENAME TO first_entries")
    _entries(db)
    _versions(db)
    _vectors(db)
    # What the journal will say of a transaction: its token, when it was, and the lines.
    db.execute(
        "CREATE TABLE pending (n INTEGER PRIMARY KEY, token INTEGER NOT NULL, at REAL NOT NULL, "
        "entries BLOB NOT NULL)"
    )
    # What is to be done to the file when nobody is in the way: "erase N", then "truncate N".
    db.execute("CREATE TABLE due (what TEXT PRIMARY KEY) WITHOUT ROWID")
    db.execute(
        "INSERT INTO entries (id, ns, key, value, embed, created, updated, version) "
        "SELECT id, '', key, value, embed, created, updated, 1 FROM first_entries"
    )
    db.execute("DROP TABLE first_entries")
    db.execute("DROP TABLE words")
    make_words(db)
    fill_words(db)


def _entries(db: sqlite3.Connection) -> None:
    # value: JSON.  metadata: a JSON object, or NULL.  embed: whether it may have a vector.
    db.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, ns TEXT NOT NULL, "
        "key TEXT NOT NULL, value TEXT NOT NULL, metadata TEXT, embed INTEGER NOT NULL, "
        "importance REAL NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL, "
        "expires REAL, version INTEGER NOT NULL, UNIQUE (ns, key))"
    )
    db.execute("CREATE INDEX expiring ON entries (expires) WHERE expires IS NOT NULL")
    db.execute("CREATE TABLE tags (tag TEXT, id INTEGER, PRIMARY KEY (tag, id)) WITHOUT ROWID")
    db.execute("CREATE INDEX tags_of ON tags (id)")


def _versions(db: sqlite3.Connection) -> None:
    # It was so from `begun` until `ended`, when it was `fate`: replaced, deleted or cleared.
    # tags: a JSON list.  expires: as the entry had it; what has expired is not found here either.
    db.execute(
        "CREATE TABLE versions (n INTEGER PRIMARY KEY, ns TEXT NOT NULL, key TEXT NOT NULL, "
        "version INTEGER NOT NULL, value TEXT NOT NULL, metadata TEXT, tags TEXT NOT NULL, "
        "importance REAL NOT NULL, created REAL NOT NULL, begun REAL NOT NULL, "
        "ended REAL NOT NULL, expires REAL, fate TEXT NOT NULL, UNIQUE (ns, key, version))"
    )
    db.execute("CREATE INDEX expiring_versions ON versions (expires) WHERE expires IS NOT NULL")


def _vectors(db: sqlite3.Connection) -> None:
    # state: serving or building.
    db.execute(
        "CREATE TABLE models (model INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, "
        "dim INTEGER NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL UNIQUE)"
    )
    # vec: dim numbers of float32, little-endian, of length 1.
    db.execute(
        "CREATE TABLE vectors (n INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, "
        "id INTEGER NOT NULL, vec BLOB NOT NULL, UNIQUE (model, id))"
    )
    db.execute(
        "CREATE TABLE waiting (model INTEGER NOT NULL, id INTEGER NOT NULL, "
        "PRIMARY KEY (model, id)) WITHOUT ROWID"
    )
    db.execute("CREATE TABLE removed (r INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL)")


def make_words(db: sqlite3.Connection) -> None:
    """The index of words, empty: rowid is the entry's id; a key's words count double."""
    db.execute(
        "CREATE VIRTUAL TABLE words USING "
        "fts5(key, body, tokenize='porter unicode61 remove_diacritics 2')"
    )
    db.execute("INSERT INTO words (words, rank) VALUES ('rank', 'bm25(2.0, 1.0)')")


def fill_words(db: sqlite3.Connection) -> None:
    """Index all entries anew."""
    found = db.execute("SELECT id, key, value FROM entries ORDER BY id")
    rows = ((number, key, _body(value)) for number, key, value in found)
    db.executemany("INSERT INTO words (rowid, key, body) VALUES (?, ?, ?)", rows)


def _body(value: str) -> str:
    """What can be searched for of a value; nothing of one that is none: `check` tells that."""
    try:
        found = text_of(json.loads(value))
        found.encode()
    except (ValueError, RecursionError):
        return ""
    return found


SCHEMA = Schema("memory", 0x44494E4F, (_first_tables, _second_tables), MemoryLayerError)
