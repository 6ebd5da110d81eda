"""
The graph as SQLite holds it: an index of `provenance_log`, which can be deleted.

Everything in it comes from lines of the journal that are still there, in one transaction with the
place up to which they were read; what does not stand, or stands for another journal, is made anew.
Nodes are numbered, and edges lie with their effect, so that going upstream reads one page after the
other; an index over causes serves the way down.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.database import Database, Schema, failures, transaction
from engines.errors import DinoError
from engines.journal import Event, Journal, Position, VolatileJournal
from engines.provenance.model import FORMS, Edge, Kind, Node, Relation, edges_of, nodes_of

KINDS = tuple(Kind)
RELATIONS = tuple(Relation)
_NUMBER = {relation: number for number, relation in enumerate(RELATIONS)}
_KIND = {kind: number for number, kind in enumerate(KINDS)}
NOBODY = 0
"""In place of an end that was left out."""
_SAID_BY_IDS = ("rule", "run", "id")
_KNOWN = 100_000  # identifiers whose numbers are remembered while lines are read

_NODES = """
CREATE TABLE node (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    declared TEXT NOT NULL,   -- JSON: kind → attributes, of each kind that it was declared to be
    seq INTEGER NOT NULL      -- the line that spoke of it last
)
"""
_EDGES = """
CREATE TABLE edge (
    effect INTEGER NOT NULL,
    relation INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    way TEXT NOT NULL,        -- what tells it from others between the same two
    more TEXT NOT NULL,       -- JSON: attributes
    seq INTEGER NOT NULL,
    PRIMARY KEY (effect, relation, cause, way)
) WITHOUT ROWID
"""
_PUT_NODE = """
INSERT INTO node (id, kind, declared, seq) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq
RETURNING n
"""
_PUT_EDGE = """
INSERT INTO edge VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET more = excluded.more, seq = excluded.seq
"""


class IndexBroken(DinoError):
    """The file in the place of the index is something else's."""


class IndexUnavailable(DinoError):
    """The index cannot be read now: another process holds it, or the disk takes nothing."""

    exit_code = 4


def _make(db: sqlite3.Connection) -> None:
    db.execute(_NODES)
    db.execute(_EDGES)
    db.execute("CREATE INDEX edge_by_cause ON edge (cause, relation, effect)")
    db.execute("CREATE TABLE namespace (prefix TEXT PRIMARY KEY, uri TEXT NOT NULL, seq INTEGER)")
    db.execute("CREATE TABLE place (seq INTEGER, hash TEXT, offset INTEGER, first INTEGER)")


_SCHEMA = Schema("graph of provenance", 0x44504F56, (_make,), IndexBroken)


class Index:
    """
    The index in *path*; None holds it in memory, as where nothing can be written.

    Args:
        timeout_s: How long to wait for another process that catches up.
    """

    def __init__(self, path: Path | None, timeout_s: float = 30.0) -> None:
        self._path = path = path if path and _is_writable(path.parent) else None
        # What is not there is empty, in memory.
        self._database = Database(
            path or Path("no such file") / "at all", _SCHEMA, timeout_s, make=path is not None
        )
        self._numbers: dict[str, int] = {}
        self._version = -1  # of the file, as SQLite counts what other connections change

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for whoever only reads."""
        with self._database.guard:
            yield self._database.reading()

    def catch_up(self, journal: Journal | VolatileJournal) -> None:
        """
        Read what the journal says that the index does not know yet.

        Raises:
            JournalBroken: A line does not stand; the index has those before it.
            IndexUnavailable: Another process holds it too long, or the disk is full.
        """
        with self._database.guard:
            try:
                self._catch_up(journal)
            except failures("OperationalError") as error:  # nothing is wrong with the file
                raise IndexUnavailable(
                    f"{self._path or 'the index in memory'}: {error}",
                    hint="it is only an index: where it stays so, it can be deleted",
                ) from error
            except failures("DatabaseError"):
                if self._path is None:
                    raise
                self._make_anew()
                self._catch_up(journal)

    def take(self, events: Iterable[Event]) -> None:
        """Put in what *events* say, of a journal that cannot be read."""
        with self._database.guard, self._database.writing() as db:
            self._put(db, events)

    def close(self) -> None:
        self._database.close()

    # --- below the face ----------------------------------------------------------------------

    def _catch_up(self, journal: Journal | VolatileJournal) -> None:
        db = self._database.reading()
        db.execute("PRAGMA synchronous=NORMAL")  # the journal is the truth
        begin, place = journal.begin(), _place(db)
        if place and (place[1] != begin.seq or not journal.holds(place[0])):
            with transaction(db):
                self._empty(db)
            place = None
        if place is None:
            self._numbers.clear()
        at = place[0] if place else begin
        for events, behind in journal.read(at):
            with transaction(db):
                now = _place(db)
                if now != place:  # another process was faster
                    break
                self._heed_others(db)
                self._put(db, events)
                db.execute("DELETE FROM place")
                row = (behind.seq, behind.parent_hash, behind.offset, begin.seq)
                db.execute("INSERT INTO place VALUES (?, ?, ?, ?)", row)
            place = behind, begin.seq
        else:
            return
        self._catch_up(journal)

    def _heed_others(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._version:  # they may have made it anew, with other numbers
            self._numbers.clear()
            self._version = version

    def _make_anew(self) -> None:
        self._database.close()
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)

    def _empty(self, db: sqlite3.Connection) -> None:
        self._numbers.clear()
        for table in ("edge", "node", "namespace", "place"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608  names of ours

    def _put(self, db: sqlite3.Connection, events: Iterable[Event]) -> None:
        edges: list[tuple[Any, ...]] = []
        try:
            for event in events:
                seq = event["seq"]
                for node in nodes_of(event.get("nodes", ())):
                    self._declare(db, node, seq)
                said = edges_of(event.get("edges", ()))
                edges += [self._row(db, edge, seq) for edge in said]
                for prefix, uri in event.get("namespaces", {}).items():
                    row = prefix, uri, seq
                    db.execute("INSERT OR REPLACE INTO namespace VALUES (?, ?, ?)", row)
            db.executemany(_PUT_EDGE, edges)
        except BaseException:
            self._numbers.clear()  # numbers of a transaction that is undone
            raise

    def _declare(self, db: sqlite3.Connection, node: Node, seq: int) -> None:
        number = self._number(db, node.id, node.kind, seq)
        (declared,) = db.execute("SELECT declared FROM node WHERE n = ?", [number]).fetchone()
        known: dict[str, dict[str, Any]] = json.loads(declared)
        known[node.kind] = {**known.get(node.kind, {}), **node.attributes}
        kind = _KIND[Kind(next(iter(known)))]
        row = kind, _text(known), seq, number
        db.execute("UPDATE node SET kind = ?, declared = ?, seq = ? WHERE n = ?", row)

    def _row(self, db: sqlite3.Connection, edge: Edge, seq: int) -> tuple[Any, ...]:
        form = FORMS[edge.relation]
        ends = (edge.effect, form.effect_kind), (edge.cause, form.cause_kind)
        effect, cause = (
            self._number(db, id_, kind or Kind.ENTITY, seq) if id_ is not None else NOBODY
            for id_, kind in ends
        )
        for name, kind in form.rest:
            if kind and name not in {"prov:generation", "prov:usage"} and name in edge.attributes:
                self._number(db, edge.attributes[name], kind, seq)
        more = edge.attributes
        way = "\x1f".join(str(more.get(name, "")) for name in _SAID_BY_IDS) if more else ""
        text = _text(more) if more else "{}"
        return effect, _NUMBER[edge.relation], cause, way.strip("\x1f"), text, seq

    def _number(self, db: sqlite3.Connection, id_: str, kind: Kind, seq: int) -> int:
        if (found := self._numbers.get(id_)) is not None:
            return found
        if len(self._numbers) >= _KNOWN:
            self._numbers.clear()
        (number,) = db.execute(_PUT_NODE, (id_, _KIND[kind], "{}", seq)).fetchone()
        self._numbers[id_] = number
        return int(number)


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in *folder*, which is made where it is not there."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), folder)
    return os.access(there, os.W_OK)


def _place(db: sqlite3.Connection) -> tuple[Position, int] | None:
    """Behind which line the index goes on, and the first line that it has."""
    row = db.execute("SELECT seq, hash, offset, first FROM place").fetchone()
    return (Position(*row[:3]), row[3]) if row else None


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
