"""A server of embeddings over real HTTP, in both shapes, that answers wrongly on demand."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, str]


class EmbeddingServer:
    """Serves on a free port of this machine while it is entered; it knows the model `small`."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None, Any]] = []  # method, path, bearer, body
        self.wrong: Callable[[list[list[Any]]], Any] | None = None  # what becomes of the vectors
        self.answers: list[Answer] = []  # given before the honest one
        self.models = [{"name": "small:latest", "digest": "d1"}]
        self.dim = 8
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def vectors(self, texts: list[str]) -> Any:
        """Of each text always the same, and of length 5."""
        rows: list[list[Any]] = []
        for text in texts:
            row = [0.0] * self.dim
            row[zlib.crc32(text.encode()) % self.dim] = 3.0
            row[zlib.crc32(text.encode()[::-1]) % self.dim] += 4.0
            rows.append(row)
        return self.wrong(rows) if self.wrong else rows

    def work(self, path: str, body: Any) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        if path == "/api/tags":
            return 200, json.dumps({"models": self.models})
        if body["model"] != "small":
            return 404, json.dumps({"error": f"model {body['model']!r} not found, try pulling it"})
        rows = self.vectors(body["input"])
        if path == "/api/embed":
            return 200, json.dumps({"model": "small", "embeddings": rows})
        if path == "/v1/embeddings":
            data = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
            return 200, json.dumps({"object": "list", "data": data[::-1]})
        return 404, "404 page not found"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: EmbeddingServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: Any) -> None:
        owner = self.server.owner
        owner.requests.append((self.command, self.path, self.headers.get("Authorization"), body))
        status, text = owner.work(self.path, body)
        content = text.encode()
        self.send_response(status)
        if status in range(300, 400):
            self.send_header("Location", "http://192.0.2.1/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""
