"""Real processes share a group, and are killed at any moment: no message is lost, or settled twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.message_bus import MessageBus
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal, verify
from tests.conftest import REPOSITORY, ended_at_last, environment
from tests.message_bus.waiting import until

# Each message is noted, by one write, when its handler ends.
MEMBER = """
import os, sys, time
from dino_os.message_bus import MessageBus
notes = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def handle(message):
    time.sleep(float(sys.argv[2]))
    os.write(notes, b"%d\\n" % message)
name = {sys.argv[3]: "crew"}
MessageBus().subscribe("work.>", handle, retries=50, backoff_s=[0.01], **name)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def member(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    def start(pause_s: float = 0.0, kind: str = "durable") -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", MEMBER, str(home / "handled"), str(pause_s), kind],
            env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start


def handled(home: Path) -> Counter[int]:
    file = home / "handled"
    return Counter(map(int, file.read_text().split())) if file.exists() else Counter()


def acked(home: Path) -> Counter[int]:
    """How often each message was acknowledged, as the record has it."""
    journal = RecordedJournal(home / "memory" / "bus_deliveries.jsonl")
    return Counter(seq for event in journal.events() for seq in event.get("acked", ()))


def published(home: Path) -> dict[int, int]:
    """Which line has which message."""
    found = Workspace(home).bus.messages.after(-1, "work.>", 10**6)
    return {stored.seq: stored.message for stored in found}


def test_members_that_are_killed_lose_nothing(
    home: Path, member: Callable[..., subprocess.Popen[str]]
) -> None:
    """1,000 messages, up to four members, about ten of whom die at random moments."""
    rng = random.Random(8)
    bus = MessageBus()
    crew = [member(0.001) for _ in range(3)]
    for one in crew:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    for begin in range(0, 1000, 20):
        bus.publish_many([(f"work.{n % 7}", n) for n in range(begin, begin + 20)])
        if begin % 100 == 0:
            victim = crew.pop(rng.randrange(len(crew)))
            time.sleep(rng.uniform(0, 0.05))
            victim.kill()
            crew.append(member(0.001))
        if begin == 500:
            crew.append(member(0.001))

    def done() -> bool:
        return Workspace(home).deliveries.find("crew").acked == 1000

    until(done, "an end", within_s=120)
    seqs = published(home)
    assert acked(home) == Counter(seqs.keys())
    found = handled(home)
    assert set(found) == set(seqs.values()) == set(range(1000))
    assert bus.dead_letters() == []
    (own,) = bus.subscriptions()
    assert (own.backlog, own.in_flight) == (0, 0)
    assert verify(home / "memory" / "bus_deliveries.jsonl").ok


def test_one_member_that_is_stopped_and_killed_again_and_again_resumes(
    home: Path, member: Callable[..., subprocess.Popen[str]]
) -> None:
    """Whatever was handled and not recorded comes again; that is at most one batch."""
    rng = random.Random(9)
    bus = MessageBus()
    for number in range(6):
        one = member(0.005)
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
        if number == 0:
            bus.publish_many([("work.a", n) for n in range(120)])
        time.sleep(rng.uniform(0.0, 0.2))
        one.kill()
        one.wait()
    assert Workspace(home).deliveries.find("crew").acked < 120
    member()
    until(lambda: Workspace(home).deliveries.find("crew").acked == 120, "an end")
    assert acked(home) == Counter(published(home).keys())
    assert set(handled(home)) == set(range(120))


def test_a_group_without_a_name_is_shared_by_processes_too(
    home: Path, member: Callable[..., subprocess.Popen[str]]
) -> None:
    crew = [member(0.001, "group") for _ in range(2)]
    for one in crew:
        assert one.stdout
        assert one.stdout.readline() == "ready\n"
    bus = MessageBus()
    for number in range(60):
        bus.publish("work.a", number)
    until(lambda: sum(handled(home).values()) == 60, "all of them")
    (own,) = bus.subscriptions()
    assert (own.name, own.members) == ("crew.work.>", 2)
    for one in crew:
        one.communicate("")
    assert (bus.subscriptions(), handled(home)) == ([], Counter(range(60)))


def test_a_program_that_ends_leaves_in_order(
    home: Path, member: Callable[..., subprocess.Popen[str]]
) -> None:
    one = member()
    assert one.stdout
    assert one.stdout.readline() == "ready\n"
    bus = MessageBus()
    bus.publish_many([("work.a", n) for n in range(10)])
    until(lambda: sum(handled(home).values()) == 10, "all ten")
    one.communicate("")
    assert one.returncode == 0
    (own,) = bus.subscriptions()
    assert (own.members, own.backlog, own.acknowledged) == (0, 0, 10)
    assert not [*(home / "memory" / "bus_deliveries.sessions").iterdir()]


def test_one_that_hangs_is_given_up_and_its_messages_go_to_another(
    home: Path, member: Callable[..., subprocess.Popen[str]]
) -> None:
    """A stopped process holds its lock; it is the sign of life that is missing."""
    bus = MessageBus()
    heard: list[Any] = []
    bus.subscribe("a", heard.append, durable="crew", ack_wait_s=0.5)
    hung = subprocess.Popen(
        [sys.executable, "-c", HANGS, str(home)],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert hung.stdout
        assert hung.stdout.readline() == "ready\n"
        bus.close()
        bus.publish("a", 1)
        assert hung.stdout.readline() == "begun\n"
        os.kill(hung.pid, signal.SIGSTOP)
        bus.subscribe("a", heard.append, durable="crew", ack_wait_s=0.5)
        until(lambda: heard, "the message")
        os.kill(hung.pid, signal.SIGCONT)
        until(lambda: bus.subscriptions()[0].acknowledged == 1, "an acknowledgement")
        hung.wait(30)
    finally:
        hung.kill()
        hung.communicate()
    state = bus.subscriptions()[0]
    assert (state.acknowledged, state.dead_letters, state.backlog) == (1, 0, 0)


HANGS = """
import sys, time
from dino_os.message_bus import MessageBus
def handle(message):
    print("begun", flush=True)
    time.sleep(0.2)
bus = MessageBus()
bus.subscribe("a", handle, durable="crew", ack_wait_s=0.5)
print("ready", flush=True)
while not bus.subscriptions()[0].acknowledged:
    time.sleep(0.05)
"""


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_of_a_member_is_none(home: Path) -> None:
    """Nor does it keep its parent alive in the eyes of others."""
    bus = MessageBus()
    bus.subscribe("a", print, durable="crew")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.read(read, 1)
        os._exit(0)
    engine = Workspace.shared().deliveries
    (name,) = engine.find("crew").members
    os.close(engine._files._held.pop(name))  # as if this process had been killed
    try:
        assert Workspace(home).deliveries.somebody_lost("crew", "") is False  # it has no message
        (own,) = Workspace(home).bus.subscriptions()
        assert own["members"] == 0
    finally:
        os.write(write, b"!")
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
