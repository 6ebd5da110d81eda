"""What is forgotten is nowhere any more, in no byte of any file; and the journal says that it was."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.conftest import Clock, Started, check_sound, recorded, settle

CANARY = "zyxcanary"
# Of the words as the index has them: a stem may have lost its end.
TRACES = [CANARY.encode(), CANARY.upper().encode(), CANARY[:7].encode()]


def traces(folder: Path) -> list[str]:
    """The files in which the canary, or what begins like it, is."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path.name for path in files if any(t in path.read_bytes() for t in TRACES)]


def filled(store: MemoryStore, clock: Clock, others: int = 300) -> None:
    """Other entries around one with the canary everywhere but in its key."""
    store.add_many({"key": f"before-{n}", "value": f"word{n} " * 20} for n in range(others))
    for number in range(5):
        clock.now += 1
        store.add(
            "secret",
            {"note": f"{CANARY} number {number}", CANARY: [f"{CANARY}{number}"] * 50},
            metadata={"of": CANARY, "site": "mole"},
            tags=[CANARY, "private"],
            vector=[1.0, number],
        )
    store.add_many({"key": f"behind-{n}", "value": f"word{n} " * 20} for n in range(others))


BY: list[tuple[str, dict[str, Any]]] = [
    ("key", {"key": "secret"}),
    ("tag", {"tag": "private"}),
    ("query", {"query": f"{CANARY} number"}),
    ("age", {"older_than_s": 500, "tag": CANARY}),
    ("namespace and key", {"namespace": "", "key": "secret"}),
]


@pytest.mark.parametrize("asked", [asked for _, asked in BY], ids=[name for name, _ in BY])
def test_what_is_forgotten_is_in_no_byte(
    store: MemoryStore, clock: Clock, folder: Path, asked: dict[str, Any]
) -> None:
    """Value, earlier versions, metadata, tags, words: grep finds none of it in any file."""
    filled(store, clock)
    assert traces(folder)
    clock.now += 1000
    store.add("other", "stays")
    assert store.forget(**asked) == 1
    assert traces(folder) == []
    assert (store.get("secret"), store.versions("secret")) == (None, [])
    assert len(store.list()) == 601
    assert [r["key"] for r in store.search("word7")] != []
    settle()
    store.close()
    assert traces(folder) == []


def test_what_was_deleted_before_is_forgotten_too(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    filled(store, clock, 20)
    store.delete("secret")
    assert len(store.versions("secret")) == 5
    assert traces(folder)
    assert store.forget(key="secret") == 1
    assert traces(folder) == []


def test_earlier_versions_of_others_are_looked_through(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    """A key that said it once, and does not any more, keeps what it says now and said else."""
    for value in ("plain", f"the {CANARY}s came", "plain again"):
        clock.now += 1
        store.add("other", value)
    assert store.forget(query=CANARY) == 1
    assert [v["value"] for v in store.versions("other")] == ["plain again", "plain"]
    assert traces(folder) == []


def test_only_what_all_that_is_asked_holds_for_is_forgotten(
    store: MemoryStore, clock: Clock
) -> None:
    store.add("a", "red", tags=["x"], namespace="one")
    store.add("b", "red", tags=["x"])
    clock.now += 100
    store.add("c", "red", tags=["x"])
    store.add("d", "blue", tags=["x"])
    assert store.forget(tag="x", query="red", older_than_s=50, namespace="") == 1
    assert (store.list(), store.list(namespace="one")) == (["c", "d"], ["a"])
    assert store.forget(query="green") == 0
    assert store.forget(namespace="one") == 1
    assert store.namespaces() == [""]


def test_the_journal_says_how_much_was_forgotten_and_one_hash(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    store.add("a", 1, tags=["t"])
    store.add("a", 2, tags=["t"])
    store.forget(tag="t")
    *_, event = recorded(folder / "log.jsonl")
    line = f"\ta\t{hashlib.sha256(b'2').hexdigest()}\n"
    assert event["event_type"] == "memory_forgotten"
    assert event.items() >= {"keys": 1, "entries": 1, "versions": 1}.items()
    assert event["sha256"] == hashlib.sha256(line.encode()).hexdigest()


def test_vectors_are_forgotten_and_their_indexes_erased(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    filled(store, clock, 5)
    vector = store._read(lambda db: db.execute("SELECT vec FROM vectors").fetchone()[0])
    store.add_many({"key": f"like-{n}", "value": n, "vector": [n, 1.0]} for n in range(600))
    (found, *_) = store.search("", vector=[1.0, 4.0], mode="meaning")
    assert found["key"] == "secret"
    assert [path for path in folder.iterdir() if not path.name.startswith(("m.db", "log."))]
    assert any(vector in path.read_bytes() for path in folder.iterdir())
    store.forget(key="secret")
    assert store.search("", vector=[1.0, 4.0], mode="meaning")[0]["key"] != "secret"
    assert not any(vector in path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize(
    "asked",
    [{}, {"key": ""}, {"key": 5}, {"namespace": 5}, {"tag": ""}, {"query": "  ?! "}, {"query": 5},
     {"older_than_s": -1}, {"older_than_s": "x"}, {"where": {}}],
    ids=repr,
)  # fmt: skip
def test_what_says_nothing_forgets_nothing(store: MemoryStore, asked: dict[str, Any]) -> None:
    store.add("k", 1)
    with pytest.raises(InvalidInput):
        store.forget(**asked)
    assert store.get("k") == 1


def test_a_query_to_forget_is_no_syntax(store: MemoryStore) -> None:
    store.add("k", 'a "quoted" needle OR not')
    store.add("other", "hay")
    assert store.forget(query="needle NOT (OR)") == 1
    assert store.list() == ["other"]


@pytest.mark.parametrize("query", ['"seal replaced"', "pump -draft", "pump*"])
def test_what_a_search_would_read_as_more_than_words_forgets_nothing(
    store: MemoryStore, query: str
) -> None:
    store.add("k", "the seal of the pump is replaced, a draft")
    with pytest.raises(InvalidInput, match="plain words"):
        store.forget(query=query)
    assert store.list() == ["k"]


@pytest.mark.parametrize("empty", [{"query": ""}, {"tag": ""}, {"key": ""}, {"where": {}}])
def test_an_empty_condition_widens_nothing(home: Path, empty: dict[str, Any]) -> None:
    memory = MemoryLayer()
    memory.add("k", "pump", namespace="calls")
    with pytest.raises(InvalidInput):
        memory.forget(namespace="calls", **empty)
    assert memory.list(namespace="calls") == ["k"]


def test_what_is_gone_already_leaves_no_bytes_when_its_key_is_forgotten(
    folder: Path, clock: Clock
) -> None:
    """Expired, or deleted where no versions are kept."""
    log = Journal(folder / "log.jsonl")
    with MemoryStore(folder / "m.db", log, clock=clock, versions=0) as store:
        store.add("brief", CANARY, ttl=10)
        store.add("gone", CANARY)
        store.delete("gone")
        clock.now += 11
        assert store.forget(key="brief") == 0
        assert traces(folder) == []


def test_an_index_whose_model_is_no_more_goes_with_what_is_forgotten(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    """As a process leaves it that dies between the two."""
    filled(store, clock, 5)
    left = folder / "m-db-123456-0123456789ab.vectors"
    left.write_bytes(CANARY.encode())
    store.forget(key="secret")
    assert not left.exists()


def test_forgetting_in_a_memory_that_is_not_there_makes_none(
    store: MemoryStore, folder: Path
) -> None:
    assert store.forget(key="k") == 0
    assert not folder.exists()


# --- in the way ----------------------------------------------------------------------------------


@pytest.fixture
def hasty(folder: Path, clock: Clock) -> Iterator[MemoryStore]:
    """A store that waits for nobody."""
    journal = Journal(folder / "log.jsonl")
    made = MemoryStore(folder / "m.db", journal, clock=clock, timeout_s=0.05)
    yield made
    made.close()


def test_while_another_reads_the_old_bytes_it_says_so_and_goes_on_later(
    hasty: MemoryStore, clock: Clock, folder: Path
) -> None:
    filled(hasty, clock, 5)
    with closing(sqlite3.connect(folder / "m.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT COUNT(*) FROM entries").fetchone()
        with pytest.raises(MemoryLayerError, match="another process still reads"):
            hasty.forget(key="secret")
        assert hasty.get("secret") is None
        assert hasty.check()["faults"] == ["file: what was forgotten still has bytes in it"]
        assert traces(folder)
    hasty.close()
    assert hasty.list()  # which opens it
    hasty.close()
    assert traces(folder) == []


DIES_BEFORE_ERASING = """
import os, signal
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
memory = MemoryLayer()
memory.add("secret", "zyxcanary " * 100)
memory.add("other", 1)
MemoryStore._erase = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
memory.forget(key="secret")
"""


def test_killed_before_it_erased_the_next_one_does(home: Path, started: Started) -> None:
    process = started(DIES_BEFORE_ERASING)
    process.communicate()
    assert process.returncode == -9
    assert traces(home / "memory")
    assert MemoryLayer().get_all() == {"other": 1}
    assert traces(home / "memory") == []
    check_sound(home / "memory" / "memory.db")


def test_what_is_deleted_or_expires_is_not_erased_but_what_is_forgotten_is(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    """Deleted is still known as what it was."""
    calls: list[Callable[[], Any]] = [lambda: store.delete("k"), store.clear]
    for call in calls:
        store.add("k", "v")
        call()
        assert store.versions("k")[0]["value"] == "v"
    assert store.forget(key="k") == 1
    assert store.versions("k") == []
