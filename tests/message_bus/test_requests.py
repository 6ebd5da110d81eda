"""Asking and answering, in one process and between several."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.message_bus import Delivery, MessageBus, requests
from dino_os.message_bus.requests import DEADLINE, RequestFailed, RequestTimedOut
from dino_os.message_bus.subject import REPLIES
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, ended_at_last, environment
from tests.message_bus.waiting import until

RESPONDER = """
import sys, time
from dino_os.message_bus import MessageBus
name = sys.argv[1]
def answer(message):
    if message == "slow":
        time.sleep(60)
    if message == "bad":
        raise ValueError("not that")
    return [name, message]
MessageBus().respond("price.*", answer)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def bus(home: Path) -> MessageBus:
    return MessageBus()


@pytest.fixture
def responder(home: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a program that responds to `price.*`; it ends with the test."""

    def start(name: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RESPONDER, name],
            env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    with ended_at_last() as processes:
        yield start


def said(bus: MessageBus, subject: str) -> list[Any]:
    return [found.message for found in bus.channel_history(subject)]


# --- in one process -----------------------------------------------------------------------------


def test_a_responder_of_this_process_answers_in_the_thread_that_asks(bus: MessageBus) -> None:
    threads: list[str] = []

    def price(symbol: str) -> dict[str, Any]:
        threads.append(threading.current_thread().name)
        return {"symbol": symbol, "price": (7, None)}

    own = bus.respond("price.*", price)
    assert bus.request("price.BTC", "BTC") == {"symbol": "BTC", "price": [7, None]}
    assert threads == [threading.current_thread().name]
    assert said(bus, "price.*") == ["BTC"]
    assert bus.unsubscribe("price.*", own)
    with pytest.raises(RequestTimedOut):
        bus.request("price.BTC", "BTC", timeout=0.05)


def test_a_responder_may_ask_others_and_itself(
    bus: MessageBus, capsys: pytest.CaptureFixture[str]
) -> None:
    def count(n: int) -> int:
        return n and 1 + int(bus.request("count", n - 1))

    bus.respond("count", count)
    assert bus.request("count", 5) == 5
    with pytest.raises(RequestFailed):
        bus.request("count", 50)
    assert "nested 32 deep" in capsys.readouterr().err


@contextlib.contextmanager
def bus_busy(bus: MessageBus) -> Iterator[MessageBus]:
    """The responders of this process do not answer in the thread that asks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Requests, "_free_responder", lambda *_: None)
        yield bus


def test_only_what_names_the_request_is_an_answer(bus: MessageBus) -> None:
    def forges(_: Any, delivery: Delivery) -> None:
        assert delivery.stored.reply_to
        bus.publish(delivery.stored.reply_to, "forged")

    bus.subscribe("a", forges)
    with pytest.raises(RequestTimedOut):
        bus.request("a", 1, timeout=0.05)
    with bus_busy(bus):
        bus.respond("a", lambda _: "answered")
        assert bus.request("a", 1, timeout=30) == "answered"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True, 1e9, None])
def test_what_is_no_timeout_is_refused(bus: MessageBus, timeout: Any) -> None:
    with pytest.raises(InvalidInput, match="timeout"):
        bus.request("a", 1, timeout=timeout)
    wrong: list[Any] = ["a.*", "", 5]
    for channel in wrong:
        with pytest.raises(InvalidInput, match="channel"):
            bus.request(channel, 1)
    assert bus.list_channels() == []


# --- between processes --------------------------------------------------------------------------


def test_of_two_exactly_one_answers(
    bus: MessageBus, responder: Callable[[str], subprocess.Popen[str]]
) -> None:
    for name in ("one", "two"):
        responder(name)
    for number in range(20):
        assert bus.request("price.BTC", number, timeout=30)[1] == number
    answered = [number for _, number in said(bus, f"{REPLIES}.>")]
    assert answered == [*range(20)]
    bus.respond("price.*", lambda message: ["here", message])
    for number in range(20, 30):
        assert bus.request("price.BTC", number, timeout=30) == ["here", number]
    until(lambda: all(one.backlog == 0 for one in bus.subscriptions()), "an end")
    assert [number for _, number in said(bus, f"{REPLIES}.>")] == [*range(30)]


def test_one_that_is_killed_over_a_request_leaves_it_to_another(
    bus: MessageBus, responder: Callable[[str], subprocess.Popen[str]]
) -> None:
    victim = responder("victim")
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(bus.request("price.BTC", "slow", timeout=60))
    )
    asking.start()
    until(lambda: any(one.in_flight for one in bus.subscriptions()), "a claim")
    bus.respond("price.*", lambda message: ["here", message])
    victim.kill()
    asking.join()
    assert answers == [["here", "slow"]]


def test_nobody_begins_with_what_nobody_waits_for_any_more(bus: MessageBus) -> None:
    """Also where it lay there when the responder came back to life."""
    handled: list[Any] = []
    draft = {"channel": "a", "message": "late", "reply_to": f"{REPLIES}.x", "correlation": "c"}
    bus.respond("a", handled.append)
    local = bus._local()
    for deadline in (f"{time.time() - 1:.6f}", "soon"):
        local._journal.append("message_published", {**draft, "headers": {DEADLINE: deadline}})
    until(lambda: handled, "a request")
    until(lambda: bus.subscriptions()[0].backlog == 0, "an end")
    assert handled == ["late"]  # the one whose deadline is none


def test_a_secret_in_an_error_is_not_kept(bus: MessageBus, home: Path) -> None:
    """Neither in an answer nor in a dead letter."""
    secret = "sk-canary-4711-not-to-be-kept"

    def clumsy(_: Any) -> None:
        raise ValueError(f"refused: {secret}")

    def clean(text: str) -> str:
        return text.replace(secret, "***")

    Workspace.shared().deliveries.clean = clean
    bus.respond("a", clumsy)
    with pytest.raises(RequestFailed, match=r"refused: \*\*\*"):
        bus.request("a", 1)
    bus.subscribe("b", clumsy, durable="d", retries=0)
    bus.publish("b", 1)
    until(bus.dead_letters, "a dead letter")
    bus.close()
    for file in (home / "memory").glob("*.jsonl"):
        assert secret not in file.read_text()


def test_known_secrets_are_what_is_not_kept(home: Path) -> None:
    assert Workspace(home).deliveries.clean("text") == "text"
