"""A backup is one whole file; a restore takes all of a sound one, or nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer import MemoryLayer
from tests.memory_layer.conftest import check_sound, recorded

ENTRIES = {"a": {"outcome": "win"}, "b\0": [1, None], "é": "text"}


@pytest.fixture
def full(memory: MemoryLayer) -> MemoryLayer:
    for key, value in ENTRIES.items():
        memory.add(key, value)
    return memory


@pytest.fixture
def backup(full: MemoryLayer, home: Path) -> Path:
    full.backup(home / "backup.db")
    return home / "backup.db"


def test_what_was_backed_up_comes_back(full: MemoryLayer, backup: Path, home: Path) -> None:
    full.clear()
    full.add("later", 1)
    assert full.restore(str(backup)) == 3
    assert full.get_all() == ENTRIES
    assert [r.key for r in full.search("win")] == ["a"]
    assert full.search("later") == []
    check_sound(home / "memory" / "memory.db")


def test_a_restore_keeps_when_keys_were_created(full: MemoryLayer, backup: Path) -> None:
    (before,) = full.search("win")
    full.clear()
    full.restore(backup)
    assert full.search("win") == [before]


def test_a_backup_is_one_file_that_others_can_use(backup: Path, home: Path) -> None:
    assert sorted(p.name for p in home.iterdir() if "backup" in p.name) == ["backup.db"]
    assert MemoryLayer(backup).get_all() == ENTRIES


def test_a_restore_is_recorded_with_the_hash_of_all_entries(
    full: MemoryLayer, backup: Path, journal: Path
) -> None:
    full.restore(backup)
    *_, event = recorded(journal)
    lines = "".join(
        f"{json.dumps(key)}\t{hashlib.sha256(compact(value)).hexdigest()}\n"
        for key, value in sorted(ENTRIES.items())
    )
    assert (event["event_type"], event["entries"]) == ("memory_restored", 3)
    assert event["sha256"] == hashlib.sha256(lines.encode()).hexdigest()


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_backup_replaces_an_older_one_and_nothing_else(full: MemoryLayer, backup: Path) -> None:
    full.add("more", 1)
    full.backup(backup)
    assert MemoryLayer(backup).get("more") == 1
    for content in (b"a diary", b""):
        other = backup.with_name("diary")
        other.write_bytes(content)
        with pytest.raises(InvalidInput, match="something else"):
            full.backup(other)
        assert other.read_bytes() == content


def test_a_memory_in_use_is_not_taken_for_an_old_backup(full: MemoryLayer, home: Path) -> None:
    other = MemoryLayer(home / "other.db")
    other.add("k", 1)
    with pytest.raises(InvalidInput, match="something else"):
        full.backup(home / "other.db")
    assert other.get("k") == 1


@pytest.mark.parametrize(
    "name", ["memory/memory.db", "memory/memory.db-wal", "skills/../memory/memory.db"]
)
def test_the_memory_is_not_its_own_backup(full: MemoryLayer, home: Path, name: str) -> None:
    for call in (full.backup, full.restore):
        with pytest.raises(InvalidInput, match="the memory itself"):
            call(home / name)
    assert full.get_all() == ENTRIES


@pytest.mark.parametrize("path", ["", "a\0b", "no/such/folder/b.db", "skills"])
def test_no_place_for_a_backup_is_an_error(full: MemoryLayer, path: str, home: Path) -> None:
    with pytest.raises(InvalidInput):
        full.backup(str(home / path) if path else path)


def test_an_empty_memory_has_an_empty_backup(memory: MemoryLayer, home: Path) -> None:
    memory.backup(home / "b.db")
    memory.add("k", 1)
    assert memory.restore(home / "b.db") == 0
    assert memory.list() == []


def cut(file: Path) -> None:
    with file.open("r+b") as there:
        there.truncate(file.stat().st_size // 2)


def flip(file: Path) -> None:
    """Zeroes over the pages behind the first."""
    with file.open("r+b") as there:
        there.seek(4096)
        there.write(bytes(4096))


def sql(*statements: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        with closing(sqlite3.connect(file)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(cut, id="cut"),
        pytest.param(flip, id="zeroed page"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_text("a text, no database " * 99), id="text"),
        pytest.param(
            sql("PRAGMA user_version=0", "PRAGMA application_id=7"), id="of another program"
        ),
        pytest.param(sql("UPDATE entries SET value = 'not JSON'"), id="no JSON"),
        pytest.param(sql("UPDATE entries SET value = x'00'"), id="bytes"),
        pytest.param(sql("UPDATE entries SET value = 'NaN'"), id="NaN"),
        pytest.param(sql("UPDATE entries SET key = '' WHERE key = 'a'"), id="empty key"),
        pytest.param(sql("UPDATE entries SET created = 'soon'"), id="no time"),
        pytest.param(sql("UPDATE entries SET created = 9e999"), id="infinite time"),
        pytest.param(sql(f"UPDATE entries SET value = '{'[' * 5000}{']' * 5000}'"), id="deep"),
        pytest.param(sql("DROP TABLE entries"), id="no entries"),
        pytest.param(
            sql("DROP TABLE entries", "CREATE VIEW entries AS SELECT load_extension('x') AS key"),
            id="a view with a trap",
        ),
    ],
)
def test_a_backup_that_is_not_sound_changes_nothing(
    full: MemoryLayer, backup: Path, journal: Path, home: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(backup)
    with pytest.raises((MemoryLayerError, InvalidInput)):
        full.restore(backup)
    assert full.get_all() == ENTRIES
    assert "memory_restored" not in {event["event_type"] for event in recorded(journal)}
    full.add("still", "works")
    check_sound(home / "memory" / "memory.db")


def test_a_backup_that_is_not_there_is_an_error(full: MemoryLayer, home: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.db: no such file"):
        full.restore(home / "none.db")
