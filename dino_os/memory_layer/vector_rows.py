"""
Vectors and models in the file: which serves, who waits for one, what indexes beside it follow.

A model is `serving` or being built beside it.  The model GIVEN stands for vectors that came with
their entries, and can be made again by nobody here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import getrandbits
from typing import NamedTuple

SERVING, BUILDING = "serving", "building"
GIVEN = "given"
_MODEL = "SELECT model, name, dim, fingerprint, state FROM models WHERE state = ?"
_GONE = "INSERT INTO removed (n) SELECT n FROM vectors"
_MODELS = "model IN (SELECT model FROM models)"  # by the index of model and id
_WITHOUT = (
    "INSERT OR IGNORE INTO waiting SELECT model, ? FROM models WHERE name <> ? AND NOT EXISTS "
    "(SELECT 1 FROM vectors WHERE vectors.model = models.model AND id = ?)"
)
_ALL_WITHOUT = (
    "INSERT OR IGNORE INTO waiting SELECT ?1, id FROM entries WHERE embed = 1 AND NOT EXISTS "
    "(SELECT 1 FROM vectors WHERE model = ?1 AND vectors.id = entries.id)"
)
_NOTHING_TO_WAIT_FOR = (
    "DELETE FROM waiting WHERE model = ?1 AND (id NOT IN (SELECT id FROM entries WHERE embed = 1) "
    "OR id IN (SELECT id FROM vectors WHERE model = ?1))"
)


class Model(NamedTuple):
    """An embedding model whose vectors the file has, or is to have."""

    number: int
    name: str
    dim: int
    fingerprint: str
    state: str


class VectorRows:
    """
    The vectors of one model as an index follows them; what it reads is of the moment it was made.

    Args:
        db: In a transaction, or whose one statement after the other may be of other moments.
    """

    def __init__(self, db: sqlite3.Connection, model: int) -> None:
        self._db = db
        self._model = model

    def position(self) -> tuple[int, int]:
        """The highest `n` and `r` that were ever given."""
        query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        rows = [self._db.execute(query, [name]).fetchone() for name in ("vectors", "removed")]
        n, r = (row[0] if row else 0 for row in rows)
        return n, r

    def since(self, n: int) -> Iterator[tuple[int, int, bytes]]:
        """(n, id, vector) of those behind *n*, in order."""
        query = "SELECT n, id, vec FROM vectors WHERE n > ? AND model = ? ORDER BY n"
        return self._db.execute(query, (n, self._model))

    def removed_since(self, r: int) -> Iterator[tuple[int, int]]:
        """(r, n) of the vectors that were removed behind *r*, of any model."""
        return self._db.execute("SELECT r, n FROM removed WHERE r > ? ORDER BY r", (r,))


def wipe_files(store: Path) -> None:
    """Overwrite and take away the indexes that lie beside the memory *store*, of any model."""
    from dino_os.memory_layer.vectors.files import stem_of, wipe  # noqa: PLC0415  as numpy is

    stem = stem_of(f"{store.name}.0").rpartition("-0-")[0]
    wipe(*(path for end in ("vectors", "graph") for path in store.parent.glob(f"{stem}-*.{end}")))


def serving(db: sqlite3.Connection) -> Model | None:
    """The model whose vectors are searched."""
    return _model(db, SERVING)


def building(db: sqlite3.Connection) -> Model | None:
    """The model that is to serve when all entries have a vector of it."""
    return _model(db, BUILDING)


def all_models(db: sqlite3.Connection) -> list[Model]:
    query = "SELECT model, name, dim, fingerprint, state FROM models"
    return [Model(*row) for row in db.execute(query)]


def _model(db: sqlite3.Connection, state: str) -> Model | None:
    row = db.execute(_MODEL, [state]).fetchone()
    return Model(*row) if row else None


def add_model(db: sqlite3.Connection, name: str, dim: int, fingerprint: str, state: str) -> Model:
    """A model of which there is no vector yet; all entries that may have one wait for it."""
    values = (name, dim, fingerprint, state)
    number = new_number()
    db.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?)", (number, *values))
    if name != GIVEN:
        wait_all(db, number)
    return Model(number, *values)


def new_number() -> int:
    """Of a model: another than any in this file or one before, whose indexes may still lie here."""
    return 1 + getrandbits(48)


def drop_model(db: sqlite3.Connection, number: int) -> None:
    """Take out a model and its vectors."""
    db.execute(f"{_GONE} WHERE model = ?", [number])
    db.execute("DELETE FROM vectors WHERE model = ?", [number])
    db.execute("DELETE FROM waiting WHERE model = ?", [number])
    db.execute("DELETE FROM models WHERE model = ?", [number])


def keep(db: sqlite3.Connection, model: int, number: int, vector: bytes) -> None:
    """Have that vector for an entry; there is none of that model."""
    db.execute("INSERT INTO vectors (model, id, vec) VALUES (?, ?, ?)", (model, number, vector))


def keep_many(db: sqlite3.Connection, model: int, made: Sequence[tuple[int, bytes]]) -> None:
    """Vectors for entries that waited for one of *model*."""
    db.executemany(
        "INSERT INTO vectors (model, id, vec) VALUES (?, ?, ?)",
        [(model, number, vector) for number, vector in made],
    )
    db.executemany(
        "DELETE FROM waiting WHERE model = ? AND id = ?", [(model, number) for number, _ in made]
    )


def wait(db: sqlite3.Connection, number: int) -> None:
    """An entry is to have a vector of each model; where it has one, it has it."""
    db.execute(_WITHOUT, (number, GIVEN, number))


def wait_all(db: sqlite3.Connection, model: int) -> None:
    """As `wait`, for all entries and one model."""
    db.execute(_ALL_WITHOUT, (model,))


def wait_rightly(db: sqlite3.Connection, model: int) -> None:
    """As `wait_all`; and what waits for nothing waits no more."""
    db.execute(_NOTHING_TO_WAIT_FOR, (model,))
    wait_all(db, model)


def drop(db: sqlite3.Connection, number: int) -> None:
    """Take out an entry's vectors."""
    db.execute(f"{_GONE} WHERE {_MODELS} AND id = ?", (number,))
    db.execute(f"DELETE FROM vectors WHERE {_MODELS} AND id = ?", (number,))  # noqa: S608
    db.execute(f"DELETE FROM waiting WHERE {_MODELS} AND id = ?", (number,))  # noqa: S608


def drop_all(db: sqlite3.Connection) -> None:
    """Take out all vectors; the models stay."""
    db.execute(_GONE)
    db.execute("DELETE FROM vectors")
    db.execute("DELETE FROM waiting")


def waiting(db: sqlite3.Connection, model: int, most: int, behind: int = 0) -> list[int]:
    """Entries that wait for a vector of *model*, those behind *behind*, in order of their ids."""
    query = "SELECT id FROM waiting WHERE model = ? AND id > ? ORDER BY id LIMIT ?"
    return [number for (number,) in db.execute(query, (model, behind, most))]
