"""What a callback is given: the message, of the type it asks for, and what there is to say of it."""

from __future__ import annotations

import collections.abc
import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pytest

from dino_os.errors import InvalidInput, MessageBusError
from dino_os.message_bus import Delivery, MessageBus
from dino_os.message_bus.publishing import Draft
from dino_os.workspace import Workspace
from tests.message_bus.waiting import until

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Reading:
    sensor: str
    value: float
    tags: list[str]


class Order(TypedDict):
    number: int


@pytest.fixture
def bus(home: Path) -> MessageBus:
    return MessageBus()


# --- types ---------------------------------------------------------------------------------------


def test_callables_of_every_kind_are_understood(bus: MessageBus) -> None:
    heard: list[Any] = []

    class Listener:
        def method(self, order: Order) -> None:
            heard.append(("method", order))

        def __call__(self, order: Order, delivery: Delivery) -> None:
            heard.append(("called", delivery.seq))

        @staticmethod
        def plain(order: Order, *, delivery: Delivery) -> None:
            heard.append(("static", delivery.seq))

    def partly(what: str, order: Order) -> None:
        heard.append((what, order))

    for callback in (
        Listener().method,
        Listener(),
        Listener.plain,
        functools.partial(partly, "partial"),
        lambda message, more=None: heard.append((message, more)),
    ):
        bus.subscribe("a", callback)
    assert bus.publish("a", {"number": 1}) == 5
    said = {"number": 1}
    expected = [("method", said), ("called", 1), ("static", 1), ("partial", said), (said, None)]
    assert heard == expected


class Plain:
    """No type that messages are made into."""


@pytest.mark.parametrize(
    "annotation",
    [
        *("Decimal", "the message", "3", Plain, bytes, datetime, callable, [int], 3),
        *(collections.abc.Hashable, collections.abc.Callable, collections.abc.Mapping),
        *(typing.Callable, typing.Iterable, typing.Mapping, dict, list[Plain], set[bytes]),
        *(dict, list, tuple, str, int, float, bool, None, object, Any, "str | None"),
        *(dict[str, Any], list[Any], int | dict[str, Any], list[Any] | None),
    ],
    ids=repr,
)
def test_a_callback_that_names_no_type_of_messages_hears_them_all(
    bus: MessageBus, annotation: Any
) -> None:
    """As callbacks always did, whatever stands there for whoever reads them."""
    heard: list[Any] = []

    def callback(message: Any, more: Decimal | None = None) -> Undefined:  # type: ignore[name-defined]  # noqa: F821
        heard.append(message)

    callback.__annotations__["message"] = annotation
    bus.subscribe("a", callback)
    said = [{"a": 1}, "x", [1], 3.5, 3, True, None]
    for message in said:
        assert bus.publish("a", message) == 1
    assert heard == said
    assert [*map(type, heard)] == [*map(type, said)]


def test_a_bare_type_is_held_against_where_that_was_asked_for(bus: MessageBus) -> None:
    """By a durable subscription, which is new, or by who declared what the channel has."""
    heard: list[Any] = []
    lasted: list[Any] = []

    def declared(message: dict) -> None:  # type: ignore[type-arg]
        heard.append(message)

    def lasting(message: str = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
        lasted.append(message)

    bus.declare("a", dict)
    bus.subscribe("a", declared)
    bus.subscribe("b", lasting, durable="d")
    bus.publish_many([("a", []), ("a", {}), ("b", 1), ("b", None), ("b", "x")])
    until(lambda: heard and len(lasted) == 2 and bus.dead_letters(), "what fits, and what not")
    assert heard == [{}]
    assert lasted == [None, "x"]
    assert [letter.message for letter in bus.dead_letters()] == [1]


def test_a_wrapper_is_given_what_it_takes_itself(bus: MessageBus) -> None:
    heard: list[Any] = []

    @functools.wraps(Reading)
    def wrapper(sensor: Any) -> None:
        heard.append(sensor)

    def inner(order: Order, delivery: Delivery) -> None: ...

    @functools.wraps(inner)
    def another(order: Any) -> None:
        heard.append(order)

    for callback in (wrapper, another):
        bus.subscribe("a", callback)
        bus.publish("a", {"x": 1})
        bus.unsubscribe("a", callback)
    assert heard == [{"x": 1}] * 2


def test_an_option_that_is_called_delivery_is_the_callbacks_own(bus: MessageBus) -> None:
    heard: list[Any] = []

    def old(message: Any, delivery: str = "fast") -> None:
        heard.append(delivery)

    def new(message: Any, delivery: Delivery | None = None) -> None:
        heard.append(type(delivery))

    def newer(message: Any, *, delivery: Any = None) -> None:
        heard.append(type(delivery))

    newer.__annotations__["delivery"] = Delivery | None
    for callback in (old, new, newer):
        bus.subscribe("a", callback)
    bus.publish("a", 1)
    assert heard == ["fast", Delivery, Delivery]


def test_what_is_no_type_is_refused(bus: MessageBus) -> None:
    with pytest.raises(InvalidInput, match="type"):
        bus.declare("a", 3)
    with pytest.raises(InvalidInput, match="channel"):
        bus.declare("a.>.b", int)


# --- deliveries ----------------------------------------------------------------------------------


def test_there_is_nothing_to_acknowledge_or_to_have_again(bus: MessageBus) -> None:
    def callback(_: Any, delivery: Delivery) -> None:
        delivery.ack()
        delivery.in_progress()
        with pytest.raises(MessageBusError, match="not durable"):
            delivery.nak()
        with pytest.raises(MessageBusError, match="answer"):
            delivery.reply(1)
        heard.append(delivery)

    heard: list[Delivery] = []
    bus.subscribe("a", callback)
    bus.publish("a", 1)
    assert len(heard) == 1


def test_an_answer_goes_to_who_asked(bus: MessageBus, home: Path) -> None:
    heard: list[Any] = []

    def answer(message: int, delivery: Delivery) -> None:
        delivery.reply(message + 1)

    def hear(message: int, delivery: Delivery) -> None:
        heard.append((message, delivery.stored.correlation))

    bus.subscribe("ask", answer)
    bus.subscribe("inbox.7", hear)
    inner = Workspace.shared().bus
    assert inner.send([Draft.of("ask", 1, reply_to="inbox.7", correlation="c")]) == 1
    assert heard == [(2, "c")]


@pytest.mark.parametrize("message_id", ["", " ", 3, "a\n", "x" * 256], ids=ascii)
def test_what_is_no_id_is_refused(bus: MessageBus, message_id: Any) -> None:
    with pytest.raises(InvalidInput, match="id"):
        bus.publish("a", 1, id=message_id)


@pytest.mark.parametrize("headers", [[], {"a": 1}, {1: "a"}, {"a": "x" * 20_000}], ids=range(4))
def test_what_are_no_headers_is_refused(bus: MessageBus, headers: Mapping[str, str]) -> None:
    with pytest.raises(InvalidInput, match="headers"):
        bus.publish("a", 1, headers=headers)
    assert bus.channel_history("a") == []


# --- ids -----------------------------------------------------------------------------------------


def test_an_id_is_known_as_long_as_the_window_lasts(workspace: Path) -> None:
    """Also to the next process, which reads it from the record's end."""
    now = [1000.0]

    def bus() -> Any:
        from dino_os.message_bus.bus import Bus
        from engines.journal import Journal

        journal = Journal(workspace / "memory" / "bus.jsonl", clock=lambda: now[0])
        return Bus(journal, duplicate_window_s=60, clock=lambda: now[0])

    first = bus()
    first.publish("a", 1, "x")
    now[0] += 59
    first.publish("a", 2, "x")
    first.publish_many([("b", n) for n in range(3000)])
    bus().publish("a", 3, "x")
    bus().publish("a", 4, "y")
    assert [m["message"] for m in first.channel_history("a")] == [1, 4]
    now[0] += 1
    bus().publish("a", 5, "x")
    first.publish("a", 6, "x")
    assert [m["message"] for m in first.channel_history("a")] == [1, 4, 5]


def test_what_failed_was_not_published_under_its_id(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.errors import JournalWriteFailed
    from engines.journal import Journal

    def full(*_: Any) -> None:
        raise JournalWriteFailed("the disk is full")

    bus.publish("a", 0, id="w")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "commit", full)
        with pytest.raises(JournalWriteFailed):
            bus.publish("a", 1, id="x")
    heard: list[Any] = []
    bus.subscribe("a", heard.append)
    assert bus.publish("a", 2, id="x") == 1
    assert bus.publish("a", 3, id="w") == 0
    assert heard == [2]
