"""Over HTTP: who is let in, and that the official client does all that it does elsewhere."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from dino_os import serving
from dino_os.errors import InvalidInput
from dino_os.mcp.offer import Offer
from dino_os.mcp.server import server_of
from dino_os.mcp.serving import PATH, Options, application_of, serve_http
from dino_os.offline.guard import LOOPBACK
from dino_os.serving import listening
from dino_os.serving import server_of as web_server_of
from dino_os.workspace import Workspace
from tests.mcp.bundled import list_and_call

TOKEN = "a-token-that-nobody-guesses"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@dataclass
class Served:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def ask(self, *pieces: bytes, chunked: bool = False, **headers: str) -> int:
        """The status of a request; what is not given is as a good client has it."""
        length = (
            ("Transfer-Encoding", "chunked")
            if chunked
            else ("Content-Length", str(len(b"".join(pieces))))
        )
        sent: Mapping[str, str] = {
            "Host": f"127.0.0.1:{self.port}",
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **dict([length]),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.putrequest("POST", PATH, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value)
            parts = (
                [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] if chunked else pieces
            )
            # In one go: what a server closes on unread may cost its answer.
            connection.endheaders(b"".join(parts))
            return connection.getresponse().status


@pytest.fixture
def served(bundled: Workspace) -> Iterator[Served]:
    """The bundled skills, served from a thread."""
    server = server_of(bundled, Offer(bundled))
    web = web_server_of(application_of(server, TOKEN, {*LOOPBACK}))
    with listening("127.0.0.1", 0) as heard:

        async def serve() -> None:
            async with server.session_manager.run():
                await web.serve(sockets=[heard])

        thread = threading.Thread(target=anyio.run, args=(serve,), daemon=True)
        thread.start()
        until = time.monotonic() + 30
        while not web.started and time.monotonic() < until:
            time.sleep(0.01)
        yield Served(heard.getsockname()[1])
        web.should_exit = True
        thread.join(30)


def test_the_official_client_lists_and_calls_every_bundled_skill(served: Served) -> None:
    """With the token."""

    async def run() -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with create_mcp_http_client(headers=headers) as web:
            transport = streamable_http_client(served.url, http_client=web)
            async with Client(transport) as client:
                await list_and_call(client)

    anyio.run(run)


def test_who_is_let_in(served: Served) -> None:
    """By name, origin and token: a page in a browser has none of them."""
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Token {TOKEN}"}, 401),
        ({"Host": ""}, 421),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Mcp-Session-Id": "0" * 32}, 404),
    ]
    for headers, status in asked:
        named = {name.replace("-", "_"): value for name, value in headers.items()}
        found = served.ask(json.dumps(INITIALIZE).encode(), **named)
        if not headers.get("Host", "x"):
            assert found in {400, status}  # HTTP/1.1 without a Host is none
        else:
            assert found == status, headers


def test_who_never_ends_a_request_keeps_nobody_out(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For long: the places are few."""
    monkeypatch.setattr(serving, "_HEAD_S", 0.2)
    with contextlib.ExitStack() as stack:
        slow = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
        for one in slow:
            stack.enter_context(one).sendall(b"POST /mcp HTTP/1.1\r\nHost: ")
            one.settimeout(30)
        for one in slow:
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""
    assert served.ask(json.dumps(INITIALIZE).encode()) == 200


def test_no_body_is_too_large_to_be_refused(served: Served) -> None:
    """Neither one that says its size nor one that says none; the server lives."""
    assert served.ask(Content_Length=str(2**20 + 1)) == 413
    assert served.ask(*([b"x" * 65536] * 17), chunked=True) == 413
    for junk in (b"", b"{", b"[]", b"[" * 100_000, b'{"jsonrpc": "2.0"}', b"\xff\xfe"):
        assert 400 <= served.ask(junk) < 500
    assert served.ask(json.dumps(INITIALIZE).encode()) == 200


def test_it_serves_until_it_is_told_to_end(site: Workspace) -> None:
    """The address and the token are told first; a signal ends it, and nothing is left open."""
    statuses: list[int] = []

    def begun(url: str, token: str) -> None:
        served = Served(int(url.split(":")[2].removesuffix(PATH)))
        asked = json.dumps(INITIALIZE).encode()

        def ask() -> None:
            statuses.append(served.ask(asked))
            statuses.append(served.ask(asked, Authorization=f"Bearer {token}"))
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=ask).start()

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt):
            serve_http(site, Offer(site), Options(port=0), begun, with_resources=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert statuses == [401, 200]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_nothing_but_loopback_is_listened_on(site: Workspace, host: str) -> None:
    """There is no TLS here."""

    def begun(_url: str, _token: str) -> None:
        pytest.fail("it listens")

    serve: Callable[..., None] = serve_http
    with pytest.raises(InvalidInput, match="more than this machine"):
        serve(site, Offer(site), Options(host, 0), begun, with_resources=True)
