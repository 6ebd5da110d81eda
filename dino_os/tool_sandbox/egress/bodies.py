"""The body of a client's request, as its head announced it, and not one byte that comes after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dino_os.errors import InvalidInput
from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.incoming import Incoming

Deliver = Callable[[bytes], Awaitable[None]]


async def exactly(incoming: Incoming, size: int, deliver: Deliver) -> None:
    """So many bytes."""
    while size:
        data = await incoming.some(size)
        if not data:
            raise EOFError("the client left in the middle of its request")
        await deliver(data)
        size -= len(data)


async def chunks(
    incoming: Incoming, deliver: Deliver, *, most_trailer: int, framed: bool = True
) -> None:
    """A chunked body, each chunk framed anew, or not at all."""

    async def frame(data: bytes) -> None:
        if framed:
            await deliver(data)

    while size := http1.parse_chunk_size(await incoming.until(b"\r\n", 32)):
        await frame(b"%x\r\n" % size)
        await exactly(incoming, size, deliver)
        if await incoming.until(b"\r\n", 2):
            raise InvalidInput("a chunk is longer than it says")
        await frame(b"\r\n")
    if await incoming.until(b"\r\n", most_trailer):
        raise InvalidInput("a body with trailers is not taken")
    await frame(b"0" + http1.HEAD_END)
