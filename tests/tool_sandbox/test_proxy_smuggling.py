"""What goes out is exactly the request that was checked: nothing rides behind it, or inside."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.tool_sandbox.egress.http1 import CHUNKED, parse_answer, parse_chunk_size, parse_request
from tests.tool_sandbox.wire import OK, answering, everything, head_of, proxied, raw_host

SECOND = b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n"


def request(*lines: str, method: str = "POST", body: bytes = b"") -> bytes:
    """A request for TARGET with those header lines."""
    head = "\r\n".join([f"{method} http://TARGET/p HTTP/1.1", "Host: TARGET", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body


MALFORMED = {
    "two-lengths": request("Content-Length: 3", "Content-Length: 4", body=b"abcd"),
    "two-equal-lengths": request("Content-Length: 3", "Content-Length: 3", body=b"abc"),
    "length-list": request("Content-Length: 3, 3", body=b"abc"),
    "length-plus": request("Content-Length: +3", body=b"abc"),
    "length-minus": request("Content-Length: -3", body=b"abc"),
    "length-hex": request("Content-Length: 0x3", body=b"abc"),
    "length-underscore": request("Content-Length: 1_0", body=b"abc"),
    "length-blank": request("Content-Length: ", body=b"abc"),
    "length-huge": request("Content-Length: " + "9" * 19, body=b"abc"),
    "length-superscript": request("Content-Length: \xb3", body=b"abc"),
    "length-no-break-space": request("Content-Length: 3\xa0", body=b"abc"),
    "chunked-next-line": request("Transfer-Encoding: chunked\x85", body=b"0\r\n\r\n"),
    "length-and-chunked": request("Content-Length: 3", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked-and-length": request("Transfer-Encoding: chunked", "Content-Length: 3", body=b"0\r\n\r\n"),
    "chunked-twice": request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunked-list": request("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "gzip-chunked": request("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "identity": request("Transfer-Encoding: identity", body=b"abc"),
    "xchunked": request("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunked-vertical-tab": request("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "chunked-quoted": request('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "chunked-in-1.0": request("Transfer-Encoding: chunked", body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "space-before-colon": request("Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "folded": request("X: a", " Transfer-Encoding: chunked"),
    "folded-tab": request("X: a", "\tb"),
    "first-line-folded": request(" X: a"),
    "no-colon": request("X"),
    "no-name": request(": x"),
    "nul-in-value": request("X: a\x00b"),
    "nul-in-name": request("X\x00: b"),
    "bare-cr-in-value": request("X: a\rTransfer-Encoding: chunked"),
    "bare-lf-in-value": request("X: a\nTransfer-Encoding: chunked"),
    "bare-lf-everywhere": request().replace(b"\r\n", b"\n") + b"\r\n\r\n",
    "lf-cr": request("X: a\n\rY: b"),
    "name-with-slash": request("X/Y: a"),
    "name-with-umlaut": request("\xc4: a"),
    "no-host": b"GET http://TARGET/ HTTP/1.1\r\n\r\n",
    "two-hosts": request("Host: TARGET", method="GET"),
    "host-of-another": b"GET http://TARGET/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
    "host-of-another-port": b"GET http://TARGET/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
    "host-without-port": b"GET http://TARGET/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "host-empty": b"GET http://TARGET/ HTTP/1.1\r\nHost: \r\n\r\n",
    "host-list": b"GET http://TARGET/ HTTP/1.1\r\nHost: TARGET, other.test\r\n\r\n",
    "host-with-user": b"GET http://TARGET/ HTTP/1.1\r\nHost: x@TARGET\r\n\r\n",
    "host-with-path": b"GET http://TARGET/ HTTP/1.1\r\nHost: TARGET/\r\n\r\n",
    "origin-form": b"GET / HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "https": b"GET https://TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "ftp": b"GET ftp://TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "file": b"GET file:///etc/passwd HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "no-authority": b"GET http:///etc/passwd HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "one-slash": b"GET http:/TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "backslash": b"GET http://TARGET\\@other.test/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "user": b"GET http://other.test@TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "user-behind": b"GET http://TARGET@other.test/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "fragment": b"GET http://TARGET/#x HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "space-in-target": b"GET http://TARGET/ x HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "tab-for-space": b"GET\thttp://TARGET/\tHTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "two-spaces": b"GET  http://TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "umlaut-in-target": b"GET http://TARGET/\xe4 HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "nul-in-target": b"GET http://TARGET/\x00 HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "http-0.9": b"GET http://TARGET/\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http-1.2": b"GET http://TARGET/ HTTP/1.2\r\nHost: TARGET\r\n\r\n",
    "http-1.1x": b"GET http://TARGET/ HTTP/1.1x\r\nHost: TARGET\r\n\r\n",
    "small-http": b"GET http://TARGET/ http/1.1\r\nHost: TARGET\r\n\r\n",
    "method": b"G(T http://TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "empty-line-first": b"\r\nGET http://TARGET/ HTTP/1.1\r\nHost: TARGET\r\n\r\n",
    "nothing": b"\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "socks": b"\x05\x01\x00\r\n\r\n",
    "connect-without-port": b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n",
    "connect-a-url": b"CONNECT http://TARGET/ HTTP/1.1\r\n\r\n",
    "connect-with-path": b"CONNECT TARGET/ HTTP/1.1\r\n\r\n",
    "connect-host-of-another": b"CONNECT TARGET HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
    "connect-with-length": b"CONNECT TARGET HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
    "connect-chunked": b"CONNECT TARGET HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_request_that_two_may_read_in_two_ways_goes_nowhere(sent: bytes) -> None:
    with raw_host(answering()) as host, proxied(f"127.0.0.1:{host.port}", "other.test") as way:
        target = f"127.0.0.1:{host.port}".encode()
        assert way.status(sent.replace(b"TARGET", target)) == 400
        event = way.events.next()
        assert not event["allowed"]
        assert event["why"].isprintable()
        assert host.served.empty()


CHUNKED_BODIES = {
    "extension": b"3;x=y\r\nabc\r\n0\r\n\r\n",
    "space-behind-size": b"3 \r\nabc\r\n0\r\n\r\n",
    "space-before-size": b" 3\r\nabc\r\n0\r\n\r\n",
    "hex-prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "no-size": b"\r\nabc\r\n0\r\n\r\n",
    "bare-lf": b"3\nabc\r\n0\r\n\r\n",
    "bare-lf-behind-data": b"3\r\nabc\n0\r\n\r\n",
    "longer-than-said": b"3\r\nabcd\r\n0\r\n\r\n",
    "shorter-than-said": b"5\r\nabc\r\n0\r\n\r\n",
    "size-too-long": b"0" * 16 + b"3\r\nabc\r\n0\r\n\r\n",
    "size-without-end": b"3" * 5000,
    "trailers": b"3\r\nabc\r\n0\r\nHost: other.test\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKED_BODIES.values(), ids=CHUNKED_BODIES)
def test_a_malformed_chunked_body_is_not_passed_on_to_its_end(body: bytes) -> None:
    """The host never sees the end of it, so it has no request."""
    with raw_host(everything) as host, proxied(f"127.0.0.1:{host.port}") as way:
        target = f"127.0.0.1:{host.port}".encode()
        sent = request("Transfer-Encoding: chunked", body=body).replace(b"TARGET", target)
        assert way.status(sent) == 400
        came = host.next()
        assert not came.endswith(b"0\r\n\r\n")
        assert b"other.test" not in came


@pytest.mark.parametrize(
    ("lines", "body", "passed"),
    [
        ((), b"", b""),
        (("Content-Length: 0",), b"", b""),
        (("Content-Length: 5",), b"hello", b"hello"),
        (("Content-Length: 005",), b"hello", b"hello"),
        (("transfer-ENCODING: CHUNKED",), b"5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (("Transfer-Encoding: chunked",), b"0005\r\nhello\r\nA\r\n0123456789\r\n000\r\n\r\n", b"5\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n"),
        (("Connection: content-length, host", "Content-Length: 5"), b"hello", b"hello"),
        (("Connection: transfer-encoding", "Transfer-Encoding: chunked"), b"0\r\n\r\n", b"0\r\n\r\n"),
    ],
)  # fmt: skip
def test_what_follows_a_request_is_not_passed_on(
    lines: tuple[str, ...], body: bytes, passed: bytes
) -> None:
    """A second request behind the first has been checked by nobody."""

    def serve(connection: socket.socket) -> bytes:
        came = head_of(connection)
        while len(came.partition(b"\r\n\r\n")[2]) < len(passed):
            came += connection.recv(65536)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_WR)
        return came + everything(connection)

    with raw_host(serve) as host, proxied(f"127.0.0.1:{host.port}", "other.test") as way:
        target = f"127.0.0.1:{host.port}".encode()
        sent = request(*lines, body=body).replace(b"TARGET", target)
        with way.connect() as client:
            client.sendall(sent + SECOND)
            answer = everything(client)
        head, _, came = host.next().partition(b"\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert came == passed
        assert head.lower().count(b"\r\nhost:") == 1
        framing = head.lower().count(b"\r\ncontent-length:") + head.lower().count(
            b"\r\ntransfer-encoding:"
        )
        assert framing == bool(lines)
        way.events.next()
        assert (way.events.rest(), way.asked) == ([], [])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET http://user:CANARY@api.test/ HTTP/1.1\r\n\r\n",
        b"GET https://api.test/?key=CANARY HTTP/1.1\r\n\r\n",
        b"GET https://user:CANARY@api.test/CANARY#CANARY HTTP/1.1\r\n\r\n",
        b"GET /CANARY HTTP/1.1\r\n\r\n",
        b"GET http://api.test/?key=CANARY HTTP/1.1\r\nHost: api.test\r\n\r\n",
        b"GET http://api.test?CANARY HTTP/1.1\r\nHost: user:CANARY@api.test\r\n\r\n",
        b"GET http://api.test/ HTTP/1.1\r\nAuthorization : CANARY\r\n\r\n",
        b"CONNECT user:CANARY@api.test:443 HTTP/1.1\r\n\r\n",
        b"CONNECT api.test/CANARY HTTP/1.1\r\nProxy-Authorization: CANARY\r\n\r\n",
    ],
)
def test_a_secret_in_a_request_is_not_recorded(sent: bytes) -> None:
    with proxied() as way:
        assert b"CANARY" not in way.raw(sent)
        assert "CANARY" not in repr(way.events.next())


def test_fields_of_the_connection_and_of_the_proxy_stay_here() -> None:
    with raw_host(answering()) as host, proxied(f"127.0.0.1:{host.port}") as way:
        target = f"127.0.0.1:{host.port}"
        sent = request(
            "Accept: */*", "Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: 5", "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic x", "proxy-anything: x", "TE: trailers", "Trailer: X", "Upgrade: websocket",
            "HTTP2-Settings: x", "X-Kept: \xe4", "Cookie: a", "Cookie: b", method="GET",
        )  # fmt: skip
        assert way.status(sent.replace(b"TARGET", target.encode())) == 200
        assert host.next() == (
            f"GET /p HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\nAccept: */*\r\n"
            "X-Kept: \xe4\r\nCookie: a\r\nCookie: b\r\n\r\n"
        ).encode("latin-1")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://h.test", "/"), ("HTTP://h.test/", "/"), ("http://h.test?q", "/?q"), ("http://h.test/a//b?c=http://x/", "/a//b?c=http://x/"),
        ("http://h.test:80/%00", "/%00"), ("http://h.test/@", "/@"), ("http://h.test/..", "/.."),
    ],
)  # fmt: skip
def test_the_path_is_passed_on_as_it_is(target: str, path: str) -> None:
    asked = parse_request(f"GET {target} HTTP/1.1\r\nHost: h.test".encode())
    assert (asked.host, asked.port, asked.path) == ("h.test", 80, path)


# --- laws ------------------------------------------------------------------------------------

words = st.sampled_from(
    [b"GET", b"CONNECT", b" ", b"http://a.test", b"a.test:443", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\r", b"\n", b"\x00", b":",
     b"Host: a.test", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"Connection: host", b"X: y", b",", b"@", b"\t", b"0", b"\xff"]
)  # fmt: skip
good_starts = st.sampled_from(
    [
        b"",
        b"GET http://a.test/ HTTP/1.1\r\n",
        b"POST http://a.test/ HTTP/1.0\r\n",
        b"CONNECT a.test:443 HTTP/1.1\r\n",
    ]
)
heads = st.builds(
    lambda start, rest: start + b"".join(rest), good_starts, st.lists(words, max_size=12)
)


def read(parse: Callable[[bytes], Any], data: bytes) -> tuple[Any, str]:
    """What is read there, or why it is not."""
    try:
        return parse(data), ""
    except InvalidInput as error:
        return None, str(error)


@given(heads | st.binary(max_size=200))
def test_a_head_is_refused_or_has_one_meaning(head: bytes) -> None:
    """And what goes out for it reads the same when it is read again."""
    asked, refusal = read(parse_request, head)
    assert refusal.isprintable()
    if asked is None or asked.is_tunnel:
        assert asked is None or not asked.body
        return
    first, *lines = asked.head().removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == f"{asked.method} {asked.path} {asked.version}".encode()
    names = [line.partition(b":")[0].lower() for line in lines]
    assert names.count(b"host") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") == (
        asked.body is not None
    )
    assert not any(byte in line for line in lines for byte in b"\r\n\x00")
    absolute = asked.head().replace(b" /", b" http://a.test/", 1).removesuffix(b"\r\n\r\n")
    again = parse_request(absolute)
    assert (again.host, again.port, again.path, again.body) == (
        asked.host,
        asked.port,
        asked.path,
        asked.body,
    )


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_whatever_a_host_answers_is_read_or_refused(head: bytes, line: bytes) -> None:
    for parse, data in (
        (parse_answer, head),
        (parse_answer, b"HTTP/1.1 200 OK\r\n" + head),
        (parse_chunk_size, line),
    ):
        assert read(parse, data)[1].isprintable()


def test_a_long_line_of_blanks_takes_no_longer_than_it_is_long() -> None:
    """An expression that backtracks would take hours for this one."""
    head = b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\nX: " + b" \t" * 500_000 + b"\x00"
    with pytest.raises(InvalidInput, match="malformed header line"):
        parse_request(head)
    asked = parse_request(head[:-1] + b"\r\nTransfer-Encoding: chunked")
    assert asked.body == CHUNKED
