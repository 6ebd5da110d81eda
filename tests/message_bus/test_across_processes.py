"""What one process publishes others hear: all of it, once, in the journal's order, and soon."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.message_bus import Delivery, MessageBus
from dino_os.message_bus.exchange import _exchanges
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal, verify
from tests.message_bus.parties import ended, line_of, process, until

PUBLISHER = """
import sys
from dino_os.message_bus import MessageBus
name, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
bus = MessageBus()
for number in range(0, count, batch):
    pairs = [(f"say.{name}", [name, n]) for n in range(number, number + batch)]
    bus.publish_many(pairs) if batch > 1 else bus.publish(*pairs[0])
    print(number, flush=True)
"""
LISTENER = """
import sys
from dino_os.message_bus import MessageBus
def hear(message, delivery):
    print(delivery.seq, delivery.channel, message, flush=True)
    if message == "end":
        done.set()
import threading
done = threading.Event()
MessageBus().subscribe(sys.argv[1], hear)
print("ready", flush=True)
done.wait(60)
"""


def on_record(home: Path) -> list[tuple[int, Any]]:
    return [
        (event["seq"], event["message"])
        for event in RecordedJournal(home / "memory" / "bus.jsonl").events()
        if event["event_type"] == "message_published"
    ]


def test_others_hear_what_this_process_publishes(home: Path) -> None:
    listeners = [process(home, LISTENER, subject) for subject in ("say.>", "say.b", "say.*")]
    assert [line_of(listener) for listener in listeners] == ["ready"] * 3
    bus = MessageBus()
    bus.publish("say.a", 1)
    bus.publish("other", 2)
    bus.publish_many([("say.b", 3), ("say.b.c", 4), ("say.b", "end"), ("say.b", "late")])
    everything, one, star = ended(*listeners)
    assert everything.split("\n")[:4] == ["1 say.a 1", "3 say.b 3", "4 say.b.c 4", "5 say.b end"]
    assert one.split("\n")[:2] == ["3 say.b 3", "5 say.b end"]
    assert star.split("\n")[:3] == ["1 say.a 1", "3 say.b 3", "5 say.b end"]


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_any_mix_of_threads_and_processes_leaves_the_journals_order(home: Path, names: str) -> None:
    """To each subscriber, here and there, nothing lost and nothing doubled."""
    listener = process(home, LISTENER, "say.>")
    assert line_of(listener) == "ready"
    heard: dict[str, list[tuple[int, Any]]] = {"say.>": [], "say.*": []}

    def hear(subject: str) -> None:
        def callback(message: Any, delivery: Delivery) -> None:
            heard[subject].append((delivery.seq, message))

        MessageBus().subscribe(subject, callback)

    for subject in heard:
        hear(subject)
    others = [process(home, PUBLISHER, name, 60, 1 + 4 * (name == "b")) for name in names]

    def speak(name: str) -> None:
        for number in range(40):
            MessageBus().publish(f"say.{name}", [name, number])

    threads = [threading.Thread(target=speak, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended(*others)
    MessageBus().publish("say.x", "end")
    said = on_record(home)
    assert len(said) == 60 * len(names) + 3 * 40 + 1
    until(lambda: all(len(each) == len(said) for each in heard.values()))
    assert heard == {"say.>": said, "say.*": said}
    (there,) = ended(listener)
    assert [int(line.split()[0]) for line in there.split("\n")[:-1]] == [seq for seq, _ in said]
    assert verify(home / "memory" / "bus.jsonl").ok


@given(st.lists(st.sampled_from(["a", "b", "other", "many"]), max_size=12))
@settings(max_examples=18)
def test_two_buses_in_turns_leave_one_order(home: Path, turns: list[str]) -> None:
    """Another object over the same files is, to the journal, another process."""
    heard: list[int] = []

    def hear(_: Any, delivery: Delivery) -> None:
        heard.append(delivery.seq)

    bus = MessageBus()
    journal = RecordedJournal(home / "memory" / "bus.jsonl")
    before = journal.length()
    own = bus.subscribe("say.>", hear)
    other = Workspace(home).own_journal("bus")
    for turn in turns:
        if turn == "other":
            other.append("message_published", {"channel": "say.o", "message": turn})
        elif turn == "many":
            assert bus.publish_many([("say.m", 1), ("quiet", 2), ("say.m", 3)]) == 2
        else:
            assert bus.publish(f"say.{turn}", turn) == 1
    said = [
        event["seq"]
        for event in journal.events()
        if event["seq"] >= before and event.get("channel", "").startswith("say.")
    ]
    until(lambda: len(heard) >= len(said))
    bus.unsubscribe("say.>", own)
    assert heard == said


def test_a_publisher_is_killed_in_the_middle(home: Path) -> None:
    """What it had acknowledged is heard, once; then the others go on."""
    heard: list[Any] = []
    MessageBus().subscribe("say.>", heard.append)
    victim = process(home, PUBLISHER, "victim", 100_000, 5)
    said = [int(line_of(victim)) for _ in range(20)]
    victim.kill()
    victim.communicate()
    MessageBus().publish("say.me", "next")
    until(lambda: heard and heard[-1] == "next")
    assert heard == [message for _, message in on_record(home)]
    numbers = [message[1] for message in heard[:-1]]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) % 5 == 0  # a batch is there or not
    assert len(numbers) > said[-1]


def test_an_id_is_published_once_whoever_tries(home: Path) -> None:
    """Many processes publish the same ids at once; each is on record and heard once."""
    program = """
import sys
from dino_os.message_bus import MessageBus
bus = MessageBus()
for number in range(30):
    bus.publish("say.it", number, id=f"n{number}")
"""
    heard: list[Any] = []
    bus = MessageBus()
    bus.subscribe("say.it", heard.append)
    others = [process(home, program) for _ in range(3)]
    reached = [bus.publish("say.it", number, id=f"n{number}") for number in range(30)]
    ended(*others)
    assert sorted(message for _, message in on_record(home)) == list(range(30))
    until(lambda: len(heard) == 30)
    assert sorted(heard) == list(range(30))
    assert set(reached) <= {0, 1}
    assert bus.publish("say.it", 0, id="n0") == 0
    assert bus.publish("say.other", 0, id="n0") == 0
    assert len(on_record(home)) == 31  # an id is a channel's own


def switches(pid: int) -> int:
    """How often the threads of that process have gone to sleep."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().split("\n"):
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="as the kernel tells it")
def test_a_listener_that_has_nothing_to_hear_sleeps(home: Path) -> None:
    MessageBus().publish("say.a", 1)
    listener = process(home, LISTENER, "say.>")
    assert line_of(listener) == "ready"
    time.sleep(0.2)
    before, began = switches(listener.pid), time.monotonic()
    time.sleep(0.9)
    woken, taken = switches(listener.pid) - before, time.monotonic() - began
    MessageBus().publish("say.a", "end")
    ended(listener)
    assert woken <= 2 * (taken + 1)


def test_what_other_parts_write_wakes_nobody(home: Path) -> None:
    bus = MessageBus()
    bus.publish("a", 1)
    bus.subscribe("a", print)
    (exchange,) = _exchanges.values()
    journal = Workspace(home).own_journal("elsewhere")
    began = time.monotonic()
    woken = exchange.listener.woken
    for number in range(200):
        journal.append("counted", {"number": number})
    assert exchange.listener.woken - woken <= 3 + (time.monotonic() - began)


def hears(home: Path, answers: Any) -> None:
    heard = threading.Event()
    MessageBus().subscribe("to.child", lambda _: heard.set())
    MessageBus().publish("to.parent", os.getpid())
    answers.put(heard.wait(30))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_listens_for_itself(home: Path) -> None:
    heard: list[Any] = []
    bus = MessageBus()
    bus.subscribe("to.parent", heard.append)
    bus.publish("to.parent", "I")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=hears, args=(home, answers))
    child.start()
    until(lambda: len(heard) == 2)
    bus.publish("to.child", 1)
    assert answers.get()
    child.join()
    assert heard == ["I", child.pid]


def test_closing_ends_the_thread_and_a_new_subscription_begins_another(home: Path) -> None:
    bus = MessageBus()
    heard: list[Any] = []
    bus.subscribe("say.>", heard.append)
    names = {thread.name for thread in threading.enumerate()}
    assert "dino-bus" in names
    bus.close()
    until(lambda: "dino-bus" not in {thread.name for thread in threading.enumerate()})
    assert (bus.publish("say.a", 1), heard) == (0, [])
    bus.subscribe("say.>", heard.append)
    ended(process(home, PUBLISHER, "a", 1, 1))
    until(lambda: heard == [["a", 0]])


def test_a_journal_that_was_put_back_is_followed_from_its_end(home: Path) -> None:
    """An older copy restored while somebody listens: what comes next is heard."""
    bus = MessageBus()
    heard: list[Any] = []
    bus.publish("say.a", 0)
    kept = {file: file.read_bytes() for file in (home / "memory").glob("bus.*")}
    bus.subscribe("say.a", heard.append)
    bus.publish("say.a", 1)
    (exchange,) = _exchanges.values()
    with exchange._lock:  # nobody looks before all of it is there
        for file, content in kept.items():
            file.unlink()
            file.write_bytes(content)
    until(lambda: exchange._intake and exchange._intake.place.seq == 2)
    subprocess.run(
        [sys.executable, "-c", PUBLISHER, "a", "1", "1"],
        env={**os.environ, "DINO_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    until(lambda: heard == [1, ["a", 0]])


def test_another_past_is_told_and_followed_from_its_end(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy restored and written on, all between two looks."""
    bus = MessageBus()
    heard: list[Any] = []
    bus.publish("say.a", 0)
    kept = {file: file.read_bytes() for file in (home / "memory").glob("bus.*")}
    bus.subscribe("say.a", heard.append)
    bus.publish("say.a", 1)
    (exchange,) = _exchanges.values()
    with exchange._lock:
        for file, content in kept.items():
            file.unlink()
            file.write_bytes(content)
        ended(process(home, PUBLISHER, "a", 5, 1))
    until(lambda: exchange._intake and exchange._intake.place.seq == 7)
    assert "nothing is heard of the bus" in capsys.readouterr().err
    ended(process(home, PUBLISHER, "a", 1, 1))
    until(lambda: heard == [1, ["a", 0]])


def test_files_that_are_sealed_and_packed_are_no_gap(home: Path) -> None:
    (home / "config.yaml").write_text("memory: {rotate_bytes: 3000}\n")
    listener = process(home, LISTENER, "say.*")
    assert line_of(listener) == "ready"
    heard: list[Any] = []
    MessageBus().subscribe("say.*", heard.append)
    others = [process(home, PUBLISHER, name, 40, 1) for name in "ab"]
    for number in range(40):
        MessageBus().publish("say.me", ["me", number])
        Workspace.shared().bus._journal.compress_sealed()
    ended(*others)
    MessageBus().publish("say.me", "end")
    said = on_record(home)
    assert len(list((home / "memory").glob("bus.*.jsonl*"))) > 5
    until(lambda: len(heard) == len(said))
    assert heard == [message for _, message in said]
    (there,) = ended(listener)
    assert [int(line.split()[0]) for line in there.split("\n")[:-1]] == [seq for seq, _ in said]
