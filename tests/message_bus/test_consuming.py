"""Durable subscriptions and groups as programs use them, in one process."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput, NotFound
from dino_os.message_bus import Delivery, MessageBus
from dino_os.message_bus.claims import Claimed, LocalClaims, Settled
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.terms import Claim, Terms
from dino_os.workspace import Workspace
from engines.again import Fatal, RetryLater
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


def test_a_durable_subscription_hears_what_is_said_and_goes_on_where_it_was(
    bus: MessageBus,
) -> None:
    heard: list[Any] = []
    assert bus.publish("a", "before") == 0
    own = bus.subscribe("a", heard.append, durable="billing")
    assert bus.publish("a", 1) == 0  # nobody waits for it
    until(settled(bus, "billing", 1), "an acknowledgement")
    assert bus.unsubscribe("a", own)
    assert not bus.unsubscribe("a", own)
    bus.publish_many([("a", 2), ("b", 0), ("a", 3)])
    assert heard == [1]
    bus.subscribe("a", heard.append, durable="billing", start="all")  # which is for new ones
    until(settled(bus, "billing", 3), "an acknowledgement")
    assert heard == [1, 2, 3]


def test_where_a_subscription_begins(bus: MessageBus) -> None:
    for number in range(4):
        bus.publish("a", number)
        time.sleep(0.002)  # so that their times differ
    third = bus.channel_history("a")[2]
    starts: dict[str, Any] = {
        "new": "new",
        "all": "all",
        "seq": third.seq,
        "time": third.published,
        "late": datetime(2999, 1, 1, tzinfo=UTC),
    }
    heard: dict[str, list[Any]] = {name: [] for name in starts}
    for name, start in starts.items():
        bus.subscribe("a", heard[name].append, durable=name, start=start)
    bus.publish("a", 4)
    for name in starts:
        until(settled(bus, name), "an end")
    assert heard == {
        "new": [4],
        "all": [0, 1, 2, 3, 4],
        "seq": [2, 3, 4],
        "time": [2, 3, 4],
        "late": [4],
    }


def test_many_messages_come_in_their_order(bus: MessageBus) -> None:
    heard: list[Any] = []
    bus.subscribe("a.>", heard.append, durable="d")
    for begin in range(0, 600, 50):
        bus.publish_many([(f"a.{n % 3}", n) for n in range(begin, begin + 50)])
    until(settled(bus, "d", 600), "the last one")
    assert heard == [*range(600)]


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


def test_members_of_a_group_share_and_each_subscription_has_its_own(bus: MessageBus) -> None:
    heard: dict[str, list[Any]] = {name: [] for name in ("one", "two", "other", "plain")}
    bus.subscribe("a", heard["one"].append, group="workers")
    bus.subscribe("a", heard["two"].append, group="workers")
    bus.subscribe("a", heard["other"].append, group="others")
    bus.subscribe("a", heard["plain"].append)
    for number in range(50):
        assert bus.publish("a", number) == 1
    until(settled(bus, "workers.a", 50), "an end")
    until(settled(bus, "others.a", 50), "an end")
    assert sorted(heard["one"] + heard["two"]) == [*range(50)]
    assert heard["other"] == heard["plain"] == [*range(50)]


def test_a_group_ends_with_its_last_member(bus: MessageBus) -> None:
    bus.subscribe("a", print, group="workers")
    bus.subscribe("b", print, durable="d", group="workers")
    assert [one.name for one in bus.subscriptions()] == ["workers.a", "d"]
    bus.close()
    assert [(one.name, one.members) for one in bus.subscriptions()] == [("d", 0)]


# --- what fails ---------------------------------------------------------------------------------


def test_one_that_raises_gets_it_again_and_then_it_is_a_dead_letter(
    bus: MessageBus, capsys: pytest.CaptureFixture[str]
) -> None:
    attempts: list[tuple[Any, int]] = []

    def clumsy(message: Any, delivery: Delivery) -> None:
        attempts.append((message, delivery.attempt))
        if message == "bad":
            raise ValueError("it says \x1b no")

    bus.subscribe("a", clumsy, durable="d", retries=2, backoff_s=[0.01])
    bus.publish_many([("a", "bad"), ("a", "good")])
    until(settled(bus, "d"), "an end")
    assert sorted(attempts) == [("bad", 1), ("bad", 2), ("bad", 3), ("good", 1)]
    (letter,) = bus.dead_letters()
    assert (letter.subscription, letter.channel, letter.message) == ("d", "a", "bad")
    assert (letter.attempts, letter.error) == (3, "ValueError: it says \x1b no")
    assert capsys.readouterr().err.count("raised ValueError") == 1
    attempts.clear()
    assert bus.redeliver("d", letter.seq)
    until(lambda: len(attempts) == 3, "three more attempts")
    until(bus.dead_letters, "a dead letter")
    assert not bus.redeliver("d", letter.seq + 1)
    with pytest.raises(NotFound):
        bus.dead_letters("e")


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


def test_what_a_handler_says_of_trying_again_is_heeded(bus: MessageBus) -> None:
    seen: list[Any] = []

    def handler(message: Any, delivery: Delivery) -> None:
        seen.append(message)
        if message == "never":
            raise Fatal("no use")
        if delivery.attempt == 1:
            raise RetryLater(0.01)

    bus.subscribe("a", handler, durable="d", backoff_s=[999])
    bus.publish_many([("a", "never"), ("a", "later")])
    until(settled(bus, "d"), "an end")
    assert seen == ["never", "later", "later"]
    assert [letter.message for letter in bus.dead_letters("d")] == ["never"]


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


@pytest.mark.parametrize("delay", [float("nan"), float("inf"), "1", None, True, 10**400], ids=repr)
def test_a_delay_that_is_none_refuses_its_message_alone(bus: MessageBus, delay: Any) -> None:
    heard: list[Any] = []

    def refuses(message: Any, delivery: Delivery) -> None:
        heard.append(message)
        if message == "nak":
            delivery.nak(delay)
        if message == "raise":
            raise type("Later", (Exception,), {"retry_after_s": delay})

    bus.subscribe("a", refuses, durable="d", retries=1, backoff_s=[0])
    bus.publish_many([("a", what) for what in ("good", "nak", "raise", "fine")])
    until(settled(bus, "d", 2), "an end")
    assert sorted(heard) == ["fine", "good", "nak", "nak", "raise", "raise"]
    errors = {letter.message: letter.error for letter in bus.dead_letters()}
    assert errors["nak"].startswith("InvalidInput: delay_s ")


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


def test_what_does_not_fit_is_a_dead_letter_at_once(bus: MessageBus) -> None:
    heard: list[int] = []

    def counts(message: int) -> None:
        heard.append(message)

    bus.subscribe("a", counts, durable="d", start="all")
    bus.publish_many([("a", "one"), ("a", 2)])
    until(settled(bus, "d"), "an end")
    assert heard == [2]
    (letter,) = bus.dead_letters()
    assert (letter.message, letter.attempts) == ("one", 1)
    assert "does not fit" in letter.error


# --- acknowledging ------------------------------------------------------------------------------


def test_with_explicit_acks_a_message_is_settled_when_its_handler_says_so(
    bus: MessageBus, hands: Hands
) -> None:
    kept: dict[Any, Delivery] = {}
    seen: list[tuple[Any, int]] = []

    def handler(message: Any, delivery: Delivery) -> None:
        kept[message] = delivery
        seen.append((message, delivery.attempt))
        if message == "now":
            delivery.ack()
        if message == "no" and delivery.attempt == 1:
            delivery.nak(0.01)
            delivery.ack()  # too late: the first word holds

    bus.subscribe("a", handler, durable="d", ack="explicit")
    bus.publish("a", "now")
    until(settled(bus, "d", 1), "an acknowledgement")
    bus.publish("a", "later")
    until(lambda: "later" in kept, "a message")
    assert bus.subscriptions()[0].in_flight == 1
    kept["later"].ack()  # from another thread than the handler's
    until(settled(bus, "d", 2), "an acknowledgement")
    bus.publish("a", "no")
    until(lambda: ("no", 2) in seen, "a second attempt")
    hands.pass_by(31)
    until(lambda: ("no", 3) in seen, "a third one: it was not acknowledged in time")
    kept["no"].ack()
    until(settled(bus, "d", 3), "an acknowledgement")
    assert len(seen) == 5


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


def test_what_is_in_flight_is_limited(bus: MessageBus) -> None:
    kept: list[Delivery] = []

    def keep(_: Any, delivery: Delivery) -> None:
        kept.append(delivery)

    bus.subscribe("a", keep, durable="d", ack="explicit", max_in_flight=3)
    bus.publish_many([("a", n) for n in range(5)])
    until(lambda: len(kept) == 3, "three messages")
    kept[0].ack()
    until(lambda: len(kept) == 4, "one more")
    state = bus.subscriptions()[0]
    assert (state.in_flight, state.backlog) == (3, 4)


# --- ending -------------------------------------------------------------------------------------


def test_a_subscription_that_is_forgotten_ends_here_too(
    bus: MessageBus, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="d")
    assert bus.forget("d")
    assert not bus.forget("d")
    bus.publish("a", 1)
    until(lambda: "no subscription 'd'" in capsys.readouterr().err, "a report")
    assert (bus.subscriptions(), heard) == ([], [])


def test_a_handler_may_publish_unsubscribe_and_ask_how_far_it_is(bus: MessageBus) -> None:
    heard: list[Any] = []

    def once(message: Any) -> None:
        bus.publish("b", message + 1)
        assert bus.unsubscribe("a", once)
        assert bus.subscriptions()[0].in_flight == 1

    bus.subscribe("b", heard.append)
    bus.subscribe("a", once, durable="d")
    bus.publish("a", 1)
    until(lambda: heard == [2], "an answer")
    until(lambda: not bus.subscriptions()[0].members, "an end")
    assert bus.subscriptions()[0].acknowledged == 1
    bus.publish("a", 2)
    assert heard == [2]


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
