"""
A server of the shape of OpenAI's, on 127.0.0.1, that says what a test tells it to.

    with ScriptedServer(Text("hello"), Status(503)) as server:
        ...                                   # ask it at server.url: http://127.0.0.1:PORT/v1
        assert server.bodies[0]["messages"]   # each request was kept, in their order

Answers are given in their order; when they are used up, `always` is (a 500 that says so, unless it
was set).  One that was asked to stream does.  `native` maps a path outside /v1 (Ollama's /api/show
and /api/ps) to the JSON that is answered there.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias

_MODEL = "scripted-1"


@dataclass(frozen=True)
class Text:
    """*text*; streamed word by word, or as *pieces*."""

    text: str = "hello there"
    pieces: Sequence[str] = ()
    input_tokens: int | None = 7
    output_tokens: int = 3
    finish: str = "stop"

    @property
    def streamed(self) -> Sequence[str]:
        if self.pieces:
            return self.pieces
        words = self.text.split(" ")
        return [word + " " * (n < len(words) - 1) for n, word in enumerate(words)]


@dataclass(frozen=True)
class Calls:
    """Calls of tools: (name, arguments) each; arguments may be text that is no JSON."""

    calls: Sequence[tuple[str, Mapping[str, Any] | str]]
    text: str = ""
    input_tokens: int | None = 7
    output_tokens: int = 3


@dataclass(frozen=True)
class Status:
    """An error of HTTP."""

    status: int
    message: str = "the server says no"
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Raw:
    """Bytes as a body with status 200: no JSON, or no answer of a model."""

    body: bytes = b'{"choices": [{"mess'
    kind: str = "application/json"


@dataclass(frozen=True)
class Empty:
    """An answer without choices."""


@dataclass(frozen=True)
class Dies:
    """As `Text`, and the connection ends behind so many pieces of it (0: before the first)."""

    after: int = 1
    text: str = "the tide comes in and goes out"


@dataclass(frozen=True)
class Hangs:
    """Nothing until the client leaves or the server is left; behind *after* pieces of the text."""

    after: int = 0
    text: str = "the tide comes in"


Answer: TypeAlias = Text | Calls | Status | Raw | Empty | Dies | Hangs
Script: TypeAlias = Answer | Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class Request:
    """What somebody sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body or b"{}")
        return found


class ScriptedServer:
    """Serves from the beginning of the `with` to its end, in threads."""

    def __init__(
        self,
        *answers: Script,
        always: Script = Status(500, "nothing more was scripted"),
        native: Mapping[str, Any] | None = None,
    ) -> None:
        self.script = list(answers)
        self.always = always
        self.native = dict(native or {})
        self.requests: list[Request] = []
        self.left = threading.Event()
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        server = self

        class Handler(_Handler):
            scripted = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.left.set()
        self._http.shutdown()
        self._thread.join()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._http.server_close()

    def say(self, *answers: Script) -> None:
        """Answer so next, behind what is scripted already."""
        with self._guard:
            self.script += answers

    @property
    def asked(self) -> list[Request]:
        """The requests for an answer of the model, without what was asked natively."""
        return [one for one in self.requests if one.path.endswith("/chat/completions")]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [one.json for one in self.asked]

    @property
    def sent(self) -> bytes:
        """All that was ever received, to look for what must not be in it."""
        return b"\n".join(
            b"%s %r %s" % (one.path.encode(), one.headers, one.body) for one in self.requests
        )

    def _next(self, request: Request) -> Answer:
        with self._guard:
            self.requests.append(request)
            if not request.path.endswith("/chat/completions"):
                return Status(404, "no such path")
            found = self.script.pop(0) if self.script else self.always
        return found(request.json) if callable(found) else found


class _Handler(BaseHTTPRequestHandler):
    scripted: ScriptedServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.scripted._open.add(self.connection)

    def finish(self) -> None:
        self.scripted._open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # whoever asked has left
            super().handle()

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(size))
        if self.path in self.scripted.native:
            self.scripted.requests.append(request)
            self._json(200, self.scripted.native[self.path])
            return
        answer = self.scripted._next(request)
        streams = bool(request.json.get("stream")) if request.body else False
        match answer:
            case Status():
                error = {"message": answer.message, "type": "scripted_error", "code": answer.code}
                self._json(answer.status, {"error": error}, answer.headers)
            case Raw():
                self._whole(200, answer.body, answer.kind)
            case Empty() if not streams:
                self._json(200, _completion(choices=[]))
            case Hangs() if not streams:
                self._wait()
            case Dies() if not streams:
                self._cut_off()
            case _ if streams:
                self._stream(answer)
            case Text() | Calls():
                self._json(200, _completed(answer))

    def _json(self, status: int, form: Any, headers: Mapping[str, str] | None = None) -> None:
        self._whole(status, json.dumps(form).encode(), "application/json", headers or {})

    def _whole(
        self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wait(self) -> None:
        """Until the client leaves, or this server does."""
        self.connection.settimeout(0.05)
        while not self.scripted.left.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
        self._cut_off()

    def _cut_off(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _stream(self, answer: Text | Calls | Empty | Dies | Hangs) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        deltas = _deltas(answer)
        upto = answer.after if isinstance(answer, Dies | Hangs) else len(deltas)
        for delta in deltas[:upto]:
            self._event({"index": 0, "delta": delta, "finish_reason": None})
        if isinstance(answer, Dies):
            self._cut_off()
            return
        if isinstance(answer, Hangs):
            self._wait()
            return
        if not isinstance(answer, Empty):
            reason = "tool_calls" if isinstance(answer, Calls) else answer.finish
            self._event({"index": 0, "delta": {}, "finish_reason": reason})
            if usage := _usage(answer):
                self._chunk(_completion(choices=[], usage=usage, kind="chat.completion.chunk"))
        self._bytes(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, choice: Mapping[str, Any]) -> None:
        self._chunk(_completion(choices=[choice], kind="chat.completion.chunk"))

    def _chunk(self, form: Mapping[str, Any]) -> None:
        self._bytes(b"data: " + json.dumps(form).encode() + b"\n\n")

    def _bytes(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _completion(*, kind: str = "chat.completion", **more: Any) -> dict[str, Any]:
    return {"id": "scripted", "object": kind, "created": 1_700_000_000, "model": _MODEL, **more}


def _completed(answer: Text | Calls) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if isinstance(answer, Calls):
        message["tool_calls"] = _tool_calls(answer)
    reason = "tool_calls" if isinstance(answer, Calls) else answer.finish
    choice = {"index": 0, "message": message, "finish_reason": reason}
    found = _completion(choices=[choice])
    if usage := _usage(answer):
        found["usage"] = usage
    return found


def _usage(answer: Text | Calls) -> dict[str, int] | None:
    if answer.input_tokens is None:
        return None
    asked, said = answer.input_tokens, answer.output_tokens
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}


def _tool_calls(answer: Calls) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for n, (name, arguments) in enumerate(answer.calls)
    ]


def _deltas(answer: Text | Calls | Empty | Dies | Hangs) -> list[dict[str, Any]]:
    if isinstance(answer, Empty):
        return []
    if isinstance(answer, Calls):
        said = [{"role": "assistant", "content": answer.text}] if answer.text else []
        calls = [{**call, "index": n} for n, call in enumerate(_tool_calls(answer))]
        return [*said, {"role": "assistant", "tool_calls": calls}]
    pieces = Text(answer.text).streamed if isinstance(answer, Dies | Hangs) else answer.streamed
    return [{"role": "assistant", "content": piece} for piece in pieces]
