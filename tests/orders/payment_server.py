"""
A payment provider over real HTTP, with a ledger, idempotency keys, and faults on demand.

`faults` are taken one for each request: what the server does wrong, before or after its work.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "sk_bearer_0123456789"
Fault = str | Callable[[], None]


class PaymentServer:
    """Serves on a free port of this machine while it is entered."""

    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, key
        self.bodies: list[Any] = []
        self.faults: list[Fault] = []
        self.status = "confirmed"  # of what is new
        self.changes: dict[str, Any] = {}  # of what an answer says
        self._by_key: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self.go_on = threading.Event()  # ends what hangs
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ledger = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def charged(self) -> int:
        return sum(p["amount"] for p in self.payments.values() if p["status"] == "confirmed")

    @property
    def given_back(self) -> int:
        return sum(r["amount"] for r in self.refunds.values() if r["status"] == "confirmed")

    def work(self, method: str, path: str, key: str | None, body: Any) -> tuple[int, Any]:
        """What an honest provider does."""
        parts = path.strip("/").split("/")[2:]
        if method == "GET":
            found = self.payments.get(parts[0]) if len(parts) == 1 else self.refunds.get(parts[-1])
            return (200, found) if found else (404, {"reason": "no such thing"})
        if key is None:
            return 400, {"reason": "no key"}
        with self._lock:
            if known := self._by_key.get(key):
                same = all(known[name] == body.get(name, known[name]) for name in ("amount",))
                return (200, known) if same else (422, {"reason": "key of another request"})
            made = {"status": self.status, "amount": body["amount"], "reference": key}
            if len(parts) == 2:
                payment = self.payments[parts[0]]
                back = sum(r["amount"] for r in self.refunds.values() if r["of"] == parts[0])
                if back + body["amount"] > payment["amount"]:
                    return 402, {"reason": "more than was paid"}
                made |= {"id": f"rf_{len(self.refunds) + 1}", "of": parts[0]}
                made["currency"] = payment["currency"]
                self.refunds[made["id"]] = made
            else:
                made |= {"id": f"pay_{len(self.payments) + 1}", "currency": body["currency"]}
                self.payments[made["id"]] = made
            self._by_key[key] = made
            return 201, made


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    ledger: PaymentServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self._serve(json.loads(self.rfile.read(size)))

    def _serve(self, body: Any) -> None:
        ledger = self.server.ledger
        key = self.headers.get("Idempotency-Key")
        ledger.requests.append((self.command, self.path, key))
        ledger.bodies.append(body)
        fault = ledger.faults.pop(0) if ledger.faults else ""
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send(401, {"reason": "who are you"})
        elif fault in _BEFORE:
            _BEFORE[str(fault)](self)
        elif isinstance(fault, str) and fault.isdecimal():
            self._send(int(fault), {"reason": f"{KEY} is busy"})
        else:
            status, answer = ledger.work(self.command, self.path, key, body)
            if callable(fault):
                fault()
            if fault in _AFTER:
                _AFTER[str(fault)](self)
            else:
                self._send(status, {**answer, **ledger.changes})

    def drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def later(self) -> None:
        self._send(429, {}, ("Retry-After", "120"))

    def redirect(self) -> None:
        self._send(307, {}, ("Location", "/elsewhere"))

    def break_down(self) -> None:
        self._send(500, {})

    def hang(self) -> None:
        self.server.ledger.go_on.wait(30)

    def drip(self) -> None:
        """Never silent for long, and never done."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not self.server.ledger.go_on.wait(0.02):
                self.wfile.write(b" ")

    def garbage(self) -> None:
        self._send_bytes(200, b"<html>")

    def short(self) -> None:
        self.close_connection = True
        self._send_bytes(200, b'{"id"', size=500)

    def huge(self) -> None:
        self._send_bytes(200, b" " * (2 << 20))

    def _send(self, status: int, answer: Any, *headers: tuple[str, str]) -> None:
        self._send_bytes(status, json.dumps(answer).encode(), *headers)

    def _send_bytes(
        self, status: int, body: bytes, *headers: tuple[str, str], size: int | None = None
    ) -> None:
        with contextlib.suppress(OSError):  # whoever asked may have died
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if size is None else size))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is above
        """Quiet."""


_BEFORE = {
    "drop before": _Handler.drop,
    "429 later": _Handler.later,
    "redirect": _Handler.redirect,
}
_AFTER = {
    "drop after": _Handler.drop,
    "500 after": _Handler.break_down,
    "hang": _Handler.hang,
    "drip": _Handler.drip,
    "garbage": _Handler.garbage,
    "short": _Handler.short,
    "huge": _Handler.huge,
}
