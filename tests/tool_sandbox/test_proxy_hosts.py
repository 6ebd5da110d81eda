"""Hosts that fail, and answers that are not passed on as they came."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import pytest

from tests.tool_sandbox.wire import (
    PATIENCE_S,
    RESET,
    answering,
    everything,
    head_of,
    listening,
    pages,
    proxied,
    raw_host,
)

HERE = "127.0.0.1"


def test_a_host_that_is_not_there_is_a_bad_gateway() -> None:
    gone = listening()
    port = gone.getsockname()[1]
    gone.close()
    with proxied(f"{HERE}:{port}", "nowhere.test") as way:
        status, body = way.get(f"http://{HERE}:{port}/")
        assert (status, "refused" in body) == (502, True)
        assert way.events.next()["allowed"]
        status, body = way.get("http://nowhere.test/")
        assert (status, "nowhere.test was not found" in body) == (502, True)


def test_an_address_that_hangs_leaves_time_for_the_next() -> None:
    """A listener whose queue is full drops what comes, as a firewall does."""
    with pages() as host, socket.socket() as deaf, contextlib.ExitStack() as queue:
        try:
            deaf.bind(("127.0.0.2", host.port))
        except OSError:
            pytest.skip("this machine's loopback has one address")
        deaf.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        names = {"both.test": ["127.0.0.2", HERE], "deaf.test": ["127.0.0.2"]}
        declared = [f"{name}:{host.port}" for name in names]
        with proxied(*declared, names=names, private_hosts=tuple(names), connect_s=0.4) as way:
            assert way.get(f"http://both.test:{host.port}/")[0] == 200
            status, body = way.get(f"http://deaf.test:{host.port}/")
            assert (status, "it does not answer" in body) == (502, True)


def test_a_name_that_is_not_found_in_time_is_a_bad_gateway() -> None:
    """And the lookup that hangs keeps nobody else waiting, nor the end."""
    release = threading.Event()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        release.wait(PATIENCE_S)
        return []

    with (
        pages() as host,
        proxied("slow.test", f"{HERE}:{host.port}", resolve=resolve, connect_s=0.1) as way,
    ):
        assert way.get("http://slow.test/")[0] == 502
        assert way.get(f"http://{HERE}:{host.port}/")[0] == 200
        release.set()


def test_slow_lookups_hold_a_bounded_number_of_threads() -> None:
    release = threading.Event()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        release.wait(PATIENCE_S)
        return []

    with proxied("*.slow.test", resolve=resolve, connect_s=0.2) as way:
        clients = [way.connect() for _ in range(40)]
        for number, client in enumerate(clients):
            client.sendall(f"CONNECT n{number}.slow.test:443 HTTP/1.1\r\n\r\n".encode())
        for client in clients:
            assert b" 502 " in head_of(client)
            client.close()
        lookups = [t for t in threading.enumerate() if t.name == "dino-lookup"]
        assert 0 < len(lookups) <= 8
        release.set()
    assert not any(thread.is_alive() for thread in lookups)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"", 502),
        (b"garbage\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\nX: y\n\n", 502),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 502),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 200\r\n\r\nold", 200),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200),
    ],
)
def test_the_answer_of_a_host_is_checked(answer: bytes, status: int) -> None:
    with raw_host(answering(answer)) as host, proxied(f"{HERE}:{host.port}") as way:
        assert way.status(f"GET http://{HERE}:{host.port}/ HTTP/1.0\r\n\r\n".encode()) == status


def test_an_answer_keeps_its_fields_but_not_the_connections() -> None:
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nset-cookie: b\r\nConnection: keep-alive, X-Hop, Transfer-Encoding\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    )
    with raw_host(answering(answer)) as host, proxied(f"{HERE}:{host.port}") as way:
        came = way.raw(f"GET http://{HERE}:{host.port}/ HTTP/1.0\r\n\r\n".encode())
    assert came == (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nset-cookie: b\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"2\r\nok\r\n0\r\n\r\n"
    )


def test_an_answer_that_comes_before_the_end_of_the_request_is_passed_on() -> None:
    """A host may refuse a large body without reading it."""

    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        everything(connection)

    with raw_host(serve) as host, proxied(f"{HERE}:{host.port}") as way, way.connect() as client:
        target = f"{HERE}:{host.port}"
        client.sendall(
            f"POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: 9999\r\n\r\n".encode()
        )
        assert b" 413 " in head_of(client)


def test_the_answer_of_a_host_that_takes_no_more_is_passed_on() -> None:
    """It closes on a large body; what it said before is what the client must hear."""

    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    with raw_host(serve) as host, proxied(f"{HERE}:{host.port}") as way:
        target = f"{HERE}:{host.port}"
        head = (
            f"POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: {2**25}\r\n\r\n"
        )
        assert way.status(head.encode() + bytes(2**25)) == 413


@pytest.mark.parametrize("tunnel", [False, True])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(tunnel: bool) -> None:
    """The end of the connection may be all that tells where an answer ends: this one is a reset."""

    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nhalf of")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with raw_host(serve) as host, proxied(f"{HERE}:{host.port}") as way:
        target = f"{HERE}:{host.port}"
        with way.tunnel(target) if tunnel else way.connect() as client:
            path = "/" if tunnel else f"http://{target}/"
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with pytest.raises(ConnectionResetError):
                list(iter(lambda: client.recv(65536), b""))
        assert way.events.next()["why"] == "broken off: Connection reset by peer"


def test_a_client_may_wait_to_be_asked_for_its_body() -> None:
    with pages() as host, proxied(f"{HERE}:{host.port}") as way, way.connect() as client:
        target = f"{HERE}:{host.port}"
        head = f"POST http://{target}/ HTTP/1.1\r\nHost: {target}\r\nContent-Length: 5\r\n"
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert b" 100 " in head_of(client)
        client.sendall(b"hello")
        assert everything(client).endswith(b"\r\n\r\nhello")


def test_a_client_that_leaves_ends_the_request_of_a_silent_host() -> None:
    with raw_host(everything) as host, proxied(f"{HERE}:{host.port}") as way:
        with way.connect() as client:
            target = f"{HERE}:{host.port}"
            client.sendall(f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        assert host.next().startswith(b"GET / HTTP/1.1\r\n")
        assert way.events.next()["allowed"]
