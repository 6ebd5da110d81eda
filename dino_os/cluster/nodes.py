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
from msgspec.structs import replace

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
        left: Whether it was taken out while it was away: it does not come back by itself.
    """

    workspace: str
    sent: int = -1
    settled: int = 0
    draining: bool = False
    left: bool = False


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

    async def join(self, client: Client, lines: int, *, again: bool = False) -> bool:
        """
        Register this node, or find that it is; whether it was not.

        Args:
            lines: How many the journal of its messages has.
            again: Whether it comes back, should it have been taken out.

        Raises:
            NodeRefused: The name is another workspace's, this one is at work elsewhere or was taken
                out, or it said more than its journal has.
        """
        from nats.js.errors import KeyWrongLastSequenceError  # noqa: PLC0415  heavy

        cluster, (registry, alive) = self._cluster, await self._buckets(client)
        new = Registered(cluster.workspace)
        try:
            await registry.create(cluster.node, json.encode(new))
        except KeyWrongLastSequenceError:
            there = await self._registered(registry, cluster.node)
            mine = there is not None and there.workspace == cluster.workspace
            if there and not mine and not there.left:
                raise self._is_anothers() from None
            if there and mine:
                self._check_lines(there.sent, lines)
                new.sent = there.sent
            comes_back = there is not None and there.left
            if comes_back and mine and not again:
                raise self._is_out() from None
            if comes_back:
                await registry.put(cluster.node, json.encode(new))
            await self._check_place(alive)
            return comes_back
        await self._check_place(alive)
        return True

    async def check(self, client: Client) -> None:
        """
        Raises:
            NodeRefused: This node is not registered any more, or at work elsewhere too.
        """
        registry, alive = await self._buckets(client)
        await self._check_place(alive)
        await self._own(registry)

    async def beat(self, client: Client, sent: int, settled: int) -> None:
        """
        Give a sign of life.

        Raises:
            NodeRefused: This node is not registered any more, or at work elsewhere too.
        """
        cluster, (registry, alive) = self._cluster, await self._buckets(client)
        await self._check_place(alive)
        there = await self._own(registry)
        now = Registered(cluster.workspace, sent, settled, cluster.draining)
        if now != there:
            await registry.put(cluster.node, json.encode(now))
        sign = Alive(cluster.workspace, cluster.place, sent, settled)
        await alive.put(cluster.node, json.encode(sign))

    async def rest(self, client: Client, sent: int, settled: int) -> None:
        """Say how far it came, and take the sign of life back: this process ends."""
        await self.beat(client, sent, settled)  # not where it is another's
        _, alive = await self._buckets(client)
        await alive.delete(self._cluster.node)

    async def leave(self, client: Client, name: str) -> bool:
        """
        Take a node out of the registry; whether it was there.

        Another one than this is kept as one that left: it may be back, and was not asked.
        """
        registry, alive = await self._buckets(client)
        there = await self._registered(registry, name)
        if there is None or there.left:
            return False
        if there.workspace == self._cluster.workspace:
            await registry.delete(name)
        else:
            await registry.put(name, json.encode(replace(there, left=True)))
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
            if one and not one.left
        ]

    async def _check_place(self, alive: KeyValue) -> None:
        sign = await self._sign(alive, self._cluster.node)
        if sign and sign.place != self._cluster.place:
            raise NodeRefused(
                f"the node {self._cluster.node!r} is at work elsewhere: two copies of one "
                "workspace would speak with one voice",
                hint="end the other one, or give this one an identity of its own (`dino init`)",
            )

    async def _own(self, registry: KeyValue) -> Registered:
        there = await self._registered(registry, self._cluster.node)
        if there is None or there.left or there.workspace != self._cluster.workspace:
            if there and not there.left:
                raise self._is_anothers()
            raise self._is_out()
        return there

    def _is_anothers(self) -> NodeRefused:
        name = self._cluster.node
        return NodeRefused(
            f"another workspace is the node {name!r} of this cluster",
            hint="`cluster.node` names this one; or, where the other is gone for good, "
            f"`dino cluster leave {name}`",
        )

    def _is_out(self) -> NodeRefused:
        return NodeRefused(
            f"this node, {self._cluster.node!r}, was taken out of the cluster",
            hint="`dino cluster join` brings it back",
        )

    def _check_lines(self, sent: int, lines: int) -> None:
        if sent >= lines:
            raise NodeRefused(
                f"the cluster has line {sent} of {self._cluster.node!r}, whose journal here ends "
                f"at {lines - 1}: this is an old copy, and what it says now others would take for "
                "what they have",
                hint="put the newest journals back; or make a new workspace (`dino init`) with "
                "another `cluster.node`, and take this one out there: "
                f"`dino cluster leave {self._cluster.node}`",
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
