"""
The proof behind a drill: what was acknowledged is held against what there is in the end.

Every edit must stand in the histories of both sides, and no other may; leaves must be equal, their
bodies and attachments as they were written.  Every request must have been done by the service once,
as it was queued, in its line's order, and not sent again once its answer had been read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engines.drill.service import CountingService
from engines.drill.workload import Account, digest_of
from engines.latent_cache import DocumentStore, OfflineQueue

_SHOWN = 20


@dataclass
class Proof:
    """
    What was found.

    Attributes:
        lost: Edits, as (id, revision), that one side has not, or not as they were written, and
            keys of requests not done.
        doubled: What was done that nobody asked for, or more than once, or sent once too often.
        differing: Ids of documents that are not the same on both sides.
        problems: The same in words, and what else is wrong; the first of them.
        repeated: Requests that arrived again and were recognised by their key.
    """

    lost: set[Any] = field(default_factory=set)
    doubled: set[Any] = field(default_factory=set)
    differing: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    repeated: int = 0

    @property
    def ok(self) -> bool:
        return not (self.lost or self.doubled or self.differing or self.problems)

    def tell(self, problem: str) -> None:
        if len(self.problems) < _SHOWN:
            self.problems.append(problem)


def prove(
    account: Account,
    here: DocumentStore,
    there: DocumentStore,
    queue: OfflineQueue,
    service: CountingService,
) -> Proof:
    """Hold *account* against what there is."""
    proof = Proof()
    _prove_documents(proof, account, {"here": here, "there": there})
    _prove_requests(proof, account, service)
    left = {"waiting": queue.waiting(), "held": queue.held(), "dead": queue.dead()}
    for state, requests in left.items():
        if requests:
            proof.tell(f"{len(requests)} requests are still {state}")
    return proof


def _prove_documents(proof: Proof, account: Account, sides: dict[str, DocumentStore]) -> None:
    leaves = {name: _leaves(store) for name, store in sides.items()}
    for name, found in leaves.items():
        known = {(doc_id, rev) for doc_id, docs in found.items() for rev in _histories(docs)}
        for doc_id, rev in sorted(account.edits.keys() - known):
            proof.lost.add((doc_id, rev))
            proof.tell(f"{doc_id} {rev} is not {name}")
        for doc_id, rev in sorted(known - account.edits.keys()):
            proof.doubled.add((doc_id, rev))
            proof.tell(f"{doc_id} {rev} is {name}, and nobody made it")
        _prove_content(proof, account, name, found)
    here, there = leaves.values()
    for doc_id in sorted(here.keys() | there.keys()):
        if here.get(doc_id) != there.get(doc_id):
            proof.differing.add(doc_id)
            told = f"{_revs(here, doc_id)} here, {_revs(there, doc_id)} there"
            proof.tell(f"{doc_id} differs: {told}")


def _prove_content(
    proof: Proof, account: Account, name: str, found: dict[str, list[dict[str, Any]]]
) -> None:
    for doc in (doc for docs in found.values() for doc in docs):
        edit = doc["_id"], doc["_rev"]
        written = account.edits.get(edit)
        if written and written.digest != digest_of(doc):
            proof.lost.add(edit)
            proof.tell(f"{edit[0]} {edit[1]} is not {name} as it was written")


def _leaves(store: DocumentStore) -> dict[str, list[dict[str, Any]]]:
    """Every document's leaves, winner first, whole: histories, bodies, attachments."""
    ids = [change.id for change in store.changes()]
    return {doc_id: store.open_revs(doc_id, None, attachments=True) for doc_id in ids}


def _histories(docs: Iterable[dict[str, Any]]) -> Iterable[str]:
    for doc in docs:
        start = doc["_revisions"]["start"]
        yield from (f"{start - back}-{one}" for back, one in enumerate(doc["_revisions"]["ids"]))


def _revs(side: dict[str, list[dict[str, Any]]], doc_id: str) -> str:
    return ", ".join(doc["_rev"] for doc in side.get(doc_id, [])) or "nothing"


def _prove_requests(proof: Proof, account: Account, service: CountingService) -> None:
    done = Counter(key for key, _, _ in service.effects)
    for key in account.requests:
        if not done[key]:
            proof.lost.add(key)
            proof.tell(f"request {key} was not done")
    for key, path, body in service.effects:
        if done[key] > 1 or key not in account.requests:
            proof.doubled.add(key)
            proof.tell(f"request {key} was done {done[key]} times")
        elif account.requests[key][1:] != (path, body):
            proof.tell(f"request {key} is not as it was queued")
    for key in service.late:
        proof.doubled.add(key)
        proof.tell(f"request {key} was sent again after its answer")
    proof.repeated = sum(count - 1 for count in service.arrivals.values())
    _prove_order(proof, account, service)


def _prove_order(proof: Proof, account: Account, service: CountingService) -> None:
    lines: dict[str, list[str]] = defaultdict(list)
    for key, (_, path, _) in account.requests.items():
        lines[path].append(key)
    for path, queued in lines.items():
        done = [key for key, to, _ in service.effects if to == path]
        if not path.endswith("/any") and done != [key for key in queued if key in done]:
            proof.tell(f"{path}: not in the order in which they were queued")
