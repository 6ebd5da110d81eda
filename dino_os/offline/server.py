"""
The protocol server as a process or a thread: an address to listen on, a beginning and an end.

uvicorn carries it; imported where something is served.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.offline.guard import LOOPBACK
from dino_os.offline.protocol import DATABASE, Protocol

if TYPE_CHECKING:
    from uvicorn import Server

    from engines.latent_cache import DocumentStore

_AT_ONCE = 100
_BACKLOG = 128
_GRACE_S = 3
_IDLE_S = 75
_BEGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """
    How a store is served.

    Attributes:
        port: 0 for any that is free.
        names: What requests may call the server besides its address and `localhost`.
        origins: Of pages that may call it from a browser.
        password: None for one that nobody could guess.
    """

    host: str = "127.0.0.1"
    port: int = 0
    names: Collection[str] = ()
    origins: Collection[str] = ()
    read_only: bool = False
    password: str | None = None


def new_password() -> str:
    return secrets.token_urlsafe(24)


class NotListening(DinoError):
    """The address is taken, or none of this machine's."""

    exit_code = 4


class ProtocolServer:
    """
    Serves *store* at `url`.

    Raises:
        NotListening: The address cannot be listened on.
    """

    def __init__(
        self,
        store: DocumentStore,
        options: Options = Options(),
        *,
        complain: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.password = options.password or new_password()
        self._socket = _listening(options.host, options.port)
        self.port: int = self._socket.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"http://{host}:{self.port}/{DATABASE}"
        self._complain = complain
        self._server = self._made(store, options, {*LOOPBACK, host, *options.names})

    def _made(self, store: DocumentStore, options: Options, names: Collection[str]) -> Server:
        from uvicorn import Config, Server  # noqa: PLC0415  the network, where something is served

        from dino_os.offline.app import Application  # noqa: PLC0415

        application = Application(
            Protocol(store, read_only=options.read_only),
            password=self.password,
            names=names,
            origins=options.origins,
            complain=self._complain,
        )

        class Ending(Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                application.news.close()  # or their readers would keep the server
                super().handle_exit(sig, frame)

        config = Config(
            application.asgi,
            http="h11",
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
        self._close_feeds = application.news.close
        return Ending(config)

    def run(self) -> None:
        """
        Serve until a signal, which is raised again at the end, or `end()`.

        Raises:
            KeyboardInterrupt: After Ctrl-C, when all is closed.
        """
        with self._socket:
            self._server.run(sockets=[self._socket])

    def end(self) -> None:
        """Have `run` return, from another thread."""
        self._close_feeds()
        self._server.should_exit = True

    @property
    def has_begun(self) -> bool:
        return self._server.started


@contextlib.contextmanager
def served(store: DocumentStore, options: Options = Options()) -> Iterator[ProtocolServer]:
    """Serve *store* from a thread as long as the block lasts."""
    server = ProtocolServer(store, options)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    tick, left = threading.Event(), _BEGIN_S
    while not server.has_begun:
        tick.wait(0.01)
        left -= 0.01
        if left <= 0 or not thread.is_alive():
            raise DinoError("the protocol server did not begin")
    try:
        yield server
    finally:
        server.end()
        thread.join()


def _listening(host: str, port: int) -> socket.socket:
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
