"""Durable subscriptions and groups: what they were said is handled, again where it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dino_os.errors import NotFound
from dino_os.message_bus import Delivery, MessageBusError
from engines.again import Fatal, RetryLater
from tests.both_backends.conftest import MakePair, Pair
from tests.message_bus.waiting import until


def settled(pair: Pair, name: str, to: int | None = None) -> Callable[[], bool]:
    """Whether all that was said is settled, as the record of who hears has it."""

    def found() -> bool:
        (own,) = [one for one in pair.hears.subscriptions() if one.name == name]
        return own.backlog == 0 and (to is None or own.acknowledged == to)

    return found


# --- what comes, and when -----------------------------------------------------------------------


def test_it_hears_what_is_said_and_goes_on_where_it_was(pair: Pair) -> None:
    heard: list[Any] = []
    pair.speaks.publish("a", "before")
    pair.come("a", 1)
    own = pair.hears.subscribe("a", heard.append, durable="billing")
    assert pair.speaks.publish("a", 1) == 0  # nobody waits for it
    until(settled(pair, "billing", 1), "an acknowledgement")
    assert pair.hears.unsubscribe("a", own)
    assert not pair.hears.unsubscribe("a", own)
    pair.speaks.publish_many([("a", 2), ("b", 0), ("a", 3)])
    pair.come("a", 4)
    assert heard == [1]
    pair.hears.subscribe("a", heard.append, durable="billing", start="all")  # for new ones
    until(settled(pair, "billing", 3), "an acknowledgement")
    assert heard == [1, 2, 3]


def test_where_it_begins(pair: Pair) -> None:
    for number in range(4):
        pair.speaks.publish("a", number)
        time.sleep(0.002)  # so that their times differ
    pair.come("a", 4)
    third = pair.hears.channel_history("a")[2]
    starts: dict[str, Any] = {
        "new": "new",
        "all": "all",
        "seq": third.seq,
        "time": third.published,
        "late": datetime(2999, 1, 1, tzinfo=UTC),
    }
    heard: dict[str, list[Any]] = {name: [] for name in starts}
    for name, start in starts.items():
        pair.hears.subscribe("a", heard[name].append, durable=name, start=start)
    pair.speaks.publish("a", 4)
    pair.come("a", 5)
    for name in starts:
        until(settled(pair, name), "an end")
    assert heard == {
        "new": [4],
        "all": [0, 1, 2, 3, 4],
        "seq": [2, 3, 4],
        "time": [2, 3, 4],
        "late": [4],
    }


def test_many_messages_come_in_their_order(pair: Pair) -> None:
    heard: list[Any] = []
    pair.hears.subscribe("a.>", heard.append, durable="d")
    for begin in range(0, 600, 50):
        pair.speaks.publish_many([(f"a.{n % 3}", n) for n in range(begin, begin + 50)])
    until(lambda: len(heard) >= 600, "the last one")
    until(settled(pair, "d", 600), "an end")
    assert heard == [*range(600)]


# --- groups -------------------------------------------------------------------------------------


def test_members_of_a_group_share_and_each_subscription_has_its_own(pair: Pair) -> None:
    heard: dict[str, list[Any]] = {name: [] for name in ("one", "two", "other", "plain")}
    pair.hears.subscribe("a", heard["one"].append, group="workers")
    (pair.speaks if pair.speaker else pair.hears).subscribe(
        "a", heard["two"].append, group="workers"
    )
    pair.hears.subscribe("a", heard["other"].append, group="others")
    pair.hears.subscribe("a", heard["plain"].append)
    for number in range(50):
        pair.speaks.publish("a", number)
    until(lambda: len(heard["one"] + heard["two"]) >= 50, "all")
    until(lambda: len(heard["other"]) >= 50 and len(heard["plain"]) >= 50, "all")
    assert sorted(heard["one"] + heard["two"]) == [*range(50)]
    assert sorted(heard["other"]) == heard["plain"] == [*range(50)]


def test_a_durable_group_goes_on_where_it_was(pair: Pair) -> None:
    heard: list[Any] = []
    own = [pair.hears.subscribe("a", heard.append, group="g", durable="g") for _ in range(3)]
    pair.speaks.publish_many([("a", n) for n in range(20)])
    until(lambda: len(heard) >= 20, "all")
    for one in own:
        pair.hears.unsubscribe("a", one)
    pair.speaks.publish_many([("a", n) for n in range(20, 40)])
    pair.hears.subscribe("a", heard.append, group="g", durable="g")
    until(lambda: len(heard) >= 40, "all")
    assert sorted(heard) == [*range(40)]


# --- what fails ---------------------------------------------------------------------------------

TERMS = pytest.mark.parametrize("terms", [{}, {"group": "crew"}], ids=["alone", "group"])


@TERMS
def test_one_that_raises_gets_it_again_and_then_it_is_a_dead_letter(
    pair: Pair, terms: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    attempts: list[tuple[Any, int]] = []

    def clumsy(message: Any, delivery: Delivery) -> None:
        attempts.append((message, delivery.attempt))
        if message == "bad":
            raise ValueError("it says \x1b no")

    pair.hears.subscribe("a", clumsy, durable="d", retries=2, backoff_s=[0.01], **terms)
    pair.speaks.publish_many([("a", "bad"), ("a", "good")])
    until(pair.hears.dead_letters, "a dead letter")
    until(settled(pair, "d"), "an end")
    assert sorted(attempts) == [("bad", 1), ("bad", 2), ("bad", 3), ("good", 1)]
    (letter,) = pair.hears.dead_letters("d")
    assert (letter.subscription, letter.channel, letter.message) == ("d", "a", "bad")
    assert (letter.attempts, letter.error) == (3, "ValueError: it says \x1b no")
    assert capsys.readouterr().err.count("raised ValueError") == 1
    attempts.clear()
    assert pair.hears.redeliver("d", letter.seq)
    until(lambda: len(attempts) == 3, "three more attempts")
    until(pair.hears.dead_letters, "a dead letter")
    assert not pair.hears.redeliver("d", letter.seq + 1)
    with pytest.raises(NotFound):
        pair.hears.dead_letters("e")


@TERMS
def test_what_a_handler_says_of_trying_again_is_heeded(pair: Pair, terms: dict[str, Any]) -> None:
    seen: list[Any] = []

    def handler(message: Any, delivery: Delivery) -> None:
        seen.append(message)
        if message == "never":
            raise Fatal("no use")
        if delivery.attempt == 1:
            raise RetryLater(0.01)

    pair.hears.subscribe("a", handler, durable="d", backoff_s=[999], **terms)
    pair.speaks.publish_many([("a", "never"), ("a", "later")])
    until(lambda: len(seen) >= 3, "another attempt")
    until(pair.hears.dead_letters, "a dead letter")
    until(settled(pair, "d"), "an end")
    assert seen == ["never", "later", "later"]
    assert [letter.message for letter in pair.hears.dead_letters("d")] == ["never"]


@TERMS
def test_a_delay_that_is_none_refuses_its_message_alone(pair: Pair, terms: dict[str, Any]) -> None:
    heard: list[Any] = []
    delays: list[Any] = [float("nan"), float("inf"), "1", None, True, 10**400]

    def refuses(message: Any, delivery: Delivery) -> None:
        heard.append(message)
        how, number = message
        if how == "nak":
            delivery.nak(delays[number])
        if how == "raise":
            raise type("Later", (Exception,), {"retry_after_s": delays[number]})

    said = [[how, n] for n in range(len(delays)) for how in ("good", "nak", "raise", "fine")]
    pair.hears.subscribe("a", refuses, durable="d", retries=1, backoff_s=[0], **terms)
    pair.speaks.publish_many([("a", message) for message in said])
    until(lambda: len(pair.hears.dead_letters()) >= 2 * len(delays), "an end")
    until(settled(pair, "d", 2 * len(delays)), "an end")
    assert sorted(heard) == sorted([*said, *(one for one in said if one[0] in ("nak", "raise"))])
    letters = [one for one in pair.hears.dead_letters() if one.message[0] == "nak"]
    assert all(one.error.startswith("InvalidInput: delay_s ") for one in letters)


@TERMS
def test_what_does_not_fit_is_a_dead_letter_at_once(pair: Pair, terms: dict[str, Any]) -> None:
    heard: list[int] = []

    def counts(message: int) -> None:
        heard.append(message)

    pair.hears.subscribe("a", counts, durable="d", **terms)
    pair.speaks.publish_many([("a", "one"), ("a", 2)])
    until(lambda: heard, "what fits")
    (letter,) = until(pair.hears.dead_letters, "a dead letter")
    assert heard == [2]
    assert (letter.message, letter.attempts) == ("one", 1)
    assert "does not fit" in letter.error


# --- acknowledging ------------------------------------------------------------------------------


@TERMS
def test_a_message_is_settled_when_its_handler_says_so(pair: Pair, terms: dict[str, Any]) -> None:
    kept: list[Delivery] = []

    def keep(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)

    pair.hears.subscribe("a", keep, durable="d", ack="explicit", max_in_flight=3, **terms)
    pair.speaks.publish_many([("a", n) for n in range(5)])
    until(lambda: len(kept) == 3, "three messages")
    kept[0].ack()  # from another thread than the handler's
    until(lambda: len(kept) == 4, "one more")
    for delivery in kept[1:]:
        delivery.ack()
    until(lambda: len(kept) == 5, "the last one")
    kept[4].ack()
    until(settled(pair, "d", 5), "an acknowledgement")
    assert [one.attempt for one in kept] == [1] * 5


@TERMS
def test_what_is_refused_or_not_acknowledged_in_time_comes_again(
    pair: Pair, terms: dict[str, Any]
) -> None:
    kept: list[Delivery] = []

    def refuse(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)
        if delivery.attempt == 1:
            delivery.nak(0.01)
            delivery.ack()  # too late: the first word holds

    pair.hears.subscribe("a", refuse, durable="d", ack="explicit", ack_wait_s=2.0, **terms)
    pair.speaks.publish("a", 1)
    until(lambda: len(kept) == 3, "a third attempt")
    kept[-1].ack()
    until(settled(pair, "d", 1), "an acknowledgement")
    assert [one.attempt for one in kept] == [1, 2, 3]


# --- ending -------------------------------------------------------------------------------------


def test_a_handler_may_publish_and_unsubscribe(pair: Pair) -> None:
    heard: list[Any] = []

    def once(message: Any) -> None:
        pair.hears.publish("b", message + 1)
        assert pair.hears.unsubscribe("a", once)

    pair.hears.subscribe("b", heard.append)
    pair.hears.subscribe("a", once, durable="d")
    pair.speaks.publish("a", 1)
    until(lambda: heard == [2], "an answer")
    until(lambda: not pair.hears.subscriptions()[0].members, "an end")
    assert pair.hears.subscriptions()[0].acknowledged == 1
    pair.speaks.publish("a", 2)
    pair.come("a", 2)
    assert heard == [2]


@TERMS
def test_one_that_is_forgotten_ends(
    pair: Pair, terms: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []
    pair.hears.subscribe("a", heard.append, durable="d", **terms)
    assert pair.hears.forget("d")
    assert not pair.hears.forget("d")
    pair.speaks.publish("a", 1)
    until(lambda: "no subscription 'd'" in capsys.readouterr().err, "a report")
    assert (pair.hears.subscriptions(), heard) == ([], [])


# --- how much -----------------------------------------------------------------------------------

LIMITS = """
bus:
  max_backlog: 5
  channels:
    few: {max_messages: 3}
    small: {max_bytes: 12}
    'old.>': {max_age: 2s}
    full: {max_messages: 3, when_full: refuse}
"""


def test_what_is_beyond_its_limits_is_not_shown(make_pair: MakePair) -> None:
    pair = make_pair(LIMITS)
    heard: dict[str, list[Any]] = {name: [] for name in ("plain", "late")}
    pair.hears.subscribe("few", heard["plain"].append)
    for number in range(5):
        pair.speaks.publish("few", number)
        pair.speaks.publish("small", "x" * number)
        pair.speaks.publish("old.1", number)
    pair.speaks.publish("end", 1)
    pair.come("end", 1)
    for bus in (pair.hears, pair.speaks):
        assert [m.message for m in bus.channel_history("few")] == [2, 3, 4]
        assert [m.message for m in bus.channel_history("small")] == ["x" * 3, "x" * 4]
        until(lambda bus=bus: not bus.channel_history("old.1"), "an end")  # type: ignore[misc]
    pair.hears.subscribe("few", heard["late"].append, durable="d", start="all")
    until(lambda: len(heard["late"]) >= 3 and len(heard["plain"]) >= 5, "all")
    assert heard == {"plain": [0, 1, 2, 3, 4], "late": [2, 3, 4]}


def test_what_is_full_refuses(make_pair: MakePair) -> None:
    """All of a batch or none, whoever says it."""
    pair = make_pair(LIMITS)
    heard: list[Any] = []
    pair.hears.subscribe("full", heard.append)
    with pytest.raises(MessageBusError, match="full"):
        pair.speaks.publish_many([("free", 0), *(("full", n) for n in range(4))])
    pair.speaks.publish_many([("full", n) for n in range(3)])
    pair.come("full", 3)
    for bus in (pair.speaks, pair.hears):
        with pytest.raises(MessageBusError, match="'full' is full: 3 messages"):
            bus.publish("full", 3)
        bus.publish("free", 1)
    until(lambda: len(heard) >= 3, "all")
    assert heard == [0, 1, 2]


def test_who_is_too_far_behind_holds_up_who_publishes_there(make_pair: MakePair) -> None:
    """On its own node; what others say there is on record, and waits."""
    pair = make_pair(LIMITS)
    kept: list[Delivery] = []

    def keep(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)

    pair.hears.subscribe("a.>", keep, durable="slow", ack="explicit", max_in_flight=2)
    pair.speaks.publish_many([("a.b", n) for n in range(5)])
    pair.come("a.b", 5)
    until(lambda: len(kept) == 2, "two")
    for bus in (pair.hears, *((pair.speaks,) if pair.kind != "cluster" else ())):
        until(lambda bus=bus: is_refused(bus), "a refusal")  # type: ignore[misc]
        assert bus.publish("other", 1) == 0

    def done() -> bool:
        for one in kept:
            one.ack()
        return settled(pair, "slow")()

    until(done, "an end")
    until(lambda: not is_refused(pair.hears), "room")


def is_refused(bus: Any) -> bool:
    """Whether nothing at all of a batch was said, for the sake of one that is too far behind."""
    try:
        bus.publish_many([("more", 1), ("a.c", 1)])
    except MessageBusError as error:
        return "more than 5 messages wait for the durable subscription 'slow'" in str(error)
    return False
