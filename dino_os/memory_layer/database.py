"""The tables of a memory, and the names of files on their way."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from dino_os.errors import MemoryLayerError
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


SCHEMA = Schema("memory", 0x44494E4F, (_first_tables,), MemoryLayerError)


def draft_of(path: Path) -> Path:
    """Where to write what will be *path*; nothing is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for ending in ("", "-wal", "-shm"):  # of a process that had our number and died
        draft.with_name(draft.name + ending).unlink(missing_ok=True)
    return draft
