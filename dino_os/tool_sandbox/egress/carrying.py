"""
Requests that somebody else carries for a skill: those for hosts behind a gate.

Owns what the proxy asks of a carrier, and the threads in which it waits for the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from dino_os.tool_sandbox.egress import http1

T = TypeVar("T")

_LAST_WAIT_S = 5.0
_NO_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Carried:
    """What a skill gets back."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Declined(Exception):
    """
    It was not carried.

    Attributes:
        status: What the skill is answered.
        denied: Whether it was not allowed, and not just impossible.
    """

    def __init__(self, status: int, why: str, *, denied: bool = False) -> None:
        self.status, self.why, self.denied = status, why, denied
        super().__init__(why)


class Carrier(Protocol):
    """Whoever stands between skills and hosts; called in threads of the proxy."""

    def domain_of(self, host: str, port: int) -> str | None:
        """Behind which gate that host is; None: behind none.  At once."""

    def admit(self, domain: str, host: str, port: int) -> None:
        """
        Let a tunnel through.

        Raises:
            Declined: The gate does not.
        """

    def carry(
        self, domain: str, asked: http1.Request, body: bytes | None, wanted: Callable[[], bool]
    ) -> Carried:
        """
        Have *asked* answered.

        Args:
            wanted: Whether the client still waits for the answer.

        Raises:
            Declined: It is not.
        """


class Aside:
    """Runs calls that take their time, each in a thread, for one event loop."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    async def run(self, call: Callable[[], T]) -> T:
        """
        What *call* returns or raises; it goes on to its end whoever stops waiting.

        Raises:
            OSError: The machine has no room for another thread.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(end: Callable[[], None]) -> None:
            if not answer.done():  # else nobody waits any more
                end()

        def work() -> None:
            try:
                end = partial(answer.set_result, call())
            except Exception as error:  # noqa: BLE001  whoever waits gets it
                end = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(tell, end)

        # Not the loop's executor: its threads would keep the process from ending.
        thread = threading.Thread(target=work, name="dino-carry", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(f"no thread: {error}") from None
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        return await answer

    def close(self) -> None:
        """Wait a while for what is under way: it may be queueing what the skill handed over."""
        deadline = time.monotonic() + _LAST_WAIT_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))


def answer_head(carried: Carried, method: str) -> bytes:
    """The head of the answer as a client gets it; where a body follows its length is ours."""
    gone = {"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"}
    fields = [(name, value) for name, value in carried.headers if name.lower() not in gone]
    if method == "HEAD" or carried.status in _NO_BODY:
        lengths = [value for name, value in carried.headers if name.lower() == "content-length"]
        lengths = [value for value in lengths[:1] if value.isascii() and value.isdigit()]
    else:
        lengths = [str(len(carried.body))]
    fields += [*(("Content-Length", length) for length in lengths), ("Connection", "close")]
    return http1.answer_head(carried.status, fields)
