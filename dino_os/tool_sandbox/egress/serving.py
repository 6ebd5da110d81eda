"""
The proxy's event loop: takes connections as there is room, and ends them all when told.

Runs in a thread of its own; `stop` is the only call from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from dino_os.tool_sandbox.egress.carrying import Aside, Carrier
from dino_os.tool_sandbox.egress.dialling import Dialler
from dino_os.tool_sandbox.egress.forwarding import Budget, Exchange, Means
from dino_os.tool_sandbox.egress.hosts import Allowed
from dino_os.tool_sandbox.egress.lookup import Resolve
from dino_os.tool_sandbox.egress.proxy import OnEvent, ProxyLimits

_BREATH_S = 0.1


class Server:
    """Serves *listener*, which is non-blocking, until it is stopped or cannot go on."""

    def __init__(
        self,
        listener: socket.socket,
        allowed: Allowed,
        on_event: OnEvent,
        *,
        resolve: Resolve,
        limits: ProxyLimits,
        carrier: Carrier | None,
    ) -> None:
        self.failure: Exception | None = None
        self._listener = listener
        self._on_event = on_event
        self._limits = limits
        self._dialler = Dialler(allowed, resolve, limits.connect_s)
        self._aside = Aside()
        budget = Budget(limits.total_bytes)
        self._means = Means(allowed, self._dialler, budget, limits, carrier, self._aside)
        self._open: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._loop = asyncio.new_event_loop()

    def run(self) -> None:
        """Serve; returns when all is over and closed."""
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001  told by whoever closes the proxy
            self.failure = self.failure or error
        finally:
            self._loop.close()
            self._dialler.close()
            self._aside.close()

    def stop(self) -> None:
        """End it, from any thread, at any time."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self) -> None:
        self._listen()
        try:
            await self._stopped.wait()
        finally:
            self._stopped.set()
            self._loop.remove_reader(self._listener)
            self._listener.close()  # who still waits in its queue need not wait any longer
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _listen(self) -> None:
        if not self._stopped.is_set() and len(self._open) < self._limits.connections:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        # In a callback, with no wait between taking the connection and its task: none gets lost.
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no descriptors or no memory left, of which others may free some
            self._loop.remove_reader(self._listener)
            self._loop.call_later(_BREATH_S, self._listen)
            return
        client.setblocking(False)  # noqa: FBT003
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange = Exchange(client, self._means)
        task = self._loop.create_task(exchange.serve())
        self._open.add(task)
        task.add_done_callback(lambda task: self._ended(task, exchange))
        if len(self._open) >= self._limits.connections:
            self._loop.remove_reader(self._listener)

    def _ended(self, task: asyncio.Task[None], exchange: Exchange) -> None:
        """Also of a task that was cancelled before its first step."""
        self._open.discard(task)
        if task.cancelled():
            exchange.why = exchange.why or "the run has ended"
        elif error := task.exception():
            exchange.why = f"a fault of the proxy: {error!r}"
        exchange.close()
        try:
            self._on_event(exchange.report())
        except Exception as error:  # noqa: BLE001  whatever it is, there is no record
            self.failure = self.failure or error
            self._stopped.set()
        self._listen()
