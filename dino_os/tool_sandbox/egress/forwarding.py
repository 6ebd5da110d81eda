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
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from dino_os.errors import Denied, InvalidInput
from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.bodies import Deliver, chunks, exactly
from dino_os.tool_sandbox.egress.carrying import Aside, Carrier, Declined, answer_head
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
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_FINAL, _SWITCHING = 200, 101
_USED_UP = "the run's limit of bytes is used up"


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


@dataclass(frozen=True, slots=True)
class Means:
    """What all connections of a proxy share."""

    allowed: Allowed
    dialler: Dialler
    budget: Budget
    limits: ProxyLimits
    carrier: Carrier | None
    aside: Aside


class Exchange:
    """One client connection, from its first byte to its report."""

    def __init__(self, client: socket.socket, means: Means) -> None:
        self.host, self.port = "", None  # type: str, int | None
        self.allowed = False
        self.why = ""
        self.bytes_up = self.bytes_down = 0
        self._client = client
        self._upstream: socket.socket  # from when it is connected
        self._sockets = [client]
        self._incoming = Incoming(client)
        self._means = means
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
        carrier = self._means.carrier
        domain = carrier.domain_of(request.host, request.port) if carrier else None
        if carrier and domain and not request.is_tunnel:
            await self._carry(carrier, domain, request)
            self._begun = False
            return
        self._upstream = await self._connect(request, domain)
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
            async with asyncio.timeout(self._means.limits.header_s):
                head = await self._incoming.until(http1.HEAD_END, self._means.limits.header_bytes)
        except TimeoutError:
            raise Refused(_TOO_SLOW, "the request took too long to come") from None
        except TooLong as error:
            raise Refused(431, str(error)) from None
        self.host = http1.asked_for(head)
        return http1.parse_request(head)

    async def _connect(self, request: http1.Request, domain: str | None) -> socket.socket:
        host = self._checked(request)
        try:
            if (carrier := self._means.carrier) and domain:
                admit = carrier.admit
                await self._means.aside.run(lambda: admit(domain, request.host, request.port))
            upstream = await self._means.dialler.connect(host, request.port)
        except Denied as denied:
            raise _refused(denied) from None
        except Declined as declined:
            self.allowed = not declined.denied
            raise Refused(declined.status, declined.why) from None
        except OSError as error:
            self.allowed = True
            why = f"unreachable: {_reason(error)}"
            if domain:
                raise Refused(503, f"offline: {why}; what goes by a tunnel cannot wait") from None
            raise Refused(502, why) from None
        self.allowed = True
        return upstream

    def _checked(self, request: http1.Request) -> str:
        """The host of *request*, where the skill may reach it."""
        if self._means.budget.left == 0:
            raise Refused(403, _USED_UP)
        try:
            return self._means.allowed.check(request.host, request.port)
        except Denied as denied:
            raise _refused(denied) from None

    async def _carry(self, carrier: Carrier, domain: str, request: http1.Request) -> None:
        """Have the gate's side ask, and pass on what comes of it."""
        self._checked(request)
        body = await self._whole_body(request)
        try:
            carried = await self._means.aside.run(
                lambda: carrier.carry(domain, request, body, self._is_there)
            )
        except Declined as declined:
            self.allowed = not declined.denied
            raise Refused(declined.status, declined.why) from None
        self.allowed = True
        await self._down(answer_head(carried, request.method))
        if request.method != "HEAD":
            await self._down(carried.body)
        await self._linger()

    def _is_there(self) -> bool:
        """Whether the client has not closed its side; in any thread."""
        try:
            return self._client.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def _whole_body(self, request: http1.Request) -> bytes | None:
        """All of the request's body, which must not be larger than is kept."""
        if request.body is None:
            return None
        held, limits = bytearray(), self._means.limits

        async def hold(data: bytes) -> None:
            if len(held) + len(data) > limits.carried_bytes:
                raise Refused(413, f"more than {limits.carried_bytes:,} bytes")
            self._means.budget.spend(len(data))
            held.extend(data)
            self.bytes_up += len(data)

        try:
            async with asyncio.timeout(limits.idle_s):
                if request.body == http1.CHUNKED:
                    most = limits.header_bytes
                    await chunks(self._incoming, hold, most_trailer=most, framed=False)
                else:
                    await exactly(self._incoming, request.body, hold)
        except TimeoutError:
            raise Refused(_TOO_SLOW, "the body took too long to come") from None
        return bytes(held)

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
        idle_s = self._means.limits.idle_s
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
                most = self._means.limits.header_bytes
                await chunks(self._incoming, self._up, most_trailer=most)
            else:
                await exactly(self._incoming, request.body or 0, self._up)
        while await self._incoming.some():
            pass  # one request per connection: no other is heard
        return True  # the client has left; in HTTP nobody ends one direction only

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
            raw = await upstream.until(http1.HEAD_END, self._means.limits.header_bytes)
            status, head = http1.parse_answer(raw)
        except (EOFError, TooLong, InvalidInput) as error:
            raise Refused(502, f"the host's answer: {error}") from None
        except OSError as error:
            raise Refused(502, f"the host broke off: {_reason(error)}") from None
        if status == _SWITCHING:
            raise Refused(502, "the host's answer: another protocol, which nobody asked for")
        return status, head

    async def _up(self, data: bytes) -> None:
        self._means.budget.spend(len(data))
        try:
            await self._send(self._upstream, data)
        except OSError as error:
            raise HostStopped(f"the host broke off: {_reason(error)}") from None
        self.bytes_up += len(data)

    async def _down(self, data: bytes) -> None:
        self._means.budget.spend(len(data))
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


def _refused(denied: Denied) -> Refused:
    hint = f"; {denied.hint}" if denied.hint else ""
    return Refused(403, f"{denied}{hint}")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error) or "it does not answer"
