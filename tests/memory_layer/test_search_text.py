"""Search by words: what is found, in which order, with which score and passage."""

from __future__ import annotations

import math
import sqlite3
from itertools import permutations, product
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput, MemoryLayerError
from dino_os.memory_layer import lexical
from dino_os.memory_layer.alike import distance
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import search
from tests.memory_layer.quality.measuring import put, tables


@pytest.fixture
def db() -> sqlite3.Connection:
    return tables()


def found(db: sqlite3.Connection, query: str, top_k: int = 5, **more: Any) -> list[str]:
    return [result["key"] for result in search(db, Question(query, top_k, **more), 1_000.0)]


def test_the_score_is_the_share_of_the_querys_information(db: sqlite3.Connection) -> None:
    """In a memory of three, how rare a word is says nothing."""
    put(db, "both", "red harbour crane")
    put(db, "one", {"colour": "red", "note": "a tug"})
    put(db, "none", "blue")
    results = search(db, Question("Red CRANE"), 0.0)
    assert [(r["key"], r["score"], r["text"]) for r in results] == [
        ("both", 1, 1),
        ("one", 0.5, 0.5),
    ]


def test_a_rare_word_says_more_than_a_frequent_one(db: sqlite3.Connection) -> None:
    for number in range(50):
        put(db, f"tug {number}", "a red tug")
    put(db, "crane", "a crane")
    results = search(db, Question("red crane", 3), 0.0)
    assert results[0]["key"] == "crane"
    assert results[0]["score"] > 0.7
    assert 0 < results[1]["score"] < 0.3


def test_what_no_entry_has_lowers_every_score(db: sqlite3.Connection) -> None:
    put(db, "k", "red")
    assert search(db, Question("red 4711"), 0.0)[0]["score"] == 0.5


def test_of_two_with_the_same_words_the_shorter_comes_first(db: sqlite3.Connection) -> None:
    put(db, "long", "the crane in the harbour of the town by the river")
    put(db, "short", "the crane")
    assert found(db, "crane") == ["short", "long"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cranes lifting", "a crane lifts"),
        ("zurich", "Zürich"),
        ("STRASSE", "strasse"),
        ("Straße", "Die Straße"),
        ("ключ", "Ключ"),
        ("harb*", "harbours"),
        ('"red crane"', "a red crane"),
        ("trade_BTC", "trade-btc 1"),
        ("東京", "私は東京に住んでいます"),
        ("東京のクレーン", "クレーンは東京にあります"),
        ("北京大学在哪里", "我在北京大学学习"),
        ("recieve", "to receive"),
        ("shcedule", "the schedule"),
        ("temporry", "temporary"),
    ],
)
def test_other_forms_of_a_word_find_it(db: sqlite3.Connection, query: str, text: str) -> None:
    put(db, "k", text)
    put(db, "other", "nothing of it")
    assert found(db, query) == ["k"]


@pytest.mark.parametrize("query", ['"crane red"', "abd", "v2", "trade_ETH", "xyzzy"])
def test_what_is_not_there_is_not_found(db: sqlite3.Connection, query: str) -> None:
    """Short words, names and numbers are not guessed at."""
    put(db, "k", "a red crane abc v1 trade_BTC")
    assert found(db, query) == []


def test_a_guess_counts_less_and_is_said(db: sqlite3.Connection) -> None:
    put(db, "k", "schedule")
    (result,) = search(db, Question("shcedule", explain=True), 0.0)
    assert (result["score"], result["why"]["terms"][0]["instead_of"]) == (0.8, "shcedule")


def test_no_more_than_three_words_of_a_query_are_guessed(db: sqlite3.Connection) -> None:
    put(db, "k", "schedule temporary receive harbour crane")
    question = Question("cranne shcedule temporry recieve harbuor", explain=True)
    (result,) = search(db, question, 0.0)
    guessed = [term["term"] for term in result["why"]["terms"] if term["instead_of"]]
    assert guessed == ["crane", "schedul", "temporari"]


def test_guesses_look_at_a_few_words_however_many_there_are(db: sqlite3.Connection) -> None:
    letters = "bcdfghjklm"
    words = ["ab" + "".join(word) for word in product(letters, repeat=4)]
    put(db, "k", " ".join(words))
    looked: list[None] = []
    db.set_progress_handler(lambda: looked.append(None), 1_000)
    assert found(db, " ".join(f"ab{word}" for word in map("".join, permutations("xyzwv")))) == []
    few = len(looked)
    put(db, "l", " ".join(f"{word}{letter}" for word in words for letter in "bcdf"))
    looked.clear()
    assert found(db, " ".join(f"ab{word}" for word in map("".join, permutations("xyzwv")))) == []
    assert len(looked) < 2 * few


def test_where_no_spaces_part_words_a_longer_text_is_found_beside_the_word(
    db: sqlite3.Connection,
) -> None:
    put(db, "tower", "東京タワーに行った")
    put(db, "with friends", "昨日は友達と東京へ行きました")
    put(db, "kyoto", "京都")
    put(db, "tug", "a tug")
    assert found(db, "東京") == ["tower", "with friends"]
    put(db, "itself", "東京")
    results = search(db, Question("東京 tug", explain=True), 0.0)
    assert {r["key"] for r in results} == {"itself", "tower", "with friends", "tug"}
    assert results[0]["why"]["terms"][0]["instead_of"] is None
    put(db, "long", "東京タワー")
    assert found(db, "東京タワー") == ["long", "tower"]


def test_an_excluded_word_keeps_entries_out(db: sqlite3.Connection) -> None:
    put(db, "tug", "red tug")
    put(db, "boat", "red boat")
    assert found(db, "red -boat") == ["tug"]
    assert found(db, 'red -"red tug"') == ["boat"]


def test_expired_entries_are_hidden_and_take_nobodys_place(db: sqlite3.Connection) -> None:
    for number in range(300):
        put(db, f"old {number}", "crane", expires=999.0)
    put(db, "there", "crane with a longer text", expires=1_001.0)
    for number in range(300, 600):
        put(db, f"old {number}", "crane", expires=1_000.0)
    assert found(db, "crane", 1) == ["there"]


def test_namespaces_and_tags_part_entries(db: sqlite3.Connection) -> None:
    put(db, "k", "crane", ns="a", tags=["x", "y"])
    put(db, "k", "crane", ns="b", tags=["x"])
    put(db, "l", "crane")
    assert found(db, "crane") == ["k", "k", "l"]
    assert found(db, "crane", namespace="") == ["l"]
    (result,) = search(db, Question("crane", namespace="a"), 0.0)
    assert (result["namespace"], result["tags"]) == ("a", ["x", "y"])
    assert found(db, "crane", tags=["x"]) == ["k", "k"]
    assert found(db, "crane", tags=["x", "y"]) == ["k"]
    assert found(db, "crane", tags=["z"]) == []


def test_a_snippet_is_the_passage_around_the_words_with_marks(db: sqlite3.Connection) -> None:
    put(db, "k", ["filler " * 200, "the red\ncrane stands", "filler " * 200])
    (result,) = search(db, Question("cranes red", marks=("<b>", "</b>")), 0.0)
    assert "the <b>red</b> <b>crane</b> stands" in result["snippet"]
    assert len(result["snippet"]) < 250
    put(db, "only its key", "a text")
    (result,) = search(db, Question("key"), 0.0)
    assert result["snippet"] == "a text"


def test_a_snippet_of_a_huge_text_is_its_beginning(db: sqlite3.Connection) -> None:
    put(db, "k", "begins " + "filler " * 100_000 + "crane")
    (result,) = search(db, Question("crane"), 0.0)
    assert result["snippet"].startswith("begins filler")
    assert len(result["snippet"]) < 200


def test_an_entry_comes_back_as_it_is(db: sqlite3.Connection) -> None:
    put(db, "k", {"a": [1, "crane"]}, metadata={"m": 1}, updated=3.0)
    put(db, "l", "tug")
    (result,) = search(db, Question("crane"), 0.0)
    assert (result["value"], result["metadata"]) == ({"a": [1, "crane"]}, {"m": 1})
    assert (result["created"], result["updated"]) == (
        result["updated"],
        "1970-01-01T00:00:03Z",
    )
    assert (result["meaning"], result["why"]) == (None, None)
    (result,) = search(db, Question("tug"), 0.0)
    assert result["metadata"] == {}


def test_age_and_importance_count_where_they_are_asked_for(db: sqlite3.Connection) -> None:
    put(db, "new", "a crane of the harbour", updated=1_000.0)
    put(db, "old", "crane", updated=900.0, importance=1.0)
    assert found(db, "crane") == ["old", "new"]
    assert found(db, "crane", half_life_s=100.0) == ["new", "old"]
    scores = [r["score"] for r in search(db, Question("crane", half_life_s=100.0), 1_000.0)]
    assert scores == [1.0, 0.5]
    assert found(db, "crane", half_life_s=100.0, importance=0.9) == ["old", "new"]
    assert found(db, "crane", half_life_s=100.0, min_score=0.6) == ["new"]


@pytest.mark.parametrize("read_at_once", [0, 3_000], ids=["frequent", "rare"])
def test_the_important_and_the_new_are_found_among_many_older_ids(
    db: sqlite3.Connection, read_at_once: int
) -> None:
    """Also where what has more of the words is many times as old."""
    put(db, "first", "pump", updated=1e6, importance=1.0)
    for number in range(300):
        put(db, f"k{number}", "pump report", updated=0.0, importance=0.1)
    with (
        patch.object(lexical, "_READ_AT_ONCE", read_at_once),
        patch.object(lexical, "_ALIKE", 200),
    ):
        for query in ("pump", "pump report"):
            for more in (
                {"importance": 1.0},
                {"half_life_s": 86_400.0},
                {"half_life_s": 86_400.0, "importance": 0.5},
            ):
                question = Question(query, 1, **more)
                assert [r["key"] for r in search(db, question, 1e6)] == ["first"], question


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": 5},
        {"top_k": -1},
        {"top_k": True},
        {"mode": "vector"},
        {"namespace": 1},
        {"tags": "x"},
        {"tags": [1]},
        {"half_life_s": 0},
        {"half_life_s": math.nan},
        {"importance": 2},
        {"min_score": -0.1},
    ],
)
def test_a_question_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Question(**{"query": "q", **wrong})


def test_without_vectors_a_search_by_meaning_says_so(db: sqlite3.Connection) -> None:
    put(db, "k", "crane")
    assert found(db, "crane", mode="hybrid") == ["k"]
    with pytest.raises(MemoryLayerError, match="no entry has a vector"):
        found(db, "crane", mode="meaning")


def test_a_search_leaves_the_connection_as_it_was(db: sqlite3.Connection) -> None:
    """Within a change it sees what was changed; without, it ends what it began."""
    put(db, "k", "crane")
    assert found(db, "crane") == ["k"]
    assert not db.in_transaction
    db.execute("BEGIN")
    put(db, "l", "crane")
    assert found(db, "crane shcedule") == ["k", "l"]
    assert db.in_transaction
    db.execute("ROLLBACK")
    db.execute("PRAGMA query_only = ON")
    assert found(db, "crane shcedule") == ["k"]


@given(
    texts=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6), max_size=40),
    query=st.lists(st.sampled_from("abcdefghx"), min_size=1, max_size=7, unique=True),
    excluded=st.sampled_from(["", ' -"h"', ' -"a b"']),
    top_k=st.integers(1, 8),
    read_at_once=st.sampled_from([0, 3, 20]),
)
def test_no_entry_that_is_left_out_is_better_than_one_that_is_found(
    texts: list[list[str]], query: list[str], excluded: str, top_k: int, read_at_once: int
) -> None:
    """However few lists of entries are read whole: against all entries one by one."""
    db = tables()
    for number, words in enumerate(texts):
        put(db, str(number), " ".join(words))
    weights = {
        word: math.log1p(len(texts) / max(sum(word in words for words in texts), 3))
        for word in query
    }
    left = [
        words
        for words in texts
        if not ('"h"' in excluded and "h" in words)
        and not ('"a b"' in excluded and "a b" in " ".join(words))
    ]
    total = math.fsum(weights.values()) or 1.0
    shares = (math.fsum(weights[w] for w in query if w in words) / total for words in left)
    best = sorted((share for share in shares if share), reverse=True)[:top_k]
    with (
        patch.object(lexical, "_READ_AT_ONCE", read_at_once),
        patch.object(lexical, "_MOST_FREQUENT", 3),
    ):
        text = " ".join(f'"{word}"' for word in query) + excluded
        results = search(db, Question(text, top_k), 0.0)
    assert [result["score"] for result in results] == pytest.approx(best)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_distance_of_words_is_one(one: str, other: str, third: str) -> None:
    """As of letters changed, added, dropped or swapped; swaps apart it would be a metric."""
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) == distance(other, one)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))
    assert distance(one + third, other + third) <= distance(one, other)
    assert distance("shcedule", "schedule") == 1
