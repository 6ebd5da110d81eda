"""
Reading revisions from a server: together where it can, one by one where it cannot.

First come the documents with stubs for their attachments, by `_bulk_get`.  Then, for those that
have attachments which the target lacks, the bytes: in groups that stay within what may be held in
memory; those of a document that is larger than that one by one.  A server that knows no `_bulk_get`
is asked for the open revisions of each document, and answers in JSON or in MIME parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from engines.replication.address import doc_path, query
from engines.replication.coding import encode
from engines.replication.connections import Answer
from engines.replication.errors import (
    PeerFault,
    PeerMissing,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)
from engines.replication.model import MISSING, PARCEL_BYTES, Document, Failure, Parcel, Wanted
from engines.replication.multipart import documents_of
from engines.replication.sifting import sift
from engines.replication.wire import Wire

_KNOWS_NO_BULK = frozenset({400, 404, 405, 501})
_REVS_AT_ONCE = 50  # in one address; some servers take no more than 8 KiB
_PARTS = "multipart/mixed, application/json;q=0.5"
_REFUSED_READS = frozenset({"forbidden", "unauthorized"})
Has = Callable[[str], bool]


class Fetching:
    """Documents from the database behind *wire*."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._bulk = True

    def read(self, wanted: Sequence[Wanted], has: Has) -> Iterator[Parcel]:
        for some, found in sift(wanted, self._bulk_get, self._blame):
            if isinstance(found, ReplicationError):
                yield Parcel((), [_unreadable(some[0].id, some[0].rev, found)])
            elif found is None:
                yield from self._one_by_one(some, has)
            else:
                documents, failures = found
                light = [one for one in documents if not _lacking(one, has)]
                yield Parcel(light, failures)
                heavy = [one for one in documents if _lacking(one, has)]
                yield from self._with_attachments(heavy, has)

    def _blame(self, error: ReplicationError) -> None:
        # Asked for no document PouchDB Server does not answer; for one that is not there it does.
        nothing = {"docs": [{"id": "dino-none", "rev": f"1-{0:032}"}]}
        self._wire.blame(error, "/_bulk_get", encode(nothing))

    # --- together ----------------------------------------------------------------------------

    def _bulk_get(
        self, wanted: Sequence[Wanted], *, attachments: bool = False
    ) -> tuple[list[Document], list[Failure]] | None:
        """
        The documents and what failed; None where the server knows nothing of it.

        Raises:
            TooLarge: All of them are more than may be held.
        """
        if not self._bulk:
            return None
        asked = [{"id": one.id, "rev": one.rev} for one in wanted]
        path = "/_bulk_get" + query(revs=True, latest=True, attachments=attachments or None)
        # One alone may be larger: as large as an answer may be.
        most = 2 * PARCEL_BYTES if len(wanted) > 1 else None
        body = encode({"docs": asked})
        answer = self._wire.ask("POST", path, body, fine=_KNOWS_NO_BULK, limit=most)
        if answer.ok:
            return self._bulk_found(answer, wanted)
        if answer.said().get("reason") in {"no_db_file", "Database does not exist."}:
            self._wire.raise_for(answer, "POST", path)
        self._bulk = answer.status == 400  # noqa: PLR2004  perhaps of this request alone
        return None

    def _bulk_found(
        self, answer: Answer, wanted: Sequence[Wanted]
    ) -> tuple[list[Document], list[Failure]]:
        try:
            rows = [(row["id"], doc) for row in answer.json()["results"] for doc in row["docs"]]
        except (KeyError, TypeError):
            raise PeerFault(f"{self._wire.address}: _bulk_get was not answered as asked") from None
        documents: dict[tuple[str, str], Document] = {}
        failures: list[Failure] = []
        for name, told in rows:
            if one := told.get("ok"):
                documents[one["_id"], one["_rev"]] = one
            else:
                failures.append(self._failed(name, told))
        found = [_with_history(one) for one in documents.values()]
        counted = Counter(name for name, _ in rows)
        return found, failures + _left_out(wanted, counted, found, failures)

    # --- attachments -------------------------------------------------------------------------

    def _with_attachments(self, documents: Sequence[Document], has: Has) -> Iterator[Parcel]:
        group: list[Document] = []
        size = 0
        for document in documents:
            length = sum(told["length"] for told in _lacking(document, has).values()) * 4 // 3
            if group and size + length > PARCEL_BYTES:
                yield self._group(group, has)
                group, size = [], 0
            group.append(document)
            size += length
        if group:
            yield self._group(group, has)

    def _group(self, group: list[Document], has: Has) -> Parcel:
        if len(group) == 1:
            return self._filled(group, has)
        wanted = [Wanted(one["_id"], one["_rev"]) for one in group]
        try:
            found = self._bulk_get(wanted, attachments=True)
        except TooLarge:  # it counts in another way than we do
            found = None
        except PeerUnreachable as error:  # over one of them, perhaps
            self._wire.blame(error)
            found = None
        if found is None:
            return self._filled(group, has)
        # Whatever a server leaves a stub all the same is asked for by its name.
        return self._filled(found[0], has, found[1])

    def _filled(
        self, documents: Sequence[Document], has: Has, failures: Sequence[Failure] = ()
    ) -> Parcel:
        """*documents* with the bytes that the target lacks."""
        whole, failed = [], [*failures]
        for document in documents:
            try:
                self._fill(document, has)
                whole.append(document)
            except ReplicationError as error:
                if not isinstance(error, TooLarge | PeerMissing):
                    self._wire.blame(error)
                failed.append(_unreadable(document["_id"], document["_rev"], error))
        return Parcel(whole, failed)

    def _fill(self, document: Document, has: Has) -> None:
        base = doc_path(document["_id"])
        for name, told in _lacking(document, has).items():
            path = f"{base}/{quote(name, safe='')}{query(rev=document['_rev'])}"
            told["data"] = self._wire.ask("GET", path, accept="*/*").body
            del told["stub"]

    # --- one by one --------------------------------------------------------------------------

    def _one_by_one(self, wanted: Sequence[Wanted], has: Has) -> Iterator[Parcel]:
        revs: dict[str, list[str]] = {}
        for one in wanted:
            revs.setdefault(one.id, []).append(one.rev)
        documents: list[Document] = []
        failures: list[Failure] = []
        size = 0
        for name, all_of_it in revs.items():
            for at in range(0, len(all_of_it), _REVS_AT_ONCE):
                some = all_of_it[at : at + _REVS_AT_ONCE]
                try:
                    answer = self._open_revs(name, some)
                except (TooLarge, PeerUnreachable) as error:
                    if isinstance(error, PeerUnreachable):
                        self._wire.blame(error)
                    failures += [_unreadable(name, rev, error) for rev in some]
                    continue
                size += len(answer.body)
                rows = _opened(answer)
                found = [_with_history(row) for row in rows if "_id" in row]
                gone = [{"error": "missing", **row} for row in rows if "_id" not in row]
                failed = [self._failed(name, told) for told in gone]
                asked = [Wanted(name, rev) for rev in some]
                documents += found
                failures += failed
                failures += _left_out(asked, Counter({name: len(rows)}), found, failed)
            if size > PARCEL_BYTES:
                yield self._filled(documents, has, failures)
                documents, failures, size = [], [], 0
        yield self._filled(documents, has, failures)

    def _failed(self, doc_id: str, told: dict[str, Any]) -> Failure:
        """A row without a document, in CouchDB's words or PouchDB's."""
        if isinstance(told.get("error"), dict):
            told = told["error"]
        error = self._wire.clean(told.get("error") or "error")
        reason = self._wire.clean(told.get("reason") or error)
        # What the source lists and does not have is not waited for; the next session asks again.
        refused = error in _REFUSED_READS or error in MISSING
        return Failure(doc_id, told.get("rev"), error, f"not read: {reason}", refused=refused)

    def _open_revs(self, doc_id: str, revs: Sequence[str]) -> Answer:
        path = doc_path(doc_id) + query(revs=True, latest=True, open_revs=list(revs))
        try:
            return self._wire.ask("GET", path, accept=_PARTS, limit=2 * PARCEL_BYTES)
        except (TooLarge, PeerUnreachable) as error:
            if isinstance(error, PeerUnreachable) and error.status is None:
                raise
            # In parts its attachments come along, like it or not; in JSON they stay stubs.
            return self._wire.ask("GET", path)
        except PeerMissing:
            rows = [{"missing": rev} for rev in revs]
            return Answer(200, {"content-type": "application/json"}, encode(rows))


def _opened(answer: Answer) -> list[dict[str, Any]]:
    """The documents of an answer to `open_revs`; for one that is missing `{"rev": …}`."""
    kind = answer.headers.get("content-type", "")
    if kind.startswith("multipart/"):
        return [
            {"rev": one["missing"]} if "missing" in one else one
            for one in documents_of(answer.body, kind)
        ]
    rows = answer.json()
    if not isinstance(rows, list):
        raise PeerFault("open_revs was answered with no list")
    return [row["ok"] if "ok" in row else {"rev": row.get("missing")} for row in rows]


def _lacking(document: Document, has: Has) -> dict[str, dict[str, Any]]:
    """The attachments that came as stubs and are not at the target."""
    return {
        name: told
        for name, told in document.get("_attachments", {}).items()
        if told.get("stub") and not has(told.get("digest", ""))
    }


def _with_history(document: Document) -> Document:
    """*document* with its `_revisions`, also where a server leaves them out."""
    if "_revisions" not in document:
        start, _, hash_ = document["_rev"].partition("-")
        document["_revisions"] = {"start": int(start), "ids": [hash_]}
    return document


def _unreadable(doc_id: str, rev: str, error: ReplicationError) -> Failure:
    """Too large for us, or not there, it stays; what the peer broke over may be mended there."""
    word = error.of_one if isinstance(error, PeerUnreachable) else error.code
    told = (word, f"not read: {error.message}")
    return Failure(doc_id, rev, *told, refused=not isinstance(error, PeerUnreachable))


def _left_out(
    wanted: Sequence[Wanted],
    rows: Counter[str],
    documents: Sequence[Document],
    failures: Sequence[Failure],
) -> list[Failure]:
    """
    Those of *wanted* that nothing answers: no row of their own, and no newer revision.

    Args:
        rows: How many answers there are to each id; one to each revision will do.
    """
    asked = Counter(one.id for one in wanted)
    short = {name for name, count in asked.items() if rows[name] < count}
    if not short:
        return []
    known = {(one.id, one.rev) for one in failures}
    for document in documents:
        if (name := document["_id"]) in short:
            start, ids = document["_revisions"]["start"], document["_revisions"]["ids"]
            known.update((name, f"{start - back}-{id_}") for back, id_ in enumerate(ids))
    reason = "not read: the source left it out"
    return [
        Failure(one.id, one.rev, "unanswered", reason, refused=False)
        for one in wanted
        if one.id in short and not known & {(one.id, one.rev), (one.id, None)}
    ]
