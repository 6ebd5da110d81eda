"""Lines of JSON: what goes out comes back the same, and what is wrong is named by its line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.conftest import Clock, recorded
from tests.memory_layer.test_memory_laws import KEYS, VALUES


def another(folder: Path, clock: Clock, name: str = "other") -> MemoryStore:
    return MemoryStore(folder / f"{name}.db", Journal(folder / f"{name}.jsonl"), clock=clock)


def contents(store: MemoryStore) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.lines(versions=True)]


def filled(store: MemoryStore, clock: Clock) -> None:
    store.add(
        "k", {"n": 1, "é": [None, 1.5]}, tags=["b", "a"], metadata={"m": [1]}, importance=0.25
    )
    clock.now += 1.25
    store.add("k", 2, False, ttl=1000)
    store.add("k", "mine", namespace="mine \0", vector=[3, 4])
    clock.now += 1
    store.add("gone", 1)
    store.delete("gone")


def test_what_went_out_comes_back_the_same(store: MemoryStore, clock: Clock, folder: Path) -> None:
    """Values, metadata, tags, times, expiry, importance, vectors and earlier versions."""
    filled(store, clock)
    file = folder / "out.jsonl"
    assert store.export(str(file), versions=True) == 4
    other = another(folder, clock)
    assert other.import_(str(file)) == 4
    assert contents(other) == contents(store)
    assert other.get("k", clock.now - 2) == {"n": 1, "é": [None, 1.5]}
    assert [v["fate"] for v in other.versions("gone")] == ["deleted"]
    assert other.check()["ok"]
    other.close()


def test_current_entries_alone_are_what_is_exported_unless_told(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    filled(store, clock)
    assert [json.loads(line)["key"] for line in store.lines()] == ["k", "k"]
    assert [json.loads(line)["namespace"] for line in store.lines(namespace="mine \0")] == [
        "mine \0"
    ]
    clock.now += 2000
    assert store.export(str(folder / "o.jsonl"), versions=True) == 3


@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_whatever_is_kept_goes_out_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("rt")
    with another(folder, Clock(), "a") as one, another(folder, Clock(), "b") as two:
        one.add_many([{"key": key, "value": value} for key, value in entries.items()])
        assert one.export(str(folder / "x.jsonl")) == len(entries)
        assert two.import_(str(folder / "x.jsonl")) == len(entries)
        assert two.get_all() == one.get_all() == entries


def test_import_replaces_what_is_there_and_keeps_it_as_a_version(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    filled(store, clock)
    store.export(str(folder / "out.jsonl"), versions=True)
    for _ in "ab":
        clock.now += 10
        store.add("k", "meanwhile")
        store.import_(str(folder / "out.jsonl"))
    assert store.get("k") == 2
    assert "meanwhile" in [v["value"] for v in store.versions("k")]
    numbers = [v["version"] for v in store.versions("k")]
    assert numbers == sorted(set(numbers), reverse=True)


def test_what_was_then_is_told_behind_an_import_that_says_it_is_older(
    store: MemoryStore, clock: Clock, folder: Path
) -> None:
    begun = clock.now
    store.add("k", "old")
    store.export(str(folder / "x.jsonl"))
    clock.now += 100
    store.add("k", "mid")
    clock.now += 100
    store.import_(str(folder / "x.jsonl"))
    assert (store.get("k", begun + 150), store.get("k")) == ("mid", "old")


@pytest.mark.parametrize("name", ["created", "updated", "expires"])
def test_a_time_that_nothing_could_show_is_refused(
    store: MemoryStore, folder: Path, name: str
) -> None:
    line = {"key": "k", "value": 1, name: 1e300}
    (folder / "x.jsonl").parent.mkdir(exist_ok=True)
    (folder / "x.jsonl").write_text(json.dumps(line))
    with pytest.raises(InvalidInput, match="line 1"):
        store.import_(str(folder / "x.jsonl"))
    assert store.search("k") == []


def test_each_imported_entry_is_recorded(store: MemoryStore, folder: Path) -> None:
    lines = [json.dumps({"key": f"k{n}", "value": n}) for n in range(30)]
    (folder / "in.jsonl").parent.mkdir(parents=True, exist_ok=True)
    (folder / "in.jsonl").write_text("\n".join(lines))
    assert store.import_(str(folder / "in.jsonl")) == 30
    assert [e["key"] for e in recorded(folder / "log.jsonl")] == [f"k{n}" for n in range(30)]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "line 3: not JSON"),
        ("[]", "line 3: expected an object with key and value"),
        ('{"key":"k"}', "line 3: expected an object"),
        ('{"key":"","value":1}', "line 3: a key must be text"),
        ('{"key":"k","value":NaN}', "line 3: not JSON"),
        ('{"key":"k","value":1e999}', "line 3: .*not a finite number"),
        ('{"key":"k","value":"\\ud800"}', "line 3: .*surrogate"),
        ('{"key":"k","value":1,"tag":[]}', "line 3: unknown name 'tag'"),
        ('{"key":"k","value":1,"tags":"x"}', "line 3: tags must be a list"),
        ('{"key":"k","value":1,"created":"soon"}', "line 3: not a time"),
        ('{"key":"k","value":1,"created":1e400}', "line 3: .*finite"),
        ('{"key":"k","value":1,"ended":1,"fate":"x"}', "line 3: fate must be"),
        ('{"key":"k","value":1,"self":1}', "line 3: unknown name"),
        ("[" * 100_000, "line 3: not JSON"),
        ('{"key":"k","value":' + "9" * 5000 + "}", "line 3: not JSON"),
    ],
    ids=lambda text: text[:30],
)
def test_a_line_that_is_none_is_named_and_its_thousands_are_not_taken(
    store: MemoryStore, folder: Path, line: str, what: str
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.jsonl").write_text(f'{{"key":"a","value":1}}\n\n{line}\n', "utf-8")
    with pytest.raises(InvalidInput, match=f"in.jsonl: {what}.*nothing was kept"):
        store.import_(str(folder / "in.jsonl"))
    assert store.list() == []


def test_what_came_before_the_wrong_thousands_is_kept(store: MemoryStore, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"key": f"k{n:05}", "value": n}) for n in range(4500)]
    lines[4200] = "no line"
    (folder / "in.jsonl").write_text("\n".join(lines))
    told: list[int] = []
    with pytest.raises(InvalidInput, match=r"line 4201: not JSON.*4,000 lines before it are kept"):
        store.import_(str(folder / "in.jsonl"), progress=told.append)
    assert (len(store.list()), sum(told)) == (4000, 4000)


def test_bytes_that_are_no_text_are_named(store: MemoryStore, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "in.jsonl").write_bytes(b'{"key":"\xff","value":1}\n')
    with pytest.raises(InvalidInput, match="line 1: not JSON"):
        store.import_(str(folder / "in.jsonl"))


def test_a_stream_is_taken_and_given(
    store: MemoryStore, folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any
) -> None:
    class Standard:
        buffer = io.BytesIO(b'{"key":"k","value":1}\n')

    monkeypatch.setattr(sys, "stdin", Standard)
    assert store.import_() == 1
    assert store.export() == 1
    line = json.loads(capfdbinary.readouterr().out)
    assert (line["key"], line["value"]) == ("k", 1)


def test_a_reader_of_lines_holds_up_nobody_and_sees_one_moment(store: MemoryStore) -> None:
    store.add_many({"key": f"k{n}", "value": n} for n in range(100))
    lines = store.lines()
    first = json.loads(next(lines))
    store.clear()
    store.add("new", 1)
    rest = [json.loads(line)["key"] for line in lines]
    assert len({first["key"], *rest}) == 100
    assert "new" not in rest


@pytest.mark.parametrize("path", ["", "a\0b", "no/such/folder/x", "m.db", "m.db-wal", "."])
def test_what_is_no_place_is_refused(store: MemoryStore, folder: Path, path: str) -> None:
    store.add("k", 1)
    with pytest.raises(InvalidInput):
        store.export(str(folder / path) if path else path)
    with pytest.raises(InvalidInput):
        store.import_(str(folder / path) if path else path)
    assert store.get("k") == 1


def test_an_export_is_for_its_owner_only(store: MemoryStore, folder: Path) -> None:
    store.add("k", 1)
    store.export(str(folder / "o.jsonl"))
    assert (folder / "o.jsonl").stat().st_mode & 0o77 == 0


def test_the_face_exports_and_imports(home: Path) -> None:
    memory = MemoryLayer()
    assert memory.export(home / "none.jsonl") == 0
    memory.add("k", 1, tags=("t",), metadata={"a": 1})
    assert memory.export(home / "o.jsonl") == 1
    memory.clear()
    assert memory.import_(home / "o.jsonl") == 1
    assert memory.list(tags=["t"]) == ["k"]
