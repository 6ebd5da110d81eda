"""
A service as one is posted to: real HTTP on loopback, which does what is asked once for each
idempotency key, and counts what arrived.
"""

from __future__ import annotations

import threading
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

ATTEMPT = "Drill-Attempt"
_PATIENCE_S = 5.0
_MOST_BYTES = 2**20


class CountingService:
    """
    Takes posts at `port` until it is closed.

    Attributes:
        arrivals: Idempotency key → how often a whole request with it arrived.
        effects: What was done, in that order: key, path and body.
        late: Keys that were sent again although the sender had the whole answer.
    """

    def __init__(self) -> None:
        self.arrivals: Counter[str] = Counter()
        self.effects: list[tuple[str, str, bytes]] = []
        self.late: list[str] = []
        self._settled: dict[str, int] = {}
        self._guard = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def settle(self, key: str, attempt: int) -> None:
        """The sender has read the whole answer to that attempt: it must send no further one."""
        with self._guard:
            self._settled.setdefault(key, attempt)

    def take(self, key: str, path: str, body: bytes, attempt: int = 0) -> bool:
        """
        Do what is asked, where it was not done before; whether it was.

        Args:
            attempt: Counts what was sent; one from before may come late, which is the network's.
        """
        with self._guard:
            if attempt > self._settled.get(key, attempt):
                self.late.append(key)
            self.arrivals[key] += 1
            first = self.arrivals[key] == 1
            if first:
                self.effects.append((key, path, body))
            return first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks off is what this is for."""


def _handler(service: CountingService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _PATIENCE_S
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            key, length = self.headers.get("Idempotency-Key"), self.headers.get("Content-Length")
            size = int(length) if length and length.isdigit() else -1
            self.close_connection = True
            if not key or not 0 <= size <= _MOST_BYTES:
                self._answer(HTTPStatus.BAD_REQUEST, b"{}")
                return
            body = self.rfile.read(size)
            if len(body) < size:  # cut off on the way: it has not arrived
                return
            attempt = int(self.headers.get(ATTEMPT) or 0)
            first = service.take(key, self.path, body, attempt)
            self._answer(HTTPStatus.OK, b'{"done":true}' if first else b'{"done":"before"}')

        def _answer(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as above
            """What arrived is counted, not printed."""

    return Handler
