"""Looking into a document store; nothing here changes it."""

from __future__ import annotations

import sqlite3
import time
from base64 import b64encode
from contextlib import suppress
from functools import cached_property
from typing import Any

import orjson

from engines.latent_cache.batch import LAST_SEQ, select
from engines.latent_cache.errors import Missing
from engines.latent_cache.revision import parse
from engines.latent_cache.rows import LOST, SEEN, bare, document, grouped
from engines.latent_cache.stored import FAILURES, Stored
from engines.latent_cache.tree import Leaf
from engines.latent_cache.wire import from_json

_POLL_S = 0.02  # other processes tell us nothing
_ONE = "SELECT rev, deleted, losers, path, attachments, body, expires FROM docs WHERE id = ?"
_BODY = "SELECT body, deleted, expires, losers FROM docs WHERE id = ?"


class Reading(Stored):
    """What can be asked of a store."""

    @cached_property
    def uuid(self) -> str:
        """Made with the file: what tells this store from every other."""
        with self.reading() as db:
            return str(db.execute("SELECT uuid FROM counts").fetchone()[0])

    def info(self) -> dict[str, int]:
        """How many documents there are, how many were deleted, and the place of the last change."""
        with self.reading() as db:
            (seq,) = db.execute(LAST_SEQ).fetchone()
            live, dead = db.execute("SELECT live, dead FROM counts").fetchone()
            # Their time is up, and nobody has swept yet.
            query = "SELECT COUNT(*) FROM docs WHERE expires > 0 AND expires <= ? AND NOT deleted"
            (hidden,) = db.execute(query, [self.clock()]).fetchone()
        return {"doc_count": live - hidden, "doc_del_count": dead, "update_seq": seq}

    def get(
        self,
        doc_id: str,
        *,
        rev: str | None = None,
        attachments: bool = False,
        conflicts: bool = False,
        revs: bool = False,
    ) -> dict[str, Any]:
        """
        The document, as its winner or *rev* has it.

        Args:
            attachments: With their bytes, as base64; else as stubs.
            conflicts: With `_conflicts`, the other leaves that are no deletions.
            revs: With `_revisions`, what led to it.

        Raises:
            Missing: There is none; or of a revision that was replaced, its name alone.
        """
        with self.reading() as db:
            leaves = self.seen_leaves(db, doc_id, alone=rev is None and not conflicts)
            if rev is None:
                if not leaves or leaves[0].deleted:
                    raise Missing(doc_id, deleted=bool(leaves))
                leaf = leaves[0]
            else:
                leaf = _find(leaves, doc_id, rev)
            doc = self.shown(db, doc_id, leaf, revs=revs, attachments=attachments)
        others = [one.rev for one in leaves if one is not leaf and not one.deleted]
        if conflicts and others:
            doc["_conflicts"] = others
        return doc

    def members(self, doc_id: str) -> Any:
        """What the document holds, without its id and revision; None where there is none."""
        # Whoever looks one value up does so often, and pays for nothing else.
        try:
            with self._guard:
                db = self._database.connection or self._open()
                row = db.execute(_BODY, (doc_id,)).fetchone()
        except FAILURES as error:
            raise self._failure(error) from None
        if row is None or row[1]:
            return None
        if row[2] is not None and row[2] <= self.clock():
            # Another leaf may take its place.
            return self._other_members(doc_id) if row[3] and row[2] > 0 else None
        return orjson.loads(row[0]) if type(row[0]) is bytes else from_json(row[0])

    def _other_members(self, doc_id: str) -> Any:
        with suppress(Missing):
            doc = self.get(doc_id)
            return {name: value for name, value in doc.items() if name[:1] != "_"}
        return None

    def leaves(self, doc_id: str) -> list[tuple[str, bool]]:
        """Every leaf and whether it is a deletion, winner first."""
        with self.reading() as db:
            return [(leaf.rev, leaf.deleted) for leaf in self.seen_leaves(db, doc_id)]

    def all_docs(
        self,
        *,
        start: str | None = None,
        end: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        descending: bool = False,
        include_docs: bool = False,
    ) -> list[dict[str, Any]]:
        """
        The documents by id, in the order of their bytes, from *start* to *end*, both included.

        With *descending* it begins at the other end: *start* is then the higher one.
        """
        low, high = (end, start) if descending else (start, end)
        conditions = [f"NOT deleted AND {SEEN}"]
        given: list[Any] = [self.clock()]
        for value, condition in ((low, "id >= ?"), (high, "id <= ?")):
            if value is not None:
                conditions.append(condition)
                given.append(value)
        if prefix:
            conditions.append("id >= ?")
            given.append(prefix)
            if behind := _behind(prefix):
                conditions.append("id < ?")
                given.append(behind)
        columns = "id, rev, deleted, path, attachments, body" if include_docs else "id, rev"
        query = (
            f"SELECT {columns} FROM docs WHERE {' AND '.join(conditions)} "  # noqa: S608
            f"ORDER BY id {'DESC' if descending else ''} LIMIT ?"
        )
        with self.reading() as db:
            rows = db.execute(query, [*given, -1 if limit is None else limit]).fetchall()
        return [_row(*row) for row in rows]

    def attachment(self, digest: str) -> bytes:
        """
        The bytes of an attachment.

        Raises:
            Missing: They are not here.
        """
        with self.reading() as db:
            row = db.execute("SELECT data FROM blobs WHERE digest = ?", [digest]).fetchone()
        if row is None:
            raise Missing(digest)
        return bytes(row[0])

    def has_attachment(self, digest: str) -> bool:
        """Whether a document may name it by its digest alone."""
        with self.reading() as db:
            row = db.execute("SELECT 1 FROM blobs WHERE digest = ?", [digest]).fetchone()
        return row is not None

    def get_local(self, local_id: str) -> dict[str, Any] | None:
        """The local document of that id, which is not replicated; its `_rev` is `0-N`."""
        name = local_name(local_id)
        with self.reading() as db:
            row = db.execute("SELECT rev, body FROM locals WHERE id = ?", [name]).fetchone()
        if row is None:
            return None
        return {"_id": f"_local/{name}", "_rev": f"0-{row[0]}", **from_json(row[1])}

    def conflicts(self) -> list[str]:
        """The documents with more than one leaf that is no deletion."""
        query = (
            "SELECT DISTINCT id FROM losers JOIN docs USING (id) "
            "WHERE NOT losers.deleted AND losers.body IS NOT NULL "
            "AND (docs.expires IS NULL OR docs.expires > ?) ORDER BY id"
        )
        with self.reading() as db:
            return [name for (name,) in db.execute(query, [self.clock()])]

    def add_looks(self, hits: int, misses: int) -> None:
        """Count looks at values; a power cut may lose some, which is the price of their cost."""
        if self._read_only:
            return
        with self.reading() as db:
            db.execute("PRAGMA synchronous=NORMAL")  # never OFF: others' changes lie in that file
            try:
                counted = "UPDATE counts SET hits = hits + ?, misses = misses + ?"
                db.execute(counted, (hits, misses))
            finally:
                db.execute("PRAGMA synchronous=FULL")

    def wait(self, since: int, timeout_s: float) -> bool:
        """Wait until there is a change behind *since*, whoever made it; False where none came."""
        until = time.monotonic() + timeout_s
        while True:
            with self.reading() as db:
                if db.execute(LAST_SEQ).fetchone()[0] > since:
                    return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                self._followers += 1
                try:
                    self._changed.wait(min(left, _POLL_S))
                finally:
                    self._followers -= 1

    # --- for the parts of this package ---------------------------------------------------------

    def seen_leaves(
        self, db: sqlite3.Connection, doc_id: str, *, alone: bool = False
    ) -> list[Leaf]:
        """Those of a document that can be seen, winner first; with *alone* only that."""
        row = db.execute(_ONE, [doc_id]).fetchone()
        if row is None or (row[6] is not None and row[6] <= self.clock()):
            return []
        rev, deleted, losers, *rest, _ = row
        pos, _, hash_ = rev.partition("-")
        winner = Leaf(int(pos), hash_, rest[0], bool(deleted), rest[1], rest[2])
        if alone or not losers:
            return [winner]
        return [winner, *grouped(select(db, LOST, [doc_id])).get(doc_id, ())]

    def shown(
        self,
        db: sqlite3.Connection,
        doc_id: str,
        leaf: Leaf,
        *,
        revs: bool,
        attachments: bool,
        since: int = 0,
    ) -> dict[str, Any]:
        """The document, with the bytes of attachments that came behind position *since*."""
        doc = document(doc_id, leaf.rev, leaf, revs=revs)
        for stub in doc.get("_attachments", {}).values() if attachments else ():
            if stub["revpos"] > since:
                query = "SELECT data FROM blobs WHERE digest = ?"
                (data,) = db.execute(query, [stub["digest"]]).fetchone()
                del stub["stub"], stub["length"]
                stub["data"] = b64encode(data).decode()
        return doc


def _find(leaves: list[Leaf], doc_id: str, rev: str) -> Leaf:
    found = parse(rev)
    for leaf in leaves:
        if (leaf.pos, leaf.hash) == found:
            return leaf
    raise Missing(doc_id, rev=rev)


def _row(doc_id: str, rev: str, *rest: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": doc_id, "key": doc_id, "value": {"rev": rev}}
    if rest:
        leaf = bare(rev, rest[1])._replace(attachments=rest[2], body=rest[3])
        row["doc"] = document(doc_id, rev, leaf, revs=False)
    return row


def _behind(prefix: str) -> str | None:
    """The first text behind all that begin with *prefix*, in the order of their bytes."""
    for at in reversed(range(len(prefix))):
        code = ord(prefix[at]) + 1
        if code <= 0x10FFFF:  # noqa: PLR2004  Unicode's last
            code = 0xE000 if 0xD800 <= code < 0xE000 else code  # noqa: PLR2004  surrogates
            return prefix[:at] + chr(code)
    return None


def local_name(local_id: str) -> str:
    """The id of a local document without the prefix that it has on the wire."""
    return local_id.removeprefix("_local/")
