"""How fast to go: how many changes at once, and how long to wait after a failure."""

from __future__ import annotations

from random import Random

_CAP_S = 60.0


class BatchSize:
    """Changes taken at once: more while it goes well, half of it when it was too much."""

    def __init__(self, first: int, most: int) -> None:
        self.now = min(first, most)
        self._most = most

    def went_well(self) -> None:
        self.now = min(self.now * 2, self._most)

    def was_too_much(self) -> None:
        self.now = max(self.now // 2, 1)


class Backoff:
    """
    Pauses between attempts: anything up to a bound that doubles with each, so that many who were
    cut off together do not come back together.

    Source: M. Brooker, "Exponential Backoff And Jitter" (2015), full jitter.
    """

    def __init__(self, first_s: float, random: Random) -> None:
        self._first_s = first_s
        self._random = random
        self.failures = 0

    def after_failure(self, at_least_s: float | None = None) -> float:
        """Count a failure; the seconds to wait, *at_least_s* where the peer asked for them."""
        bound = min(_CAP_S, self._first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return max(self._random.uniform(0, bound), at_least_s or 0.0)

    def went_well(self) -> None:
        self.failures = 0
