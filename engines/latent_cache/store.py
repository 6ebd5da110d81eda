"""
Documents in one SQLite file, with CouchDB's revision trees; what grows old in it, and goes.

Any number of processes and threads share a file.  Every change is durable when the call returns,
and is recorded in the journal by hash and size: see `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from engines.latent_cache.batch import Batch
from engines.latent_cache.errors import Missing
from engines.latent_cache.rows import SEEN, document
from engines.latent_cache.stored import SPLIT_DUE
from engines.latent_cache.tree import GONE
from engines.latent_cache.wire import Draft, check_id, edit
from engines.latent_cache.writing import Writing, edited

_AT_ONCE = 1000
_SWEEP_FEED = (
    "DELETE FROM feed WHERE seq <= (SELECT feed FROM recorded) "
    "AND seq < (SELECT max(seq) FROM feed) AND NOT EXISTS "
    "(SELECT 1 FROM docs WHERE docs.id = feed.id AND docs.seq = feed.seq)"
)
_ATTACHED = (
    "SELECT id, attachments FROM docs "  # noqa: S608
    f"WHERE attachments IS NOT NULL AND NOT deleted AND {SEEN} ORDER BY id"
)
_DUE = (
    "SELECT id, rev FROM docs WHERE expires > 0 AND expires <= ? AND losers = 0 "
    "ORDER BY expires LIMIT ?"
)


class DocumentStore(Writing):
    """
    A store of documents; see `Stored` for its arguments.

        store = DocumentStore("notes.db")
        rev = store.put({"_id": "a", "n": 1})
        store.put({"_id": "a", "_rev": rev, "n": 2})
        store.get("a")["n"]
    """

    def attach(
        self,
        doc_id: str,
        name: str,
        data: bytes,
        content_type: str = "application/octet-stream",
    ) -> str:
        """
        Keep *data* as an attachment of the document, whatever else it holds; the new revision.

        Where there is no such document it is made, and holds nothing else.

        Raises:
            InvalidInput: No attachment can be called that, or be so large (8 MiB).
        """
        told = {"content_type": content_type, "data": data}
        return self._with_attachments(doc_id, lambda known: {**known, name: told})

    def detach(self, doc_id: str, name: str) -> str:
        """
        Take the attachment off the document, which stays; the new revision.

        Raises:
            Missing: There is no such document, or it has no such attachment.
        """

        def without(known: dict[str, Any]) -> dict[str, Any]:
            if name not in known:
                raise Missing(f"{doc_id}/{name}")
            return {one: told for one, told in known.items() if one != name}

        return self._with_attachments(doc_id, without)

    def attached(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The stubs of all attachments, by document and name."""
        with self.reading() as db:
            rows = db.execute(_ATTACHED, [self.clock()]).fetchall()
        return {name: orjson.loads(told) for name, told in rows}

    def _with_attachments(
        self, doc_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> str:
        with self.changing() as batch:
            batch.load([check_id(doc_id)])
            found = batch.docs[doc_id]
            doc: dict[str, Any] = {"_id": doc_id}
            expires = None
            if found.leaves and not (found.leaves[0].deleted or found.is_hidden(batch.now)):
                leaf = found.leaves[0]
                doc, expires = document(doc_id, leaf.rev, leaf, revs=False), leaf.expires
            doc["_attachments"] = change(doc.get("_attachments", {}))
            return edited(batch, edit(doc), expires)

    def expire(self) -> int:
        """
        Sweep what has expired, and is not to be seen any more; how many documents that were.

        Their revisions stay known, so that nothing brings them back that is not newer.
        """
        swept = self._part()
        while self._is_due():
            with self.changing() as batch:
                swept += self._sweep(batch)
        return swept

    def purge(self, doc_id: str) -> bool:
        """
        Forget the document here, its revisions included; whether it was there.

        Nobody else is told: where it is replicated with, it stays, and may come back from.
        """
        with self.changing() as batch:
            batch.load([doc_id])
            found = batch.docs[doc_id]
            if not found.leaves:
                return False
            batch.drop(doc_id)
            batch.note("document_purged", id=doc_id, rev=found.leaves[0].rev)
        return True

    def compact(self, *, forget_s: float | None = None, shrink: bool = True) -> dict[str, int]:
        """
        Give back the room of what is not needed.

        Args:
            forget_s: Also forget deletions, and what has expired, where that was so long ago.  Who
                has not heard of a deletion by then never will, and may bring the document back.
            shrink: Make the file smaller, for which it is written anew and others wait; else what
                is free in it is used again.

        Returns:
            How many documents were `expired` now, and `forgotten`; how many `attachments` nobody
            named any more; and how many `bytes` the file is smaller.
        """
        expired = self.expire()
        with self.changing() as batch:
            forgotten = 0 if forget_s is None else _forget(batch, batch.now - forget_s)
            attachments = _drop_blobs(batch)
            batch.db.execute(_SWEEP_FEED)
        with self.reading() as db:
            before = _size(db)
            if shrink:
                db.execute("VACUUM")
            freed = before - _size(db)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {
            "expired": expired,
            "forgotten": forgotten,
            "attachments": attachments,
            "bytes": freed,
        }

    def _tidy(self) -> None:
        if not self._read_only and self._is_due():
            with self.changing() as batch:
                self._sweep(batch)
        super()._tidy()

    def _part(self) -> int:
        """Sweep what has expired of documents with several leaves; how many have no other."""
        with self.changing() as batch:
            names = [name for (name,) in batch.db.execute(SPLIT_DUE, [batch.now])]
            batch.load(names)
            return sum(self._lapse(batch, name) for name in names)

    def _lapse(self, batch: Batch, name: str) -> int:
        """What has expired of a document gives way to its other leaves; whether all of it has."""
        found = batch.docs[name]
        due = [one for one in found.leaves if one.is_hidden(batch.now) and one.expires != GONE]
        hidden = found.is_hidden(batch.now)
        for leaf in due:
            if self._everywhere:
                edited(batch, Draft.deletion(name, leaf), None)
                continue
            leaves = [one.gone if one is leaf else one for one in found.leaves]
            batch.set(name, leaves, own=found.own)
            batch.note("document_expired", id=name, rev=leaf.rev)
        return hidden

    def _is_due(self) -> bool:
        with self.reading() as db:
            return db.execute(_DUE, [self.clock(), 1]).fetchone() is not None

    def _sweep(self, batch: Batch) -> int:
        rows = batch.db.execute(_DUE, [batch.now, _AT_ONCE]).fetchall()
        if self._everywhere:
            batch.load([name for name, _ in rows])
            return sum(self._lapse(batch, name) for name, _ in rows)
        for name, rev in rows:
            gone = "attachments = NULL, body = NULL"
            batch.db.execute(f"UPDATE docs SET expires = {GONE}, {gone} WHERE id = ?", [name])  # noqa: S608
            batch.note("document_expired", id=name, rev=rev)
        batch.db.execute("UPDATE counts SET live = live - ?", [len(rows)])
        return len(rows)


def _forget(batch: Batch, before: float) -> int:
    query = "SELECT id, rev FROM docs WHERE (deleted OR expires = ?) AND at < ?"
    rows = batch.db.execute(query, [GONE, before]).fetchall()
    batch.load([name for name, _ in rows])
    for name, rev in rows:
        batch.drop(name)
        batch.note("document_forgotten", id=name, rev=rev)
    return len(rows)


def _drop_blobs(batch: Batch) -> int:
    named = set(_digests(batch))
    there = [digest for (digest,) in batch.db.execute("SELECT digest FROM blobs")]
    unnamed = [(digest,) for digest in there if digest not in named]
    batch.db.executemany("DELETE FROM blobs WHERE digest = ?", unnamed)
    return len(unnamed)


def _digests(batch: Batch) -> Iterator[str]:
    for table in ("docs", "losers"):
        query = f"SELECT attachments FROM {table} WHERE attachments IS NOT NULL"  # noqa: S608
        for (told,) in batch.db.execute(query):
            yield from (stub["digest"] for stub in orjson.loads(told).values())


def _size(db: Any) -> int:
    (pages,), (each,) = (db.execute(f"PRAGMA page_{what}").fetchone() for what in ("count", "size"))
    return int(pages * each)
