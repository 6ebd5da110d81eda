"""Namespaces, metadata, tags, what expires, and what a key was at any time."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import InvalidInput, NotFound
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.conftest import Clock, recorded


def test_namespaces_have_keys_of_their_own(store: MemoryStore) -> None:
    store.add("k", "default")
    store.add("k", "mine", namespace="mine")
    store.add("only", 1, namespace="mine")
    assert (store.get("k"), store.get("k", namespace="mine")) == ("default", "mine")
    assert (store.list(), store.list(namespace="mine")) == (["k"], ["k", "only"])
    assert store.namespaces() == ["", "mine"]
    assert store.get_all(namespace="mine") == {"k": "mine", "only": 1}
    assert store.delete("k", namespace="mine")
    assert store.get("k") == "default"
    assert store.clear(namespace="mine") == 1
    assert (store.namespaces(), store.clear()) == ([""], 1)


def test_keys_are_listed_by_beginning_and_by_tags(store: MemoryStore) -> None:
    for key, tags in {"a/1": ["x"], "a/2": ["x", "y"], "a/é": [], "b": ["y", "x"]}.items():
        store.add(key, 1, tags=tags)
    assert store.list(prefix="a/") == ["a/1", "a/2", "a/é"]
    assert store.list(tags=["x", "y"]) == ["a/2", "b"]
    assert store.list(prefix="a", tags=["y"]) == ["a/2"]
    assert store.list(limit=2) == ["a/1", "a/2"]
    assert store.list(limit=0) == []
    assert store.list(prefix="c") == []


@pytest.mark.parametrize(
    "prefix", ["\ud7ff", "\U0010ffff", "a\U0010ffff", "%", "_", "\0"], ids=ascii
)
def test_a_beginning_is_no_pattern(store: MemoryStore, prefix: str) -> None:
    for key in (prefix, f"{prefix}x", f"{prefix}\U0010ffff", "other", "a"):
        store.add(key, 1)
    expected = {key for key in store.list() if key.startswith(prefix)}
    assert set(store.list(prefix=prefix)) == expected
    assert len(expected) == 3


def test_tags_are_added_and_taken_away(store: MemoryStore, folder: Path) -> None:
    store.add("k", 1, tags=["b", "a", "b"])
    assert store.tag("k") == ["a", "b"]
    assert store.tag("k", ["c"], ["a", "unknown"]) == ["b", "c"]
    assert store.list(tags=["c"]) == ["k"]
    store.add("k", 2)
    assert store.tag("k") == []
    with pytest.raises(NotFound, match="nothing is remembered as 'x'"):
        store.tag("x", ["c"])
    kinds = [e["event_type"] for e in recorded(folder / "log.jsonl")]
    assert kinds == ["memory_added", "memory_tagged", "memory_added"]


def test_metadata_is_kept_with_its_version(store: MemoryStore) -> None:
    store.add("k", 1, metadata={"site": "mole", "bar": 3.2}, tags=["t"], importance=0.5)
    store.add("k", 2)
    now, before = store.versions("k")
    assert (now["version"], now["value"], now["metadata"], now["until"]) == (2, 2, {}, None)
    assert before["metadata"] == {"site": "mole", "bar": 3.2}
    assert (before["tags"], before["importance"], before["fate"]) == (["t"], 0.5, "replaced")


# --- what expires --------------------------------------------------------------------------------


def test_what_has_expired_is_invisible_at_once(store: MemoryStore, clock: Clock) -> None:
    """To everything that looks; nobody has to sweep first."""
    store.add("k", "short", ttl=10, tags=["t"])
    store.add("stays", "long")
    assert store.get("k") == "short"
    clock.now += 10
    assert store.get("k") is None
    assert (store.list(), store.get_all(), store.namespaces()) == (
        ["stays"],
        {"stays": "long"},
        [""],
    )
    assert (store.search("short"), store.versions("k"), store.list(tags=["t"])) == ([], [], [])
    assert (store.delete("k"), store.stats()["entries"]) == (False, 1)


def test_what_has_expired_is_swept_by_the_next_change(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    for number in range(20):
        store.add(f"k{number}", number, ttl=5)
    clock.now += 5
    store.add("other", 1)
    with store._reading() as db:
        assert db.execute("SELECT COUNT(*) FROM entries").fetchone() == (1,)
    kinds = [e["event_type"] for e in recorded(folder / "log.jsonl")]
    assert kinds == ["memory_added"] * 20 + ["memory_expired"] * 20 + ["memory_added"]


def test_a_sweep_takes_all_that_is_over(store: MemoryStore, clock: Clock) -> None:
    store.add_many({"key": str(number), "value": 1, "ttl": 1} for number in range(2100))
    assert store.sweep() == 0
    clock.now += 1
    assert store.sweep() == 2100
    assert store.stats()["expiring"] == 0


def test_an_expired_key_begins_anew(store: MemoryStore, clock: Clock, folder: Path) -> None:
    store.add("k", 1, ttl=5)
    clock.now += 6
    store.add("k", 2)
    (only,) = store.versions("k")
    assert (only["value"], only["fate"]) == (2, None)
    events = recorded(folder / "log.jsonl")
    assert [e["event_type"] for e in events] == ["memory_added", "memory_expired", "memory_added"]
    assert events[-1]["replaced"] is False


def test_what_expired_is_not_found_in_the_past_either(store: MemoryStore, clock: Clock) -> None:
    store.add("k", "before")
    clock.now += 10
    store.add("k", "short", ttl=10)
    clock.now += 5
    assert store.get("k", clock.now) == "short"
    store.add("k", "after")
    clock.now += 100
    begin = clock.now - 115
    assert [store.get("k", begin + at) for at in (0, 10, 14, 15)] == ["before", None, None, "after"]


# --- time travel ---------------------------------------------------------------------------------


def test_a_key_is_read_as_it_was(store: MemoryStore, clock: Clock) -> None:
    then = clock.now
    store.add("k", "one")
    clock.now += 10
    store.add("k", "two")
    clock.now += 10
    store.delete("k")
    clock.now += 10
    store.add("k", "three")
    ats = [-1, 0, 9.5, 10, 19, 20, 29, 30, 99]
    expected = [None, "one", "one", "two", "two", None, None, "three", "three"]
    assert [store.get("k", then + at) for at in ats] == expected
    moment = datetime.fromtimestamp(then + 11, UTC)
    east = moment.astimezone(timezone(timedelta(hours=9)))
    assert store.get("k", moment) == store.get("k", east.isoformat()) == "two"
    assert store.get("k", moment.replace(tzinfo=None).isoformat()) == "two"
    assert [v["fate"] for v in store.versions("k")] == [None, "deleted", "replaced"]
    assert [v["version"] for v in store.versions("k")] == [3, 2, 1]


def test_the_face_takes_times_of_every_kind(home: Path) -> None:
    memory = MemoryLayer()
    memory.add("k", "one")
    between = datetime.now(UTC)
    memory.add("k", "two")
    for at in (between, between.timestamp(), between.isoformat()):
        assert memory.get("k", at) in {"one", "two"}
    assert memory.get("k", between - timedelta(days=1)) is None
    assert memory.get("k", "2999-01-01") == "two"
    assert [v["value"] for v in memory.versions("k")] == ["two", "one"]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 5)), min_size=1, max_size=25)
)
def test_the_past_is_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int | None]]
) -> None:
    """At each moment the value that a plain list of what was done has for it."""
    folder, clock = tmp_path_factory.mktemp("past"), Clock()
    history: list[tuple[float, int | None]] = []
    with MemoryStore(
        folder / "m.db", Journal(folder / "l.jsonl"), clock=clock, versions=99
    ) as store:
        for wait, value in steps:
            clock.now += wait
            if value is None:
                store.delete("k")
            else:
                store.add("k", value)
            history.append((clock.now, value))
        for at in {at + off for at, _ in history for off in (-0.5, 0, 0.5)}:
            known = [value for when, value in history if when <= at]
            assert store.get("k", at) == (known[-1] if known else None)


def test_so_many_versions_are_kept(folder: Path, clock: Clock) -> None:
    for kept in (0, 3):
        store = MemoryStore(
            folder / f"{kept}.db", Journal(folder / f"{kept}.jsonl"), clock=clock, versions=kept
        )
        for number in range(10):
            clock.now += 1
            store.add("k", number)
        assert [v["value"] for v in store.versions("k")] == [9, 8, 7, 6][: kept + 1]
        store.clear()
        assert len(store.versions("k")) == kept
        store.close()


# --- batches -------------------------------------------------------------------------------------


def test_a_batch_is_all_or_nothing(store: MemoryStore, folder: Path) -> None:
    items: list[Any] = [{"key": f"k{n}", "value": n, "tags": ["t"]} for n in range(50)]
    told: list[int] = []
    assert store.add_many(items, progress=told.append) == 50
    assert (len(store.list(tags=["t"])), sum(told)) == (50, 50)
    for wrong, what in (
        ({"key": "", "value": 1}, "item 1: a key must be text"),
        ({"key": "k"}, "item 1: expected a mapping with key and value"),
        (
            {"key": "k", "value": 1, "tag": "x"},
            r"item 1: unknown name 'tag' \(did you mean 'tags'\?\)",
        ),
        ([], "item 1: expected a mapping"),
    ):
        with pytest.raises(InvalidInput, match=what):
            store.add_many([{"key": "new", "value": 1}, wrong])
    assert store.get("new") is None
    assert store.add_many([]) == 0
    assert len(recorded(folder / "log.jsonl")) == 50


def test_a_batch_that_fails_midway_leaves_nothing(store: MemoryStore) -> None:
    """Vectors of two kinds: found out when the first is already written."""
    items = [{"key": "a", "value": 1, "vector": [1, 2]}, {"key": "b", "value": 2, "vector": [1]}]
    with pytest.raises(InvalidInput, match="a vector of 1 numbers; those of 'given'"):
        store.add_many(items)
    assert (store.list(), store.stats()["versions"]) == ([], 0)


def test_of_one_key_twice_in_a_batch_the_later_stays(store: MemoryStore) -> None:
    store.add_many([{"key": "k", "value": 1}, {"key": "k", "value": 2}])
    assert (store.get("k"), len(store.versions("k"))) == (2, 2)


def test_what_is_not_to_be_kept_is_taken_out_first(folder: Path, clock: Clock) -> None:
    """Of values and metadata, however they come in; nothing of it reaches a file."""

    def clean(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("hunter2", "<secret>"))

    journal = Journal(folder / "log.jsonl")
    with MemoryStore(folder / "m.db", journal, clock=clock, clean=clean) as store:
        store.add("a", {"password": "hunter2"}, metadata={"of": "hunter2"})
        store.add_many([{"key": "b", "value": "hunter2", "metadata": {"x": "hunter2"}}])
        (folder / "in.jsonl").write_text('{"key":"c","value":["hunter2"],"metadata":{}}')
        store.import_(str(folder / "in.jsonl"))
        (folder / "in.jsonl").unlink()
        assert store.get_all() == {
            "a": {"password": "<secret>"},
            "b": "<secret>",
            "c": ["<secret>"],
        }
        assert not any(b"hunter2" in file.read_bytes() for file in folder.iterdir())


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"namespace": 5}, "namespace"),
        ({"namespace": "\ud800"}, "surrogate"),
        ({"namespace": "x" * 1025}, "larger than"),
        ({"metadata": [1]}, "must be a mapping"),
        ({"metadata": {"a": {2}}}, "not a JSON value"),
        ({"metadata": {"a": "x" * 2**20}}, "larger than"),
        ({"tags": "text"}, "tags must be a list"),
        ({"tags": [""]}, "not blank"),
        ({"tags": [5]}, "not blank"),
        ({"tags": ["\udfff"]}, "surrogate"),
        ({"tags": ["x" * 257]}, "larger than 256"),
        ({"tags": [*map(str, range(1001))]}, "at most 1,000 tags"),
        ({"ttl": 0}, "above 0"),
        ({"ttl": -1}, "above 0"),
        ({"ttl": float("inf")}, "finite"),
        ({"ttl": True}, "number"),
        ({"ttl": "5"}, "number"),
        ({"ttl": 1e300}, "above 0"),
        ({"importance": 1.5}, "between 0 and 1"),
        ({"importance": float("nan")}, "finite"),
        ({"vector": []}, "1 to 65,536 numbers"),
        ({"vector": "abc"}, "list of numbers"),
        ({"vector": ["1"]}, "list of numbers"),
        ({"vector": [[1], [2]]}, "numbers"),
        ({"vector": [[1], [2, 3]]}, "list of numbers"),
        ({"vector": [float("nan")]}, "finite"),
        ({"vector": [10**400]}, "list of numbers"),
        ({"vector": {"a": 1}}, "list of numbers"),
    ],
    ids=lambda value: str(value)[:30].encode(errors="replace").decode(),
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(
    store: MemoryStore, more: dict[str, Any], what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        store.add("k", 1, **more)
    assert store.list() == []


@pytest.mark.parametrize(
    "at", ["soon", "", True, [], "2026-13-01", float("nan"), 10**400], ids=repr
)
def test_what_is_no_time_is_refused(store: MemoryStore, at: Any) -> None:
    store.add("k", 1)
    with pytest.raises(InvalidInput):
        store.get("k", at)
    assert store.get("k") == 1


@pytest.mark.parametrize("limit", [-1, 1.5, "5", True], ids=repr)
def test_what_is_no_limit_is_refused(store: MemoryStore, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        store.list(limit=limit)


def test_a_large_value_is_kept_and_found(store: MemoryStore) -> None:
    """Fifty megabytes, and a word at its very end."""
    words = " ".join(itertools.repeat("x" * 1000, 52_000))
    value = {"text": f"{words} needle"}
    store.add("k", value)
    assert store.get("k") == value
    assert [r["key"] for r in store.search("needle")] == ["k"]
