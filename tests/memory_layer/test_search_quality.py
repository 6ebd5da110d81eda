"""How well search finds what questions about the standard library ask for, at least."""

from __future__ import annotations

import sqlite3
from statistics import fmean
from typing import Any

import pytest

from dino_os.memory_layer.question import Question
from dino_os.memory_layer.searching import Meaning, search
from tests.memory_layer.quality.corpus import memories, questions
from tests.memory_layer.quality.measuring import Exact, ndcg, put, recall, tables


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    return memories()


@pytest.fixture(scope="module")
def asked(known: dict[str, str]) -> list[tuple[str, str, dict[str, int]]]:
    """Every fourth, so that it is quick."""
    return [
        (kind, query, {name: grade for name, grade in answers.items() if name in known})
        for kind, query, answers in questions()[::4]
    ]


@pytest.fixture(scope="module")
def library(known: dict[str, str]) -> tuple[sqlite3.Connection, dict[int, str]]:
    db = tables()
    return db, {put(db, name, text): f"{name}\n{text}" for name, text in known.items()}


def quality(
    db: sqlite3.Connection, asked: list[Any], mode: str, meaning: Meaning | None = None
) -> tuple[float, float]:
    """nDCG@10 and recall@5."""
    found = [
        [r["key"] for r in search(db, Question(query, 10, mode=mode), 0.0, lambda: meaning)]
        for _, query, _ in asked
    ]
    pairs = [*zip(found, [answers for *_, answers in asked], strict=True)]
    return fmean(ndcg(*pair) for pair in pairs), fmean(recall(*pair) for pair in pairs)


def test_each_question_has_an_answer_in_every_python(known: dict[str, str]) -> None:
    assert len(known) > 2_000
    every = questions()
    assert len(every) >= 220
    assert len({query for _, query, _ in every}) == len(every)
    for _, query, answers in every:
        assert any(grade > 1 and name in known for name, grade in answers.items()), query
    assert sum(kind == "paraphrase" for kind, *_ in every) > len(every) / 2


def test_words_find_what_shares_words_with_the_question(
    library: tuple[sqlite3.Connection, dict[int, str]], asked: list[Any]
) -> None:
    good, found = quality(library[0], asked, "text")
    assert good > 0.34
    assert found > 0.36


def test_names_and_words_of_the_text_are_found_first(
    library: tuple[sqlite3.Connection, dict[int, str]],
) -> None:
    plain = [question for question in questions() if question[0] in {"name", "words"}]
    assert quality(library[0], plain, "text")[0] > 0.93


def test_the_built_in_embedder_adds_to_it(
    library: tuple[sqlite3.Connection, dict[int, str]], asked: list[Any]
) -> None:
    """Hybrid is better than either side."""
    words = pytest.importorskip("dino_os.memory_layer.embedding.words")
    db, texts = library
    embedder = words.Words()
    vectors = dict(zip(texts, embedder.documents([*texts.values()]), strict=True))
    meaning = Meaning(embedder, Exact(vectors), None)
    text, vector, both = (
        quality(db, asked, mode, meaning)[0] for mode in ("text", "meaning", "hybrid")
    )
    assert both > text
    assert both > vector
    assert both > 0.36
