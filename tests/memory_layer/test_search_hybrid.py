"""Search by words and by meaning together: nothing that either finds is lost, each score adds up."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.memory_layer import searching
from dino_os.memory_layer.fusion import alpha_of
from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import Meaning, search
from dino_os.memory_layer.store import MemoryStore
from engines.journal import Journal
from tests.memory_layer.quality.measuring import Exact, put, tables

CONCEPTS = {"crane": 0, "derrick": 0, "ship": 1, "boat": 1, "vessel": 1, "bread": 2, "loaf": 2}


class Concepts:
    """Words of one concept have one vector."""

    name = "concepts"
    floor = 0.25

    def query(self, text: str) -> Any:
        vector = np.full(4, 0.01, dtype=np.float32)
        for word in text.lower().split():
            vector[CONCEPTS.get(word.strip('*-"'), 3)] += 1
        return vector / np.linalg.norm(vector)


def meaning_of(texts: dict[int, str], floor: float = 0.25) -> Meaning:
    embedder = Concepts()
    embedder.floor = floor
    return Meaning(embedder, Exact({entry: embedder.query(t) for entry, t in texts.items()}), None)


@pytest.fixture
def harbour() -> tuple[sqlite3.Connection, Meaning]:
    db = tables()
    texts = {put(db, text, text): text for text in ("crane", "derrick", "boat crane", "bread")}
    return db, meaning_of(texts)


def test_both_sides_find(harbour: tuple[sqlite3.Connection, Meaning]) -> None:
    db, meaning = harbour
    results = search(db, Question("crane"), 0.0, lambda: meaning)
    assert [r["key"] for r in results] == ["crane", "boat crane", "derrick"]
    assert results[0]["score"] == pytest.approx(1.0, abs=0.01)
    assert (results[2]["text"], results[2]["snippet"]) == (0.0, "derrick")
    assert results[2]["meaning"] == pytest.approx(1.0, abs=0.01)


def test_a_mode_takes_one_side_alone(harbour: tuple[sqlite3.Connection, Meaning]) -> None:
    db, meaning = harbour
    by_text = search(db, Question("crane", mode="text"), 0.0, lambda: pytest.fail("asked"))
    assert [r["key"] for r in by_text] == ["crane", "boat crane"]
    by_meaning = search(db, Question("crane", mode="meaning", explain=True), 0.0, lambda: meaning)
    assert {r["key"] for r in by_meaning[:2]} == {"crane", "derrick"}
    assert all(r["score"] == r["meaning"] for r in by_meaning)
    assert {r["key"]: r["text"] for r in by_meaning} == {"crane": 1, "derrick": 0, "boat crane": 1}


def test_a_vector_may_be_the_callers(harbour: tuple[sqlite3.Connection, Meaning]) -> None:
    """Of any length; the words need not be there then."""
    db, meaning = harbour
    vector = [0.0, 0.0, 7.0, 0.0]
    results = search(db, Question("", vector=vector), 0.0, lambda: meaning)
    assert [r["key"] for r in results] == ["bread"]
    assert [r["key"] for r in search(db, Question("crane", vector=vector), 0.0, lambda: meaning)][
        :1
    ] == ["crane"]
    assert search(db, Question("!!!"), 0.0, lambda: meaning) == []


@pytest.mark.parametrize("vector", [["a"], [], [[1.0]], 5, [float("nan")], {"a": 1}], ids=str)
def test_what_is_no_vector_is_refused(
    harbour: tuple[sqlite3.Connection, Meaning], vector: Any
) -> None:
    db, meaning = harbour
    with pytest.raises(InvalidInput, match="a list of finite numbers"):
        search(db, Question("crane", vector=vector), 0.0, lambda: meaning)
    assert not db.in_transaction


def test_an_excluded_word_keeps_out_what_meaning_finds(
    harbour: tuple[sqlite3.Connection, Meaning],
) -> None:
    db, meaning = harbour
    results = search(db, Question("crane -derrick"), 0.0, lambda: meaning)
    assert [r["key"] for r in results] == ["crane", "boat crane"]


@pytest.mark.parametrize("more", [{}, {"tags": ["x"]}, {"namespace": "n"}], ids=str)
@pytest.mark.parametrize("mode", ["text", "meaning", "hybrid"])
@pytest.mark.parametrize("drafts", [150, 300])
def test_what_is_excluded_takes_nobodys_place(mode: str, drafts: int, more: dict[str, Any]) -> None:
    """Few of a namespace are read one by one, many are not."""
    db = tables()
    texts = {}
    for number in range(drafts):
        texts[put(db, f"d{number}", "crane draft", ns="n", tags=["x"])] = "crane crane"
    texts[put(db, "final", "crane and its final report", ns="n", tags=["x"])] = "crane bread"
    meaning = meaning_of(texts)
    question = Question("crane -draft", mode=mode, **more)
    assert [r["key"] for r in search(db, question, 0.0, lambda: meaning)] == ["final"]


def test_a_filter_that_leaves_few_searches_among_those() -> None:
    """A thousand that are nearer take no place of theirs; nor do those that have expired."""
    db = tables()
    texts = {put(db, f"near {n}", "ship", expires=5.0 + n): "ship" for n in range(1_000)}
    few = {put(db, f"few {n}", "ship bread", metadata={"few": True}): "ship bread" for n in "ab"}
    meaning = meaning_of(texts | few)
    question = Question("vessel", where={"few": True})
    assert [r["key"] for r in search(db, question, 0.0, lambda: meaning)] == ["few a", "few b"]
    results = search(db, Question("vessel"), 2_000.0, lambda: meaning)
    assert [r["key"] for r in results] == ["few a", "few b"]


def test_names_and_quotations_lean_on_the_words() -> None:
    assert alpha_of("minilm", 0.0) < alpha_of("minilm", 0.5) < alpha_of("minilm", 1.0) < 1
    assert alpha_of("ollama:any", 0.0) == alpha_of("another", 0.0)


def test_an_entry_without_a_vector_is_found_by_its_words() -> None:
    db = tables()
    put(db, "waits", "crane")
    results = search(db, Question("crane"), 0.0, lambda: meaning_of({put(db, "k", "b"): "ship"}))
    assert [(r["key"], r["meaning"]) for r in results] == [("waits", None)]


@given(
    texts=st.lists(
        st.lists(st.sampled_from([*CONCEPTS, "and", "tug"]), min_size=1, max_size=5),
        min_size=1,
        max_size=30,
    ),
    query=st.lists(st.sampled_from([*CONCEPTS, "tug", '"boat ship"']), min_size=1, max_size=4),
    depth=st.sampled_from([5, 200]),
    half_life=st.none() | st.floats(1, 1e6),
    importance=st.floats(0, 1),
    mode=st.sampled_from(["text", "meaning", "hybrid"]),
)
def test_the_parts_of_a_score_add_up_to_it(
    *,
    texts: list[list[str]],
    query: list[str],
    depth: int,
    half_life: float | None,
    importance: float,
    mode: str,
) -> None:
    db = tables()
    chance = random.Random(5)
    stored = {
        put(db, str(n), " ".join(text), updated=100.0 * n, importance=chance.random()): text
        for n, text in enumerate(texts)
    }
    meaning = meaning_of({entry: " ".join(text) for entry, text in stored.items()})
    question = Question(
        " ".join(query), 5, mode=mode, half_life_s=half_life, importance=importance, explain=True
    )
    with patch.object(searching, "_DEPTH", depth):
        results = search(db, question, 3_000.0, lambda: meaning)
    scores = [round(r["score"], 9) for r in results]  # so near, the shorter one comes first
    assert scores == sorted(scores, reverse=True)
    for result in results:
        why = result["why"]
        parts = [term["contribution"] for term in why["terms"]]
        assert math.fsum([*parts, why["meaning"]["contribution"]]) == pytest.approx(
            result["score"], abs=1e-12
        )
        assert why["score"] == result["score"]
        assert 0 < result["score"] <= 1
        assert all(term["found"] or not term["contribution"] for term in why["terms"])


@given(
    texts=st.lists(
        st.lists(st.sampled_from([*CONCEPTS]), min_size=1, max_size=4), min_size=1, max_size=40
    ),
    query=st.lists(st.sampled_from([*CONCEPTS]), min_size=1, max_size=3, unique=True),
)
def test_the_best_of_all_entries_are_the_ones_found(
    texts: list[list[str]], query: list[str]
) -> None:
    """With both sides' candidates cut short, against a search that has room for all."""
    db = tables()
    stored = {put(db, str(n), " ".join(text)): " ".join(text) for n, text in enumerate(texts)}
    meaning = meaning_of(stored)

    def scores(top_k: int) -> list[float]:
        question = Question(" ".join(query), top_k)
        return [r["score"] for r in search(db, question, 0.0, lambda: meaning)]

    assert scores(3)[:3] == pytest.approx(scores(100)[:3])


class Waits(Concepts):
    """Embeds a query when something else is done."""

    dim, fingerprint, local = 4, "1", True

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def documents(self, texts: Sequence[str]) -> Any:
        return np.array([super(Waits, self).query(text) for text in texts])

    def query(self, text: str) -> Any:
        another = ThreadPoolExecutor(1)
        try:
            another.submit(self.meanwhile).result(timeout=60)
        finally:
            another.shutdown(wait=False)
        return super().query(text)


def test_nobody_waits_for_the_model_that_embeds_a_query(folder: Path) -> None:
    def meanwhile() -> None:
        store.add("ship", "boat")
        other = MemoryStore(folder / "m.db", Journal(folder / "log.jsonl"), timeout_s=30.0)
        done.append((store.get("ship"), other.forget(key="crane")))
        other.close()

    done: list[Any] = []
    embedder = Waits(meanwhile)
    store = MemoryStore(
        folder / "m.db", Journal(folder / "log.jsonl"), embedder=lambda _name: embedder
    )
    store.add("crane", "crane")
    store.reindex()
    found = store.search("vessel", mode="meaning")
    store.close()
    assert done == [("boat", 1)]
    assert "crane" not in [result["key"] for result in found]
