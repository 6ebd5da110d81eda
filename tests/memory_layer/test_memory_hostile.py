"""Keys, values, queries and files that were made to do harm."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dino_os.errors import DinoError, InvalidInput, MemoryLayerError
from dino_os.memory_layer import MemoryLayer
from dino_os.memory_layer.store import KEY_LIMIT, VALUE_LIMIT
from tests.memory_layer.conftest import check_sound


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def shown(value: Any) -> str:
    """A test's name: short, and without what cannot be shown."""
    short = ascii(value[:40])[:40] if isinstance(value, str) else type(value).__name__
    return short.replace("\\", "/")


def made(value: Any) -> Any:
    """Large ones are made by their test: every worker collects them all, and would keep them."""
    return value() if callable(value) else value


def cycle() -> Any:
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


def explosion() -> Any:
    """Small in memory; as text larger than any disk."""
    value: Any = ["x" * 1000] * 1000
    for _ in range(30):
        value = [value] * 1000
    return value


@pytest.mark.parametrize(
    "key",
    ["\0", "a\0b", "'; DROP TABLE entries; --", "\u202e", " ", "\n", "é" * 512, "*"],
    ids=shown,
)
def test_odd_keys_are_keys(home: Path, memory: MemoryLayer, key: str) -> None:
    memory.add(key, "a\0b \U0001f600")
    memory.add("other", 1)
    assert memory.get(key) == "a\0b \U0001f600"
    assert memory.list() == sorted([key, "other"])
    assert memory.delete(key)
    assert memory.get_all() == {"other": 1}
    check_sound(home / "memory" / "memory.db")


@pytest.mark.parametrize(
    "key",
    ["", None, 1, b"k", ["k"], "\ud800", "a\udfffb", "x" * (KEY_LIMIT + 1), "é" * 513],
    ids=shown,
)
def test_what_is_no_key_is_refused_everywhere(memory: MemoryLayer, key: Any) -> None:
    for call in (memory.get, memory.delete, lambda key: memory.add(key, 1)):
        with pytest.raises(InvalidInput, match="key"):
            call(key)
    assert memory.list() == []


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({1: 2}, "the key 1 is not text"),
        ({"a": [0, {"b": {2}}]}, r"value of 'k'\.a\[1\]\.b: set is not a JSON value"),
        ([float("nan")], r"\[0\]: nan is not a finite number"),
        (float("-inf"), "-inf is not a finite number"),
        ("\ud800", "surrogate"),
        ({"\udc00": 1}, "surrogate"),
        (b"bytes", "bytes is not a JSON value"),
        (object(), "object is not a JSON value"),
        (nested(201), "nested more than 200 deep"),
        (cycle(), "nested more than 200 deep"),
        (10**5000, "cannot be written as JSON"),
        (lambda: "x" * VALUE_LIMIT, "larger than 67,108,864 bytes"),
        (lambda: [0] * VALUE_LIMIT, "larger than 67,108,864 bytes"),
        (lambda: [0] * (VALUE_LIMIT // 2), "more than 4,194,304 parts"),
        (explosion(), "larger than 67,108,864 bytes"),
    ],
    ids=shown,
)
def test_what_is_no_value_is_refused_with_its_place(
    memory: MemoryLayer, value: Any, what: str
) -> None:
    value = made(value)
    with pytest.raises(InvalidInput, match=what):
        memory.add("k", value)
    assert memory.get("k") is None


@pytest.mark.parametrize(
    "value",
    [
        nested(200),
        lambda: "x" * (VALUE_LIMIT - 2),
        10**300,
        -(2**64),
        {"": {"": []}},
        5e-324,
        True,
        "",
    ],
    ids=shown,
)
def test_values_at_the_edge_are_kept(memory: MemoryLayer, value: Any) -> None:
    value = made(value)
    memory.add("k", value)
    assert memory.get("k") == value
    assert type(memory.get("k")) is type(value)


def test_tuples_become_lists(memory: MemoryLayer) -> None:
    memory.add("k", (1, (2,)))
    assert memory.get("k") == [1, [2]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> MemoryLayer:
    memory = MemoryLayer(tmp_path_factory.mktemp("kept") / "kept.db")
    memory.add("k", 'needle AND "quoted" NEAR(a b)')
    return memory


@given(st.text())
@example('"')
@example("needle\0")
@example("key: needle")
@example("needle* OR NOT")
@example("{key body}: x")
@example("NEAR(a b, 2)")
@example("^needle + -x")
@example("\ud800 ²")
@example("a " * 10_000)
@example(" ".join(map(str, range(10_000))))
@example("_".join("x" * 10_000))
def test_a_query_is_never_syntax(kept: MemoryLayer, query: str) -> None:
    """Whatever it holds, it is searched for and found, or not."""
    assert all(0 < r.score <= 1 for r in kept.search(query))
    assert [r.key for r in kept.search(f"needle {query}")] == ["k"]


@pytest.mark.parametrize(
    "query", ['"needle"', "needle*", "(needle", "needle\0x", "-needle", "NOT needle"], ids=shown
)
def test_words_are_found_among_signs(kept: MemoryLayer, query: str) -> None:
    assert [r.key for r in kept.search(query)] == ["k"]


@pytest.mark.parametrize(
    ("query", "top_k"),
    [(None, 5), (5, 5), ("a", -1), ("a", 1.5), ("a", True), ("a", "5")],
    ids=shown,
)
def test_what_is_no_query_is_refused(kept: MemoryLayer, query: Any, top_k: Any) -> None:
    with pytest.raises(InvalidInput):
        kept.search(query, top_k)


def test_a_newer_file_is_left_alone_and_the_error_says_so(home: Path, memory: MemoryLayer) -> None:
    file = home / "newer.db"
    MemoryLayer(file).add("k", 1)
    copy = home / "copy.db"
    MemoryLayer(file).backup(copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version=99")
    before = copy.read_bytes()
    newer = MemoryLayer(copy)
    for call in (lambda: newer.get("k"), lambda: newer.add("k", 2), lambda: memory.restore(copy)):
        with pytest.raises(
            MemoryLayerError, match=r"newer Dino \(format 99; this one reads up to 2\)"
        ):
            call()
    assert copy.read_bytes() == before


def test_somebody_elses_database_is_left_alone(home: Path) -> None:
    file = home / "theirs.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE invoices (id)")
    before = file.read_bytes()
    for call in (lambda: MemoryLayer(file).list(), lambda: MemoryLayer(file).add("k", 1)):
        with pytest.raises(MemoryLayerError, match="no memory of Dino's"):
            call()
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [b"not a database, just text " * 50, b"SQLite format 3\0" + b"\xff" * 4000],
    ids=shown,
)
def test_a_file_that_is_no_database_is_an_error_and_stays(home: Path, content: bytes) -> None:
    file = home / "broken.db"
    file.write_bytes(content)
    with pytest.raises(MemoryLayerError, match=r"broken\.db"):
        MemoryLayer(file).add("k", 1)
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_an_error(home: Path) -> None:
    (home / "memory").write_text("a file where the folder belongs")
    with pytest.raises(DinoError, match=r"memory\.db: .*File exists"):
        MemoryLayer().add("k", 1)
    assert (home / "memory").read_text() == "a file where the folder belongs"
