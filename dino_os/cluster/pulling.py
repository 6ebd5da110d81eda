"""
Getting messages of a pull consumer, a few at a time.

nats-py's `fetch` waits for its whole time where fewer come than were asked for, and what comes
behind that is lost for as long as an acknowledgement is waited for.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from dino_os.cluster.link import Client

_GRACE_S = 0.03
_ANSWER_S = 2.0
_BEATS, _NOBODY = "100", "503"


class Puller:
    """
    Pulls from a consumer; a coroutine at a time.

    Args:
        ask: The subject on which its messages are asked for.
    """

    def __init__(self, client: Client, ask: str) -> None:
        self._client, self._ask = client, ask
        self._there: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._status = ""
        self._inbox = ""
        self._heard: Subscription | None = None

    async def pull(self, most: int, wait_s: float) -> list[Msg]:
        """
        At most *most* messages: those that are there, else the first that comes in time.

        Raises:
            ConnectionError: There is no such consumer now.  What comes late all the same is there
                at the next call.
        """
        if self._heard is None:
            self._inbox = self._client.nc.new_inbox()
            self._heard = await self._client.nc.subscribe(self._inbox, cb=self._take)
        if not self._there:
            await self._request(most, {"batch": most, "no_wait": True}, _GRACE_S, _ANSWER_S)
        if not self._there:
            body = {"batch": 1, "expires": int(wait_s * 1e9)}
            await self._request(1, body, wait_s + _ANSWER_S, wait_s + _ANSWER_S)
            # A consumer that is there answers in time that it has nothing; of one that is gone,
            # servers before 2.10 say nothing at all.
            if not self._status and not self._there:
                raise ConnectionError("no answer to a pull")
        return [self._there.popleft() for _ in range(min(most, len(self._there)))]

    async def close(self) -> list[Msg]:
        """What came and was not taken."""
        heard, self._heard = self._heard, None
        if heard and not self._client.nc.is_closed:
            await heard.unsubscribe()
        return [*self._there]

    async def _request(
        self, most: int, body: dict[str, Any], grace_s: float, first_s: float
    ) -> None:
        """Ask, and wait for an end: what was asked for, or a word that there is no more."""
        self._status = ""
        await self._client.nc.publish(self._ask, json.dumps(body).encode(), self._inbox)
        while not self._status and len(self._there) < most:
            if self._there and self._there[-1].metadata.num_pending == 0:
                break
            self._news.clear()
            try:
                async with asyncio.timeout(grace_s if self._there else first_s):
                    await self._news.wait()
            except TimeoutError:
                break
        if self._status == _NOBODY:
            raise ConnectionError("the consumer is gone")

    async def _take(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._there.append(message)
        elif status != _BEATS:
            self._status = status
        self._news.set()
