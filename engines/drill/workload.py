"""
The work of a drill: edits of documents on both sides and requests to a service, by seed.

Keeps the account of it: every revision and every request that was acknowledged.  Whoever checks
afterwards holds both sides against that.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from engines.latent_cache import DocumentStore, Missing, OfflineQueue
from engines.nav_mesh import Request

DOMAIN = "info"
_SUBJECT = "skill:drill"
_LARGEST_ATTACHMENT = 32 * 1024
_LINES = 5
_OF_A_DOCUMENT = 8  # operations, on average
_KINDS = {
    "request": 30,
    "set": 20,
    "update": 26,
    "attach": 8,
    "delete": 6,
    "conflict": 6,
    "twin": 4,
}


class Edit(NamedTuple):
    """
    An edit that was acknowledged.

    Attributes:
        turn: In which it was made.
        digest: Of what was to be written; see `digest_of`.
    """

    turn: int
    digest: str


def digest_of(doc: Mapping[str, Any]) -> str:
    """SHA-256 of what a document holds, the bytes of its attachments included."""
    held = {name: value for name, value in doc.items() if name[:1] != "_"}
    attached = {
        name: (told["content_type"], told["data"])
        for name, told in doc.get("_attachments", {}).items()
    }
    return sha256(json.dumps([held, attached], sort_keys=True).encode()).hexdigest()


@dataclass
class Account:
    """
    What was acknowledged.

    Attributes:
        edits: (id, revision) → when it was made, and of what.
        requests: Idempotency key → (turn, path, body), in the order in which they were queued.
        kinds: How many operations of each kind.
    """

    edits: dict[tuple[str, str], Edit] = field(default_factory=dict)
    requests: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def operations(self) -> int:
        return len(self.edits) + len(self.requests)


class Workload:
    """
    Works on the documents of *here* and *there* and posts through *queue*.

    Args:
        operations: About how many there will be, which decides on how many documents they fall.
    """

    def __init__(
        self,
        seed: int,
        here: DocumentStore,
        there: DocumentStore,
        queue: OfflineQueue,
        operations: int,
    ) -> None:
        self.account = Account()
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311  it plays work, and hides nothing
        self._here, self._there, self._queue = here, there, queue
        self._ids = [f"note-{n:04}" for n in range(max(operations // _OF_A_DOCUMENT, 3))]
        self._count = 0

    def work(self, turn: int, operations: int) -> int:
        """Do so many operations; how many edits and requests were acknowledged."""
        before = self.account.operations
        for number in range(operations):
            # Each draws for itself: what it finds, which hangs on the network, moves no other.
            self._rng.seed(f"{self._seed}:{turn}:{number}")
            (kind,) = self._rng.choices([*_KINDS], [*_KINDS.values()])
            getattr(self, f"_{kind}")(turn)
            self.account.kinds[kind] += 1
        return self.account.operations - before

    # --- requests ----------------------------------------------------------------------------

    def _request(self, turn: int) -> None:
        """Half of them in lines, within which the order counts."""
        number = self._number()
        key = f"drill-{number}"
        line = f"line-{self._rng.randrange(_LINES)}" if self._rng.random() < 0.5 else ""  # noqa: PLR2004
        body = b'{"reading":%d,"by":"%s"}' % (number, key.encode())
        request = Request(
            "POST",
            f"/readings/{line or 'any'}",
            {"Content-Type": "application/json"},
            body,
            idempotency_key=key,
            ordered_by=line,
        )
        self._queue.put(DOMAIN, _SUBJECT, request, authorised=True)
        self.account.requests[key] = (turn, request.path, body)

    # --- documents ---------------------------------------------------------------------------

    def _set(self, turn: int) -> None:
        self._edit(self._side(), self._id(), self._body(), turn)

    _update = _set  # of a document that is there it is an update

    def _delete(self, turn: int) -> None:
        store, doc_id = self._side(), self._id()
        if doc := _found(store, doc_id):
            self._note({"_id": doc_id}, store.remove(doc_id, doc["_rev"]), turn)

    def _attach(self, turn: int) -> None:
        content = self._rng.randbytes(self._rng.randrange(1, _LARGEST_ATTACHMENT))
        data = base64.b64encode(content).decode()
        attached = {"photo": {"content_type": "application/octet-stream", "data": data}}
        self._edit(self._side(), self._id(), {**self._body(), "_attachments": attached}, turn)

    def _conflict(self, turn: int) -> None:
        """Both sides, which know nothing of each other, edit the same document."""
        doc_id = self._id()
        for store in (self._here, self._there):
            self._edit(store, doc_id, self._body(), turn)

    def _twin(self, turn: int) -> None:
        """Both make the same edit: where they began with the same, that is one revision."""
        doc_id, body = self._id(), self._body()
        for store in (self._here, self._there):
            self._edit(store, doc_id, body, turn)

    def _edit(self, store: DocumentStore, doc_id: str, body: dict[str, Any], turn: int) -> None:
        before = _found(store, doc_id)
        doc = {"_id": doc_id, **body}
        if before:
            doc["_rev"] = before["_rev"]
        self._note(doc, store.put(doc), turn)

    def _note(self, doc: dict[str, Any], rev: str, turn: int) -> None:
        self.account.edits.setdefault((doc["_id"], rev), Edit(turn, digest_of(doc)))

    def _side(self) -> DocumentStore:
        return self._here if self._rng.random() < 0.65 else self._there  # noqa: PLR2004

    def _id(self) -> str:
        return self._rng.choice(self._ids)

    def _body(self) -> dict[str, Any]:
        number = self._number()
        words = ("high", "low", "ebb", "flood", "läuft ab", "船")
        return {"n": number, "level_m": self._rng.randrange(900) / 100, "said": words[number % 6]}

    def _number(self) -> int:
        self._count += 1
        return self._count


def _found(store: DocumentStore, doc_id: str) -> dict[str, Any] | None:
    try:
        return store.get(doc_id)
    except Missing:
        return None
