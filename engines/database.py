"""
The one way into an SQLite file of Dino's: opened on first use, made or migrated, never forked.

Owns the connection and the check of a file that claims to be one of ours; what is written when is
the store's.  A live file is touched by nothing but SQLite: to open and close it otherwise would
drop the locks that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4
from weakref import WeakSet

from engines.durable import make_folder, sync_data, sync_folder
from engines.errors import DinoError

Connector: TypeAlias = Callable[..., sqlite3.Connection]
"""Opens a file as `sqlite3.connect` does, which is one; another may do so with a key."""


@dataclass(frozen=True, slots=True)
class Schema:
    """
    What tells one kind of file from every other.

    Attributes:
        what: In words, as in "a database, but no WHAT of Dino's".
        application: SQLite's `application_id`.
        migrations: Only ever added to; `user_version` counts those that a file has been through.
        error: What is raised where a file is something else.
        page_bytes: Of a new file; SQLite's own choice where that is None.
    """

    what: str
    application: int
    migrations: tuple[Callable[[sqlite3.Connection], None], ...]
    error: type[DinoError]
    page_bytes: int | None = None

    @property
    def format(self) -> int:
        return len(self.migrations)


class Database:
    """
    This process's connection to the file at *path*.

    Args:
        timeout_s: How long to wait for another writer.
        make: Whether to make the file where there is none; else there is an empty one in memory.
        connector: What opens the file; `failures` knows its errors where `also_fails` was told.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        timeout_s: float,
        *,
        make: bool = True,
        connector: Connector = sqlite3.connect,
    ) -> None:
        self.path = path
        self.guard = threading.RLock()  # threads take turns
        self._schema = schema
        self._timeout_s = timeout_s
        self._makes = make
        self._connector = connector
        self.connection: sqlite3.Connection | None = None  # where it is open
        _databases.add(self)

    def reading(self) -> sqlite3.Connection:
        """
        The connection; the file is made where there is none.  Under `guard`.

        Raises:
            DinoError: The file is not ours, or newer than this program.
        """
        return self.connection or self._open()

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction of this process's connection.  Under `guard`."""
        return transaction(self.reading())

    def another(self) -> sqlite3.Connection:
        """A connection of the caller's own to the file, which is there; it only reads."""
        return self._connect(self.path, "ro")

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter is going down
            self.close()

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            if not self._makes:
                return self._open_empty()
            make_folder(self.path.parent)
            self._make()
        db = self._connect(self.path, "rw")
        try:
            if check(db, self.path, self._schema) < self._schema.format:
                self._migrate(db)
        except BaseException:
            db.close()
            raise
        self.connection = db
        return db

    def _open_empty(self) -> sqlite3.Connection:
        db = self._connector(":memory:", isolation_level=None, check_same_thread=False)
        self._migrate(db)
        self.connection = db
        return db

    def _make(self) -> None:
        """Make the file; whoever looks sees none, or all of it."""
        # Made in its place, others could meet it half done, and would hold up the change to WAL,
        # for which SQLite needs the file alone.
        draft = self.path.with_name(f".{self.path.name}.{uuid4().hex}.tmp")
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))  # nobody else's to read
        try:
            with contextlib.closing(self._connect(draft, "rw")) as db:
                if self._schema.page_bytes:
                    db.execute(f"PRAGMA page_size={self._schema.page_bytes}")
                db.execute("PRAGMA journal_mode=WAL")
                self._migrate(db)
            sync_file(draft)
            with contextlib.suppress(FileExistsError):  # another was faster
                os.link(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        return connect(path, mode, self._timeout_s, self._connector)

    def _migrate(self, db: sqlite3.Connection) -> None:
        """Take a file to our format."""
        db.execute("BEGIN IMMEDIATE")
        for step in self._schema.migrations[check(db, self.path, self._schema) :]:
            step(db)
        db.execute(f"PRAGMA application_id={self._schema.application}")
        db.execute(f"PRAGMA user_version={self._schema.format}")  # with what it stands for
        db.execute("COMMIT")


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A transaction that nobody else writes beside; whole or absent."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # a full disk ends some by itself
            db.execute("ROLLBACK")


@contextlib.contextmanager
def without_waiting(db: sqlite3.Connection) -> Iterator[None]:
    """Let what another process holds up fail at once, as "database is locked"."""
    (wait_ms,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute("PRAGMA busy_timeout=0")
    try:
        yield
    finally:
        db.execute(f"PRAGMA busy_timeout={wait_ms}")


def check(db: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """
    The format of the file at *path*, 0 where it is still empty.

    Raises:
        DinoError: It is something else's, or a newer Dino's.
    """
    # One statement, and so of one moment, even while another process makes the file.
    application, version, tables = db.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), "
        "(SELECT user_version FROM pragma_user_version), (SELECT COUNT(*) FROM sqlite_master)"
    ).fetchone()
    if application != schema.application and (application or version or tables):
        raise schema.error(
            f"{path}: a database, but no {schema.what} of Dino's", hint="name another file"
        )
    if version > schema.format:
        raise schema.error(
            f"{path}: made by a newer Dino "
            f"(format {version}; this one reads up to {schema.format})",
            hint="use that version, or a backup made with this one",
        )
    return int(version)


def connect(
    path: Path, mode: str, timeout_s: float = 5.0, connector: Connector = sqlite3.connect
) -> sqlite3.Connection:
    """A connection to *path*: mode ro or rw."""
    db = connector(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,  # transactions begin where we say
        check_same_thread=False,  # `guard` sees to it
    )
    try:
        db.execute("PRAGMA wal_autocheckpoint=4000")  # pages: what is written often is moved seldom
        db.execute("PRAGMA synchronous=FULL")  # acknowledged means durable
        db.execute("PRAGMA secure_delete=FAST")  # what is deleted is overwritten where that is free
        db.execute("PRAGMA trusted_schema=OFF")  # a file from elsewhere runs nothing of its own
    except BaseException:
        db.close()
        raise
    return db


_libraries: list[Any] = [sqlite3]


def also_fails(library: Any) -> None:
    """Have `failures` know those of *library*, a module with the interface of `sqlite3`."""
    if library not in _libraries:
        _libraries.append(library)


def failures(
    kind: str = "Error", also: tuple[type[Exception], ...] = ()
) -> tuple[type[Exception], ...]:
    """
    The errors of that *kind*, as SQLite's module names them, of every build of it in use; and more.

    Python asks for them when something was raised: `except failures() as error`.
    """
    return *(getattr(library, kind) for library in _libraries), *also


def sync_file(path: Path) -> None:
    """Sync a file that SQLite has let go of: it does not sync what it vacuums into."""
    fd = os.open(path, os.O_RDONLY)
    try:
        sync_data(fd)
    finally:
        os.close(fd)


# --- forks ---------------------------------------------------------------------------------------
# A connection must not be carried across a fork, nor may the child close it: the parent closes it
# before and opens it again when it is needed.

_databases: WeakSet[Database] = WeakSet()
_held: list[Database] = []
_forking = threading.Lock()


def _before_fork() -> None:
    _forking.acquire()
    for database in list(_databases):
        database.guard.acquire()
        _held.append(database)
        with contextlib.suppress(*failures()):
            database.close()


def _after_fork() -> None:
    while _held:
        _held.pop().guard.release()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
