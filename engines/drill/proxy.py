"""
A bad network: a proxy between two real sockets that cuts, drops, delays, resets and truncates.

What is done to a connection is chosen by whoever made the proxy, when it comes in.  While the
network is cut nobody listens, so that the system itself refuses; what was open is reset.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

_BLOCK = 65536
_HOST = "127.0.0.1"
_BACKLOG = 64
_UPSTREAM_S = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: 32\r\nConnection: close\r\n\r\n"
    b'{"error":"service_unavailable"}\n'
)


class Fault(NamedTuple):
    """
    What is done to one connection.

    Attributes:
        kind: `none`; `drop` (taken, never answered), `delay`, `reset` (after so many bytes of the
            answer), `truncate_request`, `truncate_answer` (ended after so many bytes), `busy`
            (answered with 503, and not passed on).
        after: Of how many bytes.
    """

    kind: str = "none"
    after: int = 0
    delay_s: float = 0.0


KINDS = ("drop", "delay", "reset", "truncate_request", "truncate_answer", "busy")


class FaultProxy:
    """
    Stands in front of *target* (host and port), at `port`.

    Args:
        choose: What is done to the next connection.

    Attributes:
        injected: How often each kind was.
    """

    def __init__(self, target: tuple[str, int], choose: Callable[[], Fault] = Fault) -> None:
        self._target = target
        self._choose = choose
        self.injected: Counter[str] = Counter()
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        # Bound and never listening: the port stays ours while nobody listens there.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self._cut = threading.Event()
        self.restore()

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def restore(self) -> None:
        """Listen again."""
        if self._listener is None:
            self._cut = threading.Event()
            self._listener = _bound(self.port)
            self._listener.listen(_BACKLOG)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until `restore()`."""
        if self._listener is not None:
            self._cut.set()
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits in accept()
            self._listener.close()
            self._listener = None
        with self._guard:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._place.close()

    # --- connections -------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        cut = self._cut
        while not cut.is_set():
            try:
                client, _ = listener.accept()
            except OSError:  # cut
                return
            with self._guard:
                self._open.add(client)
                fault = self._choose()
                self.injected[fault.kind] += 1
            threading.Thread(target=self._serve, args=(client, fault, cut), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault, cut: threading.Event) -> None:
        try:
            with contextlib.suppress(OSError):
                self._treat(client, fault, cut)
        finally:
            with self._guard:
                self._open.discard(client)
            if fault.kind == "reset" or cut.is_set():
                _reset(client)
            client.close()

    def _treat(self, client: socket.socket, fault: Fault, cut: threading.Event) -> None:
        if fault.kind == "drop":
            while client.recv(_BLOCK):
                pass
            return
        if fault.kind == "busy":
            client.recv(_BLOCK)
            client.sendall(_BUSY)
            client.shutdown(socket.SHUT_WR)
            while client.recv(_BLOCK):
                pass
            return
        if fault.kind == "delay" and cut.wait(fault.delay_s):
            return
        with socket.create_connection(self._target, timeout=_UPSTREAM_S) as server:
            server.settimeout(None)
            for one in (client, server):  # a head and its body are no reason to wait for each other
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._guard:
                self._open.add(server)
            try:
                _pump(client, server, fault)
            finally:
                with self._guard:
                    self._open.discard(server)


def _pump(client: socket.socket, server: socket.socket, fault: Fault) -> None:
    """Carry bytes both ways until one end is through, or the fault's measure is full."""
    to_server = to_client = float("inf")
    if fault.kind == "truncate_request":
        to_server = fault.after
    elif fault.kind in {"truncate_answer", "reset"}:
        to_client = fault.after
    while True:
        readable, _, _ = select.select([client, server], [], [])
        for source in readable:
            data = source.recv(_BLOCK)
            if not data:
                return
            if source is client:
                server.sendall(data[: int(min(to_server, len(data)))])
                to_server -= len(data)
            else:
                client.sendall(data[: int(min(to_client, len(data)))])
                to_client -= len(data)
            if to_server < 0 or to_client < 0:
                return


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((_HOST, port))
    return found


def _reset(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
