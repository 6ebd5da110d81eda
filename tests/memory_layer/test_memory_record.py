"""Every change stands with what the journal will say of it; a crash loses no line and doubles none."""

from __future__ import annotations

import gc
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os import workspace as workspace_module
from dino_os.errors import MemoryLayerError
from dino_os.memory_layer import MemoryLayer
from dino_os.workspace import Workspace
from engines.errors import JournalWriteFailed
from engines.journal import Journal, RecordedJournal
from tests.memory_layer.conftest import Started, check_sound, recorded, settle

SECRET = "canary-7f3a"
# Adds two entries, and dies when their lines are in the journal and not yet known to be.
DIES_BETWEEN = """
import os, signal, sys
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.records import Records
memory = MemoryLayer()
memory.add(sys.argv[1], 1)
memory._local().settle()
memory.add(sys.argv[2], 2)
memory.delete(sys.argv[1])
Records.moved = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
memory._local().settle()
"""
# Adds an entry, and dies before its line is on its way.
DIES_AT_ONCE = """
import os, signal
from dino_os.memory_layer import MemoryLayer
MemoryLayer().add("kept", 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def kinds(journal: Path) -> list[str]:
    return [event["event_type"] for event in recorded(journal)]


def test_each_change_is_recorded_by_hash_and_size_and_never_by_value(
    memory: MemoryLayer, journal: Path
) -> None:
    memory.add("k", {"note": SECRET})
    memory.delete("k")
    memory.delete("k")
    memory.clear()
    text = f'{{"note":"{SECRET}"}}'.encode()
    facts = {"key": "k", "sha256": hashlib.sha256(text).hexdigest(), "size_bytes": len(text)}
    added, deleted = recorded(journal)
    assert (added["event_type"], deleted["event_type"]) == ("memory_added", "memory_deleted")
    assert added.items() >= {**facts, "replaced": False}.items()
    assert deleted.items() >= facts.items()
    assert SECRET not in journal.read_text()


def test_looking_is_not_recorded(memory: MemoryLayer, journal: Path) -> None:
    memory.add("k", 1)
    memory.get("k"), memory.list(), memory.search("k"), memory.get_all()
    assert kinds(journal) == ["memory_added"]


def test_a_change_that_was_refused_is_not_recorded(memory: MemoryLayer, journal: Path) -> None:
    memory.add("k", 1)
    with pytest.raises(ValueError, match="finite"):
        memory.add("k", float("nan"))
    assert kinds(journal) == ["memory_added"]


def test_where_the_journal_fails_the_lines_wait(
    memory: MemoryLayer, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change and its line are one transaction: neither is there without the other."""
    memory.add("k", 1)
    settle()

    def full(*_: Any) -> None:
        raise JournalWriteFailed("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write_many", full)
        memory.add("k", 2)
        with pytest.raises(JournalWriteFailed):
            settle()
    assert memory.stats()["unrecorded"] == 1
    memory.delete("k")
    assert kinds(journal) == ["memory_added", "memory_added", "memory_deleted"]
    assert memory.stats()["unrecorded"] == 0


def test_a_writer_killed_between_journal_and_store_leaves_no_line_twice(
    home: Path, journal: Path, started: Started
) -> None:
    for pair in (("a", "b"), ("c", "d")):
        process = started(DIES_BETWEEN, *pair)
        process.communicate()
        assert process.returncode == -9
    memory = MemoryLayer()
    assert memory.get_all() == {"b": 2, "d": 2}
    memory.add("after", 3)
    added, deleted = "memory_added", "memory_deleted"
    assert kinds(journal) == [added, added, deleted, added, added, deleted, added]
    assert [e["key"] for e in recorded(journal)] == ["a", "b", "a", "c", "d", "c", "after"]
    check_sound(home / "memory" / "memory.db")


def test_a_writer_killed_before_its_line_moved_is_recorded_by_the_next(
    home: Path, journal: Path, started: Started
) -> None:
    started(DIES_AT_ONCE).communicate()
    assert MemoryLayer().get("kept") == 1  # which opens it
    assert [e["key"] for e in recorded(journal)] == ["kept"]


def test_many_changes_share_a_line(memory: MemoryLayer, journal: Path) -> None:
    """Each is told as if it stood alone."""
    memory.add_many({"key": f"k{number}", "value": number} for number in range(2500))
    memory.delete("k7")
    told = recorded(journal)
    assert [e["key"] for e in told] == [f"k{number}" for number in range(2500)] + ["k7"]
    assert told[42]["sha256"] == hashlib.sha256(b"42").hexdigest()
    assert told[-1]["event_type"] == "memory_deleted"
    lines = [e["event_type"] for e in RecordedJournal(journal).events()]
    assert lines == ["journal_created", *["memory_changed"] * 3]


def test_the_record_is_complete_for_whoever_reads_it(home: Path, memory: MemoryLayer) -> None:
    """An audit moves what is on its way, of processes that have not ended."""
    memory.add("k", 1)
    assert Workspace(home).journals()
    events = RecordedJournal(home / "memory" / "memory_log.jsonl").events()
    assert [e["event_type"] for e in events][1:] == ["memory_added"]


def between_processes(change: Callable[[], object]) -> None:
    """Close what this process has open, and do it as somebody without Dino would."""
    settle()
    workspace_module._shared.clear()
    gc.collect()
    change()


def test_an_older_copy_put_back_is_found_out(home: Path, journal: Path) -> None:
    """Where somebody copies files about, the record says which changes are not there any more."""
    folder = home / "memory"
    MemoryLayer().add("a", 1)
    between_processes(lambda: shutil.copy(folder / "memory.db", home / "old"))
    MemoryLayer().add("b", 2)
    MemoryLayer().delete("a")
    between_processes(lambda: shutil.copy(home / "old", folder / "memory.db"))
    assert MemoryLayer().get_all() == {"a": 1}
    MemoryLayer().add("c", 3)
    *_, found, last = recorded(journal)
    assert found["event_type"] == "changes_not_kept"
    assert (found["first_seq"], found["last_seq"], found["changes"]) == (2, 3, 2)
    assert last["key"] == "c"


def test_a_memory_that_was_deleted_is_found_out(home: Path, journal: Path) -> None:
    MemoryLayer().add("a", 1)
    between_processes((home / "memory" / "memory.db").unlink)
    assert MemoryLayer().get("a") is None
    MemoryLayer().add("a", 2)
    assert kinds(journal) == ["memory_added", "changes_not_kept", "memory_added"]


def test_a_memory_of_another_journal_is_found_out(home: Path, journal: Path) -> None:
    """The entries stay; that the record does not know where they come from is recorded."""
    MemoryLayer().add("a", 1)
    MemoryLayer().add("b", 1)
    between_processes(lambda: [file.unlink() for file in (home / "memory").glob("memory_log.*")])
    MemoryLayer().add("c", 2)
    assert MemoryLayer().list() == ["a", "b", "c"]
    first, second = recorded(journal)
    assert (first["event_type"], first["entries"]) == ("memory_of_another_journal", 3)
    assert second["key"] == "c"


def test_the_journal_may_rotate_and_be_pruned(home: Path, journal: Path) -> None:
    (home / "config.yaml").write_text("memory: {rotate_bytes: 600}\n")
    for number in range(12):
        MemoryLayer().add(f"k{number}", number)
        settle()
    assert len(list((home / "memory").glob("memory_log.0*"))) > 2
    between_processes(lambda: None)
    MemoryLayer().add("last", 1)
    assert set(kinds(journal)) == {"memory_added", "segment_started"}


def test_a_rehearsal_reads_and_changes_nothing(home: Path, journal: Path) -> None:
    MemoryLayer().add("k", 1)
    store = Workspace(home, rehearsal=True).memory_store
    assert store.get("k") == 1
    for call in (lambda: store.add("k", 2), lambda: store.delete("k"), store.clear):
        with pytest.raises(MemoryLayerError, match="rehearsal"):
            call()
    assert (store.get("k"), len(recorded(journal))) == (1, 1)


def test_the_index_of_words_can_be_rebuilt_from_the_entries(
    home: Path, memory: MemoryLayer
) -> None:
    """Rows and index are written in one transaction: they never differ."""
    for number in range(20):
        memory.add(f"k{number % 7}", f"word{number}")
    memory.delete("k3")
    check_sound(home / "memory" / "memory.db")
    with sqlite3.connect(home / "memory" / "memory.db") as db:
        assert db.execute("SELECT COUNT(*) FROM words").fetchone() == (6,)
    db.close()
