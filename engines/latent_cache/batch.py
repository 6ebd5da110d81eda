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
from typing import Any

import orjson

from engines.errors import InvalidInput
from engines.latent_cache.errors import MissingStub
from engines.latent_cache.tree import Leaf, rank
from engines.latent_cache.wire import Attachment, stub_of

GONE = -1.0  # expired, and the body has gone
_AT_ONCE = 500  # parameters that every SQLite takes
_LEAF = "path, attachments, body"
_FIND = f"SELECT id, rev, deleted, own, losers, expires, {_LEAF} FROM docs WHERE id IN "  # noqa: S608
_LOSERS = f"SELECT id, pos, hash, deleted, {_LEAF} FROM losers WHERE id IN "  # noqa: S608
_PUT = "INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_LOSER = "INSERT INTO losers VALUES (?, ?, ?, ?, ?, ?, ?)"
Entry = tuple[str, dict[str, Any]]
"""An event of the journal that a change is: type and payload."""


@dataclass(slots=True)
class Found:
    """
    A document as the transaction sees it.

    Attributes:
        leaves: Winner first; none where there is no such document.
        expires: When it does; None is never.
        own: Whether it was edited here last.
        was: What it counted as before: "live", "dead", or neither.
        losers: How many rows of losing leaves there were.
    """

    leaves: list[Leaf]
    expires: float | None
    own: bool
    was: str
    losers: int
    changed: bool = False

    def is_hidden(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    @property
    def counts_as(self) -> str:
        if not self.leaves or self.expires == GONE:
            return ""
        return "dead" if self.leaves[0].deleted else "live"


class Batch:
    """
    What one transaction changes.

    Args:
        now: When it happens.
        limit: How many revisions of a path are kept.
    """

    def __init__(self, db: sqlite3.Connection, now: float, limit: int) -> None:
        self.db = db
        self.now = now
        self.limit = limit
        self.entries: list[Entry] = []
        self.docs: dict[str, Found] = {}
        self._blobs: dict[str, bytes] = {}
        self.seq, self._live, self._dead = db.execute(
            "SELECT seq, live, dead FROM counts"
        ).fetchone()
        self._first_seq = self.seq

    def load(self, ids: Collection[str]) -> None:
        """Look *ids* up, those that are not known yet."""
        wanted = [name for name in ids if name not in self.docs]
        split: dict[str, Found] = {}
        for name, rev, deleted, own, losers, expires, *rest in select(self.db, _FIND, wanted):
            pos, _, hash_ = rev.partition("-")
            leaf = Leaf(int(pos), hash_, rest[0], bool(deleted), rest[1], rest[2])
            found = self.docs[name] = Found([leaf], expires, bool(own), "", losers)
            found.was = found.counts_as
            if losers:
                split[name] = found
        for name, pos, hash_, deleted, *rest in select(self.db, _LOSERS, list(split)):
            split[name].leaves.append(Leaf(pos, hash_, rest[0], bool(deleted), rest[1], rest[2]))
        for found in split.values():
            found.leaves.sort(key=rank, reverse=True)
        for name in wanted:
            if name not in self.docs:
                self.docs[name] = Found([], None, False, "", 0)  # noqa: FBT003

    def set(self, name: str, leaves: list[Leaf], expires: float | None, *, own: bool) -> None:
        """*name* has these leaves now, winner first."""
        found = self.docs[name]
        found.own = own
        # A leaf whose body has gone is known, and not to be seen.
        found.expires = GONE if leaves[0].body is None else expires
        found.leaves, found.changed = leaves, True

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
        self.entries.append((event_type, payload))

    def note_leaf(self, name: str, leaf: Leaf) -> None:
        body = leaf.body or b""
        raw = body if isinstance(body, bytes) else body.encode()
        # In full, not through `note`: of thousands in a batch each has one.
        self.entries.append(
            (
                "document_deleted" if leaf.deleted else "document_written",
                {
                    "id": name,
                    "rev": f"{leaf.pos}-{leaf.hash}",
                    "sha256": sha256(raw).hexdigest(),
                    "size_bytes": len(raw),
                },
            )
        )

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
            if found and (stub.digest in {"", found["digest"]} or stub.revpos == found["revpos"]):
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
        self._write_losers(changed)
        self.db.executemany(_PUT, self._rows(changed))
        if self._blobs:
            rows = [(d, sha256(data).digest(), data) for d, data in self._blobs.items()]
            self.db.executemany("INSERT INTO blobs VALUES (?, ?, ?)", rows)
        if self.seq != self._first_seq:
            self.db.execute(
                "UPDATE counts SET seq = ?, live = ?, dead = ?", (self.seq, self._live, self._dead)
            )

    def _rows(self, changed: Sequence[tuple[str, Found]]) -> Iterator[tuple[Any, ...]]:
        for name, found in changed:
            self.seq += 1
            now = found.counts_as
            if now != found.was:
                self._live += (now == "live") - (found.was == "live")
                self._dead += (now == "dead") - (found.was == "dead")
            pos, hash_, path, deleted, attachments, body = found.leaves[0]
            losers = len(found.leaves) - 1
            yield (
                *(self.seq, name, f"{pos}-{hash_}", deleted, found.own, losers, found.expires),
                *(self.now, path, attachments, body),
            )

    def _write_losers(self, changed: Sequence[tuple[str, Found]]) -> None:
        for name, found in changed:
            if found.losers:
                self.db.execute("DELETE FROM losers WHERE id = ?", [name])
            for leaf in found.leaves[1:]:
                pos, hash_, path, deleted, attachments, body = leaf
                row = (name, pos, hash_, deleted, path, attachments, body)
                self.db.execute(_PUT_LOSER, row)


def select(db: sqlite3.Connection, query: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of *query*, which ends in IN, for all *ids*."""
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        yield from db.execute(f"{query}({','.join('?' * len(some))})", some)
