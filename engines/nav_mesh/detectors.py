"""
How breaches repeat: one detector of the gates; those that others have too are engines.anomalies'.

A small state that folds one observation after the other and says when to raise an alarm.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaches:
    """
    How many breaches there were of late, each counting half as much after a while.

    Attributes:
        score: All of them; `proven`: those with a token of that subject.
    """

    score: float = 0.0
    proven: float = 0.0
    at: float = 0.0
    since: float = 0.0
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, at: float, count: int, rule: str, half_life_s: float, *, proven: bool) -> None:
        fade = 0.5 ** (max(at - self.at, 0.0) / half_life_s) if self.at else 0.0
        if max(self.score, self.proven) * fade < 0.1:  # noqa: PLR2004  what was is over
            fade, self.since, self.rules = 0.0, at, Counter[str]()
        self.score = self.score * fade + count
        self.proven = self.proven * fade + (count if proven else 0)
        self.at = max(at, self.at)
        self.rules[rule] += count

    def calm(self, *, misuse: bool) -> None:
        """Begin to count anew: it has been told; what is proven only where that was told."""
        self.score, self.rules = 0.0, Counter()
        if misuse:
            self.proven = 0.0
