"""What users' code relies on: the guide's examples, and each method by example."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import DinoError, InvalidInput, MemoryLayerError, NotFound
from dino_os.memory_layer import MemoryLayer, MemoryResult
from tests.conftest import Dino
from tests.memory_layer.conftest import recorded


def test_memory_persistence(home: Path) -> None:
    """The guide's own."""
    memory = MemoryLayer()
    memory.add("test_key", "test_value")
    memory2 = MemoryLayer()
    assert memory2.get("test_key") == "test_value"


def test_semantic_search(home: Path) -> None:
    """The guide's own."""
    memory = MemoryLayer()
    memory.add("apple_fruit", "An apple is a fruit")
    memory.add("car_vehicle", "A car is a vehicle")
    results = memory.search("fruit")
    assert "apple_fruit" in [r.key for r in results]
    assert "car_vehicle" not in [r.key for r in results]


def test_the_guides_agent_learns_from_what_it_finds(memory: MemoryLayer) -> None:
    """`s["outcome"]` reads the value that was found."""
    for number, outcome in enumerate(["win", "loss", "win"]):
        memory.add(f"trade_BTC_{number}", {"outcome": outcome})
    memory.add("trade_ETH_0", {"outcome": "loss"})
    similar = memory.search("trade_BTC", top_k=10)
    wins = [s for s in similar if s["outcome"] == "win"]
    losses = [s for s in similar if s["outcome"] == "loss"]
    assert (len(wins), len(losses)) == (2, 1)


def test_the_guides_skill_finds_what_it_stored(workspace: Path, dino: Dino) -> None:
    """From a skill's process to the next one, and to a program of the same workspace."""
    (workspace / "skills" / "market.py").write_text(
        "from dino_os import skill\n"
        "from dino_os.memory_layer import MemoryLayer\n"
        "@skill\n"
        "def analyze_market(symbol: str) -> dict:\n"
        "    memory = MemoryLayer()\n"
        "    previous = memory.get(f'analysis_{symbol}')\n"
        "    memory.add(f'analysis_{symbol}', {'symbol': symbol, 'confidence': 0.5})\n"
        "    return {'previous': previous}\n"
    )
    first, second = (dino("run", "analyze_market", "--symbol", "BTC", "--json") for _ in "ab")
    assert first.json["result"] == {"previous": None}
    assert second.json["result"] == {"previous": {"symbol": "BTC", "confidence": 0.5}}


def test_each_method_by_example(memory: MemoryLayer) -> None:
    memory.add("b", [1, None, {"deep": 1.5}])
    memory.add("a", "one")
    memory.add("a", "two")
    assert memory.list() == ["a", "b"]
    assert memory.get_all() == {"a": "two", "b": [1, None, {"deep": 1.5}]}
    assert memory.get("c") is None
    assert (memory.delete("a"), memory.delete("a")) == (True, False)
    assert (memory.clear(), memory.clear()) == (1, 0)
    assert memory.list() == []


def test_a_memory_that_nobody_wrote_to_is_empty_and_leaves_no_trace(
    home: Path, memory: MemoryLayer
) -> None:
    assert (memory.get("a"), memory.list(), memory.search("a"), memory.get_all()) == (
        None,
        [],
        [],
        {},
    )
    assert (memory.delete("a"), memory.clear()) == (False, 0)
    assert not (home / "memory").exists()


def test_better_matches_come_first(memory: MemoryLayer) -> None:
    """The score is the share of the query's words that an entry has."""
    memory.add("both", "red harbour crane")
    memory.add("one", {"colour": "red", "note": "a tug"})
    memory.add("none", "blue")
    found = memory.search("Red CRANE", mode="text")
    assert [(r.key, r.score) for r in found] == [("both", 1.0), ("one", 0.5)]
    assert [r.key for r in memory.search("red crane", top_k=1)] == ["both"]
    assert memory.search("red", top_k=0) == []


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("outcome", {"outcome": 1}),
        ("win", {"trades": [{"outcome": "win"}]}),
        ("42", {"answer": 42}),
        ("zurich", "Zürich"),
        ("ÉTÉ", "en été"),
        ("ключ", ["Ключ"]),
    ],
)
def test_names_texts_and_numbers_anywhere_in_a_value_are_found(
    memory: MemoryLayer, query: str, value: Any
) -> None:
    """Whatever their case and accents."""
    memory.add("k", value)
    assert [r.value for r in memory.search(query)] == [value]


def test_what_was_replaced_or_deleted_is_not_found_any_more(memory: MemoryLayer) -> None:
    memory.add("k", "old")
    memory.add("k", "new", embed=False)
    assert (memory.search("old"), [r.key for r in memory.search("new")]) == ([], ["k"])
    memory.delete("k")
    assert memory.search("new k") == []


def test_created_is_when_the_key_was_first_added(memory: MemoryLayer) -> None:
    before = datetime.now(UTC)
    memory.add("k", "one")
    (first,) = memory.search("one")
    memory.add("k", "two")
    (second,) = memory.search("two")
    assert before.timestamp() - 0.001 <= first.created.timestamp() == second.created.timestamp()
    assert first.created.tzinfo is not None


def test_a_result_says_what_its_value_has() -> None:
    result = MemoryResult("k", {"outcome": "win"}, 1.0, datetime.now(UTC))
    assert ("outcome" in result, "x" in result, 0 in result) == (True, False, False)
    with pytest.raises(KeyError, match="the value of 'k' has no 'x'"):
        result["x"]
    with pytest.raises(NotFound):
        MemoryResult("k", "text", 1.0, datetime.now(UTC))["outcome"]


def test_a_file_of_ones_own_has_its_journal_beside_it(home: Path, tmp_path_factory: Any) -> None:
    """And is another memory than the workspace's."""
    file = tmp_path_factory.mktemp("own") / "notes #1?.db"
    own = MemoryLayer(file)
    own.add("k", 1)
    assert MemoryLayer(str(file)).get("k") == 1
    assert MemoryLayer().get("k") is None
    assert [e["key"] for e in recorded(file.with_name(f"{file.name}_log.jsonl"))] == ["k"]
    assert not (home / "memory").exists()


def test_the_workspaces_file_named_is_the_workspaces_memory(home: Path, journal: Path) -> None:
    MemoryLayer(home / "memory" / "memory.db").add("k", 1)
    MemoryLayer().add("k", 2)
    assert [e["replaced"] for e in recorded(journal)] == [False, True]


def test_a_memory_stays_with_the_workspace_of_its_first_call(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryLayer()
    memory.add("k", 1)
    monkeypatch.setenv("DINO_HOME", str(tmp_path_factory.mktemp("other")))
    assert (memory.get("k"), MemoryLayer().get("k")) == (1, None)


@pytest.mark.parametrize("path", [":memory:", "", "a\0b", b"x"])
def test_what_is_no_file_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput):
        MemoryLayer(path)


def test_its_errors_are_dinos() -> None:
    assert issubclass(MemoryLayerError, DinoError)
