"""Spans go to a collector: read by another's reader of OTLP, and none is said to be there that is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dino_os.auditing import Auditing
from dino_os.errors import InvalidInput
from dino_os.provenance import sending
from dino_os.provenance.following import follow
from dino_os.provenance.sending import NotSent, send
from dino_os.retention import prune_journal, rotate
from dino_os.workspace import Workspace
from engines.provenance import Span
from engines.trace import span_of, trace_context, trace_of
from tests.conftest import Dino
from tests.provenance.lines import run

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
REJECTED = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "quota"}}'


@dataclass
class Collector:
    """
    What takes spans over HTTP.

    Attributes:
        answers: Status, headers and body of its first answers; all others are {}.
        heard: What it was sent.
    """

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def collector() -> Iterator[Collector]:
    here = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            here.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            here.headers.append(dict(self.headers))
            status, headers, body = here.answers.pop(0) if here.answers else (200, {}, b"{}")
            if not status:
                self.wfile.write(body)
                return
            self.send_response(status)
            for item in headers.items():
                self.send_header(*item)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        here.url = f"http://127.0.0.1:{server.server_port}/v1/traces"
        yield here
        server.shutdown()
        thread.join()


def some(count: int) -> list[Span]:
    return [Span(trace_of(f"{n}"), span_of(f"{n}"), "", "tide", 1, 2, "ok") for n in range(count)]


def ids(heard: list[dict[str, Any]]) -> list[str]:
    scopes = [one["resourceSpans"][0]["scopeSpans"][0] for one in heard]
    return [span["spanId"] for scope in scopes for span in scope["spans"]]


def test_what_is_sent_another_reads(workspace: Path, dino: Dino, collector: Collector) -> None:
    json_format = pytest.importorskip("google.protobuf.json_format")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    run(workspace, "aa" * 16, traceparent=TRACE)
    asked = ("provenance", "export", "--format", "otlp")
    env = {"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=pier%207, authorization=Basic%20YTpi=="}
    assert dino(*asked, "--send", collector.url, "--json", env=env).json == {"sent": 1}
    assert dino(*asked).json == collector.heard[0]
    sent_with = collector.headers[0]
    assert (sent_with["x-tenant"], sent_with["authorization"]) == ("pier 7", "Basic YTpi==")
    (told,) = collector.heard[0]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for name in ("traceId", "spanId", "parentSpanId"):  # the one thing in which OTLP is no proto3
        told[name] = base64.b64encode(bytes.fromhex(told[name])).decode()
    found = json_format.ParseDict(collector.heard[0], service.ExportTraceServiceRequest())
    (span,) = found.resource_spans[0].scope_spans[0].spans
    assert span.trace_id.hex() == trace_context(TRACE).trace_id
    assert span.parent_span_id.hex() == trace_context(TRACE).span_id
    assert span.span_id.hex() == span_of("aa" * 16)
    assert (span.name, span.status.code) == ("tide", 1)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((302, {"Location": "/login"}, b""), "status 302"),
        ((307, {"Location": "/v1/traces"}, b""), "status 307"),
        ((400, {}, b"{}"), "status 400"),
        ((503, {"Retry-After": "3600"}, b""), "status 503"),
        ((200, {}, b"<html>log in</html>"), "no collector"),
        ((200, {}, b"[]"), "no collector"),
        ((200, {}, REJECTED), "2 of them were rejected: 'quota'"),
        ((0, {}, b"garbage\r\n\r\n"), "not an answer of the web"),
        ((0, {}, b""), "not an answer of the web"),
        ((200, {"Content-Length": "99"}, b"{}"), "not an answer of the web|cut off"),
        ((200, {}, b" " * (1 << 17)), "more than"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_nothing_is_called_sent_that_was_not_taken(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, answer: Any, says: str
) -> None:
    """Nor is what may have been taken sent twice."""
    monkeypatch.setattr(sending, "TOGETHER", 2)
    collector.answers = [(200, {}, b""), answer]
    with pytest.raises(NotSent, match=f"did not take the spans: .*({says}).*; 2 spans before"):
        send(some(5), collector.url, {})
    assert ids(collector.heard) == [span.span_id for span in some(4)]


def test_what_cannot_be_taken_now_is_sent_again(collector: Collector) -> None:
    collector.answers = [(429, {"Retry-After": "7"}, b""), (503, {}, b"")]
    slept: list[float] = []
    assert send(some(1), collector.url, {}, sleep=slept.append) == 1
    assert (slept, len(collector.heard)) == ([7.0, 2.0], 3)
    collector.answers = [(502, {}, b"")] * 9
    with pytest.raises(NotSent, match="status 502"):
        send(some(1), collector.url, {}, sleep=slept.append)
    assert len(collector.answers) == 5


def test_an_address_must_be_one(collector: Collector) -> None:
    for url in ("localhost:4318", "ftp://site/", "http://ann:secret@site/"):
        with pytest.raises(InvalidInput):
            send(some(1), url, {})
    with pytest.raises(NotSent, match="refused"):
        send(some(1), "http://127.0.0.1:1/v1/traces", {})


def test_where_the_record_was_pruned_the_rest_is_handed_out(workspace: Path, dino: Dino) -> None:
    (workspace / "config.yaml").write_text(f"security: {{signing_key: {workspace / 'key'}}}\n")
    Auditing(Workspace(workspace)).new_key(None)
    run(workspace, "aa" * 16)
    follow(Workspace(workspace))
    rotate(Workspace(workspace), ["provenance_log"])
    Auditing(Workspace(workspace)).checkpoint(["provenance_log"])
    assert prune_journal(Workspace(workspace), "provenance_log", 9).files
    run(workspace, "bb" * 16)
    told = dino("provenance", "export", "--format", "otlp").json
    assert ids([told]) == [span_of("bb" * 16)]
