"""
A memory as lines of JSON, an entry or an earlier version each, written and read as a stream.

    {"key":"pump-3","value":…,"namespace":"","metadata":{},"tags":[],"importance":0.0,"embed":true,
     "created":"2026-11-01T12:00:00Z","updated":…,"expires":null}

A version has `ended` and `fate` besides.  Vectors are left out, for they can be made again, but for
those that came with their entries.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from dino_os.errors import InvalidInput
from dino_os.memory_layer import rows, vector_rows
from dino_os.memory_layer.backups import Backups, apart, draft_of
from dino_os.memory_layer.items import Item, item_of, moment, tags_text
from dino_os.memory_layer.stored import LIVE, VALUE_LIMIT, Change, check_namespace, loaded
from engines import checks
from engines.database import sync_file
from engines.durable import sync_folder

_AT_ONCE, _AT_ONCE_BYTES = 2_000, 16 * 2**20  # lines of one transaction
_LONGEST_LINE = 7 * VALUE_LIMIT  # where each byte of it is written as an escape
_ENTRIES = (
    f"SELECT entries.id, ns, key, value, metadata, {rows.TAGS}, embed, importance, created, "  # noqa: S608
    "updated, expires, vec FROM entries LEFT JOIN vectors ON vectors.id = entries.id AND "
    "vectors.model = :model "
    f"WHERE {LIVE} AND (:ns IS NULL OR ns = :ns) ORDER BY ns, key"
)
_VERSIONS = (
    "SELECT ns, key, value, metadata, tags, importance, created, begun, expires, ended, fate, "  # noqa: S608
    f"version FROM versions WHERE {LIVE} AND (:ns IS NULL OR ns = :ns) ORDER BY ns, key, version"
)
_KEEP = (
    "INSERT INTO versions (ns, key, version, value, metadata, tags, importance, created, begun, "
    "ended, expires, fate) SELECT ?1, ?2, 1 + max("
    "(SELECT coalesce(max(version), 0) FROM versions WHERE ns = ?1 AND key = ?2), "
    "(SELECT coalesce(max(version), 0) FROM entries WHERE ns = ?1 AND key = ?2)), "
    "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
)
_BEHIND = (
    "UPDATE entries SET version = 1 + max(version, "
    "(SELECT max(version) FROM versions WHERE ns = ?1 AND key = ?2)) WHERE ns = ?1 AND key = ?2"
)
_NAMES = {
    *("key", "value", "namespace", "metadata", "tags", "importance", "embed", "created"),
    *("updated", "expires", "vector", "ended", "fate", "ttl"),
}
_Progress = Callable[[int], None]


class Exchange(Backups):
    """The memory as lines of JSON."""

    def export(
        self,
        path: str | None = None,
        *,
        namespace: str | None = None,
        versions: bool = False,
        progress: _Progress | None = None,
    ) -> int:
        """
        Write each entry to the file at *path*, or to standard output; how many.

        All of it is of one moment; others read and write meanwhile.

        Raises:
            InvalidInput: Something that is no file is there, or no folder.
        """
        lines = self.lines(namespace=namespace, versions=versions)
        if path is None:
            return _written(lines, sys.stdout.buffer, progress)
        target = apart(path, self.path)
        if not target.parent.is_dir():
            raise InvalidInput(f"{target}: no place for a file")
        if target.exists() and not target.is_file():  # a device would be replaced by a file
            raise InvalidInput(f"{target}: not a file", hint="without FILE it goes to stdout")
        draft = draft_of(target)
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with self._errors(), os.fdopen(fd, "wb") as file:
                count = _written(lines, file, progress)
            sync_file(draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(target.parent)
        return count

    def lines(self, *, namespace: str | None = None, versions: bool = False) -> Iterator[str]:
        """As `export`: each line, without its end."""
        if namespace is not None:
            check_namespace(namespace)
        if not self._is_there():
            return
        with self._errors():
            with self._database.guard:
                self._opened()
            # A connection of its own: whoever takes the lines takes the time they like.
            with contextlib.closing(self._database.another()) as db:
                db.execute("BEGIN")
                asked = {"now": self.clock(), "ns": namespace, "model": _given(db)}
                if versions:
                    yield from (_version_line(row) for row in db.execute(_VERSIONS, asked))
                yield from (_entry_line(row) for row in db.execute(_ENTRIES, asked))

    def import_(self, path: str | None = None, *, progress: _Progress | None = None) -> int:
        """
        Add what is in the lines of the file at *path*, or of standard input; how many.

        Some thousand lines are one transaction.  Where a line is wrong those before its thousands
        are kept, and it can be imported again.

        Raises:
            InvalidInput: There is no such file, or a line is none; it says which.
        """
        if path is None:
            return self._import(sys.stdin.buffer, "standard input", progress)
        source = apart(path, self.path)
        if not source.is_file():
            raise InvalidInput(f"{source}: no such file")
        with self._errors(), source.open("rb") as file:
            return self._import(file, str(source), progress)

    def _import(self, file: IO[bytes], name: str, progress: _Progress | None) -> int:
        done = 0
        for batch in _batches(file, name):
            try:
                items = [
                    _item(line, f"{name}: line {number}", self._cleaned) for number, line in batch
                ]
            except InvalidInput as error:
                kept = f"; {done:,} lines before it are kept" if done else "; nothing was kept"
                raise InvalidInput(f"{error}{kept}", hint=error.hint) from None
            if any(item.vector is not None for item, _ in items):
                self._ready_for_vectors()
            with self._changing() as change:
                for item, ended in items:
                    self._take(change, item, ended)
            done += len(batch)
            if progress:
                progress(len(batch))
        return done

    def _take(self, change: Change, item: Item, ended: tuple[float, str] | None) -> None:
        if item.expires is not None and item.expires <= change.now:
            return
        if ended is None:
            rows.put(change, item, self._versions_kept)
            return
        begun = change.now if item.updated is None else item.updated
        values = (item.value, item.metadata, tags_text(item.tags), item.importance)
        created = begun if item.created is None else item.created
        name = (item.namespace, item.key)
        change.db.execute(_KEEP, (*name, *values, created, begun, ended[0], item.expires, ended[1]))
        change.db.execute(_BEHIND, name)
        change.note("memory_version_added", **rows.told(item))


def _written(lines: Iterator[str], file: IO[bytes], progress: _Progress | None) -> int:
    count = 0
    for line in lines:
        file.write(f"{line}\n".encode())
        count += 1
        if progress:
            progress(1)
    file.flush()
    return count


def _given(db: sqlite3.Connection) -> int:
    """The model whose vectors nobody can make again, or 0."""
    model = vector_rows.serving(db)
    return model.number if model and model.name == vector_rows.GIVEN else 0


def _entry_line(row: tuple[Any, ...]) -> str:
    _, namespace, key, value, metadata, tags, embed, importance, created, *rest = row
    updated, expires, vector = rest
    told = _told(namespace, key, value, metadata, tags)
    told |= {"importance": importance, "embed": bool(embed)}
    told |= {"created": _text(created), "updated": _text(updated), "expires": _text(expires)}
    if vector:
        numbers = array("f", vector)
        if sys.byteorder == "big":
            numbers.byteswap()
        told["vector"] = numbers.tolist()
    return _line(told)


def _version_line(row: tuple[Any, ...]) -> str:
    namespace, key, value, metadata, tags, importance, created, begun, *rest = row
    expires, ended, fate, _ = rest
    told = _told(namespace, key, value, metadata, tags) | {"importance": importance}
    told |= {"created": _text(created), "updated": _text(begun), "expires": _text(expires)}
    return _line(told | {"ended": _text(ended), "fate": fate})


def _told(namespace: str, key: str, value: str, metadata: str | None, tags: str) -> dict[str, Any]:
    found = loaded(metadata) if metadata else {}
    named = {"key": key, "value": loaded(value), "namespace": namespace}
    return named | {"metadata": found, "tags": loaded(tags)}


def _line(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _text(seconds: float | None) -> str | None:
    return checks.time_text(seconds)


def _batches(file: IO[bytes], name: str) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines, as many as one transaction takes."""
    batch: list[tuple[int, bytes]] = []
    size = number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InvalidInput(f"{name}: line {number} is longer than any entry")
        if line.strip():
            batch.append((number, line))
            size += len(line)
        if len(batch) >= _AT_ONCE or size > _AT_ONCE_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _item(
    line: bytes, what: str, cleaned: Callable[[Item], Item]
) -> tuple[Item, tuple[float, str] | None]:
    try:
        told = json.loads(line.decode(), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what}: not JSON: {error}"[:300]) from None
    if not isinstance(told, dict) or "key" not in told or "value" not in told:
        raise InvalidInput(f"{what}: expected an object with key and value")
    unknown = next((name for name in told if name not in _NAMES), None)
    if unknown is not None:
        found = checks.did_you_mean(unknown, _NAMES)
        raise InvalidInput(f"{what}: unknown name {unknown!r}{found}"[:300])
    try:
        item, ended = _checked(told)
        return cleaned(item), ended
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}", hint=error.hint) from None


def _checked(told: dict[str, Any]) -> tuple[Item, tuple[float, str] | None]:
    created, updated, expires = (
        _time(told.pop(name, None)) for name in ("created", "updated", "expires")
    )
    ended, fate = _time(told.pop("ended", None)), told.pop("fate", "replaced")
    if fate not in {"replaced", "deleted", "cleared"}:
        raise InvalidInput(f"fate must be replaced, deleted or cleared, found {fate!r}"[:200])
    item = item_of(**told)._replace(created=created, updated=updated, expires=expires)
    return item, None if ended is None else (ended, fate)


def _time(found: object) -> float | None:
    return None if found is None else moment(found)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")
