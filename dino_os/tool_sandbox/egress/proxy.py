"""
The only way from a sandboxed skill to the network: an HTTP proxy that knows where the skill may go.

Owns the listening socket, the thread that serves it, and the record of every connection.  The
sandbox has no network but a loopback of its own; the parent serves that listener and dials for it:
`CONNECT host:port` tunnels, and requests for `http://host/…`, one to a connection.

What the skill did not declare is answered 403 with the missing entry of `reaches`, what is
malformed 400, and a host that does not answer 502.  Hosts behind a gate are asked by whoever stands
there (`carrying`), who may also answer 202: taken, and sent later.  Nothing goes on unrecorded:
where a connection cannot be reported, the proxy stops, and `close` says so.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dino_os.errors import SandboxError
from dino_os.tool_sandbox.egress.hosts import Allowed

if TYPE_CHECKING:
    from dino_os.tool_sandbox.egress.carrying import Carrier
    from dino_os.tool_sandbox.egress.serving import Server

OnEvent = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """What a client can use up at most."""

    connections: int = 64  # at one time; others wait in the listener's queue
    header_bytes: int = 32 * 2**10
    header_s: float = 15.0  # for a whole head to come
    connect_s: float = 15.0  # for looking up and dialling
    idle_s: float = 120.0  # without a byte either way
    total_bytes: int | None = None  # both ways, of all connections
    carried_bytes: int = 16 * 2**20  # of a body that goes through a gate, which is read as a whole


class Proxy:
    """
    Serves *listener* from `start` to `close`; the listener is then its own to close.

    Args:
        allowed: Where the connections may go.
        on_event: Called once for each connection, when it has ended, with `host`, `port` (None
            where none was understood), `allowed`, `why` (empty where all went well), `bytes_up`
            and `bytes_down`.  In the proxy's thread: it must not call `close`, and others wait
            for it.
        resolve: Looks up names as `socket.getaddrinfo` does, in a thread of its own.
        carrier: Is asked about hosts behind a gate, and carries what is asked of them.
    """

    def __init__(
        self,
        listener: socket.socket,
        allowed: Allowed,
        on_event: OnEvent,
        *,
        resolve: Callable[..., list[Any]] = socket.getaddrinfo,
        limits: ProxyLimits = ProxyLimits(),
        carrier: Carrier | None = None,
    ) -> None:
        self._listener = listener
        self._allowed = allowed
        self._on_event = on_event
        self._resolve = resolve
        self._limits = limits
        self._carrier = carrier
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in the background."""
        from dino_os.tool_sandbox.egress.serving import Server  # noqa: PLC0415

        if self._server:
            raise RuntimeError("a proxy is started once")
        self._listener.setblocking(False)  # noqa: FBT003
        self._server = Server(
            self._listener,
            self._allowed,
            self._on_event,
            resolve=self._resolve,
            limits=self._limits,
            carrier=self._carrier,
        )
        self._thread = threading.Thread(target=self._server.run, name="dino-proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """
        End every connection, report it, and free the thread and all sockets.

        A lookup of a name that hangs is left to end by itself.

        Raises:
            SandboxError: What went through could not be reported, or not be served.
        """
        if self._server and self._thread:
            self._server.stop()
            self._thread.join()
        self._listener.close()
        if self._server and (failure := self._server.failure):
            raise SandboxError(f"the proxy stopped: {failure!r}") from failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
