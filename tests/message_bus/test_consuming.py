"""Durable subscriptions and groups as programs use them, in one process."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.message_bus import Delivery, MessageBus
from dino_os.message_bus.claims import Claimed, LocalClaims, Settled
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.terms import Claim, Terms
from dino_os.workspace import Workspace
from engines.journal import verify
from tests.message_bus.waiting import until


@pytest.fixture
def bus(home: Path) -> MessageBus:
    return MessageBus()


class Hands:
    """The clock of the deliveries, which no machine that is slow can move."""

    def __init__(self) -> None:
        self.now = 1000.0
        Workspace.shared().deliveries._monotonic = lambda: self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def hands(home: Path) -> Hands:
    return Hands()


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("it has no words")


def settled(bus: MessageBus, name: str, to: int | None = None) -> Callable[[], bool]:
    """Whether all that was said is settled, as the record has it."""

    def found() -> bool:
        (own,) = [one for one in bus.subscriptions() if one.name == name]
        return own.backlog == 0 and (to is None or own.acknowledged == to)

    return found


# --- what comes, and when -----------------------------------------------------------------------


def test_a_message_wakes_who_waits_for_it(bus: MessageBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking now and then is for what nobody tells."""
    monkeypatch.setattr(LocalClaims, "pause_s", lambda _: 3600.0)
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="d")
    for number in range(20):
        bus.publish("a", number)
        until(lambda n=number: len(heard) > n, "a message")  # type: ignore[misc]
    Workspace.shared().bus._journal.append("message_published", {"channel": "a", "message": 20})
    until(lambda: len(heard) == 21, "what comes as if from another process")
    assert heard == [*range(21)]


def test_a_group_ends_with_its_last_member(bus: MessageBus) -> None:
    bus.subscribe("a", print, group="workers")
    bus.subscribe("b", print, durable="d", group="workers")
    assert [one.name for one in bus.subscriptions()] == ["workers.a", "d"]
    bus.close()
    assert [(one.name, one.members) for one in bus.subscriptions()] == [("d", 0)]


# --- what fails ---------------------------------------------------------------------------------


def test_a_dead_letter_that_is_not_on_record_any_more_stays_one(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def clumsy(message: Any) -> None:
        heard.append(message)
        raise ValueError("no")

    bus.subscribe("a", clumsy, durable="d", retries=0)
    bus.publish("a", 1)
    (letter,) = until(bus.dead_letters, "a dead letter")
    monkeypatch.setattr(Messages, "at", lambda *_: None)  # as where it was pruned
    assert bus.redeliver("d", letter.seq)
    (again,) = until(bus.dead_letters, "a dead letter")
    assert (again.message, again.error) == (None, "it is not on record any more")
    assert heard == [1]


def test_whatever_a_handler_raises_the_next_message_comes(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def clumsy(message: Any) -> None:
        heard.append(message)
        if message == 1:
            raise KeyboardInterrupt
        if message == 2:
            raise asyncio.CancelledError
        if message == 3:
            sys.exit(1)
        if message == 4:
            raise ValueError("no file \udcff.txt")
        if message == 5:
            raise Unspeakable

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    bus.subscribe("a", clumsy, durable="d", retries=0)
    bus.publish_many([("a", n) for n in range(7)])
    until(settled(bus, "d"), "an end")
    assert heard == [*range(7)]
    letters = bus.dead_letters()
    assert [letter.message for letter in letters] == [1, 2, 3, 4, 5]
    assert letters[3].error == "ValueError: no file \\udcff.txt"
    assert letters[4].error.startswith("Unspeakable: ")


def test_what_cannot_be_recorded_holds_up_nothing_else(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the messages of one batch, whatever keeps the reason of one from being written."""

    def clumsy(message: Any) -> None:
        if message == 1:
            raise ValueError("what nobody can write")

    def clean(text: str) -> Any:
        return {text} if "nobody" in text else text

    monkeypatch.setattr(Workspace.shared().deliveries, "clean", clean)
    monkeypatch.setattr("dino_os.message_bus.deliveries.writable", lambda text: text)
    monkeypatch.setattr("dino_os.message_bus.deliveries._OF_AN_ERROR", None)
    bus.subscribe("a", clumsy, durable="d", retries=0)
    bus.publish_many([("a", n) for n in range(4)])
    until(settled(bus, "d", 3), "an end")
    assert [letter.message for letter in bus.dead_letters()] == [1]


# --- acknowledging ------------------------------------------------------------------------------


def test_a_sign_of_life_keeps_a_message_that_is_not_acknowledged_yet(
    bus: MessageBus, hands: Hands
) -> None:
    kept: list[Delivery] = []

    def keep(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)

    bus.subscribe("a", keep, durable="d", ack="explicit")
    bus.publish("a", 1)
    until(lambda: kept, "a message")
    for _ in range(3):
        hands.pass_by(20)
        kept[0].in_progress()
    other = Workspace.shared().deliveries
    assert other.due_in("d", other.find("d").unsettled[kept[0].seq].member or "") == 30.0
    assert len(kept) == 1
    hands.pass_by(31)
    until(lambda: len(kept) == 2, "another attempt")


def test_a_handler_that_takes_longer_than_it_may_keeps_its_message_by_itself(
    bus: MessageBus, hands: Hands
) -> None:
    """And what waits behind it is handled by another member, and what was done is recorded."""
    seen: list[Any] = []
    begun, done = threading.Event(), threading.Event()

    def handler(message: Any) -> None:
        seen.append(message)
        if message == "slow":
            begun.set()
            assert done.wait(60)

    def renewed() -> int:
        events = Workspace.shared().deliveries.journal.read()  # type: ignore[union-attr]
        return sum(e["event_type"] == "claims_renewed" for block, _ in events for e in block)

    bus.subscribe("a", handler, durable="d", ack_wait_s=1.5)
    # A row of quick ones, so that it takes several at once.
    bus.publish_many([("a", n) for n in range(40)])
    until(settled(bus, "d", 40), "the quick ones")
    bus.publish_many([("a", -1), ("a", "slow"), *(("a", n) for n in range(40, 50))])
    assert begun.wait(30)
    bus.subscribe("a", handler, durable="d", ack_wait_s=1.5)
    until(lambda: bus.subscriptions()[0].acknowledged >= 51, "all others")
    for _ in range(2):
        before = renewed()
        until(lambda n=before: renewed() > n, "a sign of life")  # type: ignore[misc]
        hands.pass_by(1.0)
    done.set()
    until(settled(bus, "d", 52), "an end")
    assert sorted(map(str, seen)) == sorted(map(str, ["slow", -1, *range(50)]))


# --- ending -------------------------------------------------------------------------------------


def test_a_disk_that_is_full_for_a_while_loses_nothing(
    bus: MessageBus, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engines.errors import JournalWriteFailed
    from engines.journal import Journal

    commit, full = Journal.commit, threading.Event()

    def sometimes(journal: Journal) -> None:
        if full.is_set() and journal.name == "bus_deliveries" and journal._staged:
            raise JournalWriteFailed("the disk is full")
        commit(journal)

    monkeypatch.setattr(Journal, "commit", sometimes)
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="d")
    full.set()
    bus.publish("a", 1)
    until(lambda: "disk is full" in capsys.readouterr().err, "a report")
    assert heard == []
    full.clear()
    until(settled(bus, "d", 1), "an end")
    assert heard == [1]
    assert verify(home / "memory" / "bus_deliveries.jsonl").ok


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"durable": "a b"},
        {"durable": "_d"},
        {"group": "_responders"},
        {"durable": "d", "ack": "maybe"},
        {"durable": "d", "start": "soon"},
        {"durable": "d", "start": -1},
        {"durable": "d", "start": True},
        {"durable": "d", "backoff_s": []},
        {"durable": "d", "backoff_s": "5"},
        {"durable": "d", "backoff_s": [-1]},
        {"durable": "d", "retries": None},
        {"start": "all"},
        {"retries": 5},
    ],
    ids=str,
)
def test_what_is_no_subscription_is_refused(bus: MessageBus, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        bus.subscribe("a", print, **wrong)
    assert bus.subscriptions() == []
    assert threading.active_count() < 20


def test_a_durable_name_stands_for_one_subject(bus: MessageBus) -> None:
    bus.subscribe("a", print, durable="d")
    with pytest.raises(InvalidInput, match="is to 'a'"):
        bus.subscribe("b", print, durable="d")
    assert bus.publish("b", 1) == 0
    assert Terms("a", durable="d").name == "d"


def test_a_rehearsal_subscribes_to_nothing(bus: MessageBus, home: Path) -> None:
    from dino_os.errors import MessageBusError

    bus.subscribe("a", print, durable="d")
    rehearsed = Workspace(home, rehearsal=True).bus
    assert [one["name"] for one in rehearsed.subscriptions()] == ["d"]
    for call in (
        lambda: rehearsed.consume("a", print, durable="e"),
        lambda: rehearsed.forget("d"),
        lambda: rehearsed.redeliver("d", 1),
        lambda: rehearsed.respond("a", print),
        lambda: rehearsed.request("a", 1),
    ):
        with pytest.raises(MessageBusError, match="rehearsal"):
            call()


# --- another judge, and being given up ----------------------------------------------------------


class Elsewhere:
    """Claims that somebody else decides upon: a list, as one process has it."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.waiting: list[Claimed] = []
        self.said = Settled()
        self.members = 0

    def join(self) -> None:
        self.members += 1

    def leave(self) -> None:
        self.members -= 1

    def exchange(self, settled: Settled, most: int) -> list[Claimed]:
        self.said.add(settled)
        found, self.waiting = self.waiting[:most], self.waiting[most:]
        return found

    def renew(self, claims: Sequence[Claim]) -> None: ...

    def pause_s(self) -> float:
        return 0.01

    def is_shared(self) -> bool:
        return False


def test_a_cluster_may_say_who_gets_which_message(home: Path) -> None:
    judges: list[Elsewhere] = []

    def arbiter(terms: Terms, *_: Any) -> Elsewhere | None:
        if terms.group is None:
            return None
        judges.append(Elsewhere(terms))
        return judges[-1]

    workspace = Workspace.shared()
    workspace.bus.arbiter = arbiter
    heard: list[Any] = []
    bus = MessageBus()
    bus.subscribe("a", heard.append, durable="here")
    bus.subscribe("a", heard.append, durable="crew", group="crew")
    (judge,) = judges
    assert (judge.members, [one.name for one in bus.subscriptions()]) == (1, ["here"])
    stored = Stored(7, "a", "from afar", None, {}, None, None, 0.0, "other-node")
    judge.waiting.append(Claimed(stored, Claim(7, 1, 0, 99)))
    until(lambda: judge.said.acked, "an acknowledgement")
    assert (heard, judge.said.acked) == (["from afar"], [Claim(7, 1, 0, 99)])
    bus.publish("a", "near")
    until(lambda: len(heard) == 2, "the other one")
    bus.close()
    assert judge.members == 0


def test_a_member_that_was_given_up_joins_again(
    bus: MessageBus, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="d")
    bus.subscribe("b", heard.append, group="g")
    other = Workspace(home).deliveries
    monkeypatch.setattr(other, "_is_lost", lambda *_: True)
    other.leave("e", other.join(Terms("c", durable="e"), lambda: -1))
    bus.publish("a", 1)
    until(settled(bus, "d", 1), "an acknowledgement")
    until(lambda: len(bus.subscriptions()) == 3, "the group")
    bus.publish("b", 2)
    until(settled(bus, "g.b", 1), "an acknowledgement")
    assert heard == [1, 2]
