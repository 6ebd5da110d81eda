"""A service on the loopback whose cable can be pulled, and that takes each key once."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Service:
    """
    What arrives at one port, whether or not anybody listens there now.

    Attributes:
        heard: Method, path, key and body of each request that was read as a whole.
        taken: Key → body; one that comes again is answered, and not taken again.
        fault: Says for each request what goes wrong: "" nothing, "reset" without an answer before
            it is taken, "lost" the same after, "hang", "drip", "truncated", or a status.
    """

    def __init__(self, fault: Callable[[], str] = lambda: "") -> None:
        self.heard: list[tuple[str, str, str | None, bytes]] = []
        self.taken: dict[str, bytes] = {}
        self.fault = fault
        self.headers: dict[str, str] = {}
        self.guard = threading.Lock()
        self.asked = threading.Event()
        self.go_on = threading.Event()  # ends what hangs and drips
        self._holder = socket.socket()  # nobody else takes the port while the cable is out
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: _Server | None = None

    def connect(self) -> None:
        """Plug the cable in."""
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.service = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def cut(self) -> None:
        """Pull it: whoever connects is refused."""
        with self.guard:
            server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()

    def close(self) -> None:
        self.go_on.set()
        self.cut()
        self._holder.close()

    def take(self, key: str | None, body: bytes) -> None:
        with self.guard:
            self.taken.setdefault(key or f"none-{len(self.taken)}", body)


class _Server(ThreadingHTTPServer):
    service: Service
    allow_reuse_port = True
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Whoever asked is gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = self.headers.get("Idempotency-Key")
        with service.guard:
            service.heard.append((self.command, self.path, key, body))
        service.asked.set()
        fault = service.fault()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.close_connection = True
            self.connection.close()
            return
        if fault == "hang":
            service.go_on.wait(30)
        if not fault.isdigit():
            service.take(key, body)
        if fault == "lost":
            self.close_connection = True
            return
        self._answer(fault)

    def _answer(self, fault: str) -> None:
        service = self.server.service
        self.send_response(int(fault) if fault.isdigit() else 201)
        for name, value in service.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "1000" if fault in {"truncated", "drip"} else "2")
        self.end_headers()
        self.wfile.write(b"ok")
        if fault == "drip":
            while not service.go_on.wait(0.02):
                self.wfile.write(b".")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def serving(service: Service | None = None) -> Iterator[Service]:
    """A service that is connected."""
    made = service or Service()
    made.connect()
    try:
        yield made
    finally:
        made.close()
