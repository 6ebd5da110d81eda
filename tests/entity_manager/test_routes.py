"""Probes with real sockets on this machine, and what a name stands for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dino_os.entities.routes import Prober, Target, dial, is_of_the_network, targets_of
from dino_os.errors import InvalidInput


@pytest.fixture
def listening() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield ("127.0.0.1", server.getsockname()[1])


@pytest.fixture
def deserted() -> Target:
    """Where nobody listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return ("127.0.0.1", server.getsockname()[1])


def asked(prober: Prober, targets: list[Target]) -> bool | None:
    answer = prober.ask("e", targets)
    prober.wait()
    return prober.ask("e", targets) if answer is None else answer


def test_one_that_answers_is_enough(listening: Target, deserted: Target) -> None:
    prober = Prober(10)
    assert asked(prober, [deserted, listening]) is True
    assert asked(prober, [deserted]) is False
    assert asked(prober, [deserted, deserted]) is False
    assert not prober.busy


def test_what_hangs_is_not_reached() -> None:
    """Its time is hard, whatever the dialling does; another one's probe does not wait for it."""
    never = threading.Event()

    def hang(target: Target, _: float) -> None:
        if target[0] == "hangs":
            never.wait()

    prober = Prober(0.05, hang)
    assert prober.ask("hung", [("hangs", 1)]) is None
    assert asked(prober, [("answers", 1)]) is True
    assert prober.ask("hung", [("hangs", 1)]) is False
    never.set()


def test_an_answer_is_given_once(listening: Target, deserted: Target) -> None:
    """The next question is tried anew."""
    prober = Prober(10)
    assert asked(prober, [listening]) is True
    assert asked(prober, [deserted]) is False


def test_an_answer_that_nobody_fetched_grows_stale(
    listening: Target, deserted: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    prober = Prober(10)
    answer = prober.ask("e", [listening])
    prober.wait()
    if answer is None:  # it is there to be fetched, but a day goes by
        passed = time.monotonic() + 86400
        monkeypatch.setattr("dino_os.entities.routes.time.monotonic", lambda: passed)
    assert asked(prober, [deserted]) is False


def test_a_name_that_is_none_is_not_reached() -> None:
    assert asked(Prober(10), [("a" * 300, 1)]) is False
    with pytest.raises((OSError, ValueError)):
        dial(("a..b", 1), 1)


def test_targets_are_what_the_skill_declares() -> None:
    assert targets_of(["127.0.0.1:8080", "api.weather.gov", "*.weather.gov", "[::1]:7"]) == [
        ("127.0.0.1", 8080),
        ("api.weather.gov", 80),
        ("api.weather.gov", 443),
        ("::1", 7),
    ]
    with pytest.raises(InvalidInput, match="not a host to reach"):
        targets_of(["http://a/"])


@pytest.mark.parametrize(
    ("outcome", "error", "its"),
    [
        ("error", "ConnectionResetError", True),
        ("error", "HTTPError", True),
        ("error", "ZeroDivisionError", False),
        ("error", "", False),
        ("timeout", "", True),
        ("denied", "ConnectionError", False),
        (None, "OSError", False),
    ],
)
def test_errors_of_the_network(outcome: str | None, error: str, its: bool) -> None:
    assert is_of_the_network(outcome, error) == its
