"""A database of a server of the CouchDB protocol as one end of a replication."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Any

from engines.replication.address import parse, query
from engines.replication.coding import encode
from engines.replication.connections import Http
from engines.replication.credentials import Credentials, Shown
from engines.replication.errors import (
    PeerFault,
    PeerMissing,
    PeerUnreachable,
    ReplicationError,
    TooLarge,
)
from engines.replication.fetching import Fetching
from engines.replication.model import (
    PARCEL_BYTES,
    Choice,
    Document,
    Failure,
    Page,
    Parcel,
    Seq,
    Wanted,
)
from engines.replication.sifting import sift
from engines.replication.wire import Wire, credentials_of

_NOT_FOUND = 404
_IS_THERE_NOW = frozenset({412})
_CONFLICT = frozenset({409})
_TRIES = 3
# No such thing there, or not for us: then it has to do without.
_CANNOT_COMMIT = frozenset({401, 403, 404, 405, 501})
# What no repetition mends: not allowed, no document, too large, known by a name that cannot be.
_REFUSALS = frozenset(
    {
        *("unauthorized", "forbidden", "bad_request", "doc_validation", "illegal_docid"),
        *("document_too_large", "doc_id_too_long", "attachment_too_large", "invalid_attachment"),
        *("request_entity_too_large", "too_large", "max_document_id_number_exceeded"),
    }
)
_REFUSING_STATUSES = frozenset({400, 401, 403, 413})


class RemotePeer:
    """
    The database at *url*.

    Args:
        url: As https://host/database.
        credentials: What lets us in, or a function that gives it.
        http: How it is talked to.

    Raises:
        InvalidInput: *url* is no address of a database.
    """

    writes_with_local = False

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | Shown | None = None,
        http: Http | None = None,
    ) -> None:
        address, in_url = parse(url)
        self.name = str(address)
        self._wire = Wire(address, credentials_of(credentials, in_url), http or Http())
        self._fetching = Fetching(self._wire)
        self._local_revs: dict[str, str] = {}
        self._commits = True
        self._empty = False
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"RemotePeer({self.name!r})"

    @property
    def identity(self) -> str:
        return self.name

    def info(self) -> dict[str, Any]:
        """What the server says of the database."""
        found = self._wire.ask("GET", "").json()
        if not isinstance(found, dict) or "update_seq" not in found:
            raise PeerFault(f"{self.name} is no database of the CouchDB protocol")
        return found

    def open(self, *, create: bool = False) -> None:
        try:
            told = self.info()
            self._empty = told.get("doc_count") == 0 and not told.get("doc_del_count")
        except PeerMissing:
            if not create:
                raise PeerMissing(
                    f"there is no database {self.name}", hint="it can be made: create_target"
                ) from None
            # Somebody may be faster; it is there then.
            self._empty = self._wire.ask("PUT", "", fine=_IS_THERE_NOW).ok

    def about(self) -> tuple[str, Seq]:
        told = self.info()
        return f"{told.get('uuid', '')}/{told.get('instance_start_time', '')}", told["update_seq"]

    def is_empty(self) -> bool:
        empty, self._empty = self._empty, False  # true of the moment when it was opened
        return empty

    # --- changes -----------------------------------------------------------------------------

    def changes(self, since: Seq, limit: int, choice: Choice, *, documents: bool = False) -> Page:
        given = {"since": since, "limit": limit}
        if documents:
            with suppress(TooLarge):  # it is read without them then
                return self._page(choice, given | {"include_docs": True}, PARCEL_BYTES)
        return self._page(choice, given, None)

    def _page(self, choice: Choice, given: dict[str, Any], most: int | None) -> Page:
        method, path, body = _changes_request(choice, **given)
        found = self._wire.ask(method, path, body, limit=most).json()
        try:
            rows = [(row["id"], [c["rev"] for c in row["changes"]]) for row in found["results"]]
            documents = dict(_firstborn(found["results"]))
            # Some give less at once than they are asked for; that is not the end then.
            last = len(rows) < given["limit"] and not (rows and found.get("pending"))
            return Page(rows, found["last_seq"], last, documents)
        except (KeyError, TypeError):
            raise PeerFault(
                f"{self.name}: these are no changes: {self._wire.clean(found)[:80]}"
            ) from None

    def wait(self, since: Seq, choice: Choice, heartbeat_s: float, stopped: Event) -> bool:
        method, path, body = _changes_request(
            choice, since=since, limit=1, feed="longpoll", heartbeat=int(heartbeat_s * 1000)
        )
        found = self._wire.listen(method, path, body, 2 * heartbeat_s, stopped).json()
        return bool(found.get("results"))

    def interrupt(self) -> None:
        self._wire.interrupt()

    # --- revisions ---------------------------------------------------------------------------

    def revs_diff(self, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        try:
            found = self._wire.ask("POST", "/_revs_diff", encode(asked)).json()
        except TooLarge:
            if len(asked) < 2:  # noqa: PLR2004  there are no halves of one
                raise
            pairs = list(asked.items())
            half = len(pairs) // 2
            return {**self.revs_diff(dict(pairs[:half])), **self.revs_diff(dict(pairs[half:]))}
        if not isinstance(found, dict):
            raise PeerFault(f"{self.name}: _revs_diff was answered with no mapping")
        return found

    def read(self, wanted: Sequence[Wanted], has: Callable[[str], bool]) -> Iterator[Parcel]:
        return self._fetching.read(wanted, has)

    def has_attachment(self, digest: str) -> bool:  # noqa: ARG002
        """Whether it is there cannot be asked; it is sent."""
        return False

    def write(
        self,
        documents: Sequence[Document],
        local: Mapping[str, Document],  # noqa: ARG002  it has no such transaction
    ) -> Sequence[Failure]:
        if not documents:
            return ()
        failures: list[Failure] = []
        for some, told in sift(documents, self._post, self._blame, self._prove):
            failures += [_unwritten(some[0], told)] if isinstance(told, ReplicationError) else told
        return failures

    def _blame(self, error: ReplicationError) -> None:
        self._wire.blame(error, "/_bulk_docs", b'{"docs":[],"new_edits":false}')

    def _prove(self) -> None:
        """Whether it can write at all: with a full disk it answers all questions, and no more."""
        self.put_local("dino-writes", {})

    def _post(self, documents: Sequence[Document]) -> list[Failure]:
        """
        Send them in one request.

        Raises:
            TooLarge: They are more than it takes at once.
        """
        whole = encode([_inline(one) for one in documents])
        if len(documents) > 1 and len(whole) > PARCEL_BYTES:
            raise TooLarge("more than is sent at once")
        body = b'{"docs":%b,"new_edits":false}' % whole
        rows = self._wire.ask("POST", "/_bulk_docs", body).json()
        if not isinstance(rows, list):
            raise PeerFault(f"{self.name}: _bulk_docs was answered with no list")
        return [self._failure(row) for row in rows if row.get("error")]

    def _failure(self, row: dict[str, Any]) -> Failure:
        """What it says of a document that it did not take, in CouchDB's words or PouchDB's."""
        said = row["error"] if isinstance(row["error"], str) else row.get("name", "error")
        error = self._wire.clean(said)
        reason = self._wire.clean(row.get("reason") or row.get("message") or "")
        refused = error in _REFUSALS or row.get("status") in _REFUSING_STATUSES
        return Failure(str(row.get("id")), row.get("rev"), error, reason, refused=refused)

    # --- what is not replicated --------------------------------------------------------------

    def get_local(self, local_id: str) -> Document | None:
        answer = self._wire.ask("GET", f"/_local/{local_id}", fine=frozenset({_NOT_FOUND}))
        if answer.status == _NOT_FOUND:
            with self._guard:
                self._local_revs.pop(local_id, None)
            return None
        found = answer.json()
        with self._guard:
            self._local_revs[local_id] = found["_rev"]
        return dict(found)

    def put_local(self, local_id: str, document: Document) -> None:
        bare = {name: value for name, value in document.items() if name not in {"_id", "_rev"}}
        for _ in range(_TRIES):
            told = {"_id": f"_local/{local_id}", **bare}
            if rev := self._local_revs.get(local_id):
                told["_rev"] = rev
            answer = self._wire.ask("PUT", f"/_local/{local_id}", encode(told), fine=_CONFLICT)
            if answer.ok:
                with self._guard:
                    self._local_revs[local_id] = answer.json()["rev"]
                return
            # Somebody wrote it since; or we did, and the answer was lost.
            found = self.get_local(local_id) or {}
            if all(found.get(name) == value for name, value in bare.items()):
                return
        raise PeerUnreachable(f"{self.name}: somebody else keeps writing the same record")

    def commit(self) -> None:
        if self._commits:
            answer = self._wire.ask("POST", "/_ensure_full_commit", b"{}", fine=_CANNOT_COMMIT)
            self._commits = answer.ok


def _changes_request(choice: Choice, **given: Any) -> tuple[str, str, bytes | None]:
    given = {**given, "style": "all_docs"}
    if choice.doc_ids is not None:
        path = "/_changes" + query(**given, filter="_doc_ids")
        return "POST", path, encode({"doc_ids": sorted(set(choice.doc_ids))})
    if choice.selector is not None:
        path = "/_changes" + query(**given, filter="_selector")
        return "POST", path, encode({"selector": choice.selector})
    return "GET", "/_changes" + query(**choice.query_params, **given, filter=choice.filter), None


def _firstborn(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[tuple[str, str], Document]]:
    """
    The documents in *rows* that are whole: of a first revision there is no history to be read.

    Those with attachments are read anew, like all others.
    """
    for row in rows:
        document = row.get("doc")
        if document and document["_rev"].startswith("1-") and "_attachments" not in document:
            document["_revisions"] = {"start": 1, "ids": [document["_rev"][2:]]}
            yield (document["_id"], document["_rev"]), document


def _unwritten(document: Document, error: ReplicationError) -> Failure:
    """Too large it is for good; what else the peer breaks over may be mended there."""
    word = error.of_one if isinstance(error, PeerUnreachable) else error.code
    told = (word, f"not written: {error.message}")
    return Failure(
        document["_id"], document["_rev"], *told, refused=not isinstance(error, PeerUnreachable)
    )


def _inline(document: Document) -> Document:
    """*document* with the bytes of its attachments as JSON can hold them."""
    given = document.get("_attachments")
    if not given or not any(isinstance(told.get("data"), bytes) for told in given.values()):
        return document
    told = {
        name: {**one, "data": b64encode(one["data"]).decode("ascii")}
        if isinstance(one.get("data"), bytes)
        else one
        for name, one in given.items()
    }
    return {**document, "_attachments": told}
