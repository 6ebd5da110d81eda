"""A memory that the first format wrote is taken along whole, in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer import MemoryLayer, schema
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.conftest import check_sound, recorded

# As that program wrote it.
FIRST_FORMAT = """
CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
 value TEXT NOT NULL, embed INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL);
CREATE VIRTUAL TABLE words USING fts5(key, body, tokenize='unicode61 remove_diacritics 2');
INSERT INTO words (words, rank) VALUES ('rank', 'bm25(2.0, 1.0)');
CREATE TABLE recorded (seq INTEGER, hash TEXT, offset INTEGER);
INSERT INTO recorded VALUES (0, NULL, 0);
INSERT INTO entries VALUES (3, 'trade_BTC', '{"outcome":"winning"}', 1, 1700000000.25, 1700000001.5);
INSERT INTO words (rowid, key, body) VALUES (3, 'trade_BTC', 'outcome\nwinning');
INSERT INTO entries VALUES (9, 'é', '[1,null]', 0, 1700000002.0, 1700000002.0);
INSERT INTO words (rowid, key, body) VALUES (9, 'é', '1');
PRAGMA application_id=1145654863;
PRAGMA user_version=1;
"""


@pytest.fixture
def old(home: Path) -> Path:
    file = home / "memory" / "memory.db"
    file.parent.mkdir()
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(FIRST_FORMAT)
    return file


def test_a_damaged_value_is_taken_along_and_told(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.execute("UPDATE entries SET value = '{broken' WHERE id = 3")
        db.commit()
    memory = MemoryLayer()
    assert memory.get("é") == [1, None]
    assert not memory.check()["ok"]


def test_the_first_format_is_taken_along(old: Path, journal: Path) -> None:
    memory = MemoryLayer()
    assert memory.get_all() == {"trade_BTC": {"outcome": "winning"}, "é": [1, None]}
    (found,) = memory.search("winning")
    assert found.created.timestamp() == 1700000000.25
    (version,) = memory.versions("trade_BTC")
    assert (version["version"], version["from"]) == (1, "2023-11-14T22:13:21.500000Z")
    memory.add("trade_BTC", 2)
    assert memory.get("trade_BTC", 1700000002) == {"outcome": "winning"}
    assert [e["replaced"] for e in recorded(journal)] == [True]
    check_sound(old)
    assert memory.check() == {
        "ok": True,
        "faults": [],
        "repaired": [],
        "entries": 2,
        "versions": 1,
        "words": 2,
        "vectors": 0,
    }


def test_words_are_found_by_their_stem_from_then_on(old: Path) -> None:
    """Which the first format's index did not know."""
    assert [r.key for r in MemoryLayer().search("wins")] == ["trade_BTC"]


def test_a_migration_that_fails_leaves_the_old_file(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(schema, "fill_words", full)
        with pytest.raises(MemoryLayerError, match="full"):
            MemoryLayer().get("é")
    with contextlib.closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT COUNT(*) FROM entries").fetchone() == (2,)
    assert MemoryLayer().get("é") == [1, None]


def test_a_backup_of_the_first_format_is_restored(
    home: Path, tmp_path: Path, store: MemoryStore
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "old.db")) as db:
        db.executescript(FIRST_FORMAT)
    store.add("other", 1)
    assert store.restore(str(tmp_path / "old.db")) == 2
    assert store.get_all() == {"trade_BTC": {"outcome": "winning"}, "é": [1, None]}


def test_a_change_that_the_first_format_recorded_and_did_not_keep_is_found_out(
    old: Path, journal: Path
) -> None:
    """It wrote the event first: a crash left one whose change is in no file."""
    Journal(journal).append("memory_added", {"key": "lost", "sha256": "0", "size_bytes": 1})
    MemoryLayer().add("k", 1)
    kinds = [e["event_type"] for e in recorded(journal)]
    assert kinds == ["memory_added", "changes_not_kept", "memory_added"]


def test_the_schema_of_a_migrated_file_is_that_of_a_new_one(old: Path, tmp_path: Path) -> None:
    def tables(file: Path) -> set[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(file)) as db:
            rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
            return {(name, " ".join(sql.split())) for name, sql in rows}

    MemoryLayer().list()
    with MemoryStore(tmp_path / "new.db", Journal(tmp_path / "l.jsonl")) as new:
        new.list()
        new.add("k", 1)
        assert tables(old) == tables(tmp_path / "new.db")
