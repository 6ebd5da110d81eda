"""Entries under their keys: written, read, listed, and as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from dino_os.errors import NotFound
from dino_os.memory_layer import rows
from dino_os.memory_layer.items import (
    Item,
    check_names,
    checked_tags,
    cleaned,
    item_from,
    item_of,
    moment,
    tags_text,
)
from dino_os.memory_layer.stored import (
    LIVE,
    Stored,
    check_key,
    check_namespace,
    fingerprint,
    loaded,
)
from engines import checks

_Keys: TypeAlias = list[str]  # where `list` is the method
_Many: TypeAlias = list[dict[str, Any]]
_STEP = 1_000  # entries between two reports of progress
_NOW = f"SELECT value FROM entries WHERE ns = :ns AND key = :key AND {LIVE}"  # noqa: S608
_THEN = (
    f"SELECT value FROM entries WHERE ns = :ns AND key = :key AND updated <= :at AND {LIVE} "  # noqa: S608
    "AND (expires IS NULL OR expires > :at)"
)
_ONCE = (
    "SELECT value FROM versions WHERE ns = :ns AND key = :key AND begun <= :at AND ended > :at "  # noqa: S608
    f"AND {LIVE} AND (expires IS NULL OR expires > :at) ORDER BY version DESC LIMIT 1"
)
_CURRENT = (
    f"SELECT version, value, metadata, {rows.TAGS}, "  # noqa: S608
    "importance, updated, NULL, NULL FROM entries "
    f"WHERE ns = :ns AND key = :key AND {LIVE}"
)
_EARLIER = (
    "SELECT version, value, metadata, tags, importance, begun, ended, fate FROM versions "  # noqa: S608
    f"WHERE ns = :ns AND key = :key AND {LIVE}"
)


class Entries(Stored):
    """What is under its key."""

    # --- changes -----------------------------------------------------------------------------

    def add(
        self,
        key: str,
        value: Any,
        embed: bool = True,  # noqa: FBT001, FBT002
        *,
        namespace: str = "",
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        ttl: float | None = None,
        importance: float = 0.0,
        vector: Iterable[float] | None = None,
    ) -> None:
        item = item_of(
            key,
            value,
            embed,
            namespace=namespace,
            metadata=metadata,
            tags=tags,
            ttl=ttl,
            importance=importance,
            vector=vector,
        )
        item = self._cleaned(item)
        if item.vector is not None:
            self._ready_for_vectors()
        with self._changing() as change:
            rows.put(change, item, self._versions_kept)

    def add_many(
        self, items: Iterable[Mapping[str, Any]], *, progress: Callable[[int], None] | None = None
    ) -> int:
        """All of them or none; *progress* is told of so many more."""
        checked = [
            item_from(one, f"item {number}", self._cleaned) for number, one in enumerate(items)
        ]
        if not checked:
            return 0
        if any(item.vector is not None for item in checked):
            self._ready_for_vectors()
        with self._changing() as change:
            for number, item in enumerate(checked, 1):
                rows.put(change, item, self._versions_kept)
                if progress and not number % _STEP:
                    progress(_STEP)
        if progress:
            progress(len(checked) % _STEP)
        return len(checked)

    def digest(self, key: str, *, namespace: str = "") -> str | None:
        """The SHA-256 that the journal tells of the value under *key*; None where there is none."""
        found = self.find(key, namespace)
        return None if found is None else str(fingerprint(found)["sha256"])

    def delete(self, key: str, *, namespace: str = "") -> bool:
        if self.find(key, namespace) is None:
            return False
        with self._changing() as change:  # another may be faster
            return rows.remove(change, namespace, key, self._versions_kept)

    def tag(
        self,
        key: str,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        *,
        namespace: str = "",
    ) -> _Keys:
        added, removed = checked_tags(add), checked_tags(remove)
        check_names(added, self._clean)
        if self.find(key, namespace) is None:
            raise _unknown(key)
        if not added and not removed:
            return [*self._read(lambda db: self._tags_of(db, key, namespace))]
        with self._changing() as change:
            found = rows.find(change, namespace, key)
            if found is None:
                raise _unknown(key)
            before = rows.tags_of(change.db, found.id)
            after = checked_tags({*before, *added} - {*removed})
            if list(after) != before:
                change.db.execute("DELETE FROM tags WHERE id = ?", (found.id,))
                pairs = [(tag, found.id) for tag in after]
                change.db.executemany("INSERT INTO tags VALUES (?, ?)", pairs)
                told = fingerprint(tags_text(after))["sha256"]
                change.note("memory_tagged", **rows.named(namespace, key), tags_sha256=told)
            return [*after]

    def clear(self, *, namespace: str | None = None) -> int:
        if namespace is not None:
            check_namespace(namespace)
        if not self.count(namespace):
            return 0
        with self._changing() as change:
            rows.archive_all(change, namespace, self._versions_kept)
            if namespace is None:
                (count,) = change.db.execute("SELECT COUNT(*) FROM entries").fetchone()
                rows.empty(change.db)
            else:
                found = change.db.execute("SELECT id FROM entries WHERE ns = ?", [namespace])
                numbers = [number for (number,) in found]
                count = len(numbers)
                rows.drop_many(change.db, numbers)
            where = {"namespace": namespace} if namespace is not None else {}
            change.note("memory_cleared", entries=count, **where)
            return int(count)

    # --- queries -----------------------------------------------------------------------------

    def get(self, key: str, at: Any = None, *, namespace: str = "") -> Any:
        """The value, now or as it was *at* a time: seconds, datetime or ISO text; None: none."""
        text = self.find(key, namespace, None if at is None else moment(at))
        return None if text is None else loaded(text)

    def find(self, key: str, namespace: str = "", at: float | None = None) -> str | None:
        """As `get`, as JSON."""
        check_key(key)
        check_namespace(namespace)
        now = self.clock()
        asked = {"key": key, "ns": namespace, "at": at, "now": now}

        def query(db: sqlite3.Connection) -> Any:
            if at is None:
                return db.execute(_NOW, asked).fetchone()
            # What was imported may say that it is older than what it replaced.
            return db.execute(_ONCE, asked).fetchone() or db.execute(_THEN, asked).fetchone()

        row = self._read(query)
        return row[0] if row else None

    def versions(self, key: str, *, namespace: str = "") -> _Many:
        """What a key is and was, newest first."""
        check_key(key)
        check_namespace(namespace)
        asked = {"key": key, "ns": namespace, "now": self.clock()}
        query = f"{_CURRENT} UNION ALL {_EARLIER} ORDER BY version DESC"
        found = self._read(lambda db: db.execute(query, asked).fetchall())
        return [_version(*row) for row in found or ()]

    def list(
        self,
        *,
        namespace: str = "",
        prefix: str = "",
        tags: Iterable[str] = (),
        limit: int | None = None,
    ) -> _Keys:
        """The keys of a namespace, in order: those that begin so, and have all those tags."""
        check_namespace(namespace)
        if prefix:
            check_key(prefix, "prefix")
        most = -1 if limit is None else checks.whole(checks.at_least(limit, 0, "limit"), "limit")
        asked: list[Any] = [self.clock(), namespace, prefix]
        query = (
            "SELECT key FROM entries WHERE (expires IS NULL OR expires > ?) AND ns = ? AND key >= ?"
        )
        if (end := _behind(prefix)) is not None:
            query += " AND key < ?"
            asked.append(end)
        for tag in checked_tags(tags):
            query += " AND id IN (SELECT id FROM tags WHERE tag = ?)"
            asked.append(tag)
        query += " ORDER BY key LIMIT ?"
        found = self._read(lambda db: db.execute(query, [*asked, most]).fetchall())
        return [key for (key,) in found or ()]

    def namespaces(self) -> _Keys:
        """Those that have entries, in order; the default one is empty text."""
        query = f"SELECT DISTINCT ns FROM entries WHERE {LIVE} ORDER BY ns"  # noqa: S608
        found = self._read(lambda db: db.execute(query, {"now": self.clock()}).fetchall())
        return [namespace for (namespace,) in found or ()]

    def get_all(self, *, namespace: str = "") -> dict[str, Any]:
        """Every value of a namespace by its key."""
        check_namespace(namespace)
        query = f"SELECT key, value FROM entries WHERE ns = :ns AND {LIVE} ORDER BY key"  # noqa: S608
        asked = {"ns": namespace, "now": self.clock()}
        found = self._read(lambda db: db.execute(query, asked).fetchall())
        return {key: loaded(text) for key, text in found or ()}

    # --- below the face ----------------------------------------------------------------------

    def _cleaned(self, item: Item) -> Item:
        """What of *item* may be kept."""
        return cleaned(item, self._clean) if self._clean else item

    def count(self, namespace: str | None = None) -> int:
        """How many entries there are, in *namespace* or in all."""
        query = f"SELECT COUNT(*) FROM entries WHERE {LIVE} AND (:ns IS NULL OR ns = :ns)"  # noqa: S608
        asked = {"ns": namespace, "now": self.clock()}
        row = self._read(lambda db: db.execute(query, asked).fetchone())
        return int(row[0]) if row else 0

    def _tags_of(self, db: sqlite3.Connection, key: str, namespace: str) -> _Keys:
        query = "SELECT tag FROM tags JOIN entries USING (id) WHERE ns = ? AND key = ? ORDER BY tag"
        return [tag for (tag,) in db.execute(query, (namespace, key))]


def _version(*row: Any) -> dict[str, Any]:
    version, value, metadata, tags, importance, begun, ended, fate = row
    return {
        "version": version,
        "value": loaded(value),
        "metadata": loaded(metadata) if metadata else {},
        "tags": loaded(tags),
        "importance": importance,
        "from": checks.time_text(begun),
        "until": checks.time_text(ended),
        "fate": fate,
    }


def _behind(prefix: str) -> str | None:
    """The least text behind all that begin with *prefix*; None where there is none."""
    for at in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[at]) + 1
        if code == 0xD800:  # no text: half a surrogate pair  # noqa: PLR2004
            code = 0xE000
        if code <= 0x10FFFF:  # noqa: PLR2004
            return prefix[:at] + chr(code)
    return None


def _unknown(key: str) -> NotFound:
    return NotFound(f"nothing is remembered as {key!r}", hint="`dino memory list` shows what is")
