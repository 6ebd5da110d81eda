"""The protocol server as a process or a thread: with a beginning and an end."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dino_os.errors import DinoError
from dino_os.offline.guard import LOOPBACK
from dino_os.offline.protocol import DATABASE, Protocol
from dino_os.serving import in_address, listening, server_of

if TYPE_CHECKING:
    from uvicorn import Server

    from engines.latent_cache import DocumentStore

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
        self._socket = listening(options.host, options.port)
        self.port: int = self._socket.getsockname()[1]
        host = in_address(options.host)
        self.url = f"http://{host}:{self.port}/{DATABASE}"
        self._complain = complain
        self._server = self._made(store, options, {*LOOPBACK, host, *options.names})

    def _made(self, store: DocumentStore, options: Options, names: Collection[str]) -> Server:
        from dino_os.offline.app import Application  # noqa: PLC0415  the network

        application = Application(
            Protocol(store, read_only=options.read_only),
            password=self.password,
            names=names,
            origins=options.origins,
            complain=self._complain,
        )
        self._close_feeds = application.news.close
        # Or the readers of feeds would keep the server.
        return server_of(application.asgi, application.news.close)

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
