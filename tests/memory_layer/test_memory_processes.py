"""Many processes and threads on one memory, some of them killed, some of them forked."""

from __future__ import annotations

import ast
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
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
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


# Does everything there is, and says how often it did.
MIXED = """
import random, sys
from dino_os.memory_layer import MemoryLayer
chance, memory, name = random.Random(sys.argv[1]), MemoryLayer(), sys.argv[1]
mine = {}
for number in range(40):
    key, value = f"{name}-{chance.randrange(8)}", {"n": number, "text": f"word{number} of {name}"}
    what = chance.randrange(10)
    if what < 4:
        memory.add(key, value, tags=[name], ttl=1000, metadata={"by": name})
        mine[key] = value
    elif what == 4:
        memory.add_many([{"key": key, "value": value}, {"key": f"{key}-too", "value": number}])
        mine[key], mine[f"{key}-too"] = value, number
    elif what == 5:
        assert memory.delete(key) == (mine.pop(key, None) is not None)
    elif what == 6:
        memory.forget(key=key)
        mine.pop(key, None)
    elif what == 7:
        memory.search(f"word{number}")
        memory.versions(key)
        memory.list(tags=[name])
    else:
        assert memory.get(key) == mine.get(key), key
        if key in mine:
            memory.tag(key, ["seen"])
print(sorted(mine))
"""


def test_eight_processes_do_everything_at_once(home: Path, journal: Path, started: Started) -> None:
    """Each finds its own keys as it left them; the file and the record stand in the end."""
    processes = [started(MIXED, name) for name in "abcdefgh"]
    expected: set[str] = set()
    for process in processes:
        out, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
        expected |= set(ast.literal_eval(out))
    memory = MemoryLayer()
    assert set(memory.list()) == expected
    assert memory.check()["faults"] == []
    assert memory.stats()["unrecorded"] == 0
    tokens = [e["change"] for e in recorded(journal) if e["event_type"] == "memory_forgotten"]
    assert len(tokens) == len(set(tokens)) > 0
    check_sound(home / "memory" / "memory.db")


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


def test_who_opens_it_to_read_waits_for_no_writer_either(home: Path, memory: MemoryLayer) -> None:
    """Though lines of another's are still to be moved."""
    memory.add("k", 1)
    file = home / "memory" / "memory.db"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        second = MemoryStore(file, Journal(home / "memory" / "memory_log.jsonl"), timeout_s=600)
        assert second.get("k") == 1
        assert second.stats()["unrecorded"] == 1
        other.execute("ROLLBACK")
        second.close()
    other.close()


def test_a_reader_does_not_wait_for_a_writer(home: Path, memory: MemoryLayer) -> None:
    memory.add("k", 1)
    with sqlite3.connect(home / "memory" / "memory.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM entries")
        assert memory.get("k") == 1
        other.execute("ROLLBACK")
    other.close()
