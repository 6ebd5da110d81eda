"""
Drift of a mix: how often which of several words comes, held against how it was.

Each block of `BLOCK` words is held against those before by the chi-square test of homogeneity
(Pearson 1900), with words that are too rare for it taken together, and its probability turned into
standard deviations (Wilson & Hilferty 1931).  Blocks before count for less and less.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt

from engines.anomalies.model import Finding

BLOCK = 64
LIMIT = 3.7  # standard deviations: one block in 9,000
_WARM_UP = 4 * BLOCK
_KEEPS = 0.95  # of the weight of what was, per block
_MOST_WORDS = 64
_FEW = 5.0  # expected in the block; what is rarer is taken together
_NAMED = 5
_LONGEST = 80
OTHER = "(other)"


@dataclass(slots=True)
class Mix:
    """Whether words come as often as they did."""

    usual: dict[str, float] = field(default_factory=dict)
    block: Counter[str] = field(default_factory=Counter)
    size: int = 0

    def add(self, word: str) -> Finding | None:
        """Take a word; what is told of the block that it ends."""
        word = word[:_LONGEST]
        if word not in self.usual and word not in self.block and self._full:
            word = OTHER
        self.block[word] += 1
        self.size += 1
        if self.size < BLOCK:
            return None
        found = self._held_against_usual() if sum(self.usual.values()) >= _WARM_UP else None
        block, self.block, self.size = self.block, Counter(), 0
        if found:  # what it is now is the new usual
            self.usual = {}
        keeps = _KEEPS if sum(self.usual.values()) >= _WARM_UP + BLOCK else 1.0
        for name in list(self.usual):
            self.usual[name] *= keeps
        for name, count in block.items():
            self.usual[name] = self.usual.get(name, 0.0) + count
        return found

    @property
    def _full(self) -> bool:
        return len(self.usual) + len(self.block) >= _MOST_WORDS

    def _held_against_usual(self) -> Finding | None:
        before = sum(self.usual.values())
        everything = before + BLOCK
        words = {*self.usual, *self.block}
        shares = {w: (self.usual.get(w, 0.0) + self.block[w]) / everything for w in words}
        common = [word for word in sorted(words) if shares[word] * BLOCK >= _FEW]
        cells = [(self.usual.get(w, 0.0), float(self.block[w])) for w in common]
        rest = (before - sum(c[0] for c in cells), BLOCK - sum(c[1] for c in cells))
        # Too rare even together they say nothing.
        if sum(rest) / everything * BLOCK >= 1:
            cells.append(rest)
        if len(cells) < 2:  # noqa: PLR2004  one word has no mix
            return None
        score = _deviations(_chi_square(cells, before), len(cells) - 1)
        if score < LIMIT:
            return None
        far = sorted(
            words, key=lambda w: -abs(self.block[w] / BLOCK - self.usual.get(w, 0) / before)
        )
        now = {word: round(self.block[word] / BLOCK, 3) for word in far[:_NAMED]}
        was = {word: round(self.usual.get(word, 0.0) / before, 3) for word in far[:_NAMED]}
        evidence = {"before": was, "now": now, "block": BLOCK, "words": len(words)}
        first = far[0]
        return Finding(
            score, LIMIT, f"{first} {was[first]:.1%}", f"{first} {now[first]:.1%}", evidence
        )


def _chi_square(cells: list[tuple[float, float]], before: float) -> float:
    found, everything = 0.0, before + BLOCK
    for old, new in cells:
        together = old + new
        for seen, size in ((old, before), (new, BLOCK)):
            expected = together * size / everything
            found += (seen - expected) ** 2 / expected
    return found


def _deviations(chi: float, freedom: int) -> float:
    far = 2 / (9 * freedom)
    return float(((chi / freedom) ** (1 / 3) - (1 - far)) / sqrt(far))
