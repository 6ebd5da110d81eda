"""A document store on this machine as one end of a replication."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, Any

from engines.errors import InvalidInput
from engines.replication.coding import encode
from engines.replication.model import (
    PARCEL_BYTES,
    START,
    Choice,
    Document,
    Failure,
    Page,
    Parcel,
    Seq,
    Wanted,
)
from engines.replication.selector import matcher

if TYPE_CHECKING:
    from engines.latent_cache import DocumentStore

_FIRST, _AT_ONCE = 16, 256  # documents read in one go: at first, and where they are small
_LOOK_S = 0.5  # so often somebody who waits looks whether he shall stop


class LocalPeer:
    """*store* as a peer."""

    writes_with_local = True

    def __init__(self, store: DocumentStore, name: str = "here") -> None:
        self.store = store
        self.name = name

    @property
    def identity(self) -> str:
        return f"store:{self.store.uuid}"

    def open(self, *, create: bool = False) -> None:
        """It is there, or it could not have been handed in."""

    def about(self) -> tuple[str, Seq]:
        return self.store.uuid, self.store.info()["update_seq"]

    def is_empty(self) -> bool:
        return self.store.info()["update_seq"] == 0

    def changes(
        self,
        since: Seq,
        limit: int,
        choice: Choice,
        *,
        documents: bool = False,  # noqa: ARG002  to read them later costs no more
    ) -> Page:
        if choice.filter is not None:
            raise InvalidInput(
                f"filter {choice.filter!r}: a store has no filter functions",
                hint="choose its documents by doc_ids or by a selector",
            )
        since = since or START
        head = self.store.info()["update_seq"]
        rows = self.store.changes(since, limit=limit, doc_ids=choice.doc_ids)
        last = len(rows) < limit
        behind = rows[-1].seq if rows else since
        found: Sequence[tuple[str, Sequence[str]]] = [(row.id, row.revs) for row in rows]
        if choice.selector is not None:
            found = list(self._selected(found, choice.selector))
        # What was left out up to its end counts as seen, too.
        return Page(found, max(behind, head) if last else behind, last)

    def _selected(
        self, rows: Sequence[tuple[str, Sequence[str]]], selector: Mapping[str, Any]
    ) -> Iterator[tuple[str, Sequence[str]]]:
        fits = matcher(selector)
        documents = self.store.read_revisions([(name, rev) for name, revs in rows for rev in revs])
        kept = {(doc["_id"], doc["_rev"]) for doc in documents if fits(doc)}
        for name, revs in rows:
            if some := [rev for rev in revs if (name, rev) in kept]:
                yield name, some

    def wait(self, since: Seq, choice: Choice, heartbeat_s: float, stopped: Event) -> bool:  # noqa: ARG002
        left = 2 * heartbeat_s
        while left > 0 and not stopped.is_set():
            if self.store.wait(since or START, min(left, _LOOK_S)):
                return True
            left -= _LOOK_S
        return False

    def interrupt(self) -> None:
        """Whoever waits looks often enough."""

    def revs_diff(self, asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        return dict(self.store.revs_diff(asked))

    def read(self, wanted: Sequence[Wanted], has: Callable[[str], bool]) -> Iterator[Parcel]:
        at, count = 0, _FIRST
        while at < len(wanted):
            some = [(one.id, one.rev) for one in wanted[at : at + count]]
            # What was replaced meanwhile is left out: the feed of changes has what came instead.
            documents = self.store.read_revisions(some)
            sizes = [len(encode(document)) for document in documents]
            yield from self._parcels(documents, sizes, has)
            at += count
            # As many as fit, without knowing beforehand how large they are.
            count = min(count * 2, _AT_ONCE) if sum(sizes) < PARCEL_BYTES // 2 else _FIRST

    def _parcels(
        self, documents: list[Document], sizes: list[int], has: Callable[[str], bool]
    ) -> Iterator[Parcel]:
        size, parcel = 0, list[Document]()
        for document, body in zip(documents, sizes, strict=True):
            stubs = document.get("_attachments", {}).values()
            wanted = [stub for stub in stubs if not has(stub["digest"])]
            length = body + sum(stub["length"] for stub in wanted)
            if parcel and size + length > PARCEL_BYTES:
                yield Parcel(parcel)
                size, parcel = 0, []
            for stub in wanted:
                del stub["stub"]
                stub["data"] = self.store.attachment(stub["digest"])
            parcel.append(document)
            size += length
        yield Parcel(parcel)

    def has_attachment(self, digest: str) -> bool:
        return self.store.has_attachment(digest)

    def write(
        self, documents: Sequence[Document], local: Mapping[str, Document]
    ) -> Sequence[Failure]:
        if not documents and not local:
            return ()
        # What it does not take today it does not take tomorrow: a body over its limit, no document.
        # But bytes that were here a moment ago can be sent.
        return [
            Failure(
                *(str(row["id"]), row["rev"], row["error"], row["reason"]),
                refused=row["error"] != "missing_stub",
            )
            for row in self.store.write_revisions(documents, local=local)
        ]

    def get_local(self, local_id: str) -> Document | None:
        found = self.store.get_local(local_id)
        return dict(found) if found is not None else None

    def put_local(self, local_id: str, document: Document) -> None:
        self.store.put_local(local_id, document)

    def commit(self) -> None:
        """Whatever it acknowledged is on the disk already."""
