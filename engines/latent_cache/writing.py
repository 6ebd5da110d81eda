"""Changing a document store: edits made here, and revisions that come from elsewhere."""

from __future__ import annotations

import marshal
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from engines import checks
from engines.errors import DinoError, InvalidInput
from engines.latent_cache.answering import Answering
from engines.latent_cache.batch import Batch, Found
from engines.latent_cache.errors import CacheError, Conflict, Missing, MissingStub, TooLarge
from engines.latent_cache.reading import local_name
from engines.latent_cache.revision import body_term, new_hash
from engines.latent_cache.single import Setting, hash_of_set, replace
from engines.latent_cache.stored import FAILURES
from engines.latent_cache.tree import Leaf, follow, merge, pack
from engines.latent_cache.wire import (
    Draft,
    check_id,
    edit,
    raw_digest,
    revision,
    to_json,
)

_NO_LOCALS: Mapping[str, Mapping[str, Any]] = {}


class Writing(Answering):
    """What can be done to a store.  Whatever it is, it is durable when the call returns."""

    def put(self, doc: Mapping[str, Any], *, ttl_s: float | None = None) -> str:
        """
        Write an edit of *doc*, whose `_rev` is the leaf that it edits; the new revision.

        Where the document was deleted or has expired no `_rev` is needed: it goes on from there.

        Args:
            ttl_s: After so many seconds it is not to be seen any more; None is never.

        Raises:
            Conflict: There is another leaf than the one named.
            InvalidInput: It is no document.
        """
        (found,) = self.put_many([doc], ttl_s=ttl_s)
        if isinstance(found, DinoError):
            raise found
        return found

    def put_many(
        self, docs: Sequence[Mapping[str, Any]], *, ttl_s: float | None = None
    ) -> list[str | DinoError]:
        """As `put`, for all in one transaction: for each its new revision, or why there is none."""
        expires = self._expiry(ttl_s)
        drafts = [_or_error(edit, doc) for doc in docs]
        with self.changing() as batch:
            batch.load(_ids(drafts))
            return [
                draft if isinstance(draft, DinoError) else _or_error(edited, batch, draft, expires)
                for draft in drafts
            ]

    def set(self, doc_id: str, members: Mapping[str, Any], *, ttl_s: float | None = None) -> str:
        """As `put`, whatever the document is now: it goes on from its winner."""
        expires = self._expiry(ttl_s)
        for name in members:
            if name[:1] == "_":
                break
        else:
            if rev := self._set_alone(doc_id, members, expires):
                return rev
        draft = edit({**members, "_id": doc_id})
        with self.changing() as batch:
            batch.load([doc_id])
            before = ""
            if leaves := batch.docs[doc_id].leaves:
                draft = draft._replace(pos=leaves[0].pos, ids=[leaves[0].hash])
                before = leaves[0].rev
            raw = draft.body.encode() if isinstance(draft.body, str) else draft.body or b""
            named = hash_of_set(before, sha256(raw).digest())
            return edited(batch, draft, expires, named)

    def _set_alone(
        self, doc_id: str, members: Mapping[str, Any], expires: float | None
    ) -> str | None:
        """As `set`, where the document has no other leaves; else None."""
        own = dict(members)
        text = to_json(own, doc_id)
        raw = bytearray(text if isinstance(text, bytes) else (text or "").encode())
        if b"null" in raw or not _is_plain(own):
            body_term(own)  # says what is no JSON; a null may stand for what is no number
        new = Setting(
            check_id(doc_id),
            text if isinstance(text, str) else raw,
            bytearray(sha256(raw).digest()),
            len(raw),
            expires,
            self.clock(),
            self.revs_limit,
            self._records.kept,
        )
        with self._guard:
            try:
                db = self._lately.cursor(self.opened())
                now = replace(db, new, self._lately.get(doc_id))
            except FAILURES as error:
                raise self._failure(error) from None
            if now:
                self._lately.keep(doc_id, now)
                self._records.added(1)
        if now is None:
            return None
        self.changed_something()
        return now.rev

    def discard(self, doc_id: str) -> str:
        """
        Delete the document, whatever it is now, its conflicts too; what its winner is then.

        Raises:
            Missing: There is none.
        """
        if self.members(doc_id) is None:  # mostly so, and no reason to wait for others
            raise Missing(doc_id)
        with self.changing() as batch:
            batch.load([doc_id])
            found = batch.docs[doc_id]
            seen = [one for one in found.leaves if not (one.deleted or one.is_hidden(batch.now))]
            if not seen:
                raise Missing(doc_id)
            for leaf in seen:
                edited(batch, Draft.deletion(doc_id, leaf), None)
            return found.leaves[0].rev

    def remove(self, doc_id: str, rev: str) -> str:
        """Delete the document; as `put` with `_deleted`."""
        return self.put({"_id": doc_id, "_rev": rev, "_deleted": True})

    def write_revisions(
        self,
        docs: Sequence[Mapping[str, Any]],
        *,
        local: Mapping[str, Mapping[str, Any]] = _NO_LOCALS,
    ) -> list[dict[str, Any]]:
        """
        Write revisions that were made elsewhere, each with its `_revisions`, in one transaction.

        What is known already changes nothing; what follows on no leaf becomes a further one.

        Args:
            local: Local documents to be written with them.

        Returns:
            For each that was not written: id, rev, error and reason.
        """
        drafts = [_or_error(revision, doc) for doc in docs]
        with self.changing() as batch:
            batch.load(_ids(drafts))
            done = [
                draft if isinstance(draft, DinoError) else _or_error(_merged, batch, draft)
                for draft in drafts
            ]
            for name, told in local.items():
                _put_local(batch, name, told)
        return [
            {
                "id": doc.get("_id") if isinstance(doc, Mapping) else None,
                "rev": doc.get("_rev") if isinstance(doc, Mapping) else None,
                "error": _word_for(error),
                "reason": str(error),
            }
            for doc, error in zip(docs, done, strict=True)
            if error is not None
        ]

    def put_local(self, local_id: str, doc: Mapping[str, Any]) -> str:
        """
        Keep a local document, which is not replicated, instead of the one there was.

        Its `_rev`, where it names one, must be that of the one there is.  With `_deleted` there is
        none any more.

        Raises:
            Conflict: There is another.
        """
        with self.changing() as batch:
            return _put_local(batch, local_id, doc)

    def resolve(self, doc_id: str, rev: str) -> str:
        """
        Keep *rev* as the document, and delete its other leaves.

        Raises:
            Missing: It is no leaf, or a deletion.
        """
        with self.changing() as batch:
            batch.load([doc_id])
            found = batch.docs[doc_id]
            seen = [one for one in found.leaves if not (one.deleted or one.is_hidden(batch.now))]
            if rev not in {leaf.rev for leaf in seen}:
                raise Missing(doc_id, rev=rev)
            for leaf in [one for one in found.leaves if one.rev != rev and not one.deleted]:
                edited(batch, Draft.deletion(doc_id, leaf), None)
        return rev

    def _expiry(self, ttl_s: float | None) -> float | None:
        if ttl_s is None:
            return None
        seconds = checks.finite(ttl_s, "ttl_s") if ttl_s != math.inf else math.inf
        if seconds <= 0:
            raise InvalidInput(f"ttl_s must be more than 0, found {ttl_s!r}")
        return self.clock() + seconds


def _is_plain(value: Any) -> bool:
    """Whether it is made of Python's own types only: orjson takes some others for text."""
    try:
        marshal.dumps(value)  # knows no others, and is fast
    except ValueError:
        return False
    return True


def _word_for(error: DinoError) -> str:
    if isinstance(error, MissingStub):
        return "missing_stub"
    return "too_large" if isinstance(error, TooLarge) else "bad_request"


def _or_error(work: Any, *arguments: Any) -> Any:
    """What *work* returns, or the error that is this document's alone."""
    try:
        return work(*arguments)
    except CacheError:
        raise
    except DinoError as error:
        return error


def _ids(drafts: Sequence[Draft | DinoError]) -> dict[str, None]:
    return dict.fromkeys(one.id for one in drafts if not isinstance(one, DinoError))


def edited(batch: Batch, draft: Draft, expires: float | None, named: str = "") -> str:
    """
    Make the edit, in a transaction that has loaded its document; the new revision.

    Args:
        named: The revision's hash; without one it is CouchDB's.
    """
    found = batch.docs[draft.id]
    parent = _parent(found, draft, batch.now)
    before = (parent.pos, parent.hash) if parent else (0, "")
    pos = before[0] + 1
    stubs = (
        batch.attach(draft.id, draft.attachments, pos, [parent] if parent else [])
        if draft.attachments
        else {}
    )
    hash_ = named or new_hash(
        draft.members,
        before,
        deleted=draft.deleted,
        attachments=[(n, s["content_type"], raw_digest(s["digest"])) for n, s in stubs.items()],
    )
    path = follow(parent.hash, parent.path, batch.limit) if parent else None
    told = orjson.dumps(stubs).decode() if stubs else None
    # A deletion stays: it is to be told.
    new = Leaf(
        pos, hash_, path, draft.deleted, told, draft.body, None if draft.deleted else expires
    )
    leaves = [new, *(leaf for leaf in found.leaves if leaf is not parent)]
    batch.set(draft.id, leaves, own=True)
    batch.note_leaf(draft.id, new)
    return f"{pos}-{hash_}"


def _parent(found: Found, draft: Draft, now: float) -> Leaf | None:
    """The leaf that *draft* edits; None where there is no such document."""
    if draft.ids:
        for leaf in found.leaves:
            if leaf.pos == draft.pos and leaf.hash == draft.ids[0]:
                return leaf
        raise Conflict(draft.id, f"{draft.pos}-{draft.ids[0]}")
    if not found.leaves:
        return None
    if found.leaves[0].deleted or found.is_hidden(now):
        return found.leaves[0]
    raise Conflict(draft.id, None)


def _merged(batch: Batch, draft: Draft) -> None:
    found = batch.docs[draft.id]
    stubs = None
    if draft.attachments:
        known = found.leaves
        if any(leaf.holds(draft.pos, draft.ids[0]) for leaf in known):
            return
        told = batch.attach(draft.id, draft.attachments, draft.pos, known)
        stubs = orjson.dumps(told).decode()
    path = pack(draft.ids[1 : batch.limit]) if len(draft.ids) > 1 else None
    new = Leaf(draft.pos, draft.ids[0], path, draft.deleted, stubs, draft.body)
    if not found.leaves:
        batch.set(draft.id, [new], own=False)
    else:
        leaves = merge(found.leaves, new, batch.limit)
        if leaves is None:
            return
        # What was edited here may still be unknown elsewhere, unless the new revision knows it.
        own = found.own and len(leaves) > 1 and not batch.is_synced(found.seq)
        batch.set(draft.id, leaves, own=own)
    batch.note_leaf(draft.id, new)


def _put_local(batch: Batch, local_id: str, doc: Mapping[str, Any]) -> str:
    name = local_name(local_id)
    check_id(name.removeprefix("_"))  # PouchDB's names of replications may begin with one
    row = batch.db.execute("SELECT rev FROM locals WHERE id = ?", [name]).fetchone()
    now = row[0] if row else 0
    rev = doc.get("_rev")
    if rev is not None and rev != f"0-{now}":
        raise Conflict(f"_local/{name}", str(rev))
    body = to_json({key: value for key, value in doc.items() if key[:1] != "_"}, name)
    if doc.get("_deleted"):
        batch.db.execute("DELETE FROM locals WHERE id = ?", [name])
        batch.note("local_deleted", id=name)
        return "0-0"
    batch.db.execute("INSERT OR REPLACE INTO locals VALUES (?, ?, ?)", (name, now + 1, body))
    raw = body if isinstance(body, bytes) else str(body).encode()
    batch.note("local_written", id=name, sha256=sha256(raw).hexdigest(), size_bytes=len(raw))
    return f"0-{now + 1}"
