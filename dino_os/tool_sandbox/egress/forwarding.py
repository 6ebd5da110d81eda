"""
One connection of a sandboxed client: what it asks for, whether it may, and the bytes both ways.

Plain sockets on an event loop, one piece of bytes in hand per direction: a side that does not read
stops the side that writes, and memory stays bounded whatever a client sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from dino_os.errors import Denied, InvalidInput
from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.dialling import Dialler
from dino_os.tool_sandbox.egress.hosts import Allowed, printable
from dino_os.tool_sandbox.egress.incoming import Incoming, TooLong
from dino_os.tool_sandbox.egress.proxy import ProxyLimits

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
_LINGER_S = 2.0
_LINGER_BYTES = 2**20
_TOO_SLOW = 408
_PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    _TOO_SLOW: "Request Timeout",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}
_FINAL, _SWITCHING = 200, 101
_USED_UP = "the run's limit of bytes is used up"

Deliver = Callable[[bytes], Awaitable[None]]


class Refused(Exception):
    """The client gets an answer of the proxy's own."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        self.why = why
        super().__init__(why)


class CutOff(Exception):
    """The connection ends without an answer."""


class HostStopped(CutOff):
    """The host takes no more; it may have answered all the same."""


@dataclass
class Budget:
    """How many bytes may still go through, of all connections together."""

    left: int | None

    def spend(self, size: int) -> None:
        """
        Take *size* from what is left.

        Raises:
            CutOff: There is less.
        """
        if self.left is None:
            return
        if size > self.left:
            self.left = 0
            raise CutOff(_USED_UP)
        self.left -= size


class Exchange:
    """One client connection, from its first byte to its report."""

    def __init__(
        self,
        client: socket.socket,
        allowed: Allowed,
        dialler: Dialler,
        budget: Budget,
        limits: ProxyLimits,
    ) -> None:
        self.host, self.port = "", None  # type: str, int | None
        self.allowed = False
        self.why = ""
        self.bytes_up = self.bytes_down = 0
        self._client = client
        self._upstream: socket.socket  # from when it is connected
        self._sockets = [client]
        self._incoming = Incoming(client)
        self._allowed = allowed
        self._dialler = dialler
        self._budget = budget
        self._limits = limits
        self._begun = False  # what the client was sent is not all there is
        self._moved_at = 0.0

    def report(self) -> dict[str, Any]:
        """What happened, for the record."""
        return {
            "host": self.host,
            "port": self.port,
            "allowed": self.allowed,
            "why": self.why,
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
        }

    def close(self) -> None:
        """Close both sides; a client that has had only a part is told so by a reset."""
        if self._begun:
            with contextlib.suppress(OSError):
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for side in self._sockets:
            side.close()

    async def serve(self) -> None:
        """Answer the client.  How it ended is in the report."""
        try:
            await self._serve()
        except Refused as refusal:
            await self._refuse(refusal.status, refusal.why)
        except (InvalidInput, TooLong) as error:
            await self._refuse(400, str(error))
        except (CutOff, EOFError) as error:
            self.why = str(error)
        except OSError as error:
            self.why = f"broken off: {_reason(error)}"

    # --- the request -------------------------------------------------------------------------

    async def _serve(self) -> None:
        request = await self._request()
        self.host, self.port = request.host, request.port
        self._upstream = await self._connect(request)
        self._sockets.append(self._upstream)
        if request.is_tunnel:
            await self._tell(b"HTTP/1.1 200 Connection established" + http1.HEAD_END)
            await self._together(
                self._relay(self._incoming, self._up, self._upstream),
                self._relay(Incoming(self._upstream), self._down, self._client),
            )
        else:
            await self._together(self._ask(request), self._pass_answer(Incoming(self._upstream)))
            await self._linger()
        self._begun = False

    async def _request(self) -> http1.Request:
        try:
            async with asyncio.timeout(self._limits.header_s):
                head = await self._incoming.until(http1.HEAD_END, self._limits.header_bytes)
        except TimeoutError:
            raise Refused(_TOO_SLOW, "the request took too long to come") from None
        except TooLong as error:
            raise Refused(431, str(error)) from None
        self.host = http1.asked_for(head)
        return http1.parse_request(head)

    async def _connect(self, request: http1.Request) -> socket.socket:
        if self._budget.left == 0:
            raise Refused(403, _USED_UP)
        try:
            host = self._allowed.check(request.host, request.port)
            upstream = await self._dialler.connect(host, request.port)
        except Denied as denied:
            hint = f"; {denied.hint}" if denied.hint else ""
            raise Refused(403, f"{denied}{hint}") from None
        except OSError as error:
            self.allowed = True
            raise Refused(502, f"unreachable: {_reason(error)}") from None
        self.allowed = True
        return upstream

    async def _refuse(self, status: int, why: str) -> None:
        """The proxy's own answer, where the client has not had the beginning of another."""
        self.why = why
        if self._begun:
            return
        line = printable(f"{_PHRASES[status]}: {why}", 512)
        body = f"dino: {line}\n".encode()
        # The line is in the status too: of a refused CONNECT clients show nothing else.
        head = (
            f"HTTP/1.1 {status} {line}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_LINGER_S):
                await self._tell(head.encode() + body)
            self._begun = False
            if status != _TOO_SLOW:  # who was has had its time
                await self._linger()

    # --- both ways ---------------------------------------------------------------------------

    async def _together(self, *halves: Coroutine[Any, Any, bool]) -> None:
        """
        Run both until one says that all is done, fails, or nothing has moved for too long.

        Raises:
            Refused: Nothing moved.
        """
        loop = asyncio.get_running_loop()
        idle_s = self._limits.idle_s
        self._moved_at = loop.time()
        tasks = pending = {loop.create_task(half) for half in halves}
        try:
            while pending:
                left = self._moved_at + idle_s - loop.time()
                if left <= 0:
                    raise Refused(504, f"nothing moved for {idle_s:g} s")
                done, pending = await asyncio.wait(
                    pending, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                # Each is asked, also behind one that says so: it may have failed.
                if True in {task.result() for task in done}:
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _relay(self, source: Incoming, deliver: Deliver, sink: socket.socket) -> bool:
        """Bytes as they come; where one side has ended the other may go on."""
        with contextlib.suppress(HostStopped):  # what it said before is still to come
            while data := await source.some():
                await deliver(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)
        return False

    async def _ask(self, request: http1.Request) -> bool:
        """The request and its body, and not one byte that comes after."""
        with contextlib.suppress(HostStopped):
            await self._up(request.head())
            if request.body == http1.CHUNKED:
                await self._chunks()
            else:
                await self._exactly(request.body or 0)
        while await self._incoming.some():
            pass  # one request per connection: no other is heard
        return True  # the client has left; in HTTP nobody ends one direction only

    async def _chunks(self) -> None:
        """A chunked body, each chunk framed anew."""
        while size := http1.parse_chunk_size(await self._incoming.until(b"\r\n", 32)):
            await self._up(b"%x\r\n" % size)
            await self._exactly(size)
            if await self._incoming.until(b"\r\n", 2):
                raise InvalidInput("a chunk is longer than it says")
            await self._up(b"\r\n")
        if await self._incoming.until(b"\r\n", self._limits.header_bytes):
            raise InvalidInput("a body with trailers is not taken")
        await self._up(b"0" + http1.HEAD_END)

    async def _exactly(self, size: int) -> None:
        while size:
            data = await self._incoming.some(size)
            if not data:
                raise EOFError("the client left in the middle of its request")
            await self._up(data)
            size -= len(data)

    async def _pass_answer(self, upstream: Incoming) -> bool:
        """The host's answer, up to the end of its connection."""
        status = 0
        while status < _FINAL:
            status, head = await self._answer_head(upstream)
            await self._down(head)
        while data := await upstream.some():
            await self._down(data)
        return True

    async def _answer_head(self, upstream: Incoming) -> tuple[int, bytes]:
        try:
            raw = await upstream.until(http1.HEAD_END, self._limits.header_bytes)
            status, head = http1.parse_answer(raw)
        except (EOFError, TooLong, InvalidInput) as error:
            raise Refused(502, f"the host's answer: {error}") from None
        except OSError as error:
            raise Refused(502, f"the host broke off: {_reason(error)}") from None
        if status == _SWITCHING:
            raise Refused(502, "the host's answer: another protocol, which nobody asked for")
        return status, head

    async def _up(self, data: bytes) -> None:
        self._budget.spend(len(data))
        try:
            await self._send(self._upstream, data)
        except OSError as error:
            raise HostStopped(f"the host broke off: {_reason(error)}") from None
        self.bytes_up += len(data)

    async def _down(self, data: bytes) -> None:
        self._budget.spend(len(data))
        await self._tell(data)
        self.bytes_down += len(data)

    async def _tell(self, data: bytes) -> None:
        self._begun = True
        await self._send(self._client, data)

    async def _send(self, sink: socket.socket, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sink, data)
        self._moved_at = loop.time()

    async def _linger(self) -> None:
        """
        Let the client read to the end before the connection is closed.

        Closing while bytes of its own lie unread would reset the connection, and it could lose
        the answer.
        """
        left = _LINGER_BYTES
        with contextlib.suppress(OSError):  # also a timeout
            self._client.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_S):
                while left > 0 and (data := await self._incoming.some()):
                    left -= len(data)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or "it does not answer"
