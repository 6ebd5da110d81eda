"""A check finds what is wrong, mends what can be made anew, and no damage is ever believed."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dino_os.errors import DinoError, MemoryLayerError
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.conftest import Clock, check_sound


def filled(store: MemoryStore) -> None:
    items = [
        {"key": f"k{n}", "value": f"word{n}", "tags": ["t", f"t{n}"], "vector": [1.0, n]}
        for n in range(30)
    ]
    store.add_many(items)
    store.add("k1", "again", vector=[1, 1])


def change(store: MemoryStore, *statements: str) -> None:
    store.close()
    with closing(sqlite3.connect(store.path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def test_a_sound_memory_has_no_faults(store: MemoryStore) -> None:
    assert store.check() == {
        "ok": True, "faults": [], "repaired": [],
        "entries": 0, "versions": 0, "words": 0, "vectors": 0,
    }  # fmt: skip
    filled(store)
    assert store.check() == {
        "ok": True, "faults": [], "repaired": [],
        "entries": 30, "versions": 1, "words": 30, "vectors": 30,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM words WHERE rowid = 3", "words: 1 entries are not found by their words"),
        ("UPDATE words SET body = 'other' WHERE rowid = 3", "words: 1 entries are not found"),
        ("INSERT INTO words (rowid, key, body) VALUES (99, 'x', 'y')", "words: 1 of no entry"),
        ("DELETE FROM words_data WHERE id > 10", "words: "),
        ("INSERT INTO tags VALUES ('t', 99)", "1 tags of no entry"),
        ("INSERT INTO vectors (model, id, vec) VALUES (1, 99, x'0000803f00000000')", "1 vectors of no entry"),
        ("INSERT INTO vectors (model, id, vec) VALUES (7, 3, x'0000803f00000000')", "1 vectors of no model"),
        ("UPDATE vectors SET vec = x'00' WHERE id = 3", "vectors: 1 are none of their model's"),
        ("UPDATE vectors SET vec = x'0000404000000000' WHERE id = 3", "vectors: 1 are none"),
        ("UPDATE vectors SET vec = x'0000c07f00000000' WHERE id = 3", "vectors: 1 are none"),
        ("INSERT INTO waiting VALUES (1, 99)", "places in the queue for vectors of no entry"),
        ("INSERT INTO models VALUES (5, 'new', 3, 'f', 'building')", "30 entries without a vector"),
    ],
)  # fmt: skip
def test_an_index_that_differs_is_found_and_made_anew(
    store: MemoryStore, statement: str, what: str
) -> None:
    filled(store)
    change(store, statement)
    found = store.check()
    assert found["ok"] is False
    assert any(what in fault for fault in found["faults"]), found["faults"]
    mended = store.check(repair=True)
    assert (mended["ok"], mended["faults"]) == (True, [])
    assert any(what in one for one in mended["repaired"])
    assert [r["key"] for r in store.search("word3")] == ["k3"]
    check_sound(store.path)


def test_a_value_that_is_none_any_more_is_found_and_never_handed_out(
    folder: Path, clock: Clock
) -> None:
    """Nobody can make it anew: the check says so, and so does whoever reads it."""
    store = MemoryStore(folder / "m.db", Journal(folder / "log.jsonl"), clock=clock)
    filled(store)
    change(store, "UPDATE entries SET value = '{' WHERE key = 'k3'")
    found = store.check()
    assert "entries: the value of 'k3' is not JSON" in found["faults"]
    for call in (lambda: store.get("k3"), store.get_all, lambda: [*store.lines()]):
        with pytest.raises(MemoryLayerError, match="not JSON any more"):
            call()
    store.add("k3", "anew")
    assert store.get("k3") == "anew"
    store.close()


def page_kinds(file: Path) -> dict[str, list[int]]:
    """Which pages hold what, by the tables and indexes that they belong to."""
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0")
        return {name: [page] for name, page in rows} | {"header": [1]}


def refusals(store: MemoryStore) -> int:
    """How many of all kinds of calls are refused; none ends otherwise than in an answer."""
    refused = 0
    for call in (
        lambda: store.get("k3"),
        lambda: store.list(prefix="k"),
        lambda: store.search("word7"),
        lambda: store.versions("k1"),
        lambda: store.add("new", "text", tags=["t"]),
        lambda: store.delete("k5"),
        store.check,
    ):
        try:
            call()
        except DinoError:
            refused += 1
    return refused


def test_flipped_bytes_in_any_page_are_an_error_or_do_no_harm(tmp_path: Path, clock: Clock) -> None:
    """
    A hundred files with a few bytes changed, in the root page of each table and index in turn.

    What is asked of them is answered or refused as damaged, and never a crash.
    """
    whole = tmp_path / "whole.db"
    with MemoryStore(whole, Journal(tmp_path / "log.jsonl"), clock=clock) as store:
        filled(store)
    chance, refused = random.Random(11), 0
    kinds = page_kinds(whole)
    assert {"entries", "words_data", "vectors", "tags", "versions", "header"} <= kinds.keys()
    for number in range(100):
        (page,) = kinds[[*kinds][number % len(kinds)]]
        file = tmp_path / f"{number}" / "m.db"
        file.parent.mkdir()
        shutil.copy(whole, file)
        with file.open("r+b") as there:
            for _ in range(chance.choice([1, 8, 64])):
                there.seek((page - 1) * 4096 + chance.randrange(4096))
                there.write(bytes([chance.randrange(256)]))
        damaged = MemoryStore(file, Journal(file.with_name("log.jsonl")), clock=clock)
        refused += refusals(damaged)
        damaged.close()
        shutil.rmtree(file.parent)
    assert refused > 25


def test_a_file_cut_short_is_refused(
    store: MemoryStore, folder: Path, tmp_path: Path, clock: Clock
) -> None:
    filled(store)
    store.close()
    copy = tmp_path / "cut.db"
    shutil.copy(store.path, copy)
    with copy.open("r+b") as there:
        there.truncate(3 * 4096)
    cut = MemoryStore(copy, Journal(tmp_path / "log.jsonl"), clock=clock)
    with pytest.raises(MemoryLayerError):
        cut.get_all()
    assert cut.check()["ok"] is False
    cut.close()


def test_a_full_disk_is_an_error_and_leaves_what_was_there(store: MemoryStore) -> None:
    """SQLite says so at a limit on pages as it does at the disk's."""
    filled(store)
    db = store._opened()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages + 2}")
    before = store.get_all()
    for call in (
        lambda: store.add("large", "x" * 100_000),
        lambda: store.add_many({"key": f"n{n}", "value": "y" * 1000} for n in range(99)),
    ):
        with pytest.raises(MemoryLayerError, match="full") as error:
            call()
        assert error.value.hint == "make room, then try again"
    assert store.get_all() == before
    db.execute("PRAGMA max_page_count=1073741823")
    store.add("large", "x" * 100_000)


def test_the_face_checks_and_counts(home: Path) -> None:
    memory = MemoryLayer()
    assert (memory.check()["ok"], memory.stats()["entries"]) == (True, 0)
    assert not (home / "memory").exists()
    memory.add("k", 1, tags=["a", "b"], namespace="n", ttl=100)
    memory.add("k", 2, tags=["a"], namespace="n")
    found = memory.stats()
    counts = {"entries": 1, "namespaces": 1, "versions": 1, "tags": 1, "expiring": 0, "format": 2}
    assert found.items() >= counts.items()
    assert found["bytes"] > 0


def test_a_rehearsal_counts_what_there_is(store: MemoryStore, folder: Path, clock: Clock) -> None:
    store.add("k", 1, vector=[1.0, 0.0])
    store.close()
    log = Journal(folder / "log.jsonl")
    with MemoryStore(store.path, log, clock=clock, read_only=True) as rehearsal:
        assert rehearsal.stats().items() >= {"entries": 1, "versions": 0}.items()
        assert rehearsal.count() == 1
