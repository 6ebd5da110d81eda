"""Questions and answers: one of all who respond, in time, in both directions."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.message_bus import Delivery, MessageBusError, RequestFailed, RequestTimedOut
from dino_os.message_bus.requests import REPLIES
from tests.both_backends.conftest import Pair
from tests.message_bus.waiting import until

LONG_S = 60.0


def test_what_is_asked_is_answered_and_not_in_the_way(pair: Pair) -> None:
    heard: list[Any] = []
    pair.hears.subscribe(">", heard.append)
    own = pair.hears.respond("price.*", lambda message: {"double": message * 2, "at": (1, None)})
    for number in range(5):
        answer = pair.speaks.request("price.BTC", number, timeout=LONG_S)
        assert answer == {"double": number * 2, "at": [1, None]}
    until(lambda: len(heard) >= 5, "all")
    assert heard == [*range(5)]
    for bus in (pair.hears, pair.speaks):
        assert bus.list_channels() == ["price.BTC"]
        until(lambda bus=bus: len(bus.channel_history(f"{REPLIES}.>")) == 5, "all")  # type: ignore[misc]
    assert pair.hears.unsubscribe("price.*", own)
    with pytest.raises(RequestTimedOut, match=r"nobody answered within 0\.2 s") as found:
        pair.speaks.request("price.BTC", "BTC", timeout=0.2)
    assert found.value.exit_code == 124


def test_an_error_comes_back_and_names_who_raised_it(pair: Pair) -> None:
    def clumsy(_: Any) -> None:
        raise KeyError("no\nuse")

    pair.hears.respond("a", clumsy)
    pair.hears.respond("b", lambda _: object())
    with pytest.raises(RequestFailed, match=r"clumsy could not answer: KeyError: 'no\\\\nuse'"):
        pair.speaks.request("a", 1, timeout=LONG_S)
    with pytest.raises(MessageBusError, match="not a JSON value"):
        pair.speaks.request("b", 1, timeout=LONG_S)
    assert pair.hears.dead_letters() == []


def test_of_all_who_respond_one_answers(pair: Pair) -> None:
    asked: list[Any] = []
    both = {id(bus): bus for bus in (pair.hears, pair.speaks if pair.speaker else pair.hears)}
    for bus in both.values():
        for _ in range(2):
            bus.respond("a", lambda message: asked.append(message) or message)
    for number in range(10):
        assert pair.speaks.request("a", number, timeout=LONG_S) == number
    assert asked == [*range(10)]


def test_one_that_is_busy_is_asked_when_it_is_free(pair: Pair) -> None:
    """What nobody waits for any more by then is not begun."""
    begun, go_on = threading.Event(), threading.Event()
    handled: list[Any] = []
    answers: list[Any] = []

    def slow(message: Any) -> Any:
        handled.append(message)
        begun.set()
        assert go_on.wait(60)
        return message

    def ask(message: str) -> None:
        answers.append(asking.request("a", message, timeout=LONG_S))

    pair.hears.respond("a", slow)
    # The other process does one thing at a time.
    asking = pair.speaks if pair.speaker else pair.hears
    threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "then")]
    threads[0].start()
    assert begun.wait(60)
    with pytest.raises(RequestTimedOut):
        pair.speaks.request("a", "too soon", timeout=0.1)
    threads[1].start()
    pair.come("a", 3)
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(handled) == ["first", "then"]


def test_any_subscriber_may_reply(pair: Pair) -> None:
    def replies(message: Any, delivery: Delivery) -> None:
        delivery.reply([message, delivery.attempt])

    pair.hears.subscribe("durable", replies, durable="d")
    pair.hears.subscribe("plain", replies)
    for channel in ("durable", "plain"):
        assert pair.speaks.request(channel, 1, timeout=LONG_S) == [1, 1]
    handled: list[Any] = []
    pair.hears.respond("b", handled.append)
    pair.speaks.publish("b", "by the way")
    assert pair.speaks.request("b", "asked", timeout=LONG_S) is None
    assert handled == ["asked"]


def test_a_responder_that_replies_has_answered(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once: what it returns then, or raises, or replies, is nothing to who asked."""
    kept: list[Delivery] = []

    def replies(message: Any, delivery: Delivery) -> str:
        kept.append(delivery)
        if message == "returns":
            return "returned"
        with pytest.raises(InvalidInput, match="JSON"):
            delivery.reply(object())
        delivery.reply(["replied", message])
        with pytest.raises(MessageBusError, match="already"):
            delivery.reply("again")
        if message == "raises":
            raise ValueError("too late")
        return "returned"

    pair.hears.respond("a", replies)
    asked = ["replies", "raises", "returns"]
    answers = [["replied", "replies"], ["replied", "raises"], "returned"]
    assert [pair.speaks.request("a", message, timeout=LONG_S) for message in asked] == answers
    until(lambda: "too late" in capsys.readouterr().err, "a report")
    assert [m.message for m in pair.speaks.channel_history(f"{REPLIES}.>")] == answers
    with pytest.raises(MessageBusError, match="already"):
        kept[-1].reply("later")


@dataclass
class Order:
    total: float


def test_a_question_is_held_against_the_type_that_is_asked_for(pair: Pair) -> None:
    def bill(order: Order) -> float:
        return order.total * 2

    pair.hears.respond("bill", bill)
    assert pair.speaks.request("bill", {"total": 2}, timeout=LONG_S) == 4.0
    with pytest.raises(RequestFailed, match="total"):
        pair.speaks.request("bill", {"totl": 2}, timeout=LONG_S)
