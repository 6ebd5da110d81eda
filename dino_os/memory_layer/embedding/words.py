"""
The embedder `words`: no model, no download, nothing to install, and the same vectors everywhere.

Signed feature hashing: each word gives features, which are its stem and the runs of three to five
characters in it; a hash of each feature says which of the dimensions it is added to, and with which
sign.  A word that stands several times counts by the logarithm (sublinear tf); the small words of
English count little, as there are no statistics of a collection to weigh words by.

What it can: inflections (`deploy`, `deployed`, `deployments`), typing errors (`shcedule`), parts of
words and compounds (`keyring` in `set_keyring_path`), any order of words, any script.
What it cannot: meaning.  `car` and `automobile`, or a question and its answer in other words, are
strangers to it; so are two languages that share no spelling, and long texts drown a short part.

All weights are multiples of 2⁻¹², so sums are exact: neither the order of texts nor the processor
shows in them.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from dino_os.memory_layer.embedding.rows import MOST_CHARACTERS, Floats, readable, unit

_Hashes: TypeAlias = npt.NDArray[np.uint64]
_Weights: TypeAlias = npt.NDArray[np.float64]

_DIM = 512
_BATCH, _BATCH_CHARACTERS = 256, 2**18
_LONGEST_WORD = 64
_STEP = 4096.0  # weights are multiples of its inverse
_STEM, _RUNS, _SMALL = 1.0, 1.6, 0.125
# A pair of characters is a run where a script has no spaces between words.
_IDEOGRAPHS = 0x2E80
_words_in = re.compile(r"[^\W_]+").findall
_humps = re.compile(r"(?<=[a-z0-9])(?=[A-Z])").sub
_ending = re.compile(
    r"(?<=...)(?:ations?|ments?|ness|ingly|ings?|edly|ed|ly|ers?|ies|es|s|e|y)$"
).sub
# Words that English sentences of any subject have.
_COMMON = (
    "a about after all also am an and any are as at be because been before being but by can could "
    "did do does doing for from get got had has have having he her here hers him his how i if in "
    "into is it its just like me more most my no nor not now of off on one only or other our out "
    "over own same she should so some such than that the their them then there these they this "
    "those through to too under until up us very was we were what when where which while who whom "
    "why will with would you your"
)
_SMALL_WORDS = frozenset(_COMMON.split())


class Words:
    """The built-in embedder."""

    name = "words"
    dim = _DIM
    fingerprint = f"words-1-{_DIM}"
    local = True
    floor = 0.164  # 0.082 + 0.082, mean and deviation, pairs of docstrings of the library

    def documents(self, texts: Sequence[str]) -> Floats:
        made = np.empty((len(texts), _DIM), np.float32)
        start = 0
        while start < len(texts):
            part = texts[start : start + _BATCH]
            # Long ones fewer at a time: each character has some hundred bytes of numbers.
            sizes = accumulate(min(len(text), MOST_CHARACTERS) for text in part)
            part = part[: max(sum(size <= _BATCH_CHARACTERS for size in sizes), 1)]
            made[start : start + len(part)] = unit(_sums(part))
            start += len(part)
        return made

    def query(self, text: str) -> Floats:
        found: Floats = self.documents([text])[0]
        return found


def _sums(texts: Sequence[str]) -> _Weights:
    """What each text's words add up to, not yet of length 1."""
    known: dict[str, int] = {}
    rows, places, counts = [], [], []
    for text in texts:
        found = Counter(_split(readable(text)))
        rows.append(len(found))
        places += [known.setdefault(word, len(known)) for word in found]
        counts += [*found.values()]
    if not known:
        return np.zeros((len(texts), _DIM), np.float64)
    starts, hashes, weights = _features([*known])
    taken, often = _ranges(starts, np.array(places))
    row_of = np.repeat(np.repeat(np.arange(len(texts)), rows), often)
    often_said = np.repeat(_damped(np.array(counts)), often)
    column = (hashes[taken] % np.uint64(_DIM)).astype(np.int64)
    added = np.bincount(
        row_of * _DIM + column, weights[taken] * often_said, minlength=len(texts) * _DIM
    )
    return added.reshape(len(texts), _DIM).astype(np.float64, copy=False)


def _split(text: str) -> list[str]:
    """The words of *text*, folded; `camelCase` and `snake_case` are several."""
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in parts if not unicodedata.combining(char))
    return [word[:_LONGEST_WORD] for word in _words_in(_humps(" ", text).casefold())]


def _damped(counts: npt.NDArray[np.int64]) -> _Weights:
    """1 + ln of each count, as a multiple of 2⁻¹²."""
    table = {count: round((1 + math.log(count)) * _STEP) / _STEP for count in {*counts.tolist()}}
    return np.array([table[count] for count in counts.tolist()])


def _ranges(
    starts: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Of each place the numbers from its start to the next start; and how many those are."""
    many = starts[places + 1] - starts[places]
    ends = np.cumsum(many)
    return np.arange(ends[-1]) + np.repeat(starts[places] - ends + many, many), many


def _features(words: Sequence[str]) -> tuple[npt.NDArray[np.int64], _Hashes, _Weights]:
    """
    All features of *words*.

    Returns:
        Where each word's features start, with the end behind; hashes; weights with signs.
    """
    owners, hashes, weights = [], [], []
    small = np.array([word in _SMALL_WORDS for word in words])
    scale = np.where(small, _SMALL, 1.0)
    for number, (found, owner) in enumerate([_stems(words), _runs(words)]):
        share = _RUNS / np.sqrt(np.bincount(owner, minlength=len(words)).clip(1))
        each = scale * (share if number else _STEM)
        owners.append(owner)
        hashes.append(found)
        weights.append(np.round(each * _STEP)[owner] / _STEP)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    mixed = np.concatenate(hashes)[order]
    signs = np.where(mixed >> np.uint64(63), -1.0, 1.0)
    starts = np.searchsorted(owner[order], np.arange(len(words) + 1))
    return starts, mixed, np.concatenate(weights)[order] * signs


def _stems(words: Sequence[str]) -> tuple[_Hashes, npt.NDArray[np.int64]]:
    """A hash of each word's stem, and whose it is."""
    codes, owner, place = _characters([_stem(word) for word in words])
    # The characters' hashes, each turned by its place, added: no character by itself decides.
    turned = _mixed(codes + (place.astype(np.uint64) << np.uint64(32)))
    starts = np.searchsorted(owner, np.arange(len(words)))
    return _mixed(np.add.reduceat(turned, starts)), np.arange(len(words))


def _runs(words: Sequence[str]) -> tuple[_Hashes, npt.NDArray[np.int64]]:
    """A hash of each run of characters within a word, with its ends as characters."""
    codes, owner, _ = _characters([f" {word} " for word in words])
    found, owners = [], []
    run = codes.copy()
    for length in range(2, 6):
        rest = codes[length - 1 :]
        run = _mixed(run[: rest.size] * np.uint64(31) + rest + np.uint64(length))
        within = owner[: rest.size] == owner[length - 1 :]
        if length == 2:  # noqa: PLR2004
            wide = codes >= _IDEOGRAPHS
            within = within & wide[: rest.size] & wide[1:]
        found.append(run[within])
        owners.append(owner[: rest.size][within])
    return np.concatenate(found), np.concatenate(owners)


def _characters(
    words: Sequence[str],
) -> tuple[_Hashes, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All characters one after the other, whose each is, and which of it."""
    codes = np.frombuffer("".join(words).encode("utf-32-le"), "<u4").astype(np.uint64)
    lengths = np.array([len(word) for word in words])
    owner = np.repeat(np.arange(len(words)), lengths)
    place = np.arange(codes.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return codes, owner, place


def _mixed(numbers: _Hashes) -> _Hashes:
    """A hash of each number: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


@lru_cache(maxsize=32_768)
def _stem(word: str) -> str:
    """*word* without the commonest endings of English; what is left need not be a word."""
    return _ending("", word) if word.isascii() and word.isalpha() else word
