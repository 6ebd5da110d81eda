"""
Where nodes leave each other's requests for a countersignature, and the answers.

    key.NODE                     {origin, log, witness}        a node's keys
    ask.OF.BY.JOURNAL            {journal, size, old, request} OF's last checkpoint, for BY to sign
    answer.OF.BY.JOURNAL         {journal, ask, state, text}   BY's answer to that revision of it

One bucket, of which each key holds its last value: a node that was away finds what is wanted of it
now, and not what was wanted meanwhile.  What is read here was written by others.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dino_os.cluster.streams import ensure_bucket

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client

SIGNED, STALE, REFUSED = "signed", "stale", "refused"
_ANSWER_S = 5.0
_LARGEST = 2**18
_is_token = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a countersignature; *revision* tells it from the one before."""

    journal: str
    size: int
    old: int
    request: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the ask of that revision: signature lines, the size seen last, or why not."""

    ask: int
    state: str
    text: str


Pair = tuple[str, str]
"""A node, and a journal: ours where we ask the node, its own where it asks us."""


@dataclass(slots=True)
class Board:
    """All that concerns one node."""

    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    ours: dict[Pair, Ask] = field(default_factory=dict)
    answers: dict[Pair, Answer] = field(default_factory=dict)
    theirs: dict[Pair, Ask] = field(default_factory=dict)
    answered: dict[Pair, Answer] = field(default_factory=dict)


class Notes:
    """The bucket, for the node of *cluster*.  Each call raises as `Link.call`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._node = cluster.node

    def board(self) -> Board:
        """What is there now."""
        node = self._node

        async def read(client: Client) -> Board:
            bucket, found = await self._opened(client), Board()
            for path, value, _ in await _under(bucket, "key.*"):
                found.keys[path[1]] = _keys(value)
            for path, value, revision in await _under(bucket, f"ask.{node}.*.*"):
                found.ours[path[2], value["journal"]] = _ask(value, revision)
            for path, value, _ in await _under(bucket, f"answer.{node}.*.*"):
                found.answers[path[2], value["journal"]] = _answer(value)
            for path, value, revision in await _under(bucket, f"ask.*.{node}.*"):
                found.theirs[path[1], value["journal"]] = _ask(value, revision)
            for path, value, _ in await _under(bucket, f"answer.*.{node}.*"):
                found.answered[path[1], value["journal"]] = _answer(value)
            return found

        return self._cluster.link.call(read)

    def introduce(self, keys: Mapping[str, str]) -> None:
        """Say which keys are ours."""
        self._put({f"key.{self._node}": dict(keys)})

    def withdraw(self, node: str) -> None:
        """Have nobody ask *node* any more: it has left."""

        async def withdraw(client: Client) -> None:
            bucket = await self._opened(client)
            await bucket.delete(f"key.{node}")

        self._cluster.link.call(withdraw)

    def ask(self, asks: Mapping[Pair, Ask]) -> None:
        """Ask nodes for countersignatures."""
        self._put(
            {
                f"ask.{self._node}.{node}.{_token(journal)}": {
                    "journal": journal,
                    "size": ask.size,
                    "old": ask.old,
                    "request": ask.request,
                }
                for (node, journal), ask in asks.items()
            }
        )

    def answer(self, answers: Mapping[Pair, Answer]) -> None:
        """Answer what nodes asked."""
        self._put(
            {
                f"answer.{node}.{self._node}.{_token(journal)}": {
                    "journal": journal,
                    "ask": answer.ask,
                    "state": answer.state,
                    "text": answer.text,
                }
                for (node, journal), answer in answers.items()
            }
        )

    def _put(self, values: Mapping[str, dict[str, Any]]) -> None:
        if not values:
            return

        async def put(client: Client) -> None:
            bucket = await self._opened(client)
            for key, value in values.items():
                await bucket.put(key, json.dumps(value).encode())

        self._cluster.link.call(put)

    async def _opened(self, client: Client) -> KeyValue:
        from nats.js.api import KeyValueConfig  # noqa: PLC0415  heavy, as wherever nats is

        name = self._cluster.link.stream("CHECKPOINTS")
        config = KeyValueConfig(bucket=name, max_value_size=_LARGEST)
        return await ensure_bucket(client, self._cluster.settings, config)


async def _under(bucket: KeyValue, keys: str) -> list[tuple[list[str], dict[str, Any], int]]:
    """What is there under *keys*: the parts of each key, its value and revision."""
    watcher: Any = await bucket.watch(keys, ignore_deletes=True)
    found = []
    try:
        while entry := await watcher.updates(timeout=_ANSWER_S):
            # What does not have the form is nobody's word, and no reason to hear no other.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                value = json.loads(entry.value or b"")
                _FORMS[keys.partition(".")[0]](value)
                found.append((entry.key.split("."), value, entry.revision or 0))
    finally:
        await watcher.stop()
    return found


def _ask(value: dict[str, Any], revision: int = 0) -> Ask:
    journal, size, old = str(value["journal"]), int(value["size"]), int(value["old"])
    return Ask(journal, size, old, str(value["request"]), revision)


def _answer(value: dict[str, Any]) -> Answer:
    if value["state"] == STALE:
        int(value["text"])
    str(value["journal"])
    return Answer(int(value["ask"]), str(value["state"]), str(value["text"]))


def _keys(value: dict[str, Any]) -> dict[str, str]:
    return {name: str(value[name]) for name in ("origin", "log", "witness")}


_FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "key": _keys,
    "ask": _ask,
    "answer": _answer,
}


def _token(journal: str) -> str:
    return journal if _is_token(journal) else f"={journal.encode().hex()}"
