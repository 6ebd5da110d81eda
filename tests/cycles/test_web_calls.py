"""A call has an end: in time, in size, and at the address that was named."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.web_calls import Answer, AnswerTooLarge, Unreachable, call
from tests.cycles.receiver import Receiver
from tests.tool_sandbox.wire import OK, head_of, raw_host


def get(url: str, **more: Any) -> Answer:
    options = {"headers": {}, "timeout_s": 10.0, "most_bytes": 1000, **more}
    return call("GET", url, **options)


def test_an_answer_is_handed_out_whatever_its_status(receiver: Receiver) -> None:
    receiver.answers = [200, 404]
    receiver.headers = {"X-Tide": "high"}
    found = get(f"{receiver.url}/a?b=c#d", headers={"X-Who": "me"})
    assert (found.status, found.ok, found.body, found.headers["x-tide"]) == (
        200,
        True,
        b"ok",
        "high",
    )
    path, headers, _ = receiver.requests[0]
    assert (path, headers["x-who"], headers["connection"]) == ("/a?b=c", "me", "close")
    assert not get(receiver.url).ok


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    """What was sent along was meant for the address that was named."""
    receiver.answers = [302]
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}
    assert get(receiver.url).status == 302
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("drop", "not an answer of the web"),
        ("cut", "the answer was cut off"),
        ("hang", "no answer within 0.2 s"),
        ("drip", "no answer within 0.2 s"),
    ],
)
def test_what_is_no_whole_answer_in_time_is_none(
    receiver: Receiver, answer: str, said: str
) -> None:
    """Also where each byte comes in time, and all of them never do."""
    receiver.answers = [answer]
    with pytest.raises(Unreachable, match=said) as caught:
        get(receiver.url, timeout_s=0.2 if "within" in said else 10, most_bytes=10**6)
    assert (caught.value.exit_code, caught.value.heard) == (4, True)


def test_more_than_was_asked_for_is_not_read(receiver: Receiver) -> None:
    receiver.body = b"x" * 1001
    with pytest.raises(AnswerTooLarge, match="more than 1,000 bytes") as caught:
        get(receiver.url)
    assert (caught.value.heard, caught.value.answer.status) == (True, 200)
    receiver.body = b"x" * 1000
    assert len(get(receiver.url).body) == 1000


@pytest.mark.parametrize(
    ("final", "status"), [(OK, 200), (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 500)]
)
def test_what_only_announces_an_answer_is_none(final: bytes, status: int) -> None:
    """Nothing was taken yet when 103 comes, and what comes next may be a refusal."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 2 + final)

    with raw_host(answer) as host:
        found = get(f"http://127.0.0.1:{host.port}")
    assert (found.status, "link" in found.headers) == (status, False)


def test_an_announcement_alone_may_have_been_heard() -> None:
    def answer(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    with raw_host(answer) as host, pytest.raises(Unreachable) as caught:
        get(f"http://127.0.0.1:{host.port}")
    assert caught.value.heard


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match="refused") as caught:
        get(f"http://127.0.0.1:{port}")
    assert not caught.value.heard


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        *((said, None) for said in ("", "soon", "-1", "1.5", "²")),
    ],
)
def test_when_to_come_again_is_a_number_or_a_date(said: str, seconds: float | None) -> None:
    assert Answer(429, {"retry-after": said}, b"").retry_after_s == seconds
    assert Answer(429, {}, b"").retry_after_s is None
    later = Answer(429, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, b"").retry_after_s
    assert later is not None
    assert later > 1e9


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "ftp://a/b", "http://", "http://a:b", "http:///x", "http://a b", "http://a/\n"),
        *("http://me:secret@a/", "http://me@a/", "https://me:secret@a:99999/", "me:secret@a"),
        *("https://me:secret@a/ b", "https://me:secret/2@a/", "https://me:p@secret@[a/"),
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        get(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("header", [{"a b": "x"}, {"": "x"}, {"a": "x\r\ny: z"}, {"a": "ü"}])
def test_a_header_cannot_smuggle_another(header: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        get("http://127.0.0.1:9/", headers=header)
