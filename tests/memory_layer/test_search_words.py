"""What a query asks for: words, phrases, beginnings, exclusions; and never syntax."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import search
from dino_os.memory_layer.words import read
from tests.memory_layer.quality.measuring import put, tables


def asked(query: str) -> list[str]:
    return [term.text for term in read(query).terms]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("how big is this file on disk?", ["big", "file", "disk"]),
        ("wo ist der Kran im Hafen", ["Kran", "Hafen"]),
        ("où est la grue", ["grue"]),
        ("¿dónde está la grúa?", ["grúa"]),
        ("car on fire", ["car", "fire"]),
        ("die hard", ["die", "hard"]),
        ("what is the", ["what", "is", "the"]),
        ("IT is on", ["IT"]),
        ('"to be or not" hamlet', ["to be or not", "hamlet"]),
        ('an "open phrase', ["open", "phrase"]),
        ("tug* t*", ["tug*", "t"]),
        ("red Red RED. (red)", ["red", "RED"][:1]),
        ("-5 -x trade_BTC", ["5", "x", "trade_BTC"]),
        ("!!! ... -", []),
        ("a\0b", ["b"]),
    ],
)
def test_a_query_is_read(query: str, terms: list[str]) -> None:
    """Stopwords of a language go where there is something else."""
    assert asked(query) == terms


def test_what_is_excluded_is_a_word_behind_a_minus_where_something_else_is_asked_for() -> None:
    query = read('red-blue crane -boat -"old tug" --flag')
    assert [term.text for term in query.terms] == ["red-blue", "crane", "flag"]
    assert [term.text for term in query.without] == ["boat", "old tug"]
    assert asked("-boat") == ["boat"]


def test_names_numbers_and_quotations_are_meant_exactly() -> None:
    assert read("os.path assertEqual v2 NASA").exactness == 1.0
    assert read("crane v2").exactness == 0.5
    assert read("red crane").exactness == 0.0
    assert read("").exactness == 0.0


@pytest.fixture(scope="module")
def needle() -> sqlite3.Connection:
    db = tables()
    put(db, "k", 'needle AND "quoted" NEAR(a b)')
    put(db, "other", "hay")
    return db


@given(st.text())
@example('"')
@example("needle\0")
@example("key: needle")
@example("needle* OR NOT")
@example("{key body}: x")
@example("NEAR(a b, 2)")
@example("^needle + -x")
@example("\ud800 ²")
@example('-" ""')
@example('"a" *')
@example("“needle”")
@example("東京* 京*")
@example("_".join("x" * 10_000))
def test_nothing_in_a_query_is_syntax(needle: sqlite3.Connection, query: str) -> None:
    found = search(needle, Question(f"needle {query}", 1, explain=True), 0.0)
    assert [result["key"] for result in found] == ["k"]
    assert 0 < found[0]["score"] <= 1


@pytest.mark.parametrize("part", ["x", '"', '" ', "- ", '-"', "a ", "*", "\0", "東", "w1 "])
def test_ten_megabytes_of_anything_are_a_query(needle: sqlite3.Connection, part: str) -> None:
    many = 10 * 2**20 // len(part)
    found = search(needle, Question("needle " + part * many, 1), 0.0)
    assert [result["key"] for result in found] == ["k"]
