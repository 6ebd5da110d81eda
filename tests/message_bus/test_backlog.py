"""Back-pressure: who publishes learns that a durable subscription cannot follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import MessageBusError
from dino_os.message_bus import Delivery, MessageBus, backlog
from dino_os.message_bus.backlog import Backlog
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.subject import overlap
from dino_os.workspace import Workspace
from engines.errors import JournalBroken
from tests.message_bus.waiting import until


@pytest.fixture
def bus(home: Path) -> MessageBus:
    (home / "config.yaml").write_text("bus: {max_backlog: 5}\n")
    return MessageBus()


def publishes(bus: MessageBus, channel: str) -> bool:
    try:
        bus.publish(channel, 1)
    except MessageBusError as error:
        refused = error
    else:
        return True
    assert "more than 5 messages wait for the durable subscription 'slow'" in str(refused)
    assert "forget('slow')" in str(refused.hint)
    return False


def test_nothing_is_published_to_one_that_is_too_far_behind(bus: MessageBus) -> None:
    kept: list[Delivery] = []

    def keep(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)

    own = bus.subscribe("a.>", keep, durable="slow", ack="explicit", max_in_flight=2)
    until(lambda: not publishes(bus, "a.b") or None, "a refusal")
    said = len(bus.channel_history("a.b"))
    assert said >= 5
    assert publishes(bus, "other")
    assert not publishes(bus, "a.c")
    assert bus.publish_many([("other", 1)] * 3) == 0
    with pytest.raises(MessageBusError):
        bus.publish_many([("other", 1), ("a.b", 1)])
    assert len(bus.channel_history("other")) == 4
    for number in range(said):
        until(lambda n=number: len(kept) > n, "a message")  # type: ignore[misc]
        kept[number].ack()
    until(lambda: publishes(bus, "a.b"), "room")
    bus.unsubscribe("a.>", own)
    until(lambda: not publishes(bus, "a.b") or None, "a refusal")  # nobody works, it still counts
    assert bus.forget("slow")
    until(lambda: publishes(bus, "a.b"), "room")


def test_a_group_that_goes_with_its_members_holds_nobody_up(bus: MessageBus) -> None:
    def never(_: Any, delivery: Delivery) -> None:
        delivery.nak(60.0)

    bus.subscribe("a", never, group="g")
    assert all(publishes(bus, "a") for _ in range(20))


def test_where_there_are_no_durable_subscriptions_nothing_is_read(home: Path) -> None:
    def none() -> Any:
        raise AssertionError("opened")

    workspace = Workspace(home)
    workspace.bus.publish("a", 1)
    messages = Messages(workspace.own_journal("bus"))
    backlog = Backlog(home / "memory" / "bus.jsonl", none, messages, 5)
    backlog.check("a")
    assert backlog.done_to(">") is None


def test_what_is_forgotten_holds_nobody_up_any_more(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, although others' progress is looked at now and then."""
    bus.unsubscribe("a", bus.subscribe("a", print, durable="slow"))
    inner = Workspace.shared().bus._backlog
    assert inner
    inner._looked = -3600.0
    monkeypatch.setattr(backlog, "_LOOK_EVERY_S", 3600.0)
    assert [publishes(bus, "a") for _ in range(6)] == [True] * 5 + [False]
    bus.forget("slow")
    assert publishes(bus, "a")


def test_where_nobody_can_tell_it_is_said_why_and_what_to_do(home: Path) -> None:
    bus = MessageBus()
    bus.unsubscribe("a", bus.subscribe("a", print, durable="d"))
    file = home / "memory" / "bus_deliveries.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"a"', b'"b"'))
    with pytest.raises(JournalBroken, match=r"durable subscriptions .*bus_deliveries\.jsonl") as e:
        Workspace(home).bus.publish("a", 1)
    assert "moving bus_deliveries.* away" in str(e.value.hint)
    for part in file.parent.glob("bus_deliveries.*"):
        part.rename(home / part.name)
    Workspace(home).bus.publish("a", 2)
    assert Workspace(home).bus.subscriptions() == []


def test_it_is_counted_seldom(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is not for it costs nothing, as long as there might be room."""
    counted: list[int] = []
    count = Messages.count_after

    def noted(messages: Messages, seq: int, subject: str, *, opened: float) -> int:
        counted.append(seq)
        return count(messages, seq, subject, opened=opened)

    bus = MessageBus()
    bus.unsubscribe("a", bus.subscribe("a", print, durable="d"))
    monkeypatch.setattr(Messages, "count_after", noted)
    (home / "config.yaml").write_text("bus: {max_backlog: 40}\n")
    later = Workspace(home).bus
    for _ in range(120):
        later.publish("a.other", 1)
        later.publish("b", 1)
    assert counted == []  # of other channels whatever is said
    for _ in range(40):
        later.publish("a", 1)
    assert len(counted) <= 8
    with pytest.raises(MessageBusError):
        later.publish("a", 1)


def test_what_was_counted_is_known_to_the_next_process(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that lies there."""
    monkeypatch.setattr("dino_os.message_bus.backlog._WORTH_KEEPING", 10)
    (home / "config.yaml").write_text("bus: {max_backlog: 40}\n")
    bus = MessageBus()
    bus.unsubscribe("a", bus.subscribe("a", print, durable="slow"))
    bus.publish_many([("b", n) for n in range(60)])
    for _ in range(39):
        Workspace(home).bus.publish("a", 1)
    index = home / "memory" / "bus_deliveries.backlog"
    kept = json.loads(index.read_text())["slow"]
    counted: list[int] = []
    count = Messages.count_after

    def noted(messages: Messages, seq: int, subject: str, *, opened: float) -> int:
        counted.append(seq)
        return count(messages, seq, subject, opened=opened)

    monkeypatch.setattr(Messages, "count_after", noted)
    Workspace(home).bus.publish("a", 1)
    assert counted in ([], [kept["to"]])
    for content in ("", "[]", "{}", '{"slow": 5}', '{"slow": {"to": 1}}', json.dumps({"x": kept})):
        index.write_text(content)
        with pytest.raises(MessageBusError, match="more than 40"):
            Workspace(home).bus.publish("a", 1)
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="slow")
    until(lambda: len(heard) == 40, "all")
    until(lambda: bus.subscriptions()[0].backlog == 0, "an end")
    done = Workspace(home).bus
    assert done.room.done_to("a") == done.messages.end()
    done.publish("a", 1)


def test_up_to_where_all_are_done(home: Path) -> None:
    bus = MessageBus()
    done = Workspace.shared().bus.room.done_to
    assert done(">") is None
    ids = [bus.subscribe(f"{name}.>", print, durable=name) for name in "ab"]
    bus.close()
    bus.publish_many([("x", 1), ("a.1", 1), ("b.1", 1)])
    seqs = {one.channel: one.seq for one in bus.channel_history(">")}
    assert (done("a.>"), done("b.1"), done("*.1")) == (seqs["x"], seqs["a.1"], seqs["x"])
    assert (done(">"), done("c")) == (seqs["x"], None)
    bus.subscribe("a.>", print, durable="a")
    until(lambda: done("a.>") == seqs["b.1"], "an end")
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("one", "other", "do"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a.*", "*.b", True),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        ("a.*", "a.b.c", False),
        (">", "a", True),
        ("a.*.c", "a.>", True),
        ("a.b", "a.c.>", False),
    ],
)
def test_which_subjects_overlap(one: str, other: str, *, do: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is do
