"""
This process's connection to the cluster's servers.

nats-py lives in an event loop of its own, in a thread of its own; everybody else in the process
calls in from ordinary threads.  The connection is made by the first call, comes back by itself
whenever it is lost, and is never inherited by a fork: a child that calls makes its own.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dino_os.cluster.connection import (
    LEAVE_S,
    Client,
    ClusterUnavailable,
    Connection,
    is_unreachable,
    told,
)
from dino_os.cluster.trust import Trust, sign_in, urls_of
from dino_os.errors import InvalidInput
from engines.errors import DinoError

if TYPE_CHECKING:
    from dino_os.config import Cluster

__all__ = ["Client", "ClusterUnavailable", "Link", "is_unreachable"]

T = TypeVar("T")

_LOCKED_S = 60.0

_all: weakref.WeakSet[Link] = weakref.WeakSet()
_inherited: list[Any] = []
"""What a fork's child has of its parent's connections: never used there, never finalised either."""


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
        self._running: Connection | None = None
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
            return future.result(timeout_s + LEAVE_S)
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
                raise ClusterUnavailable(f"no answer from the cluster: {told(error)}") from None
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

    def _start(self) -> Connection:
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
                self._running = Connection(
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


def _after_fork() -> None:
    for link in list(_all):
        link._forked()  # noqa: SLF001  this module's own


os.register_at_fork(after_in_child=_after_fork)
