"""Pulling from a stream for as long as the process lives, whatever becomes of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dino_os.cluster.pulling import Puller
from dino_os.cluster.streams import ensure_stream

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import ConsumerConfig, StreamConfig

    from dino_os.cluster.link import Client, Link

_PULL_S = 2.0
_AGAIN_S = 0.25


async def pull_for_ever(
    client: Client,
    link: Link,
    stream: StreamConfig,
    config: ConsumerConfig,
    *,
    room: Callable[[], Awaitable[int]],
    take: Callable[[Msg], None],
) -> None:
    """
    Pull from *stream* as the consumer of *config*; both are made where they are missing.

    Args:
        room: Waits until there is room for more, and says for how many.
    """
    ask = f"{link.api}.CONSUMER.MSG.NEXT.{stream.name}.{config.durable_name}"
    puller = Puller(client, ask)
    is_there = False
    try:
        while True:
            try:
                if not is_there:
                    await ensure_stream(client, link.settings, stream)
                    await client.js.add_consumer(stream.name or "", config)
                    is_there = True
                for message in await puller.pull(await room(), _PULL_S):
                    take(message)
            except Exception:  # noqa: BLE001  the server is away, or lost it: made when it is back
                is_there = False
                await asyncio.sleep(_AGAIN_S)
    finally:
        await puller.close()
