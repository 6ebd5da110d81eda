"""A proxy in front of a server that does to requests and answers what networks do to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.replication.couch import Server

FAULTS = (
    "drop",
    "lose",
    "error",
    "busy",
    "truncate",
    "cut",
    "page",
    "twice",
    "too_large",
    "silent",
)
"""
drop: the connection ends before the request gets through; lose: after it did; error, busy,
too_large: answered so by something in between; truncate: the answer ends in the middle; cut: it is
shorter than it was, and says nothing of it; page: another answer, in HTML; twice: the request gets
through two times; silent: nobody ever answers.
"""
Plan = Callable[[int, str], str | None]
_HELD_S = 5.0


def some_of(faults: tuple[str, ...], share: float, seed: int) -> Plan:
    """Of all requests *share* meet one of *faults*."""
    random = Random(seed)
    return lambda _number, _what: random.choice(faults) if random.random() < share else None


def at(numbers: dict[int, str]) -> Plan:
    """The requests with these numbers meet these faults."""
    return lambda number, _what: numbers.get(number)


class Proxy:
    """
    What stands in front of *upstream*.

    Attributes:
        plan: What befalls the request of that number (from 0) and text, "METHOD /path".
        seen: The requests, and what befell them.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.url = ""
        self.plan: Plan = lambda _number, _what: None
        self.seen: list[tuple[str, str | None]] = []
        self.guard = threading.Lock()
        self.closing = threading.Event()

    def meets(self, what: str) -> str | None:
        with self.guard:
            fault = self.plan(len(self.seen), what)
            self.seen.append((what, fault))
        return fault


@contextmanager
def in_front_of(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)

    class Bound(Handler):
        pass

    Bound.proxy = proxy
    server = Server(("127.0.0.1", 0), Bound)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        server.closing = True
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection of a client, with one to the server."""

    proxy: Proxy
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server_side: HTTPConnection | None = None

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def finish(self) -> None:
        if self.server_side:
            self.server_side.close()
        with suppress(OSError):
            super().finish()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.meets(f"{self.command} {self.path}")
        if fault in {None, "lose", "truncate", "cut", "twice"}:
            status, kind, data = self.forward(body)
            if fault == "twice":
                status, kind, data = self.forward(body)
        if fault in {None, "twice"}:
            self.send(status, kind, data)
        elif fault == "truncate":
            self.send(status, kind, data[: len(data) // 2], length=len(data))
            self.hang_up()
        elif fault == "cut":
            self.send(status, kind, data[: len(data) // 2])
        elif fault == "silent":
            self.proxy.closing.wait(_HELD_S)
            self.hang_up()
        elif fault in {"drop", "lose"}:
            self.hang_up()
        else:
            self.send(*ANSWERS[str(fault)])

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def forward(self, body: bytes) -> tuple[int, str, bytes]:
        if self.server_side is None:
            self.server_side = HTTPConnection(self.proxy.upstream)
            self.server_side.connect()
            self.server_side.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        self.server_side.request(self.command, self.path, body or None, headers)
        response = self.server_side.getresponse()
        return response.status, response.headers["Content-Type"] or "", response.read()

    def send(self, status: int, kind: str, data: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 503:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


ANSWERS = {
    "error": (500, "application/json", b'{"error":"internal_server_error"}'),
    "busy": (503, "text/plain", b"busy"),
    "page": (200, "text/html", b"<h1>Welcome to our Wi-Fi</h1>"),
    "too_large": (413, "text/plain", b"too large"),
}
