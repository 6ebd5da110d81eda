"""
From a checked host to a connection: looked up once, and only checked addresses dialled.

A name server may answer differently the second time it is asked (DNS rebinding), so there is no
second time: the socket is given the address that was judged, never the name.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time

from dino_os.tool_sandbox.egress.hosts import Address, Allowed, literal
from dino_os.tool_sandbox.egress.lookup import MOST_DIALLED, Resolve, look_up

# Lookups cannot be broken off.  A host that asks for slow names holds these threads, and no more.
_LOOKUPS = 8
_LAST_WAIT_S = 1.0


class Dialler:
    """Connects to allowed hosts, on behalf of one event loop."""

    def __init__(self, allowed: Allowed, resolve: Resolve, connect_s: float) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._connect_s = connect_s
        self._room = asyncio.Semaphore(_LOOKUPS)
        self._threads: list[threading.Thread] = []

    async def connect(self, host: str, port: int) -> socket.socket:
        """
        A connection to *host*, which is from `Allowed.check`.

        Raises:
            Denied: It stands for addresses that may not be dialled.
            OSError: It cannot be found or reached, or not in time.
        """
        async with asyncio.timeout(self._connect_s):
            found = [host] if literal(host) else await self._look_up(host, port)
            addresses = self._allowed.dialable(host, found)
            return await self._dial(addresses[:MOST_DIALLED], port)

    def close(self) -> None:
        """Wait a moment for lookups under way; one that hangs ends by itself, later."""
        deadline = time.monotonic() + _LAST_WAIT_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    async def _dial(self, addresses: list[Address], port: int) -> socket.socket:
        """The first that answers; each has its share of the time, so that none uses up all."""
        share = self._connect_s / len(addresses)
        failure: OSError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(share):
                    return await _connected(address, port)
            except OSError as error:  # also a timeout
                failure = error
        raise failure or OSError("no address")

    async def _look_up(self, host: str, port: int) -> list[str]:
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def end(addresses: list[str], failure: Exception | None) -> None:
            self._room.release()
            if answer.done():  # nobody waits any more
                return
            if failure is None:
                answer.set_result(addresses)
            else:
                answer.set_exception(failure)

        def tell(addresses: list[str], failure: Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone
                loop.call_soon_threadsafe(end, addresses, failure)

        # Not the loop's executor: its threads would keep the process from ending.
        try:
            thread = look_up(self._resolve, host, port, tell)
        except OSError:
            self._room.release()
            raise
        self._threads = [*(t for t in self._threads if t.is_alive()), thread]
        return await answer


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)  # noqa: FBT003
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection
