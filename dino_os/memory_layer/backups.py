"""Backups of a memory: one file each, whole or absent, and never believed before it is checked."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer.encrypted import NOT_A_DATABASE
from dino_os.memory_layer.retention import Retention
from dino_os.memory_layer.schema import SCHEMA
from dino_os.memory_layer.taking import take
from dino_os.memory_layer.vector_rows import wipe_files
from engines.database import Connector, check, connect, failures, sync_file
from engines.durable import sync_folder
from engines.errors import JournalError

_OF_AN_ENCRYPTED_ONE = "that of an encrypted memory is restored where memory.encrypted is true"
_OF_ANOTHER_KEY = "that of an encrypted memory needs the key it was made with, in the vault"


class Backups(Retention):
    """The memory as one file, and back."""

    def backup(self, path: str) -> None:
        target = place(path, self.path, self._connectors)
        with self._database.guard, self._errors():
            if self._read_only:
                if not self._is_there():
                    raise MemoryLayerError(f"{self.path}: there is nothing to back up")
            else:
                self._opened()
                self.sweep()
                with contextlib.suppress(JournalError):  # it is told from the other file, too
                    self.settle()
            write(self._opened(), target, self._connector)

    def restore(self, path: str) -> int:
        self._check_writable()
        source, version = self._checked(path)
        digest, replaced = sha256(), self._models()
        with contextlib.closing(source), self._changing() as change, _faults(path):
            for name in take(change.db, source, version, path):
                digest.update(name.encode())
            (count,) = change.db.execute("SELECT COUNT(*) FROM entries").fetchone()
            change.note("memory_restored", entries=count, sha256=digest.hexdigest())
        self._erase_indexes(replaced)  # those that came have numbers of their own
        if self._encrypted:  # files of what was here before it was encrypted
            wipe_files(self.path)
        return int(count)

    @property
    def _connectors(self) -> Sequence[Connector]:
        """How a backup may be opened: as this memory, and, where that is encrypted, without."""
        if self._encrypted is None:
            return [self._connector]
        return [self._encrypted.connect_plain, self._encrypted.connect]

    def _checked(self, path: str) -> tuple[sqlite3.Connection, int]:
        *others, last = self._connectors
        for connector in others:
            with contextlib.suppress(NotReadable):
                return checked(path, self.path, connector)
        try:
            return checked(path, self.path, last)
        except NotReadable as error:
            hint = _OF_ANOTHER_KEY if self._encrypted else _OF_AN_ENCRYPTED_ONE
            raise MemoryLayerError(error.message, hint=hint) from None


class NotReadable(MemoryLayerError):
    """What should be a backup is no database at all, or an encrypted one."""


def place(path: str, live: Path, connectors: Sequence[Connector]) -> Path:
    """
    Where a backup of the memory at *live* may be written.

    Raises:
        InvalidInput: There is something that is no backup, or no folder.
    """
    target = apart(path, live)
    if not target.parent.is_dir():
        raise InvalidInput(f"{target.parent}: no such folder")
    if not target.exists():
        return target
    if _in_use(target) or not any(_is_backup(target, connector) for connector in connectors):
        raise InvalidInput(f"{target}: there is something else already", hint="name a new file")
    return target


def write(db: sqlite3.Connection, target: Path, connector: Connector) -> None:
    """Copy what *db* holds now to *target*, which has all of it or is as it was."""
    draft = draft_of(target)
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))  # nobody else's to read
        db.execute("VACUUM INTO ?", [os.fspath(draft)])
        with contextlib.closing(connect(draft, "ro", connector=connector)) as copy:
            _check_sound(copy, draft)
        sync_file(draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(target.parent)


def checked(path: str, live: Path, connector: Connector) -> tuple[sqlite3.Connection, int]:
    """
    The backup at *path*, sound and of a format that is known, as it is at this moment.

    Raises:
        InvalidInput: There is none, or it is the memory at *live* itself.
        MemoryLayerError: It is no backup, or not sound.
        NotReadable: It is not to be read in this way.
    """
    source = apart(path, live)
    if not source.is_file():
        raise InvalidInput(f"{source}: no such file")
    with contextlib.ExitStack() as on_error, _faults(source):
        db = connect(source, "ro", connector=connector)
        on_error.callback(db.close)
        db.execute("BEGIN")  # what is checked is what is read
        version = check(db, source, SCHEMA)
        if not version:
            raise MemoryLayerError(f"{source}: empty, no backup")
        _check_sound(db, source)
        on_error.pop_all()
        return db, version


def apart(path: str, live: Path) -> Path:
    """
    A file that is not the memory's own.

    Raises:
        InvalidInput: It is, or no path.
    """
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidInput(f"not a path: {path!r}")
    found = Path(path).resolve()
    if found in {live.with_name(live.name + end).resolve() for end in ("", "-wal", "-shm")}:
        raise InvalidInput(f"{found}: that is the memory itself", hint="name another file")
    return found


def draft_of(path: Path) -> Path:
    """Where to write what will be *path*; nothing is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for ending in ("", "-wal", "-shm"):  # of a process that had our number and died
        draft.with_name(draft.name + ending).unlink(missing_ok=True)
    return draft


def _check_sound(db: sqlite3.Connection, path: Path) -> None:
    (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise MemoryLayerError(f"{path}: not a sound backup: {verdict}")


@contextlib.contextmanager
def _faults(path: Any) -> Iterator[None]:
    try:
        yield
    except failures() as error:
        if "full" in str(error) or "locked" in str(error):  # that is the memory's own
            raise
        kind = NotReadable if NOT_A_DATABASE in str(error) else MemoryLayerError
        raise kind(f"{path}: not a sound backup: {error}") from None


def _is_backup(path: Path, connector: Connector) -> bool:
    try:
        with contextlib.closing(connect(path, "ro", connector=connector)) as db:
            return check(db, path, SCHEMA) > 0
    except failures(also=(MemoryLayerError,)):
        return False


def _in_use(path: Path) -> bool:
    return path.with_name(f"{path.name}-wal").exists()
