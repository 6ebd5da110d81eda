"""
A memory to search without its store, and how good the answers are.

The tables are those that search reads, as the store makes them.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dino_os.memory_layer.words import TOKENIZER, text_of


def tables() -> sqlite3.Connection:
    """An empty memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    make_tables(db)
    return db


def put(db: sqlite3.Connection, key: str, value: Any, **more: Any) -> int:
    """Keep *value*; *more*: ns, metadata, tags, importance, updated, expires."""
    tags = more.pop("tags", ())
    metadata = more.pop("metadata", None)
    row = {
        "ns": "",
        "key": key,
        "value": json.dumps(value, ensure_ascii=False),
        "metadata": None if metadata is None else json.dumps(metadata, ensure_ascii=False),
        "embed": 1,
        "created": more.get("updated", 0.0),
        "updated": 0.0,
        "version": 1,
    } | more
    names = ", ".join(row)
    marks = ", ".join("?" * len(row))
    sql = f"INSERT INTO entries ({names}) VALUES ({marks})"
    entry = db.execute(sql, [*row.values()]).lastrowid
    assert entry
    words = [entry, key, text_of(value)]
    db.execute("INSERT INTO words (rowid, key, body) VALUES (?, ?, ?)", words)
    db.executemany("INSERT INTO tags VALUES (?, ?)", [(tag, entry) for tag in tags])
    return entry


class Exact:
    """An index of vectors that reads all of them; its own source."""

    def __init__(self, vectors: Mapping[int, Any]) -> None:
        import numpy as np

        self.ids = np.array([*vectors], dtype=np.int64)
        self.matrix = np.array([*vectors.values()], dtype=np.float32)

    def search(
        self, source: Any, query: Any, k: int, *, allowed: Any = None
    ) -> list[tuple[int, float]]:
        import numpy as np

        there = np.ones(len(self.ids), bool) if allowed is None else np.isin(self.ids, allowed)
        cosines = self.matrix[there] @ np.asarray(query, dtype=np.float32)
        ids = self.ids[there]
        best = np.lexsort((ids, -cosines))[:k]
        return list(zip(ids[best].tolist(), cosines[best].tolist(), strict=True))


def ndcg(found: Sequence[str], answers: Mapping[str, int], most: int = 10) -> float:
    """Normalised discounted cumulated gain (Järvelin and Kekäläinen 2002), gain 2^grade - 1."""

    def gained(grades: Iterable[int]) -> float:
        pairs = enumerate([*grades][:most], 2)
        return math.fsum((2**grade - 1) / math.log2(place) for place, grade in pairs)

    best = gained(sorted(answers.values(), reverse=True))
    return gained(answers.get(key, 0) for key in found) / best


def recall(found: Sequence[str], answers: Mapping[str, int], most: int = 5) -> float:
    """The share of the right answers, of as many as there is room for."""
    right = {key for key, grade in answers.items() if grade > 1}
    return len(right & {*found[:most]}) / min(len(right), most)


def make_tables(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY AUTOINCREMENT, ns TEXT NOT NULL, "
        "key TEXT NOT NULL, value TEXT NOT NULL, metadata TEXT, embed INTEGER NOT NULL, "
        "importance REAL NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL, "
        "expires REAL, version INTEGER NOT NULL, UNIQUE (ns, key))"
    )
    db.execute("CREATE TABLE tags (tag TEXT, id INTEGER, PRIMARY KEY (tag, id)) WITHOUT ROWID")
    db.execute("CREATE INDEX tags_of ON tags (id)")
    db.execute(f"CREATE VIRTUAL TABLE words USING fts5(key, body, tokenize='{TOKENIZER}')")
