"""
Documents as they are once some of their leaves have expired, before anybody has written that down.

For readers, who may not write: another process does just now, or the disk is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engines.latent_cache.batch import Batch
from engines.latent_cache.tree import ranked

_COLUMNS = "n, id, seq, rev, deleted, own, losers, expires, at, path, attachments, body"  # of docs
_LEAF = "id, pos, hash, deleted, expires, path, attachments, body"  # of losers
_TABLES = {"docs": _COLUMNS, "losers": _LEAF}


@contextmanager
def shown(db: sqlite3.Connection, names: Sequence[str], now: float) -> Iterator[None]:
    """Meanwhile whoever reads finds *names* in this connection as they are at *now*."""
    batch = Batch(db, now, 0, records=False)
    batch.load(names)
    _make_tables(db)
    try:
        for name, found in batch.docs.items():
            if found.leaves:
                _put(db, name, batch, now)
        # A name of this connection's own comes before that of the file.
        for table, columns in _TABLES.items():
            db.execute(
                f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table} "  # noqa: S608
                f"WHERE id NOT IN (SELECT id FROM temp.lapsed_docs) "
                f"UNION ALL SELECT {columns} FROM temp.lapsed_{table}"
            )
        yield
    finally:
        for table in _TABLES:
            db.execute(f"DROP VIEW IF EXISTS temp.{table}")
            db.execute(f"DELETE FROM temp.lapsed_{table}")  # noqa: S608


def _make_tables(db: sqlite3.Connection) -> None:
    if db.execute("SELECT 1 FROM temp.sqlite_master LIMIT 1").fetchone() is None:
        db.execute("PRAGMA temp_store=MEMORY")  # the disk may be full
    for table, columns in _TABLES.items():
        # With the file's types; none of its rules.
        db.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS lapsed_{table} AS "  # noqa: S608
            f"SELECT {columns} FROM main.{table} LIMIT 0"
        )


def _put(db: sqlite3.Connection, name: str, batch: Batch, now: float) -> None:
    found = batch.docs[name]
    # Of one that has expired as a whole it is said when, as nobody has counted it out yet.
    best, *others = ranked(found.leaves, now)
    others = [leaf.gone if leaf.is_hidden(now) else leaf for leaf in others]
    db.execute(
        f"INSERT INTO temp.lapsed_docs ({_COLUMNS}) SELECT n, id, seq, ?, ?, own, ?, ?, at, "  # noqa: S608
        "?, ?, ? FROM main.docs WHERE id = ?",
        (
            *(best.rev, best.deleted, len(others), best.expires),
            *(best.path, best.attachments, best.body, name),
        ),
    )
    db.executemany(
        f"INSERT INTO temp.lapsed_losers ({_LEAF}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            (
                *(name, leaf.pos, leaf.hash, leaf.deleted, leaf.expires),
                *(leaf.path, leaf.attachments, leaf.body),
            )
            for leaf in others
        ],
    )
