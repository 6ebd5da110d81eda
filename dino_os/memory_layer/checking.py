"""
Whether a memory's file is sound, and whether each index says what the entries say.

What is derived can be made anew: words, vectors and tags of no entry go, who has no vector waits
for one.  Entries cannot: where one is damaged there is the backup.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import sys
from array import array
from collections.abc import Iterator
from typing import Any

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer import vector_rows
from dino_os.memory_layer.exchange import Exchange
from dino_os.memory_layer.schema import SCHEMA, fill_words, make_words
from dino_os.memory_layer.vector_rows import GIVEN
from dino_os.memory_layer.words import text_of
from engines.database import failures

_MOST_SHOWN = 20
_NO_ENTRY = "id NOT IN (SELECT id FROM entries)"
_ORPHANS = {
    "tags of no entry": f"tags WHERE {_NO_ENTRY}",
    "vectors of no entry": f"vectors WHERE {_NO_ENTRY}",
    "vectors of no model": "vectors WHERE model NOT IN (SELECT model FROM models)",
    "places in the queue for vectors of no entry": f"waiting WHERE {_NO_ENTRY}",
}
_OUT_OF_QUEUE = (
    "SELECT COUNT(*) FROM entries, models WHERE embed = 1 AND name <> ? AND NOT EXISTS "
    "(SELECT 1 FROM vectors WHERE vectors.model = models.model AND vectors.id = entries.id) AND "
    "NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.model = models.model AND "
    "waiting.id = entries.id)"
)
_LENGTH_OFF = 1e-3
_COUNTS = {
    "entries": "SELECT COUNT(*) FROM entries",
    "versions": "SELECT COUNT(*) FROM versions",
    "words": "SELECT COUNT(*) FROM words",
    "vectors": "SELECT COUNT(*) FROM vectors",
}


class Checking(Exchange):
    """Whether it is sound, and how large it is."""

    def check(self, repair: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """
        Whether all is sound: `ok`, `faults`, and how many of what were looked at.

        Args:
            repair: Make anew what is wrong and can be: `repaired` says what, and `faults` what is
                left.
        """
        if repair:
            self._check_writable()
        if not self._is_there():
            return {"ok": True, "faults": [], "repaired": [], **dict.fromkeys(_COUNTS, 0)}
        try:
            faults = self._faults()
        except MemoryLayerError as error:
            return {"ok": False, "faults": [str(error)], "repaired": []}
        repaired: list[str] = []
        if repair:
            self._mend()
            left = self._faults()
            repaired, faults = [one for one in faults if one not in left], left
        counts: dict[str, int] = {}
        # Of a damaged file that is encrypted nothing more is read.
        with contextlib.suppress(*[MemoryLayerError] if faults else []), self._reading() as db:
            counts = {name: db.execute(query).fetchone()[0] for name, query in _COUNTS.items()}
        return {"ok": not faults, "faults": faults, "repaired": repaired, **counts}

    def stats(self) -> dict[str, Any]:
        """How much there is, of what, and how large its files are."""
        if not self._is_there():
            return {"entries": 0, "namespaces": 0, "versions": 0, "tags": 0, "bytes": 0}
        entries = self.count()
        with self._reading() as db:
            one = {
                "namespaces": "SELECT COUNT(DISTINCT ns) FROM entries",
                "versions": "SELECT COUNT(*) FROM versions",
                "tags": "SELECT COUNT(DISTINCT tag) FROM tags",
                "expiring": "SELECT COUNT(*) FROM entries WHERE expires IS NOT NULL",
                "unrecorded": "SELECT COUNT(*) FROM pending",
            }
            counts = {name: db.execute(query).fetchone()[0] for name, query in one.items()}
            models = [
                _model_stats(db, model)
                for model in (vector_rows.serving(db), vector_rows.building(db))
                if model
            ]
        files = {name: _size(self.path, ending) for name, ending in _FILES.items()}
        found = {"entries": entries, **counts, **files, "format": SCHEMA.format}
        return found | {model.pop("state"): model for model in models}

    # --- below -------------------------------------------------------------------------------

    def _faults(self) -> list[str]:
        with self._database.guard, self._errors():
            db = self._opened()
            found = [f"file: {line}" for line in _unsound(db)]
            if found:
                return found  # whatever is read from it may be wrong
            with self._reading() as db:
                if db.execute("SELECT EXISTS (SELECT 1 FROM due)").fetchone()[0]:
                    found.append("file: what was forgotten still has bytes in it")
                found += [*_wrong_values(db), *_wrong_words(db), *_orphans(db), *_wrong_vectors(db)]
            for model in self._models():
                found += [f"index of vectors: {line}" for line in self.index(model).check()]
            return found

    def _mend(self) -> None:
        with contextlib.suppress(MemoryLayerError), self._errors():
            self._opened().execute("REINDEX")
        with self._changing() as change:
            db = change.db
            db.execute("DROP TABLE words")
            make_words(db)
            fill_words(db)
            for what in _ORPHANS.values():
                if what.startswith("vectors"):
                    where = what.partition(" WHERE ")[2]
                    db.execute(f"INSERT INTO removed (n) SELECT n FROM vectors WHERE {where}")  # noqa: S608
                db.execute(f"DELETE FROM {what}")  # noqa: S608
            for number in _off(db):
                vector_rows.drop(db, number)
            for model in (vector_rows.serving(db), vector_rows.building(db)):
                if model and model.name != GIVEN:
                    vector_rows.wait_all(db, model.number)
            change.note("memory_repaired")
        self._erase_indexes()
        with self._database.guard, self._errors():
            self._erase(self._opened(), self._timeout_s)


_FILES = {"bytes": "", "log_bytes": "-wal"}


def _size(path: Any, ending: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return int(path.with_name(path.name + ending).stat().st_size)
    return 0


def _model_stats(db: sqlite3.Connection, model: vector_rows.Model) -> dict[str, Any]:
    vectors, waiting = (
        db.execute(query, [model.number]).fetchone()[0]
        for query in (
            "SELECT COUNT(*) FROM vectors WHERE model = ?",
            "SELECT COUNT(*) FROM waiting WHERE model = ?",
        )
    )
    counts = {"vectors": vectors, "waiting": waiting}
    return {"state": model.state, "model": model.name, "dim": model.dim, **counts}


def _unsound(db: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds, in the file and in the index of words."""
    try:
        rows = db.execute(f"PRAGMA integrity_check({_MOST_SHOWN})").fetchall()
    except failures("DatabaseError") as error:
        return [str(error)]
    found = [line for (line,) in rows if line != "ok"]
    if not found:
        db.execute("BEGIN IMMEDIATE")  # to the index its check is a change
        try:
            db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        except failures("DatabaseError") as error:
            found.append(f"words: {error}")
        finally:
            db.execute("ROLLBACK")
    return found


def _wrong_values(db: sqlite3.Connection) -> Iterator[str]:
    for table in ("entries", "versions"):
        query = f"SELECT key, value, metadata FROM {table}"  # noqa: S608
        for key, value, metadata in db.execute(query):
            try:
                json.loads(value)
                json.loads(metadata or "{}")
            except (ValueError, TypeError, RecursionError):
                yield f"{table}: the value of {key!r} is not JSON"


def _wrong_words(db: sqlite3.Connection) -> Iterator[str]:
    query = (
        "SELECT entries.key, value, words.key, body FROM entries LEFT JOIN words "
        "ON words.rowid = entries.id"
    )
    wrong = sum(
        key != found or _body(value) != body for key, value, found, body in db.execute(query)
    )
    if wrong:
        yield f"words: {wrong:,} entries are not found by their words"
    (more,) = db.execute(
        "SELECT COUNT(*) FROM words WHERE rowid NOT IN (SELECT id FROM entries)"
    ).fetchone()
    if more:
        yield f"words: {more:,} of no entry"


def _body(value: str) -> str | None:
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        return text_of(json.loads(value))
    return None


def _orphans(db: sqlite3.Connection) -> Iterator[str]:
    for name, what in _ORPHANS.items():
        (count,) = db.execute(f"SELECT COUNT(*) FROM {what}").fetchone()  # noqa: S608
        if count:
            yield f"{count:,} {name}"
    (count,) = db.execute(_OUT_OF_QUEUE, [GIVEN]).fetchone()
    if count:
        yield f"{count:,} entries without a vector that do not wait for one"


def _wrong_vectors(db: sqlite3.Connection) -> Iterator[str]:
    if wrong := len(_off(db)):
        yield f"vectors: {wrong:,} are none of their model's"


def _off(db: sqlite3.Connection) -> list[int]:
    """Entries with a vector that has not its model's dimension, or not the length 1 or 0."""
    query = "SELECT id, dim, vec FROM vectors JOIN models USING (model)"
    return [number for number, dim, vector in db.execute(query) if not _is_vector(vector, dim)]


def _is_vector(vector: object, dim: int) -> bool:
    if not isinstance(vector, bytes) or len(vector) != 4 * dim:
        return False
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    length = math.hypot(*numbers)
    return not length or abs(length - 1) < _LENGTH_OFF
