"""Conditions on metadata: each means what Python means, and no text in them is ever SQL."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import search
from dino_os.memory_layer.where import scope_of
from tests.memory_layer.quality.measuring import put, tables

FIELDS = st.sampled_from(["a", "b", 'c"]', "d.$", "é", ""])
TEXTS = st.sampled_from(["", "x", "y", "1", "'; DROP TABLE entries; --", "null", "é"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -1.5, 2**53, 2**70, 1e300])
SCALARS = st.none() | st.booleans() | TEXTS | NUMBERS
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), TEXTS | NUMBERS),
    st.tuples(st.sampled_from(["$eq", "$ne"]), SCALARS),
    st.tuples(st.just("$in"), st.lists(SCALARS, max_size=4)),
)
ONE = st.dictionaries(
    FIELDS, SCALARS | st.lists(OPERATORS, min_size=1, max_size=2).map(dict), min_size=1, max_size=2
)
WHERE = st.recursive(
    ONE,
    lambda inner: st.tuples(
        st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)
    ).map(lambda pair: dict([pair])),
    max_leaves=5,
)
METADATA = st.none() | st.dictionaries(FIELDS, SCALARS | st.just([1]) | st.just({"x": 1}))


def holds(where: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """What *where* means, in Python."""
    return all(_holds(name, wanted, metadata) for name, wanted in where.items())


def _holds(name: str, wanted: Any, metadata: dict[str, Any]) -> bool:
    if name in {"$and", "$or"}:
        parts = [holds(part, metadata) for part in wanted]
        return all(parts) if name == "$and" else any(parts)
    found = metadata.get(name)
    if not isinstance(wanted, dict):
        return same(found, wanted)
    return all(compares(found, *item) for item in wanted.items())


def compares(found: Any, operator: str, wanted: Any) -> bool:
    match operator:
        case "$eq":
            return same(found, wanted)
        case "$ne":
            return not same(found, wanted)
        case "$in":
            return any(same(found, one) for one in wanted)
    if kind(found) != kind(wanted):
        return False
    if isinstance(wanted, str):
        found, wanted = found.encode(), wanted.encode()
    return {
        "$gt": found > wanted,
        "$gte": found >= wanted,
        "$lt": found < wanted,
        "$lte": found <= wanted,
    }[operator]


def same(found: Any, wanted: Any) -> bool:
    return kind(found) == kind(wanted) and (found == wanted)


def kind(value: Any) -> str:
    return "number" if type(value) in {int, float} else type(value).__name__


@given(where=WHERE, metadata=st.lists(METADATA, min_size=1, max_size=6))
def test_a_condition_means_what_python_means(
    where: dict[str, Any], metadata: list[dict[str, Any] | None]
) -> None:
    db = tables()
    for number, one in enumerate(metadata):
        put(db, str(number), "crane", metadata=one)
    wanted = [str(number) for number, one in enumerate(metadata) if holds(where, one or {})]
    assert [r["key"] for r in search(db, Question("crane", 9, where=where), 0.0)] == wanted


@pytest.mark.parametrize(
    "where",
    [
        [],
        "a",
        {"$not": []},
        {"$and": {}},
        {"$or": []},
        {"$and": "ab"},
        {"$and": [1]},
        {"a": {}},
        {"a": {"$like": "x"}},
        {"a": {"b": 1}},
        {"a": [1]},
        {"a": {"$gt": None}},
        {"a": {"$gt": True}},
        {"a": {"$gt": [1]}},
        {"a": {"$in": "ab"}},
        {"a": {"$in": [[1]]}},
        {"a": float("nan")},
        {"a": {"$lt": float("inf")}},
        {5: 1},
        {"a": {"$in": [*range(1001)]}},
        {"$or": [{"a": n} for n in range(251)]},
    ],
    ids=lambda where: str(where)[:30],
)
def test_what_is_no_condition_is_refused(where: Any) -> None:
    with pytest.raises(InvalidInput, match=r"where: |a value to compare with"):
        scope_of(0.0, where=where or {"$and": where})


def test_conditions_nested_too_deep_are_refused() -> None:
    where: dict[str, Any] = {"a": 1}
    for _ in range(50):
        where = {"$and": [where]}
    with pytest.raises(InvalidInput, match="deeper"):
        scope_of(0.0, where=where)


def test_the_largest_condition_is_one_that_sqlite_takes() -> None:
    db = tables()
    put(db, "k", "crane", metadata={"a": 999, "b": "😀"})
    where = {
        "$and": [
            *[{"a": {"$in": [*range(1000)]}}] * 100,
            *[{"$or": [{"a": -1}, {"b": "😀"}]}] * 40,
        ]
    }
    assert len(search(db, Question("crane", where=where), 0.0)) == 1


def test_metadata_that_is_written_in_escapes_is_read_as_what_it_says() -> None:
    db = tables()
    entry = put(db, "k", "crane")
    _set(db, entry, json.dumps({"é\n": 'ü"'}, ensure_ascii=True))
    assert len(search(db, Question("crane", where={"é\n": 'ü"'}), 0.0)) == 1


def _set(db: sqlite3.Connection, entry: int, metadata: str) -> None:
    db.execute("UPDATE entries SET metadata = ? WHERE id = ?", [metadata, entry])
