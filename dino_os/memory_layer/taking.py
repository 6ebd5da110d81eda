"""All of a backup in place of what a memory has; each row of it is looked at first."""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Iterator
from typing import Any

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.json_value import to_text
from dino_os.memory_layer.items import is_shown, item_of, tags_text
from dino_os.memory_layer.stored import VALUE_LIMIT, check_key, check_namespace, fingerprint
from dino_os.memory_layer.vector_rows import BUILDING, SERVING, drop_all, new_number
from dino_os.memory_layer.words import text_of

_ENTRIES = {
    1: "SELECT id, '', key, value, NULL, embed, 0.0, created, updated, NULL, 1 FROM entries",
    2: "SELECT id, ns, key, value, metadata, embed, importance, created, updated, expires, "
    "version FROM entries",
}
_ADD = (
    "INSERT INTO entries (ns, key, value, metadata, embed, importance, created, updated, expires, "
    "version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = (
    "ns, key, version, value, metadata, tags, importance, created, begun, ended, expires, fate"
)
_FATES = {"replaced", "deleted", "cleared"}


def take(
    db: sqlite3.Connection, source: sqlite3.Connection, version: int, path: str
) -> Iterator[str]:
    """
    Have in *db* what is in *source*, of the format *version*, and nothing else.

    Yields:
        A line for each entry, in order of their names: what the journal's hash is of.

    Raises:
        MemoryLayerError: At the first row that is none.
    """
    drop_all(db)
    for table in ("models", "tags", "words", "versions", "entries"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608
    ids: dict[int, int] = {}
    for number, row in enumerate(source.execute(f"{_ENTRIES[version]} ORDER BY 2, 3"), 1):
        try:
            yield _take_entry(db, row, ids)
        except (InvalidInput, ValueError, TypeError, RecursionError) as error:
            raise _not_one(path, f"entry {number}", error) from None
    if version > 1:
        _take_tags(db, source, ids, path)
        _take_versions(db, source, path)
        _take_vectors(db, source, ids, path)


def _take_entry(db: sqlite3.Connection, row: tuple[Any, ...], ids: dict[int, int]) -> str:
    number, namespace, key, value, metadata, embed, importance, *times, version = row
    if embed not in {0, 1} or type(version) is not int:
        raise InvalidInput("not an entry")
    item = item_of(
        key,
        json.loads(value),
        bool(embed),
        namespace=namespace,
        metadata=None if metadata is None else json.loads(metadata),
        importance=importance,
    )
    values = (namespace, key, item.value, item.metadata, embed, item.importance)
    added = db.execute(_ADD, (*values, *_times(*times), version)).lastrowid or 0
    ids[number] = added
    words = (added, key, text_of(item.body))
    db.execute("INSERT INTO words (rowid, key, body) VALUES (?, ?, ?)", words)
    where = f"{json.dumps(namespace)}\t" if namespace else ""
    return f"{where}{json.dumps(key)}\t{fingerprint(item.value)['sha256']}\n"


def _times(*times: Any) -> tuple[Any, ...]:
    """Times; the last is when it expires, or None."""
    for at, found in enumerate(times, 1):
        known = isinstance(found, float) and is_shown(found)
        if not known and not (found is None and at == len(times)):
            raise InvalidInput(f"not a time: {found!r}")
    return times


def _take_tags(
    db: sqlite3.Connection, source: sqlite3.Connection, ids: dict[int, int], path: str
) -> None:
    for tag, number in source.execute("SELECT tag, id FROM tags"):
        if not isinstance(tag, str) or not tag or number not in ids:
            raise _not_one(path, f"the tag {tag!r}", "of no entry")
        db.execute("INSERT INTO tags VALUES (?, ?)", (tag, ids[number]))


def _take_versions(db: sqlite3.Connection, source: sqlite3.Connection, path: str) -> None:
    query = f"SELECT {_COLUMNS} FROM versions ORDER BY n"  # noqa: S608
    marks = ", ".join("?" * 12)
    for number, row in enumerate(source.execute(query), 1):
        try:
            values = _version(row)
        except (InvalidInput, ValueError, TypeError, RecursionError) as error:
            raise _not_one(path, f"version {number}", error) from None
        db.execute(f"INSERT INTO versions ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608


def _version(row: tuple[Any, ...]) -> tuple[Any, ...]:
    namespace, key, version, value, metadata, tags, importance, *times, fate = row
    check_namespace(namespace)
    check_key(key)
    if type(version) is not int or fate not in _FATES or not isinstance(importance, float):
        raise InvalidInput("not a version")
    text = to_text(json.loads(value), "its value", VALUE_LIMIT)
    known = item_of(
        key,
        None,
        metadata=None if metadata is None else json.loads(metadata),
        tags=json.loads(tags),
    )
    return (
        *(namespace, key, version, text, known.metadata, tags_text(known.tags), importance),
        *(*_times(*times), fate),
    )


def _take_vectors(
    db: sqlite3.Connection, source: sqlite3.Connection, ids: dict[int, int], path: str
) -> None:
    for model, name, dim, fingerprint_, state in source.execute("SELECT * FROM models").fetchall():
        if not (isinstance(name, str) and type(dim) is int and state in {SERVING, BUILDING}):
            raise _not_one(path, f"the model {name!r}", "not one")
        added = new_number()
        row = (added, name, dim, str(fingerprint_), state)
        db.execute("INSERT INTO models VALUES (?, ?, ?, ?, ?)", row)
        for number, vector in source.execute(
            "SELECT id, vec FROM vectors WHERE model = ?", [model]
        ):
            if number not in ids or not _is_vector(vector, dim):
                raise _not_one(path, f"the vector of entry {number!r}", "not one")
            values = (added, ids[number], vector)
            db.execute("INSERT INTO vectors (model, id, vec) VALUES (?, ?, ?)", values)
        for (number,) in source.execute("SELECT id FROM waiting WHERE model = ?", [model]):
            if number in ids:
                db.execute("INSERT INTO waiting VALUES (?, ?)", (added, ids[number]))


def _is_vector(vector: object, dim: int) -> bool:
    if not isinstance(vector, bytes) or len(vector) != 4 * dim:
        return False
    return all(map(math.isfinite, array("f", vector)))


def _not_one(path: str, what: str, why: object) -> MemoryLayerError:
    return MemoryLayerError(f"{path}: {what}: {why}"[:500] + "; nothing was restored")
