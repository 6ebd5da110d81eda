"""
The memory store: entries in SQLite, with every change in the journal `memory_log`.

Takes and gives JSON values only.  The order of a change is the design:

    journal's lock → BEGIN IMMEDIATE → what an earlier crash left is recorded → rows → event,
    durable → the row that names the event → COMMIT, durable → unlock

The event comes first, from within the transaction.  A crash between the two leaves an event whose
change is not there: the row names the last event whose change is, so the next writer finds it out
and records `changes_not_kept`.  The other order would leave a change that no record speaks of, and
nobody could ever tell.  Events hold a value's SHA-256 and size, never the value.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.json_value import to_text
from dino_os.memory_layer import backups
from dino_os.memory_layer.database import SCHEMA
from dino_os.memory_layer.words import terms, text_of
from engines import checks
from engines.database import Database
from engines.journal import Journal, Position

KEY_LIMIT = 1024
VALUE_LIMIT = 4 * 2**20
_CHANGES = {"memory_added", "memory_deleted", "memory_cleared", "memory_restored"}
_ONE_TERM = "SELECT rowid AS id, rank FROM words WHERE words MATCH ?"
_Keys: TypeAlias = list[str]  # where `list` is the method
_Found: TypeAlias = list[dict[str, Any]]


class MemoryStore:
    """
    The memory in *path*.

    Args:
        journal: `memory_log`; its lock is the writers'.
        read_only: Refuse every change.
        clock: Seconds since the epoch.
    """

    # What a sandboxed skill may ask for; the others name files with the parent's rights.
    CALLS: ClassVar = frozenset({"add", "get", "delete", "list", "search", "get_all", "clear"})

    def __init__(
        self,
        path: Path,
        journal: Journal,
        *,
        read_only: bool = False,
        timeout_s: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._journal = journal
        self._read_only = read_only
        self._clock = clock
        self._database = Database(path, SCHEMA, timeout_s)

    # --- changes -----------------------------------------------------------------------------

    def add(self, key: str, value: Any, embed: bool = True) -> None:  # noqa: FBT001, FBT002
        _check_key(key)
        text = to_text(value, f"the value of {key!r}", VALUE_LIMIT)
        now = self._clock()
        with self._changing() as db:
            replaced = _value_of(db, key) is not None
            _put(db, key, text, embed=embed, created=now, updated=now)
            self._record(db, "memory_added", key=key, **_fingerprint(text), replaced=replaced)

    def delete(self, key: str) -> bool:
        _check_key(key)
        if self._read(lambda db: _value_of(db, key)) is None:
            return False
        with self._changing() as db:
            text = _value_of(db, key)
            if text is None:  # another was faster
                return False
            where = "(SELECT id FROM entries WHERE key = ?)"
            db.execute(f"DELETE FROM words WHERE rowid = {where}", [key])  # noqa: S608
            db.execute("DELETE FROM entries WHERE key = ?", [key])
            self._record(db, "memory_deleted", key=key, **_fingerprint(text))
            return True

    def clear(self) -> int:
        if not self._read(_count):
            return 0
        with self._changing() as db:
            count = _count(db)
            _empty(db)
            self._record(db, "memory_cleared", entries=count)
            return count

    def restore(self, path: str) -> int:
        source = backups.checked(path, self.path)
        digest = sha256()
        with self._changing() as db, contextlib.closing(source):
            _empty(db)
            for key, found, embed, created, updated in backups.rows(source, path):
                _check_key(key)
                text = to_text(json.loads(found), f"the value of {key!r}", VALUE_LIMIT)
                _put(db, key, text, embed=embed, created=created, updated=updated)
                digest.update(f"{json.dumps(key)}\t{_fingerprint(text)['sha256']}\n".encode())
            count = _count(db)
            self._record(db, "memory_restored", entries=count, sha256=digest.hexdigest())
            return count

    # --- queries -----------------------------------------------------------------------------

    def get(self, key: str) -> Any:
        _check_key(key)
        text = self._read(lambda db: _value_of(db, key))
        return None if text is None else json.loads(text)

    def list(self) -> _Keys:
        rows = self._read(lambda db: db.execute("SELECT key FROM entries ORDER BY key").fetchall())
        return [key for (key,) in rows or ()]

    def get_all(self) -> dict[str, Any]:
        query = "SELECT key, value FROM entries ORDER BY key"
        rows = self._read(lambda db: db.execute(query).fetchall())
        return {key: json.loads(text) for key, text in rows or ()}

    def search(self, query: str, top_k: int = 5) -> _Found:
        if not isinstance(query, str):
            raise InvalidInput(f"a query must be text, found {query!r}")
        checks.at_least(top_k, 0, "top_k")
        most = min(checks.whole(top_k, "top_k"), 2**31)
        wanted = terms(query)
        if not wanted:
            return []
        # A term scores 1 where it is found; among equals the rarer and denser comes first (BM25).
        each = " UNION ALL ".join([_ONE_TERM] * len(wanted))
        sql = (
            "SELECT key, value, created, COUNT(*) FROM "  # noqa: S608  made of constants only
            f"({each}) JOIN entries USING (id) GROUP BY id ORDER BY 4 DESC, SUM(rank), key LIMIT ?"
        )
        rows = self._read(lambda db: db.execute(sql, [*wanted, most]).fetchall())
        return [
            {
                "key": key,
                "value": json.loads(text),
                "score": hits / len(wanted),
                "created": checks.time_text(created),
            }
            for key, text, created, hits in rows or ()
        ]

    def backup(self, path: str) -> None:
        target = backups.place(path, self.path)
        with self._database.guard, self._errors():
            if self._read_only and not self._is_there():
                raise MemoryLayerError(f"{self.path}: there is nothing to back up")
            backups.write(self._database.reading(), target)

    # --- below the face ----------------------------------------------------------------------

    def _read(self, query: Callable[[sqlite3.Connection], Any]) -> Any:
        """What *query* finds, or None where there is no file."""
        with self._database.guard, self._errors():
            return query(self._database.reading()) if self._is_there() else None

    def _is_there(self) -> bool:
        return self._database.connection is not None or self.path.exists()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        if self._read_only:
            raise MemoryLayerError(f"{self.path}: a rehearsal changes nothing")
        with (
            self._database.guard,
            self._journal.locked(),
            self._errors(),
            self._database.writing() as db,
        ):
            self._account_for_the_past(db)
            yield db

    def _record(self, db: sqlite3.Connection, event_type: str, **payload: Any) -> None:
        """Journal the change that stands in the open transaction, and note there that it is."""
        self._journal.append(event_type, payload)
        end = self._journal.end
        place = [end.seq, end.parent_hash, end.offset]
        db.execute("UPDATE recorded SET seq = ?, hash = ?, offset = ?", place)

    def _account_for_the_past(self, db: sqlite3.Connection) -> None:
        """Record where the entries and the journal differ: after a crash, or a file put back."""
        place = Position(*db.execute("SELECT seq, hash, offset FROM recorded").fetchone())
        if place == self._journal.end:
            return
        begin = self._journal.begin()
        if place.seq < begin.seq:  # pruned
            place = begin
        elif not self._journal.holds(place):
            self._record(db, "memory_of_another_journal", entries=_count(db))
            return
        lost: list[int] = []
        for events, _ in self._journal.read(place):
            for event in events:
                if event["event_type"] == "changes_not_kept":
                    lost.clear()  # known, by a writer who then did not get to its own change
                elif event["event_type"] in _CHANGES:
                    lost.append(event["seq"])
        if lost:
            self._record(
                db,
                "changes_not_kept",
                first_seq=lost[0],
                last_seq=lost[-1],
                changes=len(lost),
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise MemoryLayerError(f"{self.path}: {error}", hint=_hint(str(error))) from None


def _hint(error: str) -> str | None:
    if "locked" in error:
        return "another process is writing; try again"
    if "malformed" in error or "not a database" in error:
        return "move the file away, and restore a backup"
    return "make room, then try again" if "full" in error else None


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not key:
        raise InvalidInput(f"a key must be text, and not empty, found {key!r}"[:200])
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the key {key!r} holds half a surrogate pair"[:200]) from None
    if size > KEY_LIMIT:
        raise InvalidInput(f"the key {key[:40]!r}… is larger than {KEY_LIMIT:,} bytes")


def _fingerprint(text: str) -> dict[str, Any]:
    raw = text.encode()
    return {"sha256": sha256(raw).hexdigest(), "size_bytes": len(raw)}


# --- rows ----------------------------------------------------------------------------------------


def _value_of(db: sqlite3.Connection, key: str) -> str | None:
    row = db.execute("SELECT value FROM entries WHERE key = ?", [key]).fetchone()
    return row[0] if row else None


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM entries").fetchone()[0])


def _empty(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM words")
    db.execute("DELETE FROM entries")


def _put(
    db: sqlite3.Connection, key: str, text: str, *, embed: bool, created: float, updated: float
) -> None:
    db.execute(
        "INSERT INTO entries (key, value, embed, created, updated) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (key) DO UPDATE SET "
        "value = excluded.value, embed = excluded.embed, updated = excluded.updated",
        [key, text, bool(embed), created, updated],
    )
    (number,) = db.execute("SELECT id FROM entries WHERE key = ?", [key]).fetchone()
    db.execute("DELETE FROM words WHERE rowid = ?", [number])
    body = text_of(json.loads(text))
    db.execute("INSERT INTO words (rowid, key, body) VALUES (?, ?, ?)", [number, key, body])
