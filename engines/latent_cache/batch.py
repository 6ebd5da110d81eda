"""
A transaction's changes: documents looked up together, changed in memory, written together.

However many documents there are, it takes a few statements.  Within one transaction a document
gets one new place in the feed of changes, whatever became of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import getrandbits
from typing import Any

import orjson

from engines.errors import InvalidInput
from engines.latent_cache.errors import MissingStub
from engines.latent_cache.tree import GONE, Body, Leaf, ranked
from engines.latent_cache.wire import Attachment, stub_of
from engines.records import Entry

_AT_ONCE = 500  # parameters that every SQLite takes
_LEAF = "path, deleted, attachments, body, expires"
_FIND = f"SELECT id, seq, rev, own, losers, {_LEAF} FROM docs WHERE id IN "  # noqa: S608
_LOSERS = f"SELECT id, pos, hash, {_LEAF} FROM losers WHERE id IN "  # noqa: S608
_COLUMNS = (
    *("seq", "rev", "deleted", "own", "losers", "expires"),
    *("at", "path", "attachments", "body"),
)
_PUT = (
    f"INSERT INTO docs (id, {', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}"
)
_FEED = "INSERT INTO feed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PENDING = "INSERT INTO pending (behind, token, at, entries) VALUES (?, ?, ?, ?)"
LAST_SEQ = "SELECT coalesce(max(seq), 0) FROM feed"
_PUT_LOSER = f"INSERT INTO losers (id, pos, hash, {_LEAF}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
Fact = tuple[str, bool, bytes, int]
"""Of a leaf: its revision, whether it is a deletion, SHA-256 and size of its body."""
WRITTEN, DELETED = "document_written", "document_deleted"
_NOTHING = (None, None, None, None)


@dataclass(slots=True)
class Found:
    """
    A document as the transaction sees it.

    Attributes:
        leaves: Winner first; none where there is no such document.
        own: Whether it was edited here last.
        was: What it counted as before: "live", "dead", or neither.
        losers: How many rows of losing leaves there were.
        seq: Where it stood in the feed of changes; None where there was none.
        told: What the journal will say of it: see `fact`.
    """

    leaves: list[Leaf]
    own: bool
    was: str
    losers: int
    seq: int | None
    told: Fact | None = None
    changed: bool = False

    def is_hidden(self, now: float) -> bool:
        """Whether all of it has expired."""
        return self.leaves[0].is_hidden(now)

    @property
    def counts_as(self) -> str:
        if not self.leaves or self.leaves[0].expires == GONE:
            return ""
        return "dead" if self.leaves[0].deleted else "live"


class Batch:
    """
    What one transaction changes.

    Args:
        now: When it happens.
        limit: How many revisions of a path are kept.
        records: Whether there is a journal to be told.
    """

    def __init__(self, db: sqlite3.Connection, now: float, limit: int, *, records: bool) -> None:
        self.db = db
        self.now = now
        self.limit = limit
        self.docs: dict[str, Found] = {}
        self.changes = 0  # of documents, and others
        self._records = records
        self._entries: list[Entry] = []
        self._blobs: dict[str, bytes] = {}

    def load(self, ids: Collection[str]) -> None:
        """Look *ids* up, those that are not known yet."""
        wanted = [name for name in ids if name not in self.docs]
        split: dict[str, Found] = {}
        for row in select(self.db, _FIND, wanted):
            name, seq, rev, own, losers, path, deleted, *rest = row
            pos, _, hash_ = rev.partition("-")
            leaf = Leaf(int(pos), hash_, path, bool(deleted), *rest)
            found = self.docs[name] = Found([leaf], bool(own), "", losers, seq)
            found.was = found.counts_as
            if losers:
                split[name] = found
        for name, pos, hash_, path, deleted, *rest in select(self.db, _LOSERS, list(split)):
            split[name].leaves.append(Leaf(pos, hash_, path, bool(deleted), *rest))
        for found in split.values():
            found.leaves = ranked(found.leaves, self.now)
        for name in wanted:
            if name not in self.docs:
                self.docs[name] = Found([], False, "", 0, None)  # noqa: FBT003

    def is_synced(self, seq: int | None) -> bool:
        """Whether what was done up to that place in the feed of changes is known elsewhere."""
        (synced,) = self.db.execute("SELECT synced_seq FROM counts").fetchone()
        return seq is not None and synced is not None and seq <= synced

    def set(self, name: str, leaves: list[Leaf], *, own: bool) -> None:
        """*name* has these leaves now."""
        found = self.docs[name]
        found.own = own
        found.leaves, found.changed = ranked(leaves, self.now), True

    def drop(self, name: str) -> None:
        """Have no such document any more, without a place in the feed of changes."""
        was = self.docs.pop(name).was
        self.db.execute("DELETE FROM docs WHERE id = ?", [name])
        self.db.execute("DELETE FROM losers WHERE id = ?", [name])
        kind = {"live": "live", "dead": "dead"}.get(was)
        if kind:
            self.db.execute(f"UPDATE counts SET {kind} = {kind} - 1")  # noqa: S608  of our own

    def note(self, event_type: str, **payload: Any) -> None:
        """Have the journal say so."""
        self._entries.append((event_type, payload))

    def note_leaf(self, name: str, leaf: Leaf) -> None:
        """Have the journal say that *name* has this leaf, with the change itself."""
        found, told = self.docs[name], fact(f"{leaf.pos}-{leaf.hash}", leaf.body, leaf.deleted)
        if found.told is not None:  # of several in a transaction the feed has one
            self._entries.append(event_of(name, *found.told))
        found.told = told

    # --- attachments -------------------------------------------------------------------------

    def attach(
        self, name: str, given: Sequence[Attachment], pos: int, known: Sequence[Leaf]
    ) -> dict[str, dict[str, Any]]:
        """
        The stubs for what a document brings with its revision *pos*; new bytes are kept.

        Args:
            known: Leaves that may have what comes as a stub.

        Raises:
            MissingStub: A stub names what is not here.
        """
        stubs: dict[str, dict[str, Any]] = {}
        for one in given:
            if one.data is not None:
                self._keep_blob(one)
                stubs[one.name] = stub_of(one, pos)
            else:
                stubs[one.name] = self._known_stub(name, one, pos, known)
        return stubs

    def _known_stub(
        self, doc_id: str, stub: Attachment, pos: int, known: Sequence[Leaf]
    ) -> dict[str, Any]:
        for leaf in known:
            found = orjson.loads(leaf.attachments).get(stub.name) if leaf.attachments else None
            if found and _names(stub, found):
                return dict(found)
        query = "SELECT length(data) FROM blobs WHERE digest = ?"
        row = self.db.execute(query, [stub.digest]).fetchone()
        if row is None and stub.digest not in self._blobs:
            raise MissingStub(f"{doc_id!r}: attachment {stub.name!r}: its bytes are not here")
        length = row[0] if row else len(self._blobs[stub.digest])
        return stub_of(stub._replace(length=length), pos)

    def _keep_blob(self, attachment: Attachment) -> None:
        digest, data = attachment.digest, attachment.data or b""
        kept = self._blobs.get(digest)
        if kept is None:
            query = "SELECT sha256 FROM blobs WHERE digest = ?"
            row = self.db.execute(query, [digest]).fetchone()
            same = row is None or row[0] == sha256(data).digest()
        else:
            row, same = None, kept == data
        if not same:  # MD5 is the protocol's choice, and can be made to collide
            raise InvalidInput(
                f"attachment {attachment.name!r}: other bytes are here with its digest {digest}"
            )
        if row is None:
            self._blobs[digest] = data

    # --- writing -----------------------------------------------------------------------------

    def flush(self) -> None:
        """Write all of it."""
        changed = [(name, found) for name, found in self.docs.items() if found.changed]
        token = getrandbits(63) if self._records else None
        seq = 0
        if changed or self._entries:
            (seq,) = self.db.execute(LAST_SEQ).fetchone()
        if changed:
            self._write_losers(changed)
            self.db.executemany(_PUT, self._rows(changed, seq))
            self.db.executemany(_FEED, self._feed(changed, seq, token))
            self._count(changed)
        if self._blobs:
            rows = [(d, sha256(data).digest(), data) for d, data in self._blobs.items()]
            self.db.executemany("INSERT INTO blobs VALUES (?, ?, ?)", rows)
        if self._entries and self._records:
            row = (seq + len(changed), token, self.now, orjson.dumps(self._entries))
            self.db.execute(_PENDING, row)
        self.changes = len(changed) + len(self._entries)

    def _rows(self, changed: Sequence[tuple[str, Found]], seq: int) -> Iterator[tuple[Any, ...]]:
        for name, found in changed:
            seq += 1
            pos, hash_, path, deleted, attachments, body, expires = found.leaves[0]
            losers = len(found.leaves) - 1
            yield (
                *(name, seq, f"{pos}-{hash_}", deleted, found.own, losers, expires),
                *(self.now, path, attachments, body),
            )

    def _feed(
        self, changed: Sequence[tuple[str, Found]], seq: int, token: int | None
    ) -> Iterator[tuple[Any, ...]]:
        for name, found in changed:
            seq += 1
            told = (found.told or _NOTHING) if self._records else _NOTHING
            yield seq, name, found.seq, token, self.now, *told

    def _count(self, changed: Sequence[tuple[str, Found]]) -> None:
        live = dead = 0
        for _, found in changed:
            now, was = found.counts_as, found.was
            if now != was:
                live += (now == "live") - (was == "live")
                dead += (now == "dead") - (was == "dead")
        if live or dead:
            self.db.execute("UPDATE counts SET live = live + ?, dead = dead + ?", (live, dead))

    def _write_losers(self, changed: Sequence[tuple[str, Found]]) -> None:
        for name, found in changed:
            if found.losers:
                self.db.execute("DELETE FROM losers WHERE id = ?", [name])
            for leaf in found.leaves[1:]:
                self.db.execute(_PUT_LOSER, (name, *leaf))


def _names(stub: Attachment, found: dict[str, Any]) -> bool:
    """Whether *stub* is the attachment *found*; other leaves may have others with its place."""
    if stub.digest:
        return bool(stub.digest == found["digest"])
    return stub.revpos in {None, found["revpos"]}


def fact(rev: str, body: Body, deleted: bool) -> Fact:  # noqa: FBT001  a column
    raw = body if isinstance(body, bytes) else (body or "").encode()
    return rev, deleted, sha256(raw).digest(), len(raw)


def event_of(name: str, rev: str, deleted: bool, digest: bytes, size: int) -> Entry:  # noqa: FBT001
    """The event of the journal that such a fact is."""
    told = {"id": name, "rev": rev, "sha256": digest.hex(), "size_bytes": size}
    return DELETED if deleted else WRITTEN, told


def select(db: sqlite3.Connection, query: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of *query*, which ends in IN, for all *ids*."""
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        yield from db.execute(f"{query}({','.join('?' * len(some))})", some)
