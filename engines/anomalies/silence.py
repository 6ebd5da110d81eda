"""
When an event that comes regularly is missing.

Learned of *comings*: events within a minute of each other are one, so that a loop that runs for a
second says nothing of what comes regularly.  Something is waited for only once it was known for a
day, and for twenty times as long as its longest pause: what people do in the day pauses each night
and each weekend, and is never waited for before months of it are known.

The pauses are taken to be gamma distributed.  Its quantile: Wilson & Hilferty 1931,
doi:10.1073/pnas.17.12.684.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, sqrt

from engines.anomalies.gaps import shape_of

TOGETHER_S = 60.0
KNOWN_S = 86_400.0
_COMINGS, _PAUSES = 20, 20.0
_SLOWEST = 1 / 500
_FAR = 4.5  # standard deviations: three in a million
_EXPECTED_FROM = 0.5  # a shape below this is too irregular to wait for
_UNSURE = 2.0  # standard errors of the mean
_MORE = 1.25
_KEEPS_S = 7 * KNOWN_S / log(2)


@dataclass(slots=True)
class Comings:
    """
    The pauses between a series' comings.

    Attributes:
        longest: Of the pauses; it and the `second` count half as much after a week.
    """

    began: float | None = None
    last: float = 0.0
    seen: int = 0
    mean: float = 0.0
    mean_log: float = 0.0
    longest: float = 0.0
    second: float = 0.0

    def add(self, at: float) -> None:
        """Take an event."""
        if self.began is None:
            self.began = self.last = at
            return
        pause = at - self.last
        if pause < TOGETHER_S:
            return
        self.last = at
        keeps = exp(-pause / _KEEPS_S)
        self.longest, self.second = self.longest * keeps, self.second * keeps
        if pause > self.longest:
            self.longest, self.second = pause, self.longest
        elif pause > self.second:
            self.second = pause
        self.seen += 1
        weight = max(_SLOWEST, 1 / self.seen)
        self.mean += weight * (pause - self.mean)
        self.mean_log += weight * (log(pause) - self.mean_log)

    @property
    def is_known(self) -> bool:
        known_s = self.last - (self.began or 0.0)
        return self.seen >= _COMINGS and known_s >= max(KNOWN_S, _PAUSES * self.longest)

    @property
    def longest_expected(self) -> float:
        """
        Seconds of silence behind which an event is missing; infinite where none can be expected.

        The larger of a quantile that chance exceeds three times in a million, with the mean as
        long as it may well be, and of somewhat more than the second longest: what happened once
        is not usual.
        """
        if not self.is_known or (shape := shape_of(self.mean, self.mean_log)) < _EXPECTED_FROM:
            return inf
        nine = 9 * shape
        quantile = (1 - 1 / nine + _FAR / sqrt(nine)) ** 3
        mean = self.mean * (1 + _UNSURE / sqrt(shape * min(self.seen, 1 / _SLOWEST)))
        return max(mean * quantile, _MORE * self.second)
