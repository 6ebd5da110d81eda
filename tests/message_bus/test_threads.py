"""Threads that publish while others are in callbacks: in order, and nobody waits for ever."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import MessageBusError
from dino_os.message_bus import Delivery, MessageBus, nesting, subscriptions
from dino_os.message_bus.exchange import _exchanges
from engines.errors import JournalBusy
from engines.journal import Journal
from engines.journal.group import Ticket
from tests.message_bus.parties import PATIENCE_S, until


@pytest.fixture
def bus(home: Path) -> MessageBus:
    return MessageBus()


def in_threads(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_a_message_was_handled_when_publish_returns_whoever_was_busy(bus: MessageBus) -> None:
    heard: list[Any] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(message: Any) -> None:
        if message == "first":
            begun.set()
            assert go_on.wait(PATIENCE_S)
        heard.append(message)

    def second() -> None:
        assert begun.wait(PATIENCE_S)
        threading.Timer(0.05, go_on.set).start()
        bus.publish("a", "second")
        assert heard == ["first", "second"]
        heard.append("returned")

    bus.subscribe("a", slow)
    in_threads(lambda: bus.publish("a", "first"), second)
    assert heard == ["first", "second", "returned"]


def test_callbacks_run_in_the_thread_that_publishes(bus: MessageBus) -> None:
    """However soon another one learns of it."""
    threads: list[int] = []
    bus.subscribe("a", lambda _: threads.append(threading.get_ident()))
    for number in range(300):
        bus.publish("a", number)
    bus.publish_many([("a", number) for number in range(300)])
    assert set(threads) == {threading.get_ident()}


def test_two_callbacks_that_publish_to_each_other_do_not_wait_for_each_other(
    bus: MessageBus,
) -> None:
    """Each is within a callback while the other is busy: what it said is heard all the same."""
    heard: list[Any] = []
    meet = threading.Barrier(2)

    def left(message: Any) -> None:
        heard.append(["left", message])
        if message == "go":
            meet.wait(PATIENCE_S)
            bus.publish("right", "from left")

    def right(message: Any) -> None:
        heard.append(["right", message])
        if message == "go":
            meet.wait(PATIENCE_S)
            bus.publish("left", "from right")

    bus.subscribe("left", left)
    bus.subscribe("right", right)
    in_threads(lambda: bus.publish("left", "go"), lambda: bus.publish("right", "go"))
    until(lambda: len(heard) == 4)
    assert ["left", "from right"] in heard
    assert ["right", "from left"] in heard


def test_a_lock_that_a_callback_wants_too_stops_nobody_for_ever(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "_PATIENCE_S", 0.1)
    lock, begun = threading.Lock(), threading.Event()
    heard: list[Any] = []

    def careful(message: Any) -> None:
        begun.set()
        if message == "first":
            with lock:
                heard.append(message)
        else:
            heard.append(message)

    def holder() -> None:
        with lock:
            other.start()
            assert begun.wait(PATIENCE_S)
            assert bus.publish("a", "second") == 1

    bus.subscribe("a", careful)
    other = threading.Thread(target=lambda: bus.publish("a", "first"))
    in_threads(holder)
    other.join(PATIENCE_S)
    until(lambda: heard == ["first", "second"])


def test_a_long_queue_whose_callback_adds_to_it_comes_to_an_end(bus: MessageBus) -> None:
    """However long it is, callbacks are not one within the other without end."""
    heard: list[int] = []
    deepest = 0

    def callback(message: int) -> None:
        nonlocal deepest
        deepest = max(deepest, nesting.calls())
        heard.append(message)
        if message < 500:
            bus.publish("a", message + 1000)

    bus.subscribe("a", callback)
    bus.publish_many([("a", number) for number in range(500)])
    until(lambda: len(heard) == 1000)
    assert heard == [*range(500), *range(1000, 1500)]
    assert deepest <= nesting.DEEPEST


def test_an_interruption_leaves_the_rest_to_others(bus: MessageBus) -> None:
    heard: list[Any] = []

    def callback(message: Any) -> None:
        if message == 0:
            raise KeyboardInterrupt
        heard.append(message)

    bus.subscribe("a", callback)
    with pytest.raises(KeyboardInterrupt):
        bus.publish_many([("a", number) for number in range(3)])
    until(lambda: heard == [1, 2])
    assert bus.publish("a", 3) == 1
    assert heard == [1, 2, 3]


def test_who_unsubscribed_hears_no_more_of_what_waited(bus: MessageBus) -> None:
    heard: list[int] = []

    def once(message: int) -> None:
        heard.append(message)
        bus.unsubscribe("a", once)

    bus.subscribe("a", once)
    bus.publish_many([("a", 1), ("a", 2)])
    assert heard == [1]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "a.x"]), min_size=1, max_size=6), min_size=1, max_size=4
    ),
    st.booleans(),
)
@settings(max_examples=15)
def test_any_interleaving_of_threads_leaves_each_subscriber_the_journals_order(
    home: Path, work: list[list[str]], nested: bool
) -> None:
    bus = MessageBus()
    heard: dict[str, list[int]] = {"a": [], "*": [], ">": []}
    after = len(bus.channel_history(">", 10**6))

    def listener(subject: str) -> str:
        def hear(message: Any, delivery: Delivery) -> None:
            heard[subject].append(delivery.seq)
            if nested and subject == "a" and message == "a":
                bus.publish("b", "nested")

        return bus.subscribe(subject, hear)

    own = {subject: listener(subject) for subject in heard}
    in_threads(*(lambda s=said: [bus.publish(c, c) for c in s] for said in work))
    said = [(m.seq, m.channel) for m in bus.channel_history(">", 10**6)[after:]]
    until(lambda: len(heard[">"]) == len(said))
    for subject, one in own.items():
        bus.unsubscribe(subject, one)
    assert len(said) == sum(map(len, work)) + nested * sum(s.count("a") for s in work)
    assert heard == {
        "a": [seq for seq, channel in said if channel == "a"],
        "*": [seq for seq, channel in said if "." not in channel],
        ">": [seq for seq, _ in said],
    }


def test_a_process_that_does_not_listen_reads_nothing(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.journal import Journal, RecordedJournal

    bus.publish("a", 1)

    def reads(*_: Any) -> None:
        raise AssertionError

    for name in ("blocks", "tail_blocks", "acknowledged"):
        monkeypatch.setattr(RecordedJournal, name, reads)
        monkeypatch.setattr(Journal, name, reads)
    assert bus.publish("a", 2) == 0
    assert all(exchange._intake is None for exchange in _exchanges.values())


def test_who_is_interrupted_while_it_publishes_publishes_nothing_else(home: Path) -> None:
    """It holds what a handler of signals would wait for; from callbacks anybody may publish."""
    bus = MessageBus()
    refused: list[str] = []
    heard: list[Any] = []

    def handler(*_: object) -> None:
        try:
            bus.publish("status", "going down")
        except (MessageBusError, JournalBusy) as error:
            refused.append(str(error))

    bus.subscribe("a", lambda message: heard.append((message, bus.publish("b", message))))
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
        for number in range(150):
            bus.publish("a", number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert heard == [(number, 0) for number in range(150)]
    assert {text for text in refused if "interrupted" not in text} == set()
    assert bus.publish("status", "there") == 0


def test_a_thread_does_not_wait_for_itself_to_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl")
    queue = journal._queue
    ticket = Ticket([])
    assert queue.falls_to(ticket)
    with pytest.raises(JournalBusy, match="interrupted"):
        journal.append("noted")
    queue.step_down(queue.take())
    assert journal.append("noted")["seq"] == 1
