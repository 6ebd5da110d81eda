"""
What does not stay: entries whose time is up, and what is to be forgotten for good.

To forget is to erase: the rows are overwritten where they stood, the words leave the segments of
the index, the vectors and the indexes beside the file go, the log of writes is cut off and the
file written anew.  That last part waits until no other process reads the old pages; that it is due
stands in the file, so that whoever opens it next goes on.  The journal keeps what it said before,
keys and hashes; of what is forgotten it says how many and one hash.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from hashlib import sha256
from secrets import token_hex
from typing import Any, NamedTuple

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer import rows
from dino_os.memory_layer.embedded import Embedded
from dino_os.memory_layer.items import checked_tags
from dino_os.memory_layer.records import EXPIRED
from dino_os.memory_layer.selecting import Chosen, chosen
from dino_os.memory_layer.stored import Change, check_key, check_namespace, fingerprint
from engines import checks
from engines.database import failures

_AT_ONCE = 1_000  # expired entries that one change takes along
_OVER = "SELECT id, ns, key, value FROM entries WHERE expires <= ? LIMIT ?"
_ANY_OVER = (
    "SELECT EXISTS (SELECT 1 FROM entries WHERE expires <= ?1) "
    "OR EXISTS (SELECT 1 FROM versions WHERE expires <= ?1)"
)
_ERASE, _TRUNCATE = "erase", "truncate"
_PAUSE_S = 0.02


class Retention(Embedded):
    """What does not stay."""

    def sweep(self) -> int:
        """Remove what has expired; how many entries."""
        gone = 0
        while not self._read_only and (due := self._read(self._is_over)):
            with self._changing():  # which sweeps
                gone += due
        return gone

    def forget(
        self,
        *,
        key: str | None = None,
        namespace: str | None = None,
        tag: str | None = None,
        query: str | None = None,
        older_than_s: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> int:
        """
        Erase what all that is given holds for, with everything those keys ever were.

        Args:
            query: It has all these words.
            older_than_s: It was last written so long ago.

        Returns:
            How many keys were erased, or had versions that were.

        Raises:
            InvalidInput: Nothing is given, or something is none.
            MemoryLayerError: It is forgotten, but another process still reads the old bytes.
        """
        asked = _Asked(key, namespace, tag, query, older_than_s, where)
        asked.check()
        self._check_writable()
        if not self._is_there():
            return 0
        with self._database.guard, self._errors():
            db = self._opened()
            db.execute("PRAGMA secure_delete=ON")
            db.execute("PRAGMA temp_store=MEMORY")  # what is looked through leaves no file
            with self._changing() as change:
                found = chosen(change.db, change.now, asked)
                self._forget(change, found)
            # Also where nothing was found: what was deleted, or has expired, may lie there still.
            self._erase_all()
        return len(found.keys)

    def to_forget(self, **asked: Any) -> list[tuple[str, str]]:
        """Namespace and key of what `forget` would erase now, in order."""
        wanted = _Asked(**asked)
        wanted.check()
        if not self._is_there():
            return []
        with self._reading() as db:
            db.execute("PRAGMA temp_store=MEMORY")
            return sorted(chosen(db, self.clock(), wanted).keys)

    def _forget(self, change: Change, found: Chosen) -> None:
        db, digest = change.db, sha256()
        entries = versions = 0
        for namespace, key in sorted(found.keys):
            row = db.execute(
                "SELECT id, value FROM entries WHERE ns = ? AND key = ?", (namespace, key)
            )
            number, text = row.fetchone() or (None, "")
            if number is not None and (namespace, key) in found.entries:
                rows.drop(db, number)
                entries += 1
                digest.update(f"{namespace}\t{key}\t{fingerprint(text)['sha256']}\n".encode())
                gone = db.execute("DELETE FROM versions WHERE ns = ? AND key = ?", (namespace, key))
                versions += gone.rowcount
        for number in found.versions:
            versions += db.execute("DELETE FROM versions WHERE n = ?", (number,)).rowcount
        db.execute("INSERT INTO words (words) VALUES ('optimize')")
        db.execute("INSERT INTO due VALUES (?)", [f"{_ERASE} {token_hex(8)}"])
        if found.keys:
            facts = {"keys": len(found.keys), "entries": entries, "versions": versions}
            change.note("memory_forgotten", **facts, sha256=digest.hexdigest())

    def _erase_all(self) -> None:
        """Finish what is due; say so where another process is in the way."""
        if not self._erase(self._opened(), self._timeout_s):
            raise MemoryLayerError(
                f"{self.path}: forgotten, but another process still reads the old bytes",
                hint="they are erased when it is done: `dino memory check --repair`",
            )

    def _erase(self, db: sqlite3.Connection, wait_s: float = 0.0) -> bool:
        """Have nothing in the file that is not in its tables; whether nobody was in the way."""
        self._erase_all_indexes()
        until = time.monotonic() + wait_s
        # SQLite itself does not wait for another that moves the log into the file.
        while not _is_written_anew(db):
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE_S)
        self._erase_all_indexes()  # whoever read the old pages until now may have written one
        return True

    def _erase_all_indexes(self) -> None:
        """Also those of models that are no more, whose end a process did not live to see."""
        from dino_os.memory_layer.vectors.files import wipe_all  # noqa: PLC0415

        self._erase_indexes()
        wipe_all(self.path.parent, f"{self.path.name}.")

    def _finish(self, db: sqlite3.Connection) -> None:
        if _due(db):
            self._erase(db)

    def _is_over(self, db: sqlite3.Connection) -> int:
        return len(db.execute(_OVER, (self.clock(), _AT_ONCE)).fetchall())

    def _sweep(self, change: Change) -> None:
        if not change.db.execute(_ANY_OVER, (change.now,)).fetchone()[0]:
            return
        over = change.db.execute(_OVER, (change.now, _AT_ONCE)).fetchall()
        for number, namespace, key, value in over:
            change.note(EXPIRED, **rows.named(namespace, key), **fingerprint(value))
            rows.drop(change.db, number)
        change.db.execute("DELETE FROM versions WHERE expires <= ?", (change.now,))


def _due(db: sqlite3.Connection, what: str = "") -> list[str]:
    return [one for (one,) in db.execute("SELECT what FROM due WHERE what GLOB ?", [f"{what}*"])]


def _is_written_anew(db: sqlite3.Connection) -> bool:
    """Write the file anew, and empty its log; whether that could be done."""
    try:
        # Only what was due before is done: others may forget something meanwhile.
        if seen := _due(db, _ERASE):
            db.execute("VACUUM")
            moved = [(one.replace(_ERASE, _TRUNCATE), one) for one in seen]
            db.executemany("UPDATE due SET what = ? WHERE what = ?", moved)
        seen = _due(db, _TRUNCATE)
        # (busy, pages in the log, pages moved): the log is emptied only where nobody reads it.
        busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            db.executemany("DELETE FROM due WHERE what = ?", [(one,) for one in seen])
    except failures("OperationalError") as error:
        if "locked" in str(error):
            return False
        raise
    return not busy


class _Asked(NamedTuple):
    """What is to be forgotten: what all that is given holds for."""

    key: str | None = None
    namespace: str | None = None
    tag: str | None = None
    query: str | None = None
    older_than_s: float | None = None
    where: Mapping[str, Any] | None = None

    def check(self) -> None:
        if all(one is None for one in self):
            raise InvalidInput(
                "say what to forget",
                hint="a key, a namespace, a tag, words, an age or a condition; `clear` empties it",
            )
        if self.key is not None:
            check_key(self.key)
        if self.namespace is not None:
            check_namespace(self.namespace)
        if self.tag is not None:
            checked_tags([self.tag])
        if self.query is not None and not isinstance(self.query, str):
            raise InvalidInput(f"a query must be text, found {self.query!r}"[:200])
        if self.older_than_s is not None:
            checks.at_least(self.older_than_s, 0, "older_than_s")
        if self.where is not None and not self.where:
            raise InvalidInput("where: a condition names a field of the metadata")
