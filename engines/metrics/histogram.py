"""How long things took: counts by upper bound, as Prometheus keeps them."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

# Seconds.  Fixed: a series whose bounds move cannot be compared with itself.
DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
LONG_SPANS = (1, 10, 60, 600, 3600, 21600, 86400, 604800)


@dataclass(slots=True)
class Histogram:
    """
    Observed values, as counts below bounds.

    Attributes:
        bounds: Upper ends, each part of its bucket, ascending; behind the last one all the rest.
        counts: Per bucket, not cumulative.
        total: The sum of what was observed.
    """

    bounds: tuple[float, ...] = DURATIONS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count *value*; a clock that was set back makes none negative."""
        value = max(value, 0.0)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Each bound, the last one infinite, and how many are not above it."""
        return list(
            zip((*self.bounds, float("inf")), accumulate(self.counts), strict=True),
        )

    def as_dict(self) -> dict[str, float]:
        """How many, their sum, and within which bound half and nineteen of twenty of them lie."""
        found = {"count": self.count, "sum_s": round(self.total, 6)}
        for name, share in (("half_within_s", 0.5), ("p95_within_s", 0.95)):
            if (bound := self._bound(share)) is not None:
                found[name] = bound
        return found

    def _bound(self, share: float) -> float | None:
        """The bound that *share* of all do not exceed; None where it is infinite, or none came."""
        wanted = share * self.count
        found = next((b for b, n in self.cumulative() if n and n >= wanted), float("inf"))
        return None if found == float("inf") else found
