"""The bus: what users' code relies on, by example, and what a hostile or clumsy one cannot do."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dino_os import workspace as workspace_module
from dino_os.errors import InvalidInput, MessageBusError
from dino_os.message_bus import Message, MessageBus
from dino_os.message_bus import exchange as exchange_module
from dino_os.message_bus.subscriptions import MESSAGE_LIMIT
from dino_os.workspace import Workspace
from engines.errors import JournalWriteFailed
from engines.journal import Journal, RecordedJournal, verify
from tests.conftest import REPOSITORY, environment
from tests.message_bus.waiting import until


@pytest.fixture
def bus(home: Path) -> MessageBus:
    return MessageBus()


@pytest.fixture
def journal(home: Path) -> Path:
    return home / "memory" / "bus.jsonl"


def anew() -> MessageBus:
    """The bus as the next process opens it."""
    workspace_module._shared.clear()
    exchange_module.forget()
    return MessageBus()


def messages(bus: MessageBus, channel: str, limit: int = 100) -> list[Any]:
    return [found.message for found in bus.channel_history(channel, limit)]


# --- the guide -----------------------------------------------------------------------------------


def test_the_guides_request(bus: MessageBus) -> None:
    prices = []

    def callback(response: Any) -> None:
        prices.append(response["price"])

    bus.subscribe("price_BTC", callback)
    assert bus.publish("price_request", {"symbol": "BTC"}) == 0
    assert MessageBus().publish("price_BTC", {"price": 7}) == 1
    assert prices == [7]


def test_the_guides_event(home: Path) -> None:
    heard = []
    MessageBus().subscribe("trade_executed", heard.append)
    result = {"id": 1, "filled": True}
    MessageBus().publish("trade_executed", result)
    assert heard == [result]


# --- each method ---------------------------------------------------------------------------------


def test_each_method_by_example(bus: MessageBus) -> None:
    heard: list[Any] = []
    first, second = bus.subscribe("a", heard.append), bus.subscribe("a", print)
    assert bus.get_subscribers("a") == [first, second]
    assert bus.unsubscribe("a", second)
    assert not bus.unsubscribe("a", second)
    assert not bus.unsubscribe("b", first)
    assert bus.publish("a", [1]) == 1
    assert bus.publish("c", None) == 0
    assert bus.list_channels() == ["a", "c"]
    assert bus.unsubscribe("a", heard.append)
    assert bus.publish("a", [2]) == 0
    assert (heard, bus.get_subscribers("a"), bus.ping()) == ([[1]], [], True)


def test_looking_leaves_no_trace(home: Path, bus: MessageBus) -> None:
    assert (bus.list_channels(), bus.channel_history("a"), bus.get_subscribers("a")) == ([], [], [])
    assert bus.ping()
    bus.subscribe("b", print)
    assert bus.list_channels() == ["b"]
    assert not (home / "memory").exists()


def test_history_is_that_of_every_process_oldest_first(bus: MessageBus) -> None:
    before = datetime.now(UTC)
    for number in range(5):
        bus.publish("a", number)
        bus.publish("b", -number)
    later = anew()
    assert messages(later, "a") == [0, 1, 2, 3, 4]
    assert messages(later, "b", 2) == [-3, -4]
    assert (messages(later, "a", 0), messages(later, "a", 10**30)) == ([], [0, 1, 2, 3, 4])
    first, second, *_ = later.channel_history("a")
    assert isinstance(first, Message)
    assert (first.channel, first.seq) == ("a", second.seq - 2)
    assert first.published.timestamp() >= before.timestamp() - 0.001
    assert later.list_channels() == ["a", "b"]


def test_history_finds_what_lies_far_back(bus: MessageBus, journal: Path) -> None:
    """Behind more messages of another channel than are read at first, in several files."""
    (journal.parent.parent / "config.yaml").write_text("memory: {rotate_bytes: 60000}\n")
    for number in range(3):
        bus.publish("rare", number)
    drafts = [("message_published", {"channel": "busy", "message": n}) for n in range(1500)]
    Workspace.shared().bus._journal.append_many(drafts)
    bus.publish("rare", 3)
    assert messages(bus, "rare") == [0, 1, 2, 3]
    assert messages(bus, "rare", 2) == [2, 3]
    assert messages(bus, "busy", 3) == [1497, 1498, 1499]
    assert anew().list_channels() == ["busy", "rare"]


def test_two_buses_of_one_workspace_share_their_subscribers(home: Path, bus: MessageBus) -> None:
    """Also with those that the workspace itself hands out; not with another workspace's."""
    heard: list[Any] = []
    bus.subscribe("a", heard.append)
    assert Workspace(home).bus.publish("a", 1) == 1
    assert Workspace(home / "skills").bus.publish("a", 2) == 0
    assert heard == [1]


# --- who is called -------------------------------------------------------------------------------


def test_a_message_is_on_record_before_anybody_is_called(bus: MessageBus, journal: Path) -> None:
    seen = []
    bus.subscribe("a", lambda message: seen.append(RecordedJournal(journal).tail(1)[0]["message"]))
    bus.publish("a", "first")
    bus.publish("a", "second")
    assert seen == ["first", "second"]
    assert verify(journal).ok


def test_where_it_cannot_be_recorded_nobody_is_called(
    bus: MessageBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    bus.subscribe("a", heard.append)

    def full(*_: Any) -> None:
        raise JournalWriteFailed("the disk is full")

    monkeypatch.setattr(Journal, "commit", full)
    with pytest.raises(JournalWriteFailed):
        bus.publish("a", 1)
    assert heard == []


@pytest.mark.parametrize(
    "error",
    [ValueError, SystemExit, RecursionError, UnicodeError, GeneratorExit, asyncio.CancelledError],
)
def test_one_that_raises_stops_nobody_and_is_reported_once(
    bus: MessageBus, error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[Any] = []

    def clumsy(message: Any) -> None:
        raise error(f"no\n\x1b[2Juse for {message}\ud800")

    bus.subscribe("a", clumsy)
    bus.subscribe("a", heard.append)
    assert [bus.publish("a", number) for number in range(3)] == [2, 2, 2]
    assert heard == [0, 1, 2]
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "clumsy, subscribed to 'a', raised " in err
    assert error.__name__ in err
    assert "\x1b" not in err


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_whatever_is_raised_in_its_own_thread_the_bus_goes_on_listening(
    bus: MessageBus, error: type[BaseException]
) -> None:
    heard: list[Any] = []

    def clumsy(message: Any) -> None:
        raise error

    bus.subscribe("a", clumsy)
    bus.subscribe("a", heard.append)
    for number in range(2):  # as if from another process
        payload = {"channel": "a", "message": number}
        Workspace.shared().bus._journal.append("message_published", payload)
        until(lambda n=number: len(heard) > n, "a message")  # type: ignore[misc]
    assert heard == [0, 1]


def test_an_interruption_goes_through(bus: MessageBus) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    bus.subscribe("a", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bus.publish("a", 1)
    assert messages(bus, "a") == [1]


def test_two_that_answer_each_other_come_to_an_end(
    bus: MessageBus, capsys: pytest.CaptureFixture[str]
) -> None:
    bus.subscribe("ping", lambda n: bus.publish("pong", n + 1))
    bus.subscribe("pong", lambda n: bus.publish("ping", n + 1))
    assert bus.publish("ping", 0) == 1
    assert "nested 32 deep" in capsys.readouterr().err
    assert len(messages(bus, "ping") + messages(bus, "pong")) == 32
    assert bus.publish("other", 0) == 0


def test_threads_share_the_bus(bus: MessageBus, journal: Path) -> None:
    heard: list[Any] = []

    def work(name: str) -> None:
        own = MessageBus().subscribe(name, heard.append)
        for number in range(20):
            MessageBus().publish("all", [name, number])
            MessageBus().publish(name, [name, number])
        MessageBus().unsubscribe(name, own)

    bus.subscribe("all", heard.append)
    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 160
    assert sorted(map(tuple, messages(bus, "all"))) == [(n, i) for n in "abcd" for i in range(20)]
    assert verify(journal).ok


PUBLISHER = """
import sys
from dino_os.message_bus import MessageBus
for number in range(int(sys.argv[2])):
    MessageBus().publish("all", [sys.argv[1], number])
    print(number, flush=True)
"""


def publisher(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, name, str(count)],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_publish_at_once_and_one_is_killed(home: Path, journal: Path) -> None:
    """What was acknowledged is in the history of all, each message once and in its order."""
    victim = publisher(home, "victim", 100_000)
    others = [publisher(home, name, 30) for name in "ab"]
    said = [victim.stdout.readline() for _ in range(5)]
    victim.kill()
    said += victim.communicate()[0].split("\n")[:-1]
    assert [(other.communicate()[1], other.returncode) for other in others] == [(None, 0)] * 2
    MessageBus().publish("all", ["next", 0])  # sets aside what the victim had half done
    found = messages(MessageBus(), "all", 10**6)
    for name in "ab":
        assert [number for who, number in found if who == name] == list(range(30))
    numbers = [number for who, number in found if who == "victim"]
    assert numbers == list(range(len(numbers)))
    assert len(said) <= len(numbers) <= len(said) + 1
    assert verify(journal).ok


def publish_in_a_fork(bus: MessageBus, answers: Any) -> None:
    answers.put(bus.publish("a", "from the child"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_no_subscribers_of_its_parents(bus: MessageBus) -> None:
    heard: list[Any] = []
    bus.subscribe("a", heard.append)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=publish_in_a_fork, args=(bus, answers))
    child.start()
    assert answers.get() == 0
    child.join()
    assert (bus.publish("a", 1), messages(bus, "a")) == (1, ["from the child", 1])


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel", ["", " ", None, 1, "a\n", "a\0b", "\ud800", "x" * 256, "a.*", ">"], ids=ascii
)
def test_what_is_no_channel_is_refused(bus: MessageBus, channel: Any) -> None:
    for call in (
        lambda: bus.publish(channel, 1),
        lambda: bus.publish_many([("a", 1), (channel, 1)]),
        lambda: bus.get_subscribers(channel),
    ):
        with pytest.raises(InvalidInput, match="channel"):
            call()
    assert bus.list_channels() == []


@pytest.mark.parametrize(
    "subject", ["", None, "a\n", "x" * 256, "a*", "a.b*", ">.a", "a.>.b", "a.>>"], ids=ascii
)
def test_what_is_no_subject_is_refused(bus: MessageBus, subject: Any) -> None:
    for call in (
        lambda: bus.subscribe(subject, print),
        lambda: bus.unsubscribe(subject, print),
        lambda: bus.channel_history(subject),
    ):
        with pytest.raises(InvalidInput, match="channel"):
            call()


@pytest.mark.parametrize(
    "message", [float("nan"), {1: 2}, "\ud800", b"x", object(), "x" * MESSAGE_LIMIT], ids=range(6)
)
def test_what_is_no_message_is_refused(bus: MessageBus, message: Any) -> None:
    with pytest.raises(InvalidInput, match="message"):
        bus.publish("a", message)
    assert bus.channel_history("a") == []


async def waits(_: Any) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("callback", [None, "name", 5, waits])
def test_what_is_no_callback_is_refused(bus: MessageBus, callback: Any) -> None:
    with pytest.raises(InvalidInput, match="callback"):
        bus.subscribe("a", callback)


@pytest.mark.parametrize("limit", [-1, 1.5, "9", None, True])
def test_what_is_no_limit_is_refused(bus: MessageBus, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        bus.channel_history("a", limit)


def test_a_rehearsal_reads_and_publishes_nothing(home: Path, bus: MessageBus) -> None:
    bus.publish("a", 1)
    rehearsed = Workspace(home, rehearsal=True).bus
    assert [m["message"] for m in rehearsed.channel_history("a")] == [1]
    with pytest.raises(MessageBusError, match="rehearsal"):
        rehearsed.publish("a", 2)
    assert messages(bus, "a") == [1]


def test_a_bus_whose_record_is_broken_says_so(bus: MessageBus, journal: Path) -> None:
    bus.publish("a", 1)
    journal.unlink()
    assert not anew().ping()


SAFE = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(SAFE),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(SAFE), inner),
    max_leaves=8,
)


@given(JSON)
@settings(suppress_health_check=list(HealthCheck))  # a busy machine makes examples slowly
def test_a_message_arrives_and_is_recorded_as_it_was(home: Path, message: Any) -> None:
    heard: list[Any] = []
    bus = MessageBus()
    own = bus.subscribe("law", heard.append)
    assert bus.publish("law", message) == 1
    bus.unsubscribe("law", own)
    assert json.dumps(heard) == json.dumps([message]) == json.dumps(messages(bus, "law", 1))
