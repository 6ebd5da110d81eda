"""Backups of a memory: one file each, whole or absent, and never believed before it is checked."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer.database import SCHEMA, draft_of
from engines.database import check, connect, sync_file
from engines.durable import sync_folder


def place(path: str, live: Path) -> Path:
    """
    Where a backup of the memory at *live* may be written.

    Raises:
        InvalidInput: There is something that is no backup, or no folder.
    """
    target = _apart(path, live)
    if not target.parent.is_dir():
        raise InvalidInput(f"{target.parent}: no such folder")
    if not target.exists():
        return target
    try:
        with contextlib.closing(connect(target, "ro")) as db:
            replaceable = check(db, target, SCHEMA) > 0 and not _in_use(target)
    except (sqlite3.Error, MemoryLayerError):
        replaceable = False
    if not replaceable:
        raise InvalidInput(f"{target}: there is something else already", hint="name a new file")
    return target


def write(db: sqlite3.Connection, target: Path) -> None:
    """Copy what *db* holds now to *target*, which has all of it or is as it was."""
    draft = draft_of(target)
    try:
        db.execute("VACUUM INTO ?", [os.fspath(draft)])
        with contextlib.closing(connect(draft, "ro")) as copy:
            _check_sound(copy, draft)
        sync_file(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)


def checked(path: str, live: Path) -> sqlite3.Connection:
    """
    The backup at *path*, sound and of a format that is known, as it is at this moment.

    Raises:
        InvalidInput: There is none, or it is the memory at *live* itself.
        MemoryLayerError: It is no backup, or not sound.
    """
    source = _apart(path, live)
    if not source.is_file():
        raise InvalidInput(f"{source}: no such file")
    try:
        with contextlib.ExitStack() as on_error:
            db = connect(source, "ro")
            on_error.callback(db.close)
            db.execute("BEGIN")  # what is checked is what is read
            _check_backup(db, source)
            on_error.pop_all()
    except sqlite3.Error as error:
        raise MemoryLayerError(f"{source}: not a sound backup: {error}") from None
    return db


def rows(db: sqlite3.Connection, path: str) -> Iterator[tuple[str, str, bool, float, float]]:
    """
    Every entry of a backup: key, value as JSON, embed, created, updated.

    Raises:
        MemoryLayerError: At the first that is no entry.
    """
    query = "SELECT key, value, embed, created, updated FROM entries ORDER BY key"
    try:
        for number, row in enumerate(db.execute(query), 1):
            if not _is_entry(*row):
                raise MemoryLayerError(f"{path}: entry {number} is not one; nothing was restored")
            yield row
    except sqlite3.Error as error:
        raise MemoryLayerError(f"{path}: not a sound backup: {error}") from None


def _is_entry(key: Any, text: Any, embed: Any, created: Any, updated: Any) -> bool:
    if not (isinstance(key, str) and isinstance(text, str) and embed in {0, 1}):
        return False
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(text)
        return all(isinstance(t, float) and math.isfinite(t) for t in (created, updated))
    return False


def _check_backup(db: sqlite3.Connection, path: Path) -> None:
    if not check(db, path, SCHEMA):
        raise MemoryLayerError(f"{path}: empty, no backup")
    _check_sound(db, path)


def _check_sound(db: sqlite3.Connection, path: Path) -> None:
    (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise MemoryLayerError(f"{path}: not a sound backup: {verdict}")


def _apart(path: str, live: Path) -> Path:
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInput(f"not a path: {path!r}")
    found = Path(path).resolve()
    if found in {live.with_name(live.name + end).resolve() for end in ("", "-wal", "-shm")}:
        raise InvalidInput(f"{found}: that is the memory itself", hint="name another file")
    return found


def _in_use(path: Path) -> bool:
    return path.with_name(f"{path.name}-wal").exists()
