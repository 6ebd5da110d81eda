"""Many processes and threads on one memory, some of them killed, some of them forked."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dino_os.memory_layer import MemoryLayer
from tests.memory_layer.conftest import Started, check_sound, recorded

# Says each key as soon as it is acknowledged, until it is killed or done.
WRITER = """
import sys
from dino_os.memory_layer import MemoryLayer
name, count = sys.argv[1], int(sys.argv[2])
memory = MemoryLayer()
for number in range(count):
    memory.add(f"{name}-{number}", {"n": number, "by": name})
    if number % 3 == 2:
        memory.delete(f"{name}-{number - 1}")
    print(f"{name}-{number}", flush=True)
"""


def test_several_processes_write_at_once(home: Path, journal: Path, started: Started) -> None:
    """From the first moment, when none has made the file yet; nothing is lost, all is recorded."""
    writers = [started(WRITER, name, 30) for name in "abcd"]
    for writer in writers:
        _, errors = writer.communicate()
        assert (writer.returncode, errors) == (0, "")
    expected = {f"{name}-{n}" for name in "abcd" for n in range(30) if n % 3 != 1}
    assert set(MemoryLayer().list()) == expected
    kinds = [event["event_type"] for event in recorded(journal)]
    assert (kinds.count("memory_added"), kinds.count("memory_deleted")) == (120, 40)
    assert len(kinds) == 160
    check_sound(home / "memory" / "memory.db")


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(
    home: Path, journal: Path, started: Started
) -> None:
    """Fifteen of them; what they did not acknowledge is wholly there, or not at all."""
    chance, acknowledged = random.Random(7), set()
    for kill in range(15):
        writer = started(WRITER, f"w{kill}", 10_000)
        if kill % 5:
            acknowledged.add(writer.stdout.readline().strip())
        # Nothing waits for this: it only makes the moment of the kill a random one.
        time.sleep(chance.uniform(0, 0.02))
        writer.kill()
        rest, _ = writer.communicate()
        acknowledged |= set(rest.split("\n")[:-1])
        MemoryLayer().add("alive", kill)
    there = MemoryLayer().get_all()
    survivors = {key for key in acknowledged if int(key.partition("-")[2]) % 3 == 0}
    assert len(survivors) >= 12
    assert survivors <= there.keys()
    assert there["alive"] == 14
    check_against(there, recorded(journal))
    check_sound(home / "memory" / "memory.db")


def check_against(there: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """What the record says is there, less the changes it says were not kept, is what is there."""
    lost = {
        seq
        for e in events
        if e["event_type"] == "changes_not_kept"
        for seq in range(e["first_seq"], e["last_seq"] + 1)
    }
    keys = set()
    for event in events:
        if event["seq"] in lost:
            continue
        if event["event_type"] == "memory_added":
            keys.add(event["key"])
        elif event["event_type"] == "memory_deleted":
            keys.remove(event["key"])
    assert keys == there.keys()


def test_threads_share_one_connection(home: Path, journal: Path) -> None:
    def work(name: str) -> None:
        for number in range(10):
            MemoryLayer().add(f"{name}-{number}", number)
            assert MemoryLayer().get(f"{name}-{number}") == number

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(MemoryLayer().list()) == len(recorded(journal)) == 60
    check_sound(home / "memory" / "memory.db")


def open_files() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found.add(str(link.readlink()))
    return found


def in_a_fork(memory: MemoryLayer, answers: Any) -> None:
    inherited = any(name.startswith(str(memory._local().path)) for name in open_files())
    for number in range(20):
        memory.add(f"child-{number}", number)
    answers.put((inherited, memory.get("parent-0")))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="shows open files")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_does_not_inherit_the_connection(home: Path, journal: Path) -> None:
    """Both go on, each with a connection of its own, under one lock."""
    memory = MemoryLayer()
    memory.add("parent-0", 0)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=in_a_fork, args=(memory, answers))
    child.start()
    for number in range(1, 20):
        memory.add(f"parent-{number}", number)
    assert answers.get() == (False, 0)
    child.join()
    assert child.exitcode == 0
    assert len(memory.list()) == len(recorded(journal)) == 40
    check_sound(home / "memory" / "memory.db")


def test_a_reader_does_not_wait_for_a_writer(home: Path, memory: MemoryLayer) -> None:
    memory.add("k", 1)
    with sqlite3.connect(home / "memory" / "memory.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM entries")
        assert memory.get("k") == 1
        other.execute("ROLLBACK")
    other.close()
