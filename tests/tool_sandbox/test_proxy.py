"""The only way to the network: with real clients, real hosts, and names that lead where we say."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from dino_os.tool_sandbox.egress import dialling
from dino_os.tool_sandbox.egress.hosts import Address
from tests.tool_sandbox.wire import (
    OK,
    PATIENCE_S,
    RawHost,
    answering,
    certificate,
    echo,
    everything,
    found,
    head_of,
    pages,
    proxied,
    raw_host,
)

HERE = "127.0.0.1"
API = {"names": {"api.test": [HERE]}, "private_hosts": ("api.test",)}


# --- what is let through ---------------------------------------------------------------------


def test_a_page_of_a_declared_address_is_fetched() -> None:
    with pages() as host, proxied(f"{HERE}:{host.port}") as way:
        assert way.get(f"http://{HERE}:{host.port}/a?b=c") == (
            200,
            f"GET /a?b=c of {HERE}:{host.port}",
        )
        event = way.events.next()
    assert (event["host"], event["port"], event["allowed"], event["why"]) == (
        HERE,
        host.port,
        True,
        "",
    )
    assert event["bytes_up"] > 0
    assert event["bytes_down"] > 0


@pytest.mark.parametrize("spelling", ["api.test", "API.Test", "api.test."])
def test_a_page_of_a_declared_name_is_fetched(spelling: str) -> None:
    """The host hears the one spelling of its name, whichever was asked for."""
    with pages() as host, proxied(f"api.test:{host.port}", **API) as way:
        answer = way.get(f"http://{spelling}:{host.port}/x")
        assert answer == (200, f"GET /x of api.test:{host.port}")
        assert way.asked == ["api.test"]


def test_a_body_is_posted() -> None:
    with pages() as host, proxied(f"{HERE}:{host.port}") as way:
        client = http.client.HTTPConnection(HERE, way.port, timeout=PATIENCE_S)
        body = os.urandom(300_000)
        client.request("POST", f"http://{HERE}:{host.port}/", body)
        assert client.getresponse().read() == body
        client.close()


def test_a_chunked_body_is_posted_chunk_by_chunk() -> None:
    def serve(connection: socket.socket) -> bytes:
        came = head_of(connection)
        while not came.endswith(b"0\r\n\r\n"):
            came += connection.recv(65536)
        connection.sendall(OK)
        return came

    with raw_host(serve) as host, proxied(f"{HERE}:{host.port}") as way:
        client = http.client.HTTPConnection(HERE, way.port, timeout=PATIENCE_S)
        pieces = iter([b"abc", b"d" * 20])
        client.request("POST", f"http://{HERE}:{host.port}/", pieces, encode_chunked=True)
        assert client.getresponse().read() == b"ok"
        client.close()
        head, _, body = host.next().partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"3\r\nabc\r\n14\r\n" + b"d" * 20 + b"\r\n0\r\n\r\n"


def test_a_tunnel_carries_tls(tmp_path: Path) -> None:
    """End to end: the proxy has no part in it."""
    server, client = certificate(tmp_path, "api.test")
    with pages(tls=server) as host, proxied(f"api.test:{host.port}", **API) as way:
        connection = http.client.HTTPSConnection(HERE, way.port, context=client, timeout=PATIENCE_S)
        connection.set_tunnel("api.test", host.port)
        connection.request("GET", "/secret")
        answer = connection.getresponse()
        assert answer.read() == f"GET /secret of api.test:{host.port}".encode()
        connection.close()
        event = way.events.next()
    assert (event["host"], event["port"], event["allowed"], event["why"]) == (
        "api.test",
        host.port,
        True,
        "",
    )


def test_bytes_are_counted_and_carried_whole() -> None:
    sent = os.urandom(3_000_000)
    with raw_host(echo) as host, proxied(f"{HERE}:{host.port}") as way:
        with way.tunnel(f"{HERE}:{host.port}") as client:
            came: list[bytes] = []
            reader = threading.Thread(target=lambda: came.append(everything(client)))
            reader.start()
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)  # the other direction goes on
            reader.join()
        assert came == [sent]
        event = way.events.next()
    assert (event["bytes_up"], event["bytes_down"]) == (len(sent), len(sent))


def test_bytes_behind_a_connect_are_the_tunnels_first() -> None:
    """A client need not wait for the answer before it speaks."""
    with raw_host(echo) as host, proxied(f"{HERE}:{host.port}") as way, way.connect() as client:
        client.sendall(f"CONNECT {HERE}:{host.port} HTTP/1.0\r\n\r\nhello".encode())
        assert head_of(client).startswith(b"HTTP/1.1 200 ")
        assert client.recv(5, socket.MSG_WAITALL) == b"hello"


def test_an_address_of_ipv6_is_reached() -> None:
    try:
        host = RawHost(answering(), "::1")
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
    try:
        with proxied(f"[::1]:{host.port}") as way:
            assert way.get(f"http://[::1]:{host.port}/")[0] == 200
            assert b"Host: [::1]:" in host.next()
    finally:
        host.close()


def test_the_second_address_is_tried_where_the_first_does_not_answer() -> None:
    with pages() as host:
        names = {"api.test": ["127.0.0.3", HERE]}
        with proxied(f"api.test:{host.port}", names=names, private_hosts=("api.test",)) as way:
            assert way.get(f"http://api.test:{host.port}/")[0] == 200


# --- what is not -----------------------------------------------------------------------------


def test_without_rules_nothing_is_reached() -> None:
    with raw_host(answering()) as host, proxied() as way:
        assert way.get(f"http://{HERE}:{host.port}/")[0] == 403
        assert way.status(f"CONNECT {HERE}:{host.port} HTTP/1.1\r\n\r\n".encode()) == 403
        assert host.served.empty()
        assert not any(way.events.next()["allowed"] for _ in range(2))


def test_a_refusal_says_in_one_line_what_to_declare() -> None:
    with proxied("api.weather.gov") as way:
        status, body = way.get("http://api.noaa.gov/")
        event = way.events.next()
        connection = http.client.HTTPConnection(HERE, way.port, timeout=PATIENCE_S)
        connection.set_tunnel("api.noaa.gov", 8443)
        with pytest.raises(OSError, match=r"403 .*add 'api\.noaa\.gov:8443' to its `reaches`"):
            connection.request("GET", "/")  # all that a client shows of it is the status line
        connection.close()
    assert status == 403
    assert "add 'api.noaa.gov' to its `reaches`" in body
    assert body.count("\n") == 1
    assert (event["host"], event["port"], event["allowed"]) == ("api.noaa.gov", 80, False)
    assert "add 'api.noaa.gov'" in event["why"]
    assert way.asked == []  # nobody is told of names that may not be reached


def test_a_refusal_is_heard_by_a_client_that_is_still_sending() -> None:
    with proxied() as way:
        client = http.client.HTTPConnection(HERE, way.port, timeout=PATIENCE_S)
        client.request("POST", "http://api.test/", bytes(500_000))
        assert client.getresponse().status == 403
        client.close()


@pytest.mark.parametrize(
    "target",
    [
        "api.test:{other}", "evilapi.test:{port}", "x.api.test:{port}", "api.test.evil.com:{port}", "test:{port}",
        "127.0.0.1:{port}", "127.0.0.2:{port}", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}", "localhost:{port}",
        "169.254.169.254:80", "[fd00:ec2::254]:80", "0.0.0.0:{port}", "[::]:{port}",
    ],
)  # fmt: skip
def test_other_hosts_and_ports_are_denied(target: str) -> None:
    with raw_host(answering()) as host, proxied(f"api.test:{host.port}", **API) as way:
        where = target.format(port=host.port, other=host.port - 1)
        assert way.status(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()) == 403
        assert way.status(f"GET http://{where}/ HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()) == 403
        assert not any(way.events.next()["allowed"] for _ in range(2))
        assert (way.asked, host.served.empty()) == ([], True)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.com\x00.api.test", b"api.test\x00.evil.com", b"127.1", b"0x7f.0.0.1", b"2130706433", b"0177.0.0.1",
        b"127.0.0.01", b"user@api.test", b"api.test@evil.com", b"api.test..", b".api.test", b"", b"api.test\t", b"\xc3\xa4pi.test",
        b"api%2etest", b"api.test\\", b"*.test", b"[::1", b"::1", b"[fe80::1%25lo]", b"a" * 64 + b".test", b"a." * 150 + b"test",
    ],
)  # fmt: skip
def test_what_is_no_host_is_malformed(host: bytes) -> None:
    with proxied("api.test:8080", "127.0.0.1:8080", **API) as way:
        assert (
            way.status(b"CONNECT %s:8080 HTTP/1.1\r\nHost: %s:8080\r\n\r\n" % (host, host)) == 400
        )
        assert (
            way.status(b"GET http://%s:8080/ HTTP/1.1\r\nHost: %s:8080\r\n\r\n" % (host, host))
            == 400
        )
        for event in (way.events.next(), way.events.next()):
            assert not event["allowed"]
            assert event["port"] is None
            assert event["host"].isprintable()
            assert len(event["host"]) <= 253
        assert way.asked == []


def test_a_redirect_to_another_host_is_a_request_of_its_own() -> None:
    with raw_host(answering()) as other, pages() as host, proxied(f"{HERE}:{host.port}") as way:
        there, elsewhere = f"http://{HERE}:{host.port}", f"http://{HERE}:{other.port}"
        assert way.get(f"{there}/to/{there}/x") == (200, f"GET /x of {HERE}:{host.port}")
        assert way.get(f"{there}/to/{elsewhere}/x")[0] == 403
        assert way.get(f"{there}/to/http://169.254.169.254/latest/meta-data")[0] == 403
        assert other.served.empty()


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"), ("10.0.0.1", "private"), ("169.254.169.254", "link-local"), ("fd00:ec2::254", "metadata"),
        ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"), ("64:ff9b::a9fe:a9fe", "link-local"), ("0.0.0.0", "unspecified"),
    ],
)  # fmt: skip
def test_a_name_that_leads_inside_is_denied(address: str, kind: str) -> None:
    """Whoever owns a public name may point it anywhere."""
    with (
        raw_host(answering()) as host,
        proxied(f"api.test:{host.port}", names={"api.test": [address]}) as way,
    ):
        status, body = way.get(f"http://api.test:{host.port}/")
        assert status == 403
        assert f"a {kind} address" in body
        assert not way.events.next()["allowed"]
        assert host.served.empty()


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"])
def test_the_operator_cannot_let_a_name_lead_to_the_metadata_service(address: str) -> None:
    names = {"api.test": [address]}
    with proxied("api.test", names=names, private_hosts=("api.test",)) as way:
        assert way.get("http://api.test/")[0] == 403


def test_a_name_is_looked_up_once_and_that_answer_is_dialled() -> None:
    """DNS rebinding: the second answer would lead elsewhere, and nobody asks for it."""
    answers = iter(["127.0.0.2", HERE, HERE])

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [found(next(answers), port)]

    with (
        pages() as wrong,
        proxied(f"api.test:{wrong.port}", resolve=resolve, private_hosts=("api.test",)) as way,
    ):
        # Nothing listens on that port of 127.0.0.2, while something does on 127.0.0.1.
        assert way.get(f"http://api.test:{wrong.port}/")[0] == 502
        assert way.get(f"http://api.test:{wrong.port}/")[0] == 200
        assert len(list(answers)) == 1


def test_only_the_address_that_was_checked_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """First public, then private: the first request goes to the public one, the second nowhere."""
    answers = iter(["192.0.32.7", "127.0.0.1"])
    dialled = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [found(next(answers), port)]

    with pages() as host, proxied("api.test", resolve=resolve) as way:
        really = dialling._connected

        async def to_the_loopback(address: Address, port: int) -> socket.socket:
            dialled.append((str(address), port))
            return await really(IPv4Address(HERE), host.port)

        monkeypatch.setattr(dialling, "_connected", to_the_loopback)
        assert way.get("http://api.test/") == (200, "GET / of api.test")
        assert way.get("http://api.test/")[0] == 403
    assert dialled == [("192.0.32.7", 80)]
