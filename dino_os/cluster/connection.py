"""
The thread in which nats-py lives: its event loop, and the connection in it.

Knows how a connection is kept; whose it is, and what is asked over it, is the link's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dino_os.cluster.trust import Refused, Trust
from dino_os.errors import ClusterError, Denied
from engines.errors import DinoError

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient
    from nats.js import JetStreamContext

T = TypeVar("T")

_CONNECT_S = 2
_AGAIN_S = 1
_PING_S = 5  # two unanswered: a link that is dead without a word is noticed within 15 s
LEAVE_S = 2.0


class ClusterUnavailable(ClusterError):
    """No server of the cluster can be reached now, or none answers in time."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class Client:
    """
    What a coroutine that runs in the link's loop is given.

    Attributes:
        nc: The connection; core NATS.
        js: JetStream over it.
    """

    nc: NatsClient
    js: JetStreamContext


def is_unreachable(error: BaseException) -> bool:
    """Whether *error* says that a server did not answer, not that it said no."""
    try:
        from nats import errors  # noqa: PLC0415  heavy, as the next
        from nats.js import errors as js_errors  # noqa: PLC0415
    except ImportError:
        return False
    away = (
        errors.ConnectionClosedError,
        errors.ConnectionReconnectingError,
        errors.NoRespondersError,
        errors.NoServersError,
        errors.OutboundBufferLimitError,
        errors.StaleConnectionError,
        js_errors.NoStreamResponseError,
        js_errors.ServiceUnavailableError,
        TimeoutError,
        ConnectionError,
    )
    return isinstance(error, away)


class Connection:
    """The thread, its loop, and the connection in it."""

    def __init__(
        self, urls: list[str], trust: Trust, options: dict[str, Any], name: str, domain: str
    ) -> None:
        self._urls, self._trust, self._options, self._name = urls, trust, options, name
        self._domain = domain
        self.client: Client | None = None
        self._connecting: Any = None
        self.failure: DinoError | None = None
        self._was_connected = False
        self._failures = 0
        self._sockets: list[int] = []
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        # Whoever runs a coroutine that nobody asks the result of was told by other means.
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._news = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="dino-cluster", daemon=True)
        self._thread.start()
        self._keeping = self.run(self._keep())

    @property
    def connected(self) -> bool:
        return self.client is not None and self.client.nc.is_connected

    @property
    def is_lost(self) -> bool:
        """Whether there was a connection, and is none."""
        return self._was_connected and not self.connected

    @property
    def is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:
            coroutine.close()
            raise ClusterUnavailable("the connection to the cluster was closed") from None

    async def with_client(
        self, make: Callable[[Client], Awaitable[T]], timeout_s: float | None
    ) -> T:
        async with asyncio.timeout(timeout_s):
            return await make(await self._ready(patient=timeout_s is None))

    def stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        with contextlib.suppress(Exception):
            self.run(self._leave()).result(LEAVE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.is_own_thread:
            self._thread.join(LEAVE_S)

    def let_go(self) -> None:
        """In a fork's child: its descriptors of the sockets lead nowhere from here on."""
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in self._sockets:
            os.dup2(nowhere, fd, inheritable=False)
        os.close(nowhere)

    # --- in the thread -----------------------------------------------------------------------

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            with contextlib.suppress(Exception):
                left = asyncio.all_tasks(self._loop)
                for task in left:
                    task.cancel()
                self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    async def _leave(self) -> None:
        self._keeping.cancel()
        await asyncio.sleep(0)  # whoever is still connecting stops, and its socket is ours to close
        if self._connecting:
            await self._connecting.close()

    async def _ready(self, *, patient: bool) -> Client:
        """The client, once it is connected; *patient* waits however long that takes."""
        while not self.connected:
            if self.failure and not patient and self._is_hopeless():
                raise self.failure
            await self._news.wait()
        assert self.client is not None  # noqa: S101  for the type checker
        return self.client

    def _is_hopeless(self) -> bool:
        """Whether it is known that nothing can be expected of the next seconds."""
        if isinstance(self.failure, Denied):
            return True
        return not self._was_connected and self._failures >= len(self._urls)

    def _tell(self) -> None:
        self._news.set()
        self._news.clear()

    async def _keep(self) -> None:
        """Have a connection, for ever; nats-py itself gives up when a server refuses us."""
        while not self._stopping:
            closed = asyncio.Event()
            try:
                await self._connect(closed)
                await closed.wait()
            except (OSError, DinoError, ValueError) as error:
                self._note(error)
            except Exception as error:  # noqa: BLE001  also what nats-py has no class for
                self._note(error)
            await asyncio.sleep(_AGAIN_S)

    async def _connect(self, closed: asyncio.Event) -> None:
        from dino_os.cluster.client import careful_client, jetstream  # noqa: PLC0415  brings nats-py

        nc = self._connecting = careful_client(self._judge)

        async def note(error: Exception) -> None:
            self._note(error)

        async def changed() -> None:
            self._tell()

        async def back() -> None:
            self._arrived(Client(nc, jetstream(nc, self._domain)))

        async def ended() -> None:
            closed.set()
            self._tell()

        await nc.connect(
            self._urls,
            name=self._name,
            error_cb=note,
            disconnected_cb=changed,
            reconnected_cb=back,
            closed_cb=ended,
            connect_timeout=_CONNECT_S,
            reconnect_time_wait=_AGAIN_S,
            max_reconnect_attempts=-1,
            ping_interval=_PING_S,
            tls=self._trust.context(),
            **self._options,
        )
        self._arrived(Client(nc, jetstream(nc, self._domain)))

    def _judge(self, info: dict[str, Any], peer: str, fd: int) -> None:
        self._sockets = [fd]
        self._trust.judge(info, peer)

    def _arrived(self, client: Client) -> None:
        self.client = client
        self.failure = None
        self._was_connected = True
        self._failures = 0
        self._tell()

    def _note(self, error: Exception) -> None:
        if self.connected:  # an operation's, not the connection's
            return
        self._failures += 1
        self.failure = _as_ours(error, self._urls)
        self._tell()


def _as_ours(error: Exception, urls: list[str]) -> DinoError:
    if isinstance(error, Refused):
        return error.reason
    if isinstance(error, DinoError):
        return error
    where = ", ".join(urls)
    text = told(error)
    if "authorization" in text.lower() or "authentication" in text.lower():
        return Denied(
            f"{where}: the server did not accept our credentials",
            hint="`cluster.credentials` names the key in the vault that holds them",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return Denied(
            f"{where}: the server's certificate is not trusted: {error.verify_message}",
            hint="`cluster.ca` names the file with the authority that signed it",
        )
    return ClusterUnavailable(
        f"cannot reach the cluster at {where}: {text}",
        hint="work goes on without it; what was said here follows when it is back",
    )


def told(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = str(error).removeprefix("nats: ").strip("'")
    return text or type(error).__name__
