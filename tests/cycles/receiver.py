"""A real HTTP server: it answers as told, and honours idempotency keys as a receiver should."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """
    What was asked, and how it answers.

    Attributes:
        answers: Of the next requests, in turn; the last one goes on for ever.  A status, or a word:
            "drop" takes the request and closes without an answer, "hang" answers when released,
            "cut" ends in the middle of the body.
        taken: Key → body, of those that were taken; one that comes again is not taken twice.
    """

    url: str = ""
    answers: list[Any] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    taken: dict[str, bytes] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Server(ThreadingHTTPServer):
    """Serves for one receiver."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.receiver = receiver

    def handle_error(self, *args: object) -> None:
        """Whoever asked is gone."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    @property
    def receiver(self) -> Receiver:
        return self.server.receiver

    def do_GET(self) -> None:
        headers = self._note(b"")
        tag = self.receiver.headers.get("ETag")
        if tag and headers.get("if-none-match") == tag:
            self._send(304, b"")
        else:
            self._answer(self.receiver.next_answer())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = self._note(body)
        answer = self.receiver.next_answer()
        if answer in {200, "drop", "hang"}:
            self.receiver.taken.setdefault(headers["idempotency-key"], body)
        self._answer(answer)

    def _note(self, body: bytes) -> dict[str, str]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append((self.path, headers, body))
        self.receiver.asked.set()
        return headers

    def _answer(self, answer: Any) -> None:
        if answer == "hang":
            self.receiver.released.wait(30)
        elif answer == "drip":
            self._drip()
        elif answer == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        elif answer != "drop":
            self._send(answer, self.receiver.body)
            return
        self.close_connection = True

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not self.receiver.released.wait(0.02):
                self.wfile.write(b"x")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in self.receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def serving() -> Iterator[Receiver]:
    """A receiver at work."""
    receiver = Receiver()
    with Server(receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            thread.join()
