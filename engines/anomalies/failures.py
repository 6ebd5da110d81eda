"""Whether what is called answers: a CUSUM of likelihoods, told once until it answers again."""

from __future__ import annotations

from dataclasses import dataclass

# ln(0.5/0.05) and ln(0.5/0.95), and their sum from which it is told: three failures in a row.
_UNANSWERED, _ANSWERED, THREE_IN_A_ROW = 2.303, -0.642, 6.9
FOUR_IN_A_ROW = 9.2  # of what fails one time in twenty, one false alarm in about 100,000


@dataclass(slots=True)
class Dependency:
    """
    Whether something that is called answers, by the likelihood of failing half of the time
    against that of failing one time in twenty (a CUSUM of their logarithms).

    Attributes:
        limit: The sum from which it is told.
    """

    score: float = 0.0
    ok: int = 0
    failed: int = 0
    in_a_row: int = 0
    failing: bool = False
    limit: float = THREE_IN_A_ROW

    def add(self, *, ok: bool) -> bool:
        """Count one call; whether it has begun to fail with it."""
        self.ok, self.failed = self.ok + ok, self.failed + (not ok)
        self.in_a_row = 0 if ok else self.in_a_row + 1
        step = _ANSWERED if ok else _UNANSWERED
        self.score = min(max(self.score + step, 0.0), 2 * self.limit)
        began = not self.failing and self.score >= self.limit
        self.failing = self.score > 0 if self.failing else began
        return began
