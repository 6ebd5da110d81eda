"""A store of vectors to index, and what a search of it must find, counted one by one."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Hits = list[tuple[int, float]]
Started = Callable[..., "subprocess.Popen[str]"]


class Vectors:
    """Tables as the memory has them; as a source it shows what they hold now."""

    def __init__(self, file: Path | str = ":memory:") -> None:
        self.db = sqlite3.connect(file, isolation_level=None, timeout=20)
        self.db.execute("PRAGMA journal_mode=WAL")  # who reads holds up nobody who writes
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS vectors "
            "(n INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE, vec BLOB NOT NULL)"
        )
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS removed (r INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER)"
        )

    def close(self) -> None:
        self.db.close()

    def put(self, entry: int, vector: NDArray[np.floating] | bytes) -> None:
        self.drop(entry)
        blob = vector if isinstance(vector, bytes) else unit(vector).tobytes()
        self.db.execute("INSERT INTO vectors (id, vec) VALUES (?, ?)", [entry, blob])

    def put_all(self, matrix: NDArray[np.floating], first: int = 1) -> None:
        self.db.execute("BEGIN")
        for entry, vector in enumerate(matrix, first):
            self.put(entry, vector)
        self.db.execute("COMMIT")

    def drop(self, entry: int) -> None:
        for (n,) in self.db.execute("SELECT n FROM vectors WHERE id = ?", [entry]).fetchall():
            self.db.execute("DELETE FROM vectors WHERE n = ?", [n])
            self.db.execute("INSERT INTO removed (n) VALUES (?)", [n])

    def position(self) -> tuple[int, int]:
        n, r = "SELECT MAX(n) FROM vectors", "SELECT MAX(r) FROM removed"
        found = self.db.execute(f"SELECT ({n}), ({r})").fetchone()
        return found[0] or 0, found[1] or 0

    def since(self, n: int) -> Iterator[tuple[int, int, bytes]]:
        yield from self.db.execute("SELECT n, id, vec FROM vectors WHERE n > ? ORDER BY n", [n])

    def removed_since(self, r: int) -> Iterator[tuple[int, int]]:
        yield from self.db.execute("SELECT r, n FROM removed WHERE r > ? ORDER BY r", [r])

    def nearest(
        self, query: NDArray[np.floating], k: int, allowed: list[int] | None = None
    ) -> Hits:
        """Every vector that has a length, one by one, as the index must say it."""
        exact = np.asarray(query, np.float64) / np.abs(query).max()
        exact /= np.sqrt((exact * exact).sum())
        hits = []
        for entry, blob in self.db.execute("SELECT id, vec FROM vectors"):
            vector = np.frombuffer(blob, np.float32).astype(np.float64)
            if vector.any() and (allowed is None or entry in allowed):
                hits.append((entry, float((vector * exact).sum().clip(-1, 1))))
        return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]


def unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    """*vector* at length 1; at 0 where it has none."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length else vector, np.float32)


def clustered(count: int, dim: int, seed: int = 1) -> NDArray[np.float32]:
    """Vectors as texts have them: around subjects."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((max(1, count // 20), dim))
    matrix = centres[chance.integers(0, len(centres), count)]
    matrix = matrix + 0.3 * chance.standard_normal((count, dim))
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def check_same(found: Hits, expected: Hits) -> None:
    """The same entries in the same order, with the same scores to the last bit."""
    assert found == expected
