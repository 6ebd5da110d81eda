"""
Asking another node for what its journal has, where the stream has it no more.

By core NATS, not by the stream: who asks waits, and an answer that nobody waits for is worth
nothing.  A node answers for what it shares, and only while its service runs.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from dino_os.cluster.link import ClusterUnavailable
from dino_os.cluster.wire import Carried
from engines.errors import DinoError
from engines.journal import Journal

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from dino_os.cluster.cluster import Cluster
    from dino_os.cluster.link import Client

_ANSWER_S = 5.0
_PAGE_BYTES = 2**18


@dataclass(frozen=True, slots=True)
class Page:
    """
    A part of an answer.

    Attributes:
        more: Whether there is more behind it.
        gone: Whether the journal's beginning, of which this was asked, is there no more.
    """

    messages: list[Carried]
    more: bool
    gone: bool


def ask_for(cluster: Cluster, workspace: str, after: int, upto: int) -> Page | None:
    """
    The first of the messages of *workspace* on its lines (after, upto]; None where it is away.

    Raises:
        ClusterUnavailable: This node itself has no connection.
    """
    link = cluster.link
    question = orjson.dumps({"after": after, "upto": upto})

    async def ask(client: Client) -> bytes:
        subject = _subject(cluster, workspace)
        return bytes((await client.nc.request(subject, question, timeout=_ANSWER_S)).data)

    try:
        answer = link.call(ask, _ANSWER_S + 1)
    except ClusterUnavailable:
        if link.connected:
            return None
        raise
    try:
        found = orjson.loads(answer)
        messages = [Carried.decode(text.encode()) for text in found["messages"]]
        if any(m.workspace != workspace or not after < m.seq <= upto for m in messages):
            return None
        more = bool(found["more"]) and bool(messages)
        return Page(messages, more, bool(found["gone"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


async def answer_others(client: Client, cluster: Cluster, journal: Journal) -> None:
    """Answer for *journal* until this is cancelled."""

    async def answer(message: Msg) -> None:
        try:
            asked = orjson.loads(message.data)
            after, upto = int(asked["after"]), int(asked["upto"])
            most = min(_PAGE_BYTES, client.nc.max_payload // 2)
            page = await asyncio.to_thread(_page, cluster, journal, after, upto, most)
        except (ValueError, KeyError, TypeError, DinoError):
            return  # who asked will find that nobody answers
        await message.respond(page)

    heard = await client.nc.subscribe(_subject(cluster, cluster.workspace), cb=answer)
    try:
        await asyncio.Event().wait()
    finally:
        if client.nc.is_connected:
            await heard.unsubscribe()


def _page(cluster: Cluster, journal: Journal, after: int, upto: int, most: int) -> bytes:
    begin = journal.begin()
    start = max(begin, journal.file_with(after + 1), key=lambda place: place.seq)
    found: list[str] = []
    size, more = 0, False
    for events, _ in journal.read(start):
        for event in events:
            if not after < event["seq"] <= upto or event["event_type"] != "message_published":
                continue
            if not cluster.shares(event):
                continue
            text = cluster.carried(event, None).encode().decode()
            if found and size + len(text) > most:
                more = True
                break
            if len(text) > 2 * most - 1024:
                continue  # as large as no answer can be: it was told when it was not sent
            found.append(text)
            size += len(text)
        if more or (events and events[-1]["seq"] >= upto):
            break
    return orjson.dumps({"messages": found, "more": more, "gone": begin.seq > after + 1})


def _subject(cluster: Cluster, workspace: str) -> str:
    return cluster.link.subject("rpc", "bus", workspace)
