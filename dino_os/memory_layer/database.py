"""
The one way into a memory's SQLite file: opened on first use, made or migrated, never forked.

Owns the connection, the schema and the check of a file that claims to be one of ours; what is
written when is the store's.  A live file is touched by nothing but SQLite: to open and close it
otherwise would drop the locks that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from weakref import WeakSet

from dino_os.errors import MemoryLayerError
from engines.durable import make_folder, sync_data, sync_folder

_APPLICATION = 0x44494E4F  # "DINO": what tells our files from every other's


def _first_tables(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "
        "value TEXT NOT NULL, embed INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL)"
    )
    # An index of `entries`: rowid is its id.
    db.execute(
        "CREATE VIRTUAL TABLE words USING fts5(key, body, tokenize='unicode61 remove_diacritics 2')"
    )
    # A word in the key says more than one in the value.
    db.execute("INSERT INTO words (words, rank) VALUES ('rank', 'bm25(2.0, 1.0)')")
    # Behind which line of the journal the entries stand.
    db.execute("CREATE TABLE recorded (seq INTEGER, hash TEXT, offset INTEGER)")
    db.execute("INSERT INTO recorded VALUES (0, NULL, 0)")


# Only ever added to; `user_version` counts those that a file has been through.
_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first_tables,)
FORMAT = len(_MIGRATIONS)


class Database:
    """
    This process's connection to the file at *path*.

    Args:
        making: Held by whoever makes or migrates the file, across processes.
        timeout_s: How long to wait for another writer.
    """

    def __init__(
        self,
        path: Path,
        making: Callable[[], contextlib.AbstractContextManager[None]],
        timeout_s: float,
    ) -> None:
        self.path = path
        self.guard = threading.RLock()  # threads take turns
        self._making = making
        self._timeout_s = timeout_s
        self._db: sqlite3.Connection | None = None
        _databases.add(self)

    def reading(self, *, make: bool = False) -> sqlite3.Connection | None:
        """
        The connection, or None where there is no file and none is to be made.  Under `guard`.

        Raises:
            MemoryLayerError: The file is not ours, or newer than this program.
        """
        if self._db is None and make and not self.path.exists():
            make_folder(self.path.parent)
            with self._making():
                self._make()
        if self._db is None and self.path.exists():
            with _closed_on_error(connect(self.path, "rw", self._timeout_s)) as db:
                self._make_current(db)
            self._db = db
        return self._db

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside; whole or absent.  Under `guard`."""
        db = self.reading(make=True)
        if db is None:
            raise RuntimeError("a file that was to be made is not there")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # a full disk ends some by itself
                db.execute("ROLLBACK")
            raise

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter is going down
            self.close()

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _make(self) -> None:
        """Make the file; whoever looks sees none, or all of it."""
        # Made in its place, others could meet it half done, and would hold up the change to WAL,
        # for which SQLite needs the file alone.
        if self.path.exists():  # another was faster
            return
        draft = draft_of(self.path)
        with contextlib.closing(connect(draft, "rwc")) as db:
            _migrate(db, 0)
        with moved_by_hand(draft):
            os.link(draft, self.path)
        sync_folder(self.path.parent)

    def _make_current(self, db: sqlite3.Connection) -> None:
        if check_ours(db, self.path) < FORMAT:
            with self._making():
                _migrate(db, check_ours(db, self.path))


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Take a file of that format to ours."""
    if version == 0:
        db.execute("PRAGMA journal_mode=WAL")
    db.execute("BEGIN IMMEDIATE")
    for step in _MIGRATIONS[version:]:
        step(db)
    db.execute(f"PRAGMA application_id={_APPLICATION}")
    db.execute(f"PRAGMA user_version={FORMAT}")  # with the change that it stands for
    db.execute("COMMIT")


def draft_of(path: Path) -> Path:
    """Where to write what will be *path*; nothing is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    for ending in ("", "-wal", "-shm"):  # of a process that had our number and died
        draft.with_name(draft.name + ending).unlink(missing_ok=True)
    return draft


@contextlib.contextmanager
def moved_by_hand(draft: Path) -> Iterator[None]:
    """Sync a file that SQLite has let go of, to be given its name here; the draft is gone after."""
    try:
        fd = os.open(draft, os.O_RDONLY)
        try:
            sync_data(fd)
        finally:
            os.close(fd)
        yield
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield db
    except BaseException:
        db.close()
        raise


def connect(path: Path, mode: str, timeout_s: float = 5.0) -> sqlite3.Connection:
    """A connection to *path*: mode ro, rw, or rwc, which makes the file."""
    db = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,  # transactions begin where we say
        check_same_thread=False,  # `guard` sees to it
    )
    db.execute("PRAGMA synchronous=FULL")  # acknowledged means durable
    db.execute("PRAGMA trusted_schema=OFF")  # a file from elsewhere runs nothing of its own
    return db


def check_ours(db: sqlite3.Connection, path: Path) -> int:
    """
    The format of a memory, 0 where the file is still empty.

    Raises:
        MemoryLayerError: It is something else's, or a newer Dino's.
    """
    # One statement, and so of one moment, even while another process makes the file.
    application, version, tables = db.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), "
        "(SELECT user_version FROM pragma_user_version), (SELECT COUNT(*) FROM sqlite_master)"
    ).fetchone()
    if application != _APPLICATION and (application or version or tables):
        raise MemoryLayerError(
            f"{path}: a database, but no memory of Dino's", hint="name another file"
        )
    if version > FORMAT:
        raise MemoryLayerError(
            f"{path}: made by a newer Dino (format {version}; this one reads up to {FORMAT})",
            hint="use that version, or restore a backup made with this one",
        )
    return int(version)


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
        with contextlib.suppress(sqlite3.Error):
            database.close()


def _after_fork() -> None:
    while _held:
        _held.pop().guard.release()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
