"""
This process's connection to the cluster's servers.

nats-py lives in an event loop of its own, in a thread of its own; everybody else in the process
calls in from ordinary threads.  The connection is made by the first call, comes back by itself
whenever it is lost, and is never inherited by a fork: a child that calls makes its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dino_os.cluster.trust import Refused, Trust, sign_in, urls_of
from dino_os.errors import ClusterError, Denied, InvalidInput
from engines.errors import DinoError

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient
    from nats.js import JetStreamContext

    from dino_os.config import Cluster

T = TypeVar("T")

_CONNECT_S = 2
_AGAIN_S = 1
_PING_S = 5  # two unanswered: a link that is dead without a word is noticed within 15 s
_LEAVE_S = 2.0
_LOCKED_S = 60.0

_all: weakref.WeakSet[Link] = weakref.WeakSet()
_inherited: list[Any] = []
"""What a fork's child has of its parent's connections: never used there, never finalised either."""


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


class Link:
    """
    The connection that *settings* describe.

    Args:
        secret: The value of a key in the vault; asked in the thread of the first call, and only
            where `credentials` names one.
        root: What a relative `ca` is relative to.
        name: What the connection is called in the server's own lists.
    """

    def __init__(
        self,
        settings: Cluster,
        secret: Callable[[str], str],
        *,
        root: Path | None = None,
        name: str = "dino",
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._root = root or Path()
        self._name = name
        self._guard = threading.Lock()
        self._running: _Running | None = None
        self._locked: tuple[float, DinoError] | None = None
        _all.add(self)

    # --- names -------------------------------------------------------------------------------

    def subject(self, *parts: str) -> str:
        """`dino.<namespace>.` and *parts*, joined by dots."""
        return ".".join(("dino", self.settings.namespace, *parts))

    def stream(self, name: str) -> str:
        """`DINO_<NAMESPACE>_<NAME>`: of a stream, or of a bucket of keys and values."""
        return f"DINO_{self.settings.namespace.upper()}_{name}"

    @property
    def api(self) -> str:
        """What subjects of JetStream's own interface begin with."""
        domain = self.settings.domain
        return f"$JS.{domain}.API" if domain else "$JS.API"

    # --- the connection ----------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a connection now; makes none."""
        running = self._running
        return running is not None and running.connected

    @property
    def failure(self) -> DinoError | None:
        """Why there is no connection, as far as it was tried."""
        running = self._running
        return None if running is None or running.connected else running.failure

    @property
    def server_version(self) -> str:
        """Of the server that this is connected to ("2.9.10"); empty where it is to none."""
        running = self._running
        client = running.client if running and running.connected else None
        if client is None:
            return ""
        found = client.nc.connected_server_version
        return f"{found.major}.{found.minor}.{found.patch}"

    def call(
        self, make: Callable[[Client], Awaitable[T]], timeout_s: float = 5.0, *, wait: bool = True
    ) -> T:
        """
        Run the coroutine that *make* gives in the link's loop, and return its result.

        A connection that was never there fails at once when no server can be reached; one that is
        lost is waited for.

        Args:
            timeout_s: For all of it, the wait for a connection included.
            wait: Whether a connection that is lost is waited for.

        Raises:
            ClusterUnavailable: There is no connection, or no answer in time.
            Denied: A server was refused, or refused us.
            Exception: What the coroutine raised; errors of JetStream are `nats.js.errors.APIError`.
        """
        running = self._start()
        if running.is_own_thread:
            raise RuntimeError("call() waits for the very thread it was called in")
        if not wait and running.is_lost:
            raise ClusterUnavailable("the connection to the cluster is lost")
        future = running.run(running.with_client(make, timeout_s))
        try:
            return future.result(timeout_s + _LEAVE_S)
        except CancelledError:
            raise ClusterUnavailable("the connection to the cluster was closed") from None
        except FutureTimeout as error:
            if future.done():  # the coroutine's own
                raise ClusterUnavailable(
                    f"no answer from the cluster: {error or 'too late'}"
                ) from None
            future.cancel()
            raise ClusterUnavailable(f"no answer from the cluster in {timeout_s:g} s") from None
        except BaseException as error:
            future.cancel()
            if is_unreachable(error):
                raise ClusterUnavailable(f"no answer from the cluster: {_told(error)}") from None
            raise

    def spawn(self, make: Callable[[Client], Awaitable[T]]) -> Future[T]:
        """
        Run a coroutine in the loop, once there is a connection, for as long as it takes.

        It must bear that the connection is lost: its own calls then fail, and work again later.
        Cancelling the future cancels the coroutine.
        """
        running = self._start()
        return running.run(running.with_client(make, None))

    def close(self) -> None:
        """End the connection and its thread; the next call makes a new one."""
        with self._guard:
            running, self._running = self._running, None
        if running:
            running.stop()

    def _start(self) -> _Running:
        with self._guard:
            if self._running is None:
                settings = self.settings
                if find_spec("nats") is None or find_spec("nkeys") is None:
                    raise InvalidInput(
                        "what speaks with the cluster's servers is not installed",
                        hint="`pip install 'dino-os[cluster]'`",
                    )
                options = self._sign_in()
                trust = Trust(settings, self._root)
                self._running = _Running(
                    urls_of(settings), trust, options, self._name, settings.domain
                )
            return self._running

    def _sign_in(self) -> dict[str, Any]:
        """As the vault has it; where it did not open, nobody is asked again for a while."""
        if self._locked and time.monotonic() < self._locked[0]:
            raise self._locked[1]
        try:
            return sign_in(self.settings, self._secret)
        except DinoError as error:
            self._locked = time.monotonic() + _LOCKED_S, error
            raise

    def prepare(self) -> None:
        """
        Begin to connect, in a thread in which somebody may be asked for the vault's passphrase.

        Raises:
            DinoError: The settings or the vault do not have what it takes.
        """
        self._start()

    def _forked(self) -> None:
        """In a fork's child: let go of the parent's socket without a word to the server."""
        self._guard = threading.Lock()
        running, self._running = self._running, None
        if running:
            _inherited.append(running)
            running.let_go()


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


class _Running:
    """The thread, its loop, and the connection in it."""

    def __init__(
        self, urls: list[str], trust: Trust, options: dict[str, Any], name: str, domain: str
    ) -> None:
        self._urls, self._trust, self._options, self._name = urls, trust, options, name
        self._domain = domain
        self.client: Client | None = None
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
            self.run(self._leave()).result(_LEAVE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.is_own_thread:
            self._thread.join(_LEAVE_S)

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
        if self.client:
            await self.client.nc.close()

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

        nc = careful_client(self._judge)

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
    text = _told(error)
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


def _told(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    text = str(error).removeprefix("nats: ").strip("'")
    return text or type(error).__name__


def _after_fork() -> None:
    for link in list(_all):
        link._forked()  # noqa: SLF001  this module's own


os.register_at_fork(after_in_child=_after_fork)
