"""The stream of messages on the servers: what it is like, and the two ways in and out of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dino_os.cluster.streams import ensure_stream
from dino_os.cluster.wire import MESSAGES, Carried, as_subject

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js.api import StreamInfo

    from dino_os.cluster.link import Client, Link

_REMEMBER_S = 600.0  # for so long servers know a message again that is sent twice
_ACK_S = 5.0
_BATCH = 256
_EXPIRES_S = 5.0
_BEAT_S = 1.0
_SILENT_S = 4.0
_FORGOTTEN_S = 60.0
_BEATS, _NOBODY = "100", "503"
NO_ROOM = frozenset({10077, 10047, 10023, 10028, 10122, 10054})
"""Codes of JetStream for a stream, an account or a disk that is full, or a message too large."""


async def bus_stream(client: Client, link: Link) -> StreamInfo:
    """The stream, made where there is none: what is full refuses, and forgets nothing."""
    from nats.js.api import DiscardPolicy, StorageType, StreamConfig  # noqa: PLC0415  heavy

    config = StreamConfig(
        name=link.stream("BUS"),
        subjects=[link.subject(MESSAGES, ">")],
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=link.settings.keep_s,
        max_bytes=link.settings.keep_bytes,
        duplicate_window=min(_REMEMBER_S, link.settings.keep_s),
    )
    return await ensure_stream(client, link.settings, config)


async def publish(
    client: Client, link: Link, messages: Sequence[Carried]
) -> tuple[int, Exception | None]:
    """
    Send *messages* in their order, all under way at once.

    Returns:
        How many of them, from the first on, the servers have; and why not the next one.
    """
    from nats.js.errors import APIError, NoStreamResponseError  # noqa: PLC0415  heavy

    # Not by `publish_async`: in nats-py 2.16 a future whose message was refused is never done.
    nc, inbox = client.nc, client.nc.new_inbox()
    answers: dict[int, Exception | None] = {}
    complete = asyncio.Event()

    async def take(answer: Msg) -> None:
        at = int(answer.subject.rpartition(".")[2])
        if (answer.headers or {}).get("Status") == _NOBODY:
            answers[at] = NoStreamResponseError()
        else:
            found = json.loads(answer.data)
            try:
                answers[at] = APIError.from_error(found["error"]) if "error" in found else None
            except APIError as refused:
                answers[at] = refused
        if len(answers) == len(messages):
            complete.set()

    heard = await nc.subscribe(f"{inbox}.*", cb=take)
    try:
        async with asyncio.timeout(_ACK_S):
            for at, message in enumerate(messages):
                await nc.publish(
                    link.subject(MESSAGES, as_subject(message.channel)),
                    message.encode(),
                    reply=f"{inbox}.{at}",
                    headers={"Nats-Msg-Id": message.id, "Nats-Expected-Stream": link.stream("BUS")},
                )
            await complete.wait()
    except TimeoutError:
        pass
    finally:
        if nc.is_connected:
            await heard.unsubscribe()
    for at in range(len(messages)):
        failure = answers.get(at, TimeoutError("no acknowledgement in time"))
        if failure is not None:
            return at, failure
    return len(messages), None


async def make_room(client: Client, link: Link, settled: int) -> None:
    """
    Take out of the stream what nobody waits for any more, once it is half full.

    Args:
        settled: Up to where every node has it.
    """
    name = link.stream("BUS")
    info = await client.js.stream_info(name)
    if info.state.bytes < link.settings.keep_bytes / 2:
        return
    groups = [one for one in await client.js.consumers_info(name) if one.config.durable_name]
    floors = [one.ack_floor.stream_seq if one.ack_floor else 0 for one in groups]
    if (upto := min([settled, *floors])) >= info.state.first_seq:
        await client.js.purge_stream(name, seq=upto + 1)


class Source:
    """
    The messages of the stream from line *start* on, in their order.

    A consumer that the server forgets when we do not ask: what we have is in our own journal, and
    nowhere else.
    """

    def __init__(self, client: Client, link: Link, start: int) -> None:
        self._client, self._link, self._start = client, link, start
        self._there: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._asked = 0
        self._ask = ""
        self._inbox = ""
        self._heard: Subscription | None = None
        self._heard_at = time.monotonic()
        self._lost = False

    async def open(self) -> None:
        """
        Raises:
            nats.js.errors.APIError: The server will not have it.
        """
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415  heavy

        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(self._start, 1),
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_FORGOTTEN_S,
            mem_storage=True,
            num_replicas=1,
        )
        stream = self._link.stream("BUS")
        made = await self._client.js.add_consumer(stream, config)
        self._ask = f"{self._link.api}.CONSUMER.MSG.NEXT.{stream}.{made.name}"
        self._inbox = self._client.nc.new_inbox()
        self._heard = await self._client.nc.subscribe(self._inbox, cb=self._take)

    async def next(self, wait_s: float) -> list[Msg]:
        """
        What has come, oldest first; waits for the first for at most *wait_s*.

        Raises:
            ConnectionError: The consumer is gone, or was not heard of for too long: open another.
        """
        if self._lost or time.monotonic() - self._heard_at > _SILENT_S:
            raise ConnectionError("the consumer is gone")
        if not self._there:
            await self._request()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                return []
        found = [self._there.popleft() for _ in range(len(self._there))]
        self._news.clear()
        await self._request()
        return found

    async def poke(self) -> None:
        """Have `next` return at once."""
        self._news.set()

    async def close(self) -> None:
        if self._heard and self._client.nc.is_connected:
            await self._heard.unsubscribe()

    async def _request(self) -> None:
        """Ask for more, where fewer than half of what was asked for is still to come."""
        if self._asked > _BATCH // 2:
            return
        self._asked += _BATCH
        expires = int(_EXPIRES_S * 1e9)
        beat = int(_BEAT_S * 1e9)
        body = {"batch": _BATCH, "expires": expires, "idle_heartbeat": beat}
        await self._client.nc.publish(self._ask, json.dumps(body).encode(), self._inbox)

    async def _take(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is None:
            self._asked = max(self._asked - 1, 0)
            self._there.append(message)
        elif status == _BEATS:
            return
        else:  # what was asked for has run out, or there is nobody to ask
            self._asked = 0
            told = str(message.headers).lower()
            self._lost = status == _NOBODY or "deleted" in told or "leadership" in told
        self._news.set()
