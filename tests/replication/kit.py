"""Two databases and what is between them; and when they are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

from engines.latent_cache import DocumentStore
from engines.replication import (
    Http,
    LocalPeer,
    Options,
    RemotePeer,
    Replicator,
    Report,
    Sync,
    SyncReport,
    replicate,
    sync,
)
from tests.replication.couch import Couch

QUICK = Http(connect_s=2, silence_s=2)
Leaves = dict[str, set[tuple[str, bool]]]


@dataclass
class Pair:
    """A store of ours, one of a server's, and the replications between the two."""

    couch: Couch
    here: DocumentStore
    there: DocumentStore
    http: Http = QUICK
    url: str = ""
    pauses: list[float] = field(default_factory=list)

    @property
    def local(self) -> LocalPeer:
        return LocalPeer(self.here)

    @property
    def remote(self) -> RemotePeer:
        return RemotePeer(self.url or f"{self.couch.url}/db", http=self.http)

    def push(self, **options: Any) -> Report:
        return replicate(self.local, self.remote, Options(**options), pause=self.pauses.append)

    def pull(self, **options: Any) -> Report:
        return replicate(self.remote, self.local, Options(**options), pause=self.pauses.append)

    def sync(self, **options: Any) -> SyncReport:
        return sync(self.local, self.remote, Options(**options), pause=self.pauses.append)

    def go(self, way: str, **options: Any) -> Report:
        return self.push(**options) if way == "push" else self.pull(**options)

    def ends(self, way: str) -> tuple[DocumentStore, DocumentStore]:
        """The stores from and to which *way* leads."""
        return (self.here, self.there) if way == "push" else (self.there, self.here)

    def same(self) -> bool:
        return everything(self.here) == everything(self.there)


def leaves(store: DocumentStore) -> Leaves:
    """Every leaf of every document, and whether it is a deletion."""
    return {change.id: set(store.leaves(change.id)) for change in store.changes()}


def everything(store: DocumentStore) -> dict[tuple[str, str], dict[str, Any]]:
    """Every leaf of every document, as it is, with its attachments and its history."""
    found = {}
    for change in store.changes():
        for doc in store.open_revs(change.id, None):
            for told in doc.get("_attachments", {}).values():
                told.pop("revpos")  # a server may count it anew
            found[change.id, doc["_rev"]] = doc
    return found


def winners(store: DocumentStore) -> dict[str, str]:
    return {change.id: change.revs[0] for change in store.changes()}


def put(store: DocumentStore, *names: str, **members: Any) -> list[str]:
    """An edit of each document, whatever it is now."""
    found = []
    for name in names:
        now = [rev for rev, deleted in store.leaves(name) if not deleted][:1]
        found.append(store.put({"_id": name, **({"_rev": now[0]} if now else {}), **members}))
    return found


def rev(pos: int, letter: str) -> str:
    return f"{pos}-{letter * 32}"


def revision(name: str, pos: int, hashes: str, *, deleted: bool = False, **members: Any) -> Any:
    """A revision from elsewhere; *hashes* has a letter for each, newest first."""
    doc = {"_id": name, "_rev": rev(pos, hashes[0]), **members}
    doc["_revisions"] = {"start": pos, "ids": [letter * 32 for letter in hashes]}
    return {**doc, "_deleted": True} if deleted else doc


def tree(random: Random, name: str) -> list[dict[str, Any]]:
    """The revisions of a document with a history of forks and deletions, in the order of birth."""
    paths: list[tuple[list[str], bool]] = [([f"{random.getrandbits(128):032x}"], False)]
    for _ in range(random.randint(0, 5)):
        ids, deleted = random.choice(paths)
        if not deleted or random.random() < 0.3:
            paths.append(([f"{random.getrandbits(128):032x}", *ids], random.random() < 0.25))
    return [
        {
            "_id": name,
            "_rev": f"{len(ids)}-{ids[0]}",
            "_revisions": {"start": len(ids), "ids": ids},
            "n": number,
            **({"_deleted": True} if deleted else {}),
        }
        for number, (ids, deleted) in enumerate(paths)
    ]


@contextmanager
def live(work: Replicator | Sync) -> Iterator[list[Any]]:
    """It runs in a thread until this is left; what it returned or raised is in the list then."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(work.run())
        except Exception as error:  # noqa: BLE001  for the test to look at
            ended.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        work.stop()
        thread.join(20)
        assert not thread.is_alive()


def until(true: Callable[[], Any], store: DocumentStore) -> None:
    """Wait for something that becomes true with a change of *store*."""
    for _ in range(2000):
        if true():
            return
        store.wait(store.info()["update_seq"], 0.01)
    raise AssertionError("it never came true")


def a_store(folder: Path, name: str) -> DocumentStore:
    return DocumentStore(folder / f"{name}.db")
