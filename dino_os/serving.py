"""
What every server of ours shares: an address to listen on, and uvicorn with the limits it has.

uvicorn is imported where something is served.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from dino_os.errors import DinoError

if TYPE_CHECKING:
    from asyncio import Transport

    from starlette.types import ASGIApp
    from uvicorn import Server

_AT_ONCE = 100
_BACKLOG = 128
_GRACE_S = 3
_IDLE_S = 75
_HEAD_S = 10  # until a connection's first request has its headers


class NotListening(DinoError):
    """The address is taken, or none of this machine's."""

    exit_code = 4


def listening(host: str, port: int) -> socket.socket:
    """
    A socket that listens; at a port that is free where *port* is 0.

    Raises:
        NotListening: It cannot.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, proto)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
            found.listen(_BACKLOG)
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise NotListening(f"{host}:{port}: cannot listen: {error.strerror}") from None
    return found


def in_address(host: str) -> str:
    """*host* as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def server_of(application: ASGIApp, on_exit: Callable[[], None] = lambda: None) -> Server:
    """What carries *application*; *on_exit* is called when a signal ends it."""
    from uvicorn import Config, Server  # noqa: PLC0415  the network, where something is served
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415  as above

    class Hurried(H11Protocol):
        """Else whoever sends no whole request keeps, with a few connections, all others out."""

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.loop.call_later(_HEAD_S, self._refuse)

        def _refuse(self) -> None:
            if self.cycle is None:
                self.transport.abort()

    class Ending(Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            on_exit()
            super().handle_exit(sig, frame)

    config = Config(
        application,
        http=Hurried,
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Ending(config)
