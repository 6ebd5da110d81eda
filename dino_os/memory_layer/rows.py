"""
The rows of an entry, written together: itself, its tags and words, what it was, its vectors.

Everything here happens in a transaction that is open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any, NamedTuple

from dino_os.errors import InvalidInput
from dino_os.memory_layer import vector_rows
from dino_os.memory_layer.items import Item, tags_text
from dino_os.memory_layer.records import ADDED, DELETED, EXPIRED
from dino_os.memory_layer.stored import Change, fingerprint
from dino_os.memory_layer.words import text_of

_FIND = (
    "SELECT id, value, embed, created, updated, expires, version FROM entries "
    "WHERE ns = ? AND key = ?"
)
_INSERT = (  # the versions of a key go on where it was deleted
    "INSERT INTO entries (ns, key, value, metadata, embed, importance, created, updated, expires, "
    "version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1 + "
    "coalesce((SELECT max(version) FROM versions WHERE ns = ?1 AND key = ?2), 0)) "
    "ON CONFLICT (ns, key) DO NOTHING"
)
_UPDATE = (
    "UPDATE entries SET value = ?, metadata = ?, embed = ?, importance = ?, created = ?, "
    "updated = ?, expires = ?, version = ? WHERE id = ?"
)
TAGS = (
    "(SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE id = entries.id ORDER BY tag))"
)
_ARCHIVE = (
    "INSERT INTO versions (ns, key, version, value, metadata, tags, importance, created, begun, "  # noqa: S608  constants
    "ended, expires, fate) SELECT ns, key, version, value, metadata, "
    f"{TAGS}, importance, created, updated, ?, expires, ? FROM entries"
)
_FORGET_OLD = "DELETE FROM versions WHERE ns = ? AND key = ? AND version <= ?"
_WORDS = "INSERT INTO words (rowid, key, body) VALUES (?, ?, ?)"


class Found(NamedTuple):
    """An entry that is there."""

    id: int
    value: str
    embed: int
    created: float
    updated: float
    expires: float | None
    version: int

    def is_over(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now


def find(change: Change, namespace: str, key: str) -> Found | None:
    """The entry; one that has expired is removed, and is none."""
    row = change.db.execute(_FIND, (namespace, key)).fetchone()
    if row is None:
        return None
    found = Found(*row)
    if not found.is_over(change.now):
        return found
    change.note(EXPIRED, **named(namespace, key), **fingerprint(found.value))
    drop(change.db, found.id)
    return None


def put(change: Change, item: Item, keep: int) -> None:
    """
    Write an entry in place of what is under its key.

    Args:
        keep: How many of its earlier versions are kept.
    """
    db = change.db
    updated = change.now if item.updated is None else item.updated
    expires = item.expires if item.ttl is None else change.now + item.ttl
    values = (item.value, item.metadata, item.embed, item.importance)
    times = (updated if item.created is None else item.created, updated, expires)
    name = (item.namespace, item.key)
    # Most are new: that is tried first.
    added = db.execute(_INSERT, (*name, *values, *times))
    old = find(change, *name) if not added.rowcount else None
    if not added.rowcount and old is None:  # it had expired
        added = db.execute(_INSERT, (*name, *values, *times))
    number = old.id if old else added.lastrowid or 0
    if old:
        archive(change, number, "replaced", keep)
        created = old.created if item.created is None else item.created
        db.execute(_UPDATE, (*values, created, *times[1:], old.version + 1, number))
        db.execute("DELETE FROM tags WHERE id = ?", (number,))
    if item.tags:
        db.executemany("INSERT INTO tags VALUES (?, ?)", [(tag, number) for tag in item.tags])
    _index(change, number, item, old)
    change.note(ADDED, **told(item), replaced=old is not None)


def _index(change: Change, number: int, item: Item, old: Found | None) -> None:
    """Have an entry found by what it is now."""
    same = old is not None and old.value == item.value
    if not same:
        if old:
            change.db.execute("DELETE FROM words WHERE rowid = ?", (number,))
        change.db.execute(_WORDS, (number, item.key, text_of(item.body)))
    models = change.models()
    if old and models and not (same and item.vector is None and bool(old.embed) == item.embed):
        vector_rows.drop(change.db, number)
    if item.vector is not None:
        _keep_vector(change, number, item.vector)
    if item.embed and any(model.name != vector_rows.GIVEN for model in change.models()):
        vector_rows.wait(change.db, number)


def remove(change: Change, namespace: str, key: str, keep: int) -> bool:
    """Take an entry out, and keep it as what its key was; whether it was there."""
    old = find(change, namespace, key)
    if old is None:
        return False
    archive(change, old.id, "deleted", keep)
    drop(change.db, old.id)
    change.note(DELETED, **named(namespace, key), **fingerprint(old.value))
    return True


def archive(change: Change, number: int, fate: str, keep: int) -> None:
    """Keep an entry as an earlier version of its key, and of those so many."""
    if not keep:
        return
    change.db.execute(f"{_ARCHIVE} WHERE id = ?", (change.now, fate, number))
    row = change.db.execute("SELECT ns, key, version FROM entries WHERE id = ?", (number,))
    namespace, key, version = row.fetchone()
    if version > keep:
        change.db.execute(_FORGET_OLD, (namespace, key, version - keep))


def archive_all(change: Change, namespace: str | None, keep: int) -> None:
    """As `archive` with every entry, of *namespace* or of all."""
    if not keep:
        return
    mine, more = ("", ()) if namespace is None else ("AND ns = ?", (namespace,))
    live = f"WHERE (expires IS NULL OR expires > ?) {mine}"
    change.db.execute(f"{_ARCHIVE} {live}", (change.now, "cleared", change.now, *more))
    too_old = "e.ns = versions.ns AND e.key = versions.key AND versions.version <= e.version - ?"
    change.db.execute(
        f"DELETE FROM versions WHERE EXISTS (SELECT 1 FROM entries e WHERE {too_old})",  # noqa: S608
        (keep,),
    )


def drop(db: sqlite3.Connection, number: int) -> None:
    """Take out an entry and all that points to it; not its versions."""
    db.execute("DELETE FROM words WHERE rowid = ?", (number,))
    db.execute("DELETE FROM tags WHERE id = ?", (number,))
    vector_rows.drop(db, number)
    db.execute("DELETE FROM entries WHERE id = ?", (number,))


def drop_many(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    for number in numbers:
        drop(db, number)


def empty(db: sqlite3.Connection) -> None:
    """Take out every entry; versions stay."""
    db.execute("DELETE FROM words")
    db.execute("DELETE FROM tags")
    vector_rows.drop_all(db)
    db.execute("DELETE FROM entries")


def named(namespace: str, key: str) -> dict[str, str]:
    """An entry's name in the journal."""
    return {"key": key, "namespace": namespace} if namespace else {"key": key}


def tags_of(db: sqlite3.Connection, number: int) -> list[str]:
    rows = db.execute("SELECT tag FROM tags WHERE id = ? ORDER BY tag", (number,))
    return [tag for (tag,) in rows]


def _keep_vector(change: Change, number: int, vector: bytes) -> None:
    models = change.models()
    if not models:
        made = vector_rows.GIVEN, len(vector) // 4, "", vector_rows.SERVING
        vector_rows.add_model(change.db, *made)
        models = change.models(anew=True)
    model = next(one for one in models if one.state == vector_rows.SERVING)
    if len(vector) != 4 * model.dim:
        raise InvalidInput(
            f"a vector of {len(vector) // 4} numbers; those of {model.name!r}, in use here, have "
            f"{model.dim}",
            hint="`dino config set memory.embedder NAME` has another model serve, "
            "and `none` those that come along",
        )
    vector_rows.keep(change.db, model.number, number, vector)


def told(item: Item) -> dict[str, Any]:
    """What the journal says of an entry."""
    found: dict[str, Any] = {**named(item.namespace, item.key), **fingerprint(item.value)}
    if item.metadata:
        found["metadata_sha256"] = fingerprint(item.metadata)["sha256"]
    if item.tags:
        found["tags_sha256"] = fingerprint(tags_text(item.tags))["sha256"]
    return found
