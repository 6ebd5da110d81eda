"""
One score of an entry out of what its words, its meaning, its age and its importance say.

    score = (a · text + (1 - a) · meaning) · recency · importance

Both sides are absolute, 0…1, so that a score means the same in every query: text is the share of
the query's information that the entry has, meaning how far its cosine lies above that of unrelated
texts.  The combination is over the union of both sides' candidates (Bruch, Gai and Ingber 2023,
arXiv 2210.11934: better than fusing ranks, and so it was measured here).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from dino_os.memory_layer.lexical import Order, Weighed

# The text's part, by embedder.  For half of the questions of bench/memory_quality.py, less is best
# with the models (0.2 with minilm), and for questions to a conversation more (0.5 to 0.7).
ALPHAS = {"minilm": 0.3, "wordllama": 0.5, "words": 0.7}
ALPHA = 0.5  # of any other
_EXACT = 0.95  # of the text, where a query is all names, numbers and quotations


@dataclass(frozen=True, slots=True)
class Blend:
    """
    How the sides of one search are put together.

    Attributes:
        alpha: The text's part, 0…1.
        floor: The cosine of unrelated texts.
        half_life_s: The age at which an entry counts half; None: age does not count.
        importance: The part of the score that is the entry's importance's, 0…1.
        now: Seconds since the epoch, when ages are taken.
    """

    alpha: float
    floor: float = 0.0
    half_life_s: float | None = None
    importance: float = 0.0
    now: float = 0.0

    def score(self, hit: Hit) -> float:
        return (self.alpha * hit.text + (1 - self.alpha) * self.meaning(hit)) * self.factor(hit)

    def meaning(self, hit: Hit) -> float:
        if hit.cosine is None:
            return 0.0
        return min(max((hit.cosine - self.floor) / (1 - self.floor), 0.0), 1.0)

    def factor(self, hit: Hit) -> float:
        return self.recency(hit.updated) * self.worth(hit.importance)

    def recency(self, updated: float) -> float:
        if self.half_life_s is None:
            return 1.0
        return float(2.0 ** -(max(self.now - updated, 0.0) / self.half_life_s))

    def worth(self, importance: float) -> float:
        return 1 - self.importance + self.importance * min(max(importance, 0.0), 1.0)

    @property
    def order(self) -> Order | None:
        """How age and importance reorder entries; None where neither counts."""
        if self.half_life_s is None and not self.importance:
            return None
        by = None if self.half_life_s and self.importance else "updated"
        if self.half_life_s is None:
            by = "importance"
        return Order(by, lambda updated, worth: self.recency(updated) * self.worth(worth))


@dataclass(slots=True)
class Hit:
    """An entry that may be an answer, and what each side says of it."""

    entry: int
    bits: int
    text: float
    cosine: float | None
    updated: float
    importance: float
    key: str
    words: int = 0


def alpha_of(embedder: str, exactness: float) -> float:
    """The text's part for an embedder's name, and how much of a query is names and quotations."""
    usual = ALPHAS.get(embedder.partition(":")[0], ALPHA)
    return usual + (_EXACT - usual) * exactness


def explained(hit: Hit, blend: Blend, terms: list[Weighed]) -> dict[str, Any]:
    """
    Where a score comes from.

    The contributions of all terms, and that of the meaning, add up to the score.
    """
    total = math.fsum(term.weight for term in terms)
    factor = blend.factor(hit)
    return {
        "score": blend.score(hit),
        "terms": [
            _term(item, hit.bits >> i & 1, blend.alpha * factor / total)
            for i, item in enumerate(terms)
        ],
        "meaning": {
            "cosine": hit.cosine,
            "floor": blend.floor,
            "value": blend.meaning(hit),
            "contribution": (1 - blend.alpha) * factor * blend.meaning(hit),
        },
        "alpha": blend.alpha,
        "recency": blend.recency(hit.updated),
        "importance": blend.worth(hit.importance),
    }


def _term(item: Weighed, there: int, worth: float) -> dict[str, Any]:
    return {
        "term": item.term.text,
        "instead_of": item.instead_of,
        "entries": item.entries,
        "weight": item.weight,
        "found": bool(there),
        "contribution": item.counts * worth if there else 0.0,
    }
