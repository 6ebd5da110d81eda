"""What is said is heard: all of it, once, in its order, by whoever asked for it, as it was said."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

import msgspec
import pytest

from dino_os.errors import InvalidInput
from dino_os.message_bus import Delivery
from tests.both_backends.conftest import Pair
from tests.message_bus.waiting import until

CHANNELS = ["orders", "orders.1", "orders.1.paid", "orders.2.paid", "orders.2.paid.late", "other"]


@pytest.mark.parametrize(
    ("subject", "channels"),
    [
        ("orders.1.paid", ["orders.1.paid"]),
        ("orders.*.paid", ["orders.1.paid", "orders.2.paid"]),
        ("orders.>", CHANNELS[1:5]),
        ("*.*", ["orders.1"]),
        (">", CHANNELS),
    ],
)
def test_whoever_subscribes_hears_what_its_subject_has(
    pair: Pair, subject: str, channels: list[str]
) -> None:
    heard: list[Any] = []
    ended: list[Any] = []
    pair.hears.subscribe(subject, heard.append)
    pair.hears.subscribe("end", ended.append)
    for channel in CHANNELS:
        pair.speaks.publish(channel, channel)
    pair.speaks.publish("end", "end")
    until(lambda: ended, "the last one")
    until(lambda: len(heard) >= len(channels), "all")
    assert [message for message in heard if message != "end"] == channels


def test_all_come_in_their_order(pair: Pair) -> None:
    """One by one and many at a time."""
    heard: list[Any] = []
    seqs: list[int] = []

    def hear(message: Any, delivery: Delivery) -> None:
        heard.append((delivery.channel, message))
        seqs.append(delivery.seq)

    pair.hears.subscribe("a.*", hear)
    said = [(f"a.{n % 3}", n) for n in range(60)]
    for at in range(0, 60, 20):
        for one in said[at : at + 10]:
            pair.speaks.publish(*one)
        pair.speaks.publish_many(said[at + 10 : at + 20])
    until(lambda: len(heard) >= 60, "all")
    assert heard == said
    assert seqs == sorted(set(seqs))


VALUES = [None, True, -1, 2**53, 1e300, "", "ä\u2028\0", [], {}, [[{"": [1.5]}]], {"k": ["\n"]}]


def test_a_message_is_as_it_was_said(pair: Pair) -> None:
    heard: list[Any] = []

    def take(message: Any, delivery: Delivery) -> None:
        heard.append((message, delivery.channel, delivery.id, delivery.headers, delivery.attempt))

    before = datetime.now(UTC)
    pair.hears.subscribe(">", take)
    for number, value in enumerate(VALUES):
        pair.speaks.publish("a b..c%", value, id=f"n{number}", headers={"Trace": "7"})
    until(lambda: len(heard) >= len(VALUES), "all")
    said = [(value, "a b..c%", f"n{n}", {"Trace": "7"}, 1) for n, value in enumerate(VALUES)]
    assert json.dumps(heard) == json.dumps(said)
    for bus in (pair.hears, pair.speaks):
        found = bus.channel_history("a b..c%")
        assert json.dumps([m.message for m in found]) == json.dumps(VALUES)
        assert (found[0].id, found[0].headers) == ("n0", {"Trace": "7"})
        assert abs((found[0].published - before).total_seconds()) < 60


def test_what_was_said_before_is_on_record_and_not_heard(pair: Pair) -> None:
    heard: list[Any] = []
    pair.speaks.publish_many([("a", n) for n in range(5)])
    pair.come("a", 5)
    pair.hears.subscribe("a", heard.append)
    pair.speaks.publish("a", "after")
    until(lambda: heard, "the last one")
    assert heard == ["after"]
    for bus in (pair.hears, pair.speaks):
        assert [m.message for m in bus.channel_history("a", 3)] == [3, 4, "after"]
        assert bus.channel_history("a", 0) == []
        assert bus.list_channels() == ["a"]


def test_an_id_is_heard_once(pair: Pair) -> None:
    """Whoever says it again, once it is on record; on another channel it is another message."""
    heard: list[Any] = []
    pair.hears.subscribe(">", heard.append)
    for number in range(3):
        pair.speaks.publish("a", number, id="x")
    pair.speaks.publish("b", "b", id="x")
    pair.come(">", 2)
    assert pair.hears.publish("a", 3, id="x") == 0
    pair.speaks.publish("a", "end")
    until(lambda: "end" in heard, "the last one")
    assert heard == [0, "b", "end"]


def test_many_are_said_together_or_none(pair: Pair) -> None:
    heard: list[Any] = []
    pair.hears.subscribe("a", heard.append)
    for wrong in ("*", ""):
        with pytest.raises(InvalidInput, match="channel"):
            pair.speaks.publish_many([("a", 1), (wrong, 2)])
    with pytest.raises(InvalidInput, match="message"):
        pair.speaks.publish_many([("a", 1), ("a", {1})])
    pair.speaks.publish_many([("a", 2), ("a", 3)])
    until(lambda: len(heard) >= 2, "both")
    assert heard == [2, 3]


def test_each_subscriber_has_a_message_of_its_own(pair: Pair) -> None:
    heard: list[Any] = []

    def greedy(message: Any) -> None:
        message.clear()

    pair.hears.subscribe("a", greedy)
    pair.hears.subscribe("a", heard.append)
    pair.speaks.publish("a", {"k": (1, 2)})
    until(lambda: heard, "it")
    assert heard == [{"k": [1, 2]}]


def test_a_callback_may_publish_subscribe_and_unsubscribe(pair: Pair) -> None:
    heard: list[Any] = []

    def once(message: Any) -> None:
        assert pair.hears.unsubscribe("a", once)
        pair.hears.subscribe("b", heard.append)
        pair.hears.publish("b", [message])

    pair.hears.subscribe("a", once)
    for message in (1, 2):
        pair.speaks.publish("a", message)
    until(lambda: pair.speaks.channel_history("b"), "an answer")
    pair.speaks.publish("b", "end")
    until(lambda: "end" in heard, "the last one")
    assert heard == [[1], "end"]


def test_one_that_raises_stops_nobody_and_is_reported_once(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []

    def clumsy(message: Any) -> None:
        if message == 2:
            sys.exit(1)
        raise ValueError(f"no\n\x1b[2Juse for {message}\ud800")

    pair.hears.subscribe("a", clumsy)
    pair.hears.subscribe("a", heard.append)
    for number in range(4):
        pair.speaks.publish("a", number)
    until(lambda: len(heard) == 4, "all")
    out, err = capsys.readouterr()
    assert (heard, out, err.count("\n")) == ([0, 1, 2, 3], "", 2)
    assert "clumsy, subscribed to 'a', raised ValueError" in err
    assert "SystemExit" in err
    assert "\x1b" not in err


# --- types ---------------------------------------------------------------------------------------


@dataclass
class Reading:
    sensor: str
    value: float
    tags: list[str]


class Order(TypedDict):
    number: int


class Shot(msgspec.Struct):
    at: datetime


def annotated(heard: list[Any], wanted: Any) -> Callable[[Any], None]:
    def strict(message: Any) -> None:
        heard.append(message)

    strict.__annotations__["message"] = wanted
    return strict


def test_a_message_becomes_what_the_annotation_says(pair: Pair) -> None:
    table: list[tuple[Any, Any, Any]] = [
        (Reading, {"sensor": "s", "value": 1, "tags": []}, Reading("s", 1.0, [])),
        (Order, {"number": 1}, {"number": 1}),
        (Shot, {"at": "2026-01-02T03:04:05Z"}, Shot(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))),
        (list[int], [1, 2], [1, 2]),
        (int | None, None, None),
    ]
    heard: list[Any] = []
    for number, (wanted, _, _) in enumerate(table):
        pair.hears.subscribe(f"a.{number}", annotated(heard, wanted))
    pair.speaks.publish_many([(f"a.{n}", message) for n, (_, message, _) in enumerate(table)])
    until(lambda: len(heard) == len(table), "all")
    assert heard == [given for _, _, given in table]


def test_a_message_that_does_not_fit_is_reported_and_not_handed_over(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []
    strictly: list[Any] = []
    pair.hears.subscribe("a.*", heard.append)
    table: list[tuple[Any, str]] = [
        ({"sensor": "s", "value": "1", "tags": []}, "$.value"),
        ({"sensor": "s", "value": 1}, "tags"),
        ({"sensor": "s", "value": 1, "tags": [1]}, "$.tags[0]"),
        ([], "array"),
    ]
    for number, (message, told) in enumerate(table, 1):
        pair.hears.subscribe(f"a.{number}", annotated(strictly, Reading))
        pair.speaks.publish_many([(f"a.{number}", message), ("a.end", number)])
        report = reported(capsys)
        assert f"strict, subscribed to 'a.{number}'" in report
        assert told in report
    until(lambda: len(heard) == 2 * len(table), "all")
    assert strictly == []


def reported(capsys: pytest.CaptureFixture[str]) -> str:
    """The next line on standard error."""
    return str(until(lambda: capsys.readouterr().err, "a report"))


def test_a_declared_type_goes_for_callbacks_that_name_none(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []
    ended: list[Any] = []
    pair.hears.declare("orders.*", Order)
    pair.hears.subscribe("orders.new", heard.append)
    pair.hears.subscribe("orders.new", annotated(heard, dict[str, int]))
    pair.hears.subscribe("end", ended.append)
    pair.speaks.publish_many([("orders.new", {"number": n}) for n in (1, "x")])
    pair.speaks.publish("end", 1)
    until(lambda: ended, "the last one")
    until(lambda: len(heard) >= 2, "all")
    assert heard == [{"number": 1}] * 2
    assert capsys.readouterr().err.count("does not fit") == 2
