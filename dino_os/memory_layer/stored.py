"""
What every part of a memory stands on: the file, its clock, its transactions, their record.

A change and what the journal will say of it are one transaction, durable with one sync; the lines
move into `memory_log` many at a time (`engines.records`).  Lines hold hashes and sizes, no values.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, TypeAlias

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer.encrypted import NOT_A_DATABASE, Encrypted, FindKey, explained
from dino_os.memory_layer.records import Records, note
from dino_os.memory_layer.schema import SCHEMA
from dino_os.memory_layer.vector_rows import Model, all_models
from engines.database import Database, failures, without_waiting
from engines.errors import JournalError
from engines.journal import Journal
from engines.records import Entry, close_at_exit

Embedder: TypeAlias = Any  # of `embedding`, which is imported where it is used
KEY_LIMIT = 1024
VALUE_LIMIT = 64 * 2**20
LIVE = "(expires IS NULL OR expires > :now)"
"""What of `entries` and `versions` is there at :now."""


class Change:
    """
    A transaction that changes a memory.

    Attributes:
        now: When it happens.
    """

    __slots__ = ("_lines", "_models", "db", "now")

    def __init__(self, db: sqlite3.Connection, now: float) -> None:
        self.db = db
        self.now = now
        self._lines: list[Entry] = []
        self._models: list[Model] | None = None

    def models(self, *, anew: bool = False) -> list[Model]:
        """Those whose vectors there are, or are to be."""
        if self._models is None or anew:
            self._models = all_models(self.db)
        return self._models

    def note(self, event_type: str, **facts: Any) -> None:
        """Have the journal say so."""
        self._lines.append((event_type, facts))

    def flush(self) -> int:
        """Write down what the journal will say; how many lines."""
        if self._lines:
            note(self.db, self.now, self._lines)
        return len(self._lines)


class Stored:
    """
    The memory in *path*.

    Args:
        journal: `memory_log`, where every change is recorded.
        read_only: Refuse every change.
        clock: Seconds since the epoch.
        versions: How many earlier versions of a key are kept.
        embedder: Makes the embedding model of that name, or the one that is configured; None where
            there is none.
        approximate: Whether large indexes of vectors may be so.
        clean: What may be kept of a JSON value; None keeps everything.
        key: Finds the key by which the file is encrypted; None where it is not.
    """

    def __init__(
        self,
        path: Path,
        journal: Journal,
        *,
        read_only: bool = False,
        timeout_s: float = 30.0,
        clock: Callable[[], float] = time.time,
        versions: int = 20,
        embedder: Callable[[str | None], Embedder | None] | None = None,
        approximate: bool = False,
        clean: Callable[[Any], Any] | None = None,
        key: FindKey | None = None,
    ) -> None:
        self.path = path
        self.clock = clock
        self._read_only = read_only
        self._timeout_s = timeout_s
        self._versions_kept = versions
        self._embedders = embedder
        self._approximate = approximate
        self._clean = clean
        self._encrypted = Encrypted(path, key) if key else None
        self._connector = self._encrypted.connect if self._encrypted else sqlite3.connect
        self._database = Database(path, SCHEMA, timeout_s, connector=self._connector)
        self._records = Records(self._database, journal)
        self._tidying = False
        close_at_exit(self)

    def settle(self) -> int:
        """
        Move the record of all changes into the journal, for whoever is about to read it.

        Raises:
            JournalError: It cannot be written, or does not stand.
        """
        if self._read_only or not self.path.exists():
            return 0
        with self._errors():
            return self._records.settle()

    def close(self) -> None:
        """Settle, and let go of the file; it opens again when it is used."""
        # Where there is no file, somebody has removed it.
        if self._database.connection and not self._read_only and self.path.exists():
            with contextlib.suppress(JournalError, MemoryLayerError):  # moved at the next open
                self.settle()
        with self._database.guard:  # below a thread that reads it would take the process along
            self._database.close()

    def begin_anew(self) -> None:
        """In a child after a fork: share no lock with the parent."""
        self._records.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- for the parts of this package -------------------------------------------------------

    def _read(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        """What *query* finds, or None where there is no file."""
        with self._database.guard, self._errors():
            return query(self._opened()) if self._is_there() else None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything in it is of one moment."""
        with self._database.guard, self._errors():
            db = self._opened()
            if db.in_transaction:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Change]:
        """One transaction, all of it or none, with its record; durable on leaving."""
        self._check_writable()
        with self._database.guard, self._errors():
            self._opened()
            with self._database.writing() as db:
                change = Change(db, round(self.clock(), 6))  # as exact as a time written as text
                self._sweep(change)
                yield change
                lines = change.flush()
            self._records.added(lines)
        self._tidy()

    def _check_writable(self) -> None:
        if self._read_only:
            raise MemoryLayerError(f"{self.path}: a rehearsal changes nothing")

    def _is_there(self) -> bool:
        return self._database.connection is not None or self.path.exists()

    def _opened(self) -> sqlite3.Connection:
        """The connection; what a process that died left to be done is done first."""
        db = self._database.connection
        if db is None:
            with explained(self._encrypted, self.path):
                db = self._database.reading()
            if not self._read_only:
                # Whoever only reads can do without: what cannot be done at once is done later.
                with without_waiting(db):
                    with contextlib.suppress(JournalError, *failures("OperationalError")):
                        self._records.settle()
                    with contextlib.suppress(MemoryLayerError, *failures("OperationalError")):
                        self._finish(db)
        return db

    def _sweep(self, change: Change) -> None:
        """Remove what has expired."""

    def _ready_for_vectors(self) -> None:
        """Have the model there whose vectors entries are about to bring along."""

    def _finish(self, db: sqlite3.Connection) -> None:
        """Do to the file what was still due when it was last closed."""

    def _tidy(self) -> None:
        """What is done now and then, behind a change that stands whatever becomes of this."""
        if self._records.due and not self._tidying:
            self._tidying = True
            try:
                with contextlib.suppress(JournalError):
                    self._records.settle()
            finally:
                self._tidying = False

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except failures(also=(OSError,)) as error:
            raise MemoryLayerError(f"{self.path}: {error}", hint=_hint(str(error))) from None
        except UnicodeDecodeError:  # what SQLite quotes of a damaged file is no text
            raise MemoryLayerError(f"{self.path}: malformed", hint=_hint("malformed")) from None


def loaded(text: str) -> Any:
    """
    A value as it was stored.

    Raises:
        MemoryLayerError: It is not what was stored.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise MemoryLayerError(
            "a value is not JSON any more: the file was damaged",
            hint="`dino memory check` says more",
        ) from None


def fingerprint(text: str) -> dict[str, Any]:
    """What the journal says of a value."""
    raw = text.encode()
    return {"sha256": sha256(raw).hexdigest(), "size_bytes": len(raw)}


def check_key(key: object, what: str = "key") -> None:
    """
    Refuse what is no key.

    Raises:
        InvalidInput: It is not text, empty, or too large.
    """
    if not isinstance(key, str) or not key:
        raise InvalidInput(f"a {what} must be text, and not empty, found {key!r}"[:200])
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the {what} {key!r} holds half a surrogate pair"[:200]) from None
    if size > KEY_LIMIT:
        raise InvalidInput(f"the {what} {key[:40]!r}… is larger than {KEY_LIMIT:,} bytes")


def check_namespace(namespace: object) -> None:
    """
    Refuse what is no namespace; the default one is empty.

    Raises:
        InvalidInput: It is not text, or too large.
    """
    if namespace != "":
        check_key(namespace, "namespace")


def _hint(error: str) -> str | None:
    if "locked" in error:
        return "another process is writing; try again"
    if "malformed" in error or NOT_A_DATABASE in error:
        return "move the file away, and restore a backup"
    return "make room, then try again" if "full" in error else None
