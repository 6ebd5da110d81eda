"""
The nodes of a cluster: who is registered, and who gives signs of life.

A name belongs to one workspace from its first registration until it leaves.  Signs of life are
counted by the servers' clock: what a node's own clock says is nothing to the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from msgspec import DecodeError, Struct, json

from dino_os.cluster.streams import ensure_bucket
from dino_os.errors import ClusterError

if TYPE_CHECKING:
    from nats.js.kv import KeyValue

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client

S = TypeVar("S", bound=Struct)

BEAT_S = 3.0
_ALIVE_S = 15.0


class NodeRefused(ClusterError):
    """This node may not go on under its name."""


class Registered(Struct):
    """
    What is kept of a node for as long as it belongs to the cluster.

    Attributes:
        sent: Line, in its journal, of the last message that it sent; -1 before its first.
        settled: Up to where it has the stream of messages.
    """

    workspace: str
    sent: int = -1
    settled: int = 0
    draining: bool = False


class Alive(Struct):
    """A sign of life; the servers forget it after a while."""

    workspace: str
    place: str
    sent: int = -1
    settled: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A node as others see it."""

    name: str
    workspace: str
    alive: bool
    draining: bool
    sent: int
    settled: int


class Nodes:
    """The registry of *cluster*, as seen from this node.  Methods are coroutines for its link."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def join(self, client: Client) -> None:
        """
        Register this node, or find that it is.

        Raises:
            NodeRefused: The name is another workspace's, or this one is at work elsewhere.
        """
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415  heavy

        cluster, (registry, alive) = self._cluster, await self._buckets(client)
        new = json.encode(Registered(cluster.workspace))
        try:
            await registry.create(cluster.node, new)
        except KeyWrongLastSequenceError:
            there = await self._registered(registry, cluster.node)
            if there and there.workspace != cluster.workspace:
                raise NodeRefused(
                    f"another workspace is the node {cluster.node!r} of this cluster",
                    hint="`cluster.node` names this one; or, where the other is gone for good, "
                    f"`dino cluster leave {cluster.node}`",
                ) from None
        await self._check_place(alive)

    async def beat(self, client: Client, sent: int, settled: int) -> None:
        """
        Give a sign of life.

        Raises:
            NodeRefused: This node is not registered any more, or at work elsewhere too.
        """
        cluster, (registry, alive) = self._cluster, await self._buckets(client)
        await self._check_place(alive)
        there = await self._registered(registry, cluster.node)
        if there is None or there.workspace != cluster.workspace:
            raise NodeRefused(
                f"this node, {cluster.node!r}, was taken out of the cluster",
                hint="`dino cluster join` brings it back",
            )
        now = Registered(cluster.workspace, sent, settled, cluster.draining)
        if now != there:
            await registry.put(cluster.node, json.encode(now))
        sign = Alive(cluster.workspace, cluster.place, sent, settled)
        await alive.put(cluster.node, json.encode(sign))

    async def rest(self, client: Client) -> None:
        """Take the sign of life back: this process ends."""
        _, alive = await self._buckets(client)
        await alive.delete(self._cluster.node)

    async def leave(self, client: Client, name: str) -> bool:
        """Take a node out of the registry; whether it was there."""
        registry, alive = await self._buckets(client)
        if await self._registered(registry, name) is None:
            return False
        await registry.delete(name)
        await alive.delete(name)
        return True

    async def all(self, client: Client) -> list[Node]:
        """Every registered node, by name."""
        from nats.js.errors import NoKeysError  # noqa: PLC0415  heavy

        registry, alive = await self._buckets(client)
        try:
            names = sorted(await registry.keys())
        except NoKeysError:
            return []
        found = await asyncio.gather(*(self._registered(registry, name) for name in names))
        signs = await asyncio.gather(*(self._sign(alive, name) for name in names))
        return [
            Node(
                name,
                one.workspace,
                sign is not None and sign.workspace == one.workspace,
                one.draining,
                max(one.sent, sign.sent) if sign else one.sent,
                max(one.settled, sign.settled) if sign else one.settled,
            )
            for name, one, sign in zip(names, found, signs, strict=True)
            if one
        ]

    async def _check_place(self, alive: KeyValue) -> None:
        sign = await self._sign(alive, self._cluster.node)
        if sign and sign.place != self._cluster.place:
            raise NodeRefused(
                f"the node {self._cluster.node!r} is at work elsewhere: two copies of one "
                "workspace would speak with one voice",
                hint="end the other one, or give this one an identity of its own (`dino init`)",
            )

    async def _registered(self, registry: KeyValue, name: str) -> Registered | None:
        return await _value(registry, name, Registered)

    async def _sign(self, alive: KeyValue, name: str) -> Alive | None:
        return await _value(alive, name, Alive)

    async def _buckets(self, client: Client) -> tuple[KeyValue, KeyValue]:
        from nats.js.api import KeyValueConfig  # noqa: PLC0415  heavy

        link, settings = self._cluster.link, self._cluster.settings
        registry = KeyValueConfig(bucket=link.stream("NODES"))
        alive = KeyValueConfig(bucket=link.stream("ALIVE"), ttl=_ALIVE_S)
        return (
            await ensure_bucket(client, settings, registry),
            await ensure_bucket(client, settings, alive),
        )


async def _value(bucket: KeyValue, name: str, kind: type[S]) -> S | None:
    from nats.js.errors import KeyNotFoundError  # noqa: PLC0415  heavy

    try:
        entry = await bucket.get(name)
        return json.decode(entry.value or b"", type=kind)
    except (KeyNotFoundError, DecodeError):
        return None
