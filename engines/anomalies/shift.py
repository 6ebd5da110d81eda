"""
Drift of numbers, of whatever distribution: CUSUMs over normal scores.

The first `REFERENCE` values are what later ones are held against.  A later value's rank among them
becomes the quantile of the normal distribution at that rank, so that neither scale nor shape of
the distribution matters (Conover, Tercero-Gómez & Cordero-Franco 2017, "The sequential normal
scores transformation", doi:10.1080/07474946.2017.1360091).  Two two-sided CUSUMs (Page 1954) sum
up what is more than `DRIFT`: one of the scores (the level), one of how far from the middle they
are (the spread).  After an alarm a new reference is taken: what it drifted to is the new usual.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from functools import cache
from math import sqrt

from engines.anomalies.model import Finding

REFERENCE = 128
DRIFT = 0.5  # of a standard deviation: half of the smallest shift that matters
LIMIT = 14.0
_HUGE = 1e300


@dataclass(slots=True)
class Shift:
    """Whether a number drifts: its level, or its spread."""

    reference: list[float] = field(default_factory=list)
    up: float = 0.0
    down: float = 0.0
    wider: float = 0.0
    narrower: float = 0.0
    seen: int = 0
    recent: float = 0.0
    middle: float = 0.0
    scale: float = 1.0

    def add(self, value: float) -> Finding | None:
        """Take a value; what is told of it.  What is no number to reckon with is passed over."""
        if not -_HUGE < value < _HUGE:  # a NaN is neither
            return None
        reference = self.reference
        if len(reference) < REFERENCE:
            insort(reference, value)
            if len(reference) == REFERENCE:
                self._settle()
            return None
        self.seen += 1
        self.recent += (value - self.recent) / min(self.seen, 16)
        rank = bisect_left(reference, value) + bisect_right(reference, value)
        level, spread = _scores()
        score, width = level[rank], spread[rank]
        width = (width - self.middle) / self.scale
        self.up = up = _sum(self.up, score)
        self.down = down = _sum(self.down, -score)
        if reference[0] < reference[-1]:  # one value has no spread
            self.wider = _sum(self.wider, width)
            self.narrower = _sum(self.narrower, -width)
        if up < LIMIT > down and self.wider < LIMIT > self.narrower:
            return None
        return self._told()

    def _settle(self) -> None:
        """Where values are equal, scores of spread have a mean that is not 0, and vary more."""
        usual, spread = self.reference, _scores()[1]
        scores = [spread[bisect_left(usual, one) + bisect_right(usual, one)] for one in usual]
        self.middle = sum(scores) / REFERENCE
        varies = sum((score - self.middle) ** 2 for score in scores) / REFERENCE
        self.scale = max(sqrt(varies), 1.0)

    def _told(self) -> Finding:
        sums = {"up": self.up, "down": self.down, "wider": self.wider, "narrower": self.narrower}
        way = max(sums, key=lambda name: sums[name])
        usual = self.reference
        quarter = len(usual) // 4
        evidence = {
            "way": way,
            "samples": self.seen,
            "usual_range": [usual[quarter], usual[-quarter - 1]],
        }
        found = Finding(sums[way], LIMIT, usual[len(usual) // 2], self.recent, evidence)
        self.reference = []
        self.up = self.down = self.wider = self.narrower = self.recent = 0.0
        self.seen = 0
        return found


def _sum(before: float, more: float) -> float:
    found = before + more - DRIFT
    return max(0.0, found)


@cache
def _scores() -> tuple[list[float], list[float]]:
    """
    By the sum of a value's left and right rank: its normal score, and that of its distance from
    the middle.
    """
    from statistics import NormalDist  # noqa: PLC0415  only where numbers are watched

    quantile = NormalDist().inv_cdf
    steps = range(2 * REFERENCE + 1)
    shares = [(step / 2 + 0.5) / (REFERENCE + 1) for step in steps]
    level = [quantile(share) for share in shares]
    # What lies in the very middle still lies at the middle of a step of its own.
    inner = [(abs(2 * share - 1) * REFERENCE + 0.5) / (REFERENCE + 1) for share in shares]
    return level, [quantile(min(share, shares[-1])) for share in inner]
