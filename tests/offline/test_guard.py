"""Who may call the protocol server: every way in that is none, and the few that are."""

from __future__ import annotations

import base64

import pytest

from dino_os.offline.guard import LOOPBACK, Guard


async def app(*_: object) -> None:
    raise AssertionError("nobody calls it here")


GUARD = Guard(
    app,
    password="pass word:ü",
    names={*LOOPBACK, "desk.site"},
    origins={"https://app.site"},
)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


RIGHT = basic("dino:pass word:ü")


def refused(host: str | None = "127.0.0.1:5984", auth: str | None = RIGHT, **more: str) -> int:
    """The status of the refusal, 0 where there is none."""
    given = {"host": host, "authorization": auth, **more}
    headers = [(n.encode(), v.encode()) for n, v in given.items() if v is not None]
    found = GUARD.refusal(headers)
    return int(found.status) if found else 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:5984", "desk.site:80"]
)
def test_who_calls_it_by_its_name_is_heard(host: str) -> None:
    assert refused(host) == 0


@pytest.mark.parametrize(
    "host",
    [None, "", "attacker.example", "attacker.example:5984", "127.0.0.1.attacker.example", "localhost:x", "127.0.0.1:1:1", "0.0.0.0", "desk.site."],
)  # fmt: skip
def test_a_name_that_was_rebound_to_loopback_is_none_of_its_names(host: str | None) -> None:
    """Also with the right password, which a browser may have stored."""
    assert refused(host) == 421


def test_two_hosts_are_no_host() -> None:
    headers = [(b"host", b"localhost"), (b"host", b"localhost"), (b"authorization", RIGHT.encode())]
    assert GUARD.refusal(headers) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://app.site",
        "https://app.site:444",
        "http://127.0.0.1:5984",
        "",
    ],
)
def test_a_page_of_an_origin_that_was_not_named_is_refused(origin: str) -> None:
    assert refused(origin=origin) == 403


def test_a_page_of_the_origin_that_was_named_is_heard_with_the_password() -> None:
    assert refused(origin="https://app.site") == 0
    assert refused(origin="https://app.site", auth=None) == 401


@pytest.mark.parametrize(
    "auth",
    [
        None, "", "Basic", "Basic ", "Bearer", "Bearer ", "Basic !!!", basic("dino:"), basic("dino:pass word:u"),
        basic("Dino:pass word:ü"), basic("pass word:ü"), RIGHT[:-4], RIGHT.replace("Basic", "Bearer"),
        "Bearer pass word", "Digest x", basic("dino:pass word:ü") + "x", f"{RIGHT}, {RIGHT}",
    ],
)  # fmt: skip
def test_without_the_password_nothing_is_answered(auth: str | None) -> None:
    assert refused(auth=auth) == 401


def test_the_password_may_come_as_a_token() -> None:
    assert refused(auth="Bearer pass word:ü") == 0
    assert refused(auth=RIGHT.replace("Basic", "basic")) == 0
