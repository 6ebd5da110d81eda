"""The embedder `words`: spelling without a model, the same everywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.memory_layer.embedding.words import Words
from tests.conftest import REPOSITORY, environment

WORDS = Words()
TEXTS = [
    "The scheduler runs the backup of the duty desk at noon.",
    "set_keyring_path of HTTPServer2, twice twice TWICE",
    "Größe Ærøskøbing naïve 日本語の文書 Ελλάδα",
]
# Of their vectors.  Where it changes, the number in the fingerprint has to: stores hold the old ones.
DIGEST = "7a4810ed4e7e5a4fee3337d556ba1c563c597dcd94ed517a9e06140bad2fc963"


def alike(one: str, other: str) -> float:
    return float(WORDS.query(one) @ WORDS.query(other))


def digest() -> str:
    return hashlib.sha256(WORDS.documents(TEXTS).astype("<f4").tobytes()).hexdigest()


def test_the_vectors_are_those_of_its_fingerprint() -> None:
    """To the last bit: no seed of Python's hashes, no processor and no order shows in them."""
    assert (WORDS.fingerprint, digest()) == ("words-1-512", DIGEST)


def test_another_process_with_other_hash_seeds_makes_the_same_vectors() -> None:
    code = "from tests.memory_layer.test_embed_words import digest; print(digest())"
    env = environment(PYTHONPATH=str(REPOSITORY), PYTHONHASHSEED="42")
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("deploy the service", "deployments of services"),
        ("restore a backup", "backups restored"),
        ("schedule", "shcedule"),
        ("keyring", "set_keyring_path"),
        ("http server", "startHTTPServer2"),
        ("backup of the database", "database backup"),
        ("Größe", "GROSSE"),
        ("naïve", "naive"),
        ("日本語の文書", "この文書は日本語"),
    ],
)
def test_words_written_alike_are_alike(one: str, other: str) -> None:
    """Inflections, typing errors, parts of words, their order, accents, scripts without spaces."""
    assert alike(one, other) > alike(one, "a kettle whistles in winter") + 0.1


def test_meaning_is_not_its_business() -> None:
    """Said in its docstring and in docs/embedders.md: a synonym is below its floor."""
    assert alike("car", "automobile") < WORDS.floor
    assert alike("how much does it cost", "price list") < WORDS.floor


def test_small_words_count_little_and_repetition_is_damped() -> None:
    assert alike("the harbour", "the harbour of the of the") > 0.9
    assert alike("what is the tide", "what is the wage") < WORDS.floor
    assert alike("tide harbour", "tide tide tide tide tide harbour") > 0.8


@pytest.mark.parametrize("text", ["", " \n", "!?…", "\0", "___"])
def test_what_has_no_word_is_zero(text: str) -> None:
    assert not WORDS.query(text).any()


@given(st.lists(st.text(max_size=40), max_size=6))
def test_every_row_has_length_1_or_0_and_owes_nothing_to_its_neighbours(texts: list[str]) -> None:
    rows = WORDS.documents(texts)
    assert rows.shape == (len(texts), WORDS.dim)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((lengths == 0) | (abs(lengths - 1) < 1e-6))
    for row, text in zip(rows, texts, strict=True):
        assert np.array_equal(row, WORDS.query(text))


def test_many_texts_and_long_ones_are_embedded_as_each_by_itself() -> None:
    texts = [f"note {n} of the harbour" for n in range(600)]
    texts[100:104] = ["tide " * 8000, "wage " * 9000, "", "a line\n" * 7000]
    rows = WORDS.documents(texts)
    for place in (0, 99, 100, 101, 102, 103, 104, 255, 256, 599):
        assert np.array_equal(rows[place], WORDS.query(texts[place]))


@pytest.mark.parametrize("text", ["\ud800 lone", "a" * 1_000_000, "ab " * 200_000, "\U0002a6d6"])
def test_hostile_texts_are_texts(text: str) -> None:
    assert np.linalg.norm(WORDS.query(text)) == pytest.approx(1, abs=1e-6)
