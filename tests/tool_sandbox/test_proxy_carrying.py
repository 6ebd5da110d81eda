"""Hosts behind a gate: what the carrier is asked, and what of its answer a client gets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dino_os.tool_sandbox.egress import http1
from dino_os.tool_sandbox.egress.carrying import Carried, Declined
from tests.tool_sandbox.wire import PATIENCE_S, Proxied, pages, proxied

HOST = "gated.test"
HEAD = f"Host: {HOST}\r\n".encode()
API = {"names": {"open.test": ["127.0.0.1"]}, "private_hosts": ("open.test",)}


class Gate:
    """Carries what it is asked of gated.test."""

    def __init__(self, answer: Callable[[], Carried] | None = None) -> None:
        self.asked: list[tuple[str, str, str, bytes | None]] = []
        self.admitted: list[tuple[str, int]] = []
        self.wanted: Callable[[], bool]  # of what was asked last
        self._answer = answer or (lambda: Carried(200, [("X-Tide", "low")], b"carried"))

    def domain_of(self, host: str, port: int) -> str | None:
        del port
        return "info" if host == HOST else None

    def admit(self, domain: str, host: str, port: int) -> None:
        self.admitted.append((host, port))
        if port != 443:
            raise Declined(403, f"not at {domain}", denied=True)

    def carry(
        self, domain: str, asked: http1.Request, body: bytes | None, wanted: Callable[[], bool]
    ) -> Carried:
        self.wanted = wanted
        self.asked.append((domain, asked.method, asked.path, body))
        return self._answer()


def way(gate: Gate, **more: Any) -> Any:
    return proxied(
        HOST, f"{HOST}:444", "open.test:*".replace(":*", ""), carrier=gate, **API, **more
    )


def test_a_request_is_carried_and_no_name_is_looked_up() -> None:
    gate = Gate()
    with way(gate) as proxy:
        assert proxy.get(f"http://{HOST}/v1?x=1") == (200, "carried")
        event = proxy.events.next()
        assert proxy.asked == []
    assert gate.asked == [("info", "GET", "/v1?x=1", None)]
    assert (event["host"], event["allowed"], event["why"]) == (HOST, True, "")
    assert event["bytes_down"] > len(b"carried")


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (b"Content-Length: 4\r\n\r\ntideXXXX", b"tide"),
        (b"Content-Length: 0\r\n\r\n", b""),
        (
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nlow\r\n5;x=y\r\n".replace(b";x=y", b"")
            + b" tide\r\n0\r\n\r\n",
            b"low tide",
        ),
        (b"\r\n", None),
    ],
)
def test_a_body_is_read_as_its_head_says_and_no_further(
    request_: bytes, body: bytes | None
) -> None:
    gate = Gate()
    with way(gate) as proxy:
        start = f"POST http://{HOST}/ HTTP/1.1\r\n".encode() + HEAD
        answer = proxy.raw(start + request_)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nX-Tide: low\r\nContent-Length: 7\r\n")
    assert answer.endswith(b"\r\n\r\ncarried")
    assert gate.asked[0][3] == body


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"Content-Length: 9\r\n\r\n123456789", 413),
        (b"Transfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: x\r\n\r\n", 400),
    ],
)
def test_a_body_that_is_too_large_or_malformed_is_carried_nowhere(rest: bytes, status: int) -> None:
    gate = Gate()
    with way(gate, carried_bytes=8) as proxy:
        start = f"POST http://{HOST}/ HTTP/1.1\r\n".encode() + HEAD
        assert proxy.status(start + rest) == status
    assert gate.asked == []


def test_the_answer_is_framed_by_us() -> None:
    """Whatever the carrier says of connection and length; and HEAD has no body."""
    headers = [
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("content-length", "9"),
    ]
    gate = Gate(lambda: Carried(202, headers, b"{}"))
    with way(gate) as proxy:
        line = f"{{}} http://{HOST}/ HTTP/1.1\r\n"
        answer = proxy.raw(line.format("GET").encode() + HEAD + b"\r\n")
        assert (
            answer == b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        # There is none, and what its length would be the service knows.
        answer = proxy.raw(line.format("HEAD").encode() + HEAD + b"\r\n")
        assert answer.endswith(b"\r\nContent-Length: 9\r\nConnection: close\r\n\r\n")


def test_cookies_come_one_by_one() -> None:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    with way(Gate(lambda: Carried(200, cookies, b""))) as proxy:
        answer = proxy.raw(f"GET http://{HOST}/ HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
    assert b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in answer


def decline(status: int, *, denied: bool) -> Callable[[], Carried]:
    def answer() -> Carried:
        raise Declined(status, "so it is", denied=denied)

    return answer


@pytest.mark.parametrize(
    ("status", "denied"), [(403, True), (429, True), (503, False), (504, False)]
)
def test_what_is_declined_is_said_and_reported(status: int, denied: bool) -> None:
    with way(Gate(decline(status, denied=denied))) as proxy:
        found, text = proxy.get(f"http://{HOST}/")
        event = proxy.events.next()
    assert (found, "so it is" in text) == (status, True)
    assert (event["allowed"], event["why"]) == (not denied, "so it is")


def test_what_the_skill_did_not_declare_never_comes_to_the_gate() -> None:
    gate = Gate()
    with proxied("other.test", carrier=gate) as proxy:
        status, text = proxy.get(f"http://{HOST}/")
    assert (status, gate.asked) == (403, [])
    assert "reaches" in text


def test_a_tunnel_is_let_through_or_not_and_never_carried() -> None:
    gate = Gate()
    with way(gate) as proxy:
        refused = proxy.raw(f"CONNECT {HOST}:444 HTTP/1.1\r\nHost: {HOST}:444\r\n\r\n".encode())
        assert refused.startswith(b"HTTP/1.1 403 Forbidden: not at info")
        offline = proxy.raw(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode())
        assert offline.startswith(b"HTTP/1.1 503 Service Unavailable: offline: ")
    assert (gate.admitted, gate.asked) == ([(HOST, 444), (HOST, 443)], [])


def test_hosts_behind_no_gate_are_reached_as_ever() -> None:
    gate = Gate()
    with pages() as host, proxied(f"open.test:{host.port}", carrier=gate, **API) as proxy:
        assert proxy.get(f"http://open.test:{host.port}/x")[0] == 200
    assert gate.asked == []


def test_whoever_carries_can_tell_that_the_client_has_left() -> None:
    begun, gone = threading.Event(), threading.Event()
    seen = []

    def slow() -> Carried:
        seen.append(gate.wanted())
        begun.set()
        gone.wait(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while gate.wanted() and time.monotonic() < until:
            pass
        seen.append(gate.wanted())
        return Carried(200, [], b"")

    gate = Gate(slow)
    with way(gate) as proxy:
        with proxy.connect() as client:
            client.sendall(f"GET http://{HOST}/ HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
            assert begun.wait(PATIENCE_S)
        gone.set()
        proxy.events.next()
    assert seen == [True, False]


def test_what_is_under_way_when_the_run_ends_comes_to_its_end() -> None:
    """The skill is gone, and what it handed over is not lost half-way."""
    begun, done = threading.Event(), threading.Event()

    def slow() -> Carried:
        begun.set()
        done.wait(0.1)
        done.set()
        return Carried(202, [], b"")

    proxy = Proxied(HOST, carrier=Gate(slow))
    with proxy.proxy:
        client = proxy.connect()
        client.sendall(f"GET http://{HOST}/ HTTP/1.1\r\n".encode() + HEAD + b"\r\n")
        assert begun.wait(PATIENCE_S)
    assert done.is_set()
    assert proxy.events.next()["why"] == "the run has ended"
    client.close()
