"""What comes in on a socket of an event loop, in lines and pieces, and never more than asked."""

from __future__ import annotations

import asyncio
import socket

_PIECE = 64 * 2**10


class TooLong(Exception):
    """What ends with a mark does not end where it must."""


class Incoming:
    """Reads *source*, which is non-blocking."""

    def __init__(self, source: socket.socket) -> None:
        self._source = source
        self._held = bytearray()

    async def some(self, most: int = _PIECE) -> bytes:
        """What has come, at least a byte and at most *most*; nothing at the end."""
        if self._held:
            return self._take(most)
        return await self._receive(most)

    async def until(self, mark: bytes, most: int) -> bytes:
        """
        What stands before *mark*, both of which are read.

        Raises:
            TooLong: That is more than *most* bytes.
            EOFError: It ended before.
        """
        searched = 0
        while (at := self._held.find(mark, searched)) < 0 and len(self._held) < most + len(mark):
            searched = max(len(self._held) - len(mark) + 1, 0)
            data = await self._receive(most + len(mark) - len(self._held))
            if not data:
                raise EOFError("the connection was closed too early")
            self._held += data
        if not 0 <= at <= most:
            raise TooLong(f"more than {most} bytes")
        return self._take(at + len(mark))[:at]

    async def _receive(self, most: int) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._source, min(most, _PIECE))
        await asyncio.sleep(0)  # two fast peers must not keep all others waiting
        return data

    def _take(self, most: int) -> bytes:
        taken = bytes(self._held[:most])
        del self._held[:most]
        return taken
