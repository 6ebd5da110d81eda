"""The mesh's way onto the network: no address inside, TLS always verified, an end to everything."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import ConfigError, InvalidInput
from dino_os.nav.transport import WebTransport, checked_address, headers_of
from engines.nav_mesh import Request, Response, Unreached
from tests.tool_sandbox.wire import OK, certificate, found, pages, raw_host

HERE = "127.0.0.1"
GET = Request("GET", "/a?b=c")


def names(**known: list[str]) -> Callable[..., list[Any]]:
    """A resolver that knows these names, with underscores for dots; the last answer goes on."""

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        answers = known.get(host.replace(".", "_"))
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name in this test")
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        return [found(one, port) for one in address.split()]

    return resolve


def ask(address: str, request: Request = GET, seconds: float = 10.0, **more: Any) -> Response:
    return WebTransport(**more)(address, request, seconds)


def test_a_request_is_appended_to_the_address_of_its_route() -> None:
    with pages() as host:
        answer = ask(f"http://{HERE}:{host.port}/base/")
        posted = ask(f"http://{HERE}:{host.port}", Request("POST", "/", body=b"tide"))
    assert answer.body.decode() == f"GET /base/a?b=c of {HERE}:{host.port}"
    assert posted.body == b"tide"


def test_what_goes_along_is_the_request_and_no_neighbours_business() -> None:
    """Framing and the connection are ours; the key is the request's own, and stands once."""
    headers = {
        "Authorization": "Bearer x",
        "Host": "other.test",
        "Content-Length": "0",
        "Transfer-Encoding": "chunked",
        "Connection": "close, X-Mine",
        "X-Mine": "1",
        "idempotency-key": "theirs",
        "Expect": "100-continue",
    }
    sent = headers_of(Request("POST", "/", headers, idempotency_key="k-1"))
    assert sent == {"Authorization": "Bearer x", "Idempotency-Key": "k-1"}
    assert headers_of(Request("POST", "/", {"idempotency-key": "theirs"})) == {
        "idempotency-key": "theirs"
    }


# --- no address inside -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0"),
        *(
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ),
    ],
)
def test_a_name_that_stands_for_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(Unreached, match="stands for"):
        ask("http://api.test", resolve=names(api_test=[address]))


def test_a_name_of_the_operators_own_network_may_be_granted() -> None:
    with pages() as host:
        where, known = f"http://nas.test:{host.port}", names(nas_test=[HERE])
        assert ask(where, resolve=known, private_hosts=["nas.test"]).status == 200
        with pytest.raises(Unreached, match="stands for"):
            ask(where, resolve=known, private_hosts=["other.test"])
        # Where clouds tell about the machine, no grant of a name leads.
        with pytest.raises(Unreached, match="link-local"):
            ask(where, resolve=names(nas_test=["169.254.169.254"]), private_hosts=["nas.test"])


def test_a_name_is_looked_up_once_and_what_was_judged_is_dialled() -> None:
    """A name server that answers otherwise the second time leads nowhere else (DNS rebinding)."""
    with pages() as host:
        where = f"http://api.test:{host.port}"
        dialled = names(api_test=[f"169.254.169.254 {HERE}", "169.254.169.254"])
        assert ask(where, resolve=dialled, private_hosts=["api.test"]).status == 200
        with pytest.raises(Unreached, match="stands for"):
            ask(where, resolve=dialled, private_hosts=["api.test"])


def test_a_redirect_inside_is_handed_out_and_not_followed() -> None:
    with pages() as host:
        found_ = ask(f"http://{HERE}:{host.port}", Request("GET", "/to/http://169.254.169.254/"))
    assert (found_.status, found_.headers["location"]) == (302, "http://169.254.169.254/")


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pages() as host:
        assert ask(f"http://{HERE}:{host.port}").status == 200


# --- TLS -------------------------------------------------------------------------------------


def test_tls_is_verified_against_the_name_and_the_authorities(tmp_path: Path) -> None:
    server, _ = certificate(tmp_path, "api.test")
    file = tmp_path / "cert.pem"
    known = names(api_test=[HERE], other_test=[HERE])
    private = ["api.test", "other.test"]
    with pages(tls=server) as host:
        trusted = WebTransport(resolve=known, private_hosts=private, ca_file=file)
        body = trusted(f"https://api.test:{host.port}", GET, 10).body.decode()
        assert body == f"GET /a?b=c of api.test:{host.port}"
        with pytest.raises(Unreached, match="no trust") as wrong:
            trusted(f"https://other.test:{host.port}", GET, 10)
        with pytest.raises(Unreached, match="no trust"):
            ask(f"https://api.test:{host.port}", resolve=known, private_hosts=private)
    assert not wrong.value.heard


def test_a_ca_file_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigError, match=name):
            ask("https://127.0.0.1:1", ca_file=tmp_path / name)


def test_plain_text_where_tls_is_due_is_no_answer() -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(OK)

    with raw_host(plain) as host, pytest.raises(Unreached, match="no trust") as wrong:
        ask(f"https://{HERE}:{host.port}")
    assert not wrong.value.heard


# --- an end to everything --------------------------------------------------------------------


def test_a_handshake_that_drips_ends_in_time() -> None:
    """Each byte comes in time, and the handshake never does."""
    gone = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(1)
        while not gone.wait(0.01):
            connection.sendall(b"\x16")

    with raw_host(drip) as host:
        with pytest.raises(Unreached) as late:
            ask(f"https://{HERE}:{host.port}", seconds=0.2)
        gone.set()
    assert not late.value.heard


def test_a_name_server_that_hangs_ends_in_time() -> None:
    go_on = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        go_on.wait(30)
        return []

    with pytest.raises(Unreached, match="within") as late:
        ask("http://api.test", seconds=0.1, resolve=hang)
    go_on.set()
    assert not late.value.heard


def test_a_connection_has_a_shorter_end_than_an_answer() -> None:
    """Dropped packets, a name server or a handshake that hangs: nobody heard, and it is soon told."""
    gone = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        gone.wait(30)
        return []

    def late(connection: socket.socket) -> None:
        connection.recv(100)
        gone.wait(0.8)  # longer than a connection may take
        connection.sendall(OK)

    def unheard(address: str, **more: Any) -> None:
        with pytest.raises(Unreached, match=r"no connection within 0\.1 s") as nobody:
            ask(address, seconds=20, connect_s=0.1, **more)
        assert not nobody.value.heard

    with raw_host(late) as host:
        assert ask(f"http://{HERE}:{host.port}", seconds=20, connect_s=0.5).status == 200
    with silent() as port:
        unheard(f"http://{HERE}:{port}")
    unheard("http://api.test", resolve=hang)
    with raw_host(hang) as host:
        unheard(f"https://{HERE}:{host.port}")
        gone.set()


def test_a_handshake_that_drips_ends_with_the_connection() -> None:
    """Each byte is in time, and all of them are not."""
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(100)
        with contextlib.suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
            while not done.wait(0.02):
                connection.sendall(b"\x02")

    with raw_host(drip) as host:
        with pytest.raises(Unreached, match=r"no connection within 0\.2 s") as nobody:
            ask(f"https://{HERE}:{host.port}", seconds=20, connect_s=0.2)
        done.set()
    assert not nobody.value.heard


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port at which whoever connects hears nothing: its queue is full, and packets are dropped."""
    with contextlib.ExitStack() as open_:
        listener = open_.enter_context(socket.socket())
        listener.bind((HERE, 0))
        listener.listen(0)
        for _ in range(8):
            one = open_.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_name_that_is_not_there_is_no_failure_that_was_heard() -> None:
    with pytest.raises(Unreached, match="not found") as lost:
        ask("http://nowhere.test", resolve=names())
    assert not lost.value.heard


def test_of_an_answer_that_is_too_large_there_is_no_body() -> None:
    """It is one all the same: the request has arrived."""
    with pages() as host:
        answer = ask(f"http://{HERE}:{host.port}", most_bytes=3)
    assert (answer.status, answer.body) == (200, b"")
    assert "more than 3 bytes" in answer.lacks


@pytest.mark.parametrize(
    "address",
    ["", "api.test", "ftp://api.test", "https://me:pw@api.test", "https://a/?q", "https://a/#f"],
)
def test_what_is_no_address_of_a_route_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        checked_address(address)
    assert "pw" not in str(wrong.value)


@pytest.mark.parametrize("host", ["127.1", "0x7f.0.0.1", "2130706433", "\u0430pi.test"])
def test_an_address_in_another_spelling_is_none(host: str) -> None:
    with pytest.raises(InvalidInput):
        checked_address(f"http://{host}/")


def test_a_header_cannot_smuggle_another() -> None:
    with pytest.raises(InvalidInput):
        ask(f"http://{HERE}:1", Request("GET", "/", {"X": "a\r\nHost: b"}))
    with pytest.raises(InvalidInput):
        ask(f"http://{HERE}:1", Request("GET", "/", idempotency_key="a\r\nb"))
