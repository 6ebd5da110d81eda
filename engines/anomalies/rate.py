"""
A rate that jumps: counts per interval against what is usual, now and at this hour of the day.

Counts n per interval become 2·sqrt(n + 3/8), which has about the variance 1 whatever the rate
(Anscombe 1948).  The baseline is the larger of a slow moving average and of what this hour of the
day usually has.  What lies above it, in standard deviations, is summed up by a CUSUM (Page 1954):
small shifts are found after some intervals, large ones in the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Protocol

_HOUR_S = 3600.0
_DRIFT, LIMIT = 0.75, 6.0  # of the CUSUM: about 40,000 intervals between two false alarms
_SLOW = 0.01  # of the moving average: it follows within some 100 intervals
_FAR = 3.0  # standard deviations; what is further out moves the baseline no more than this
_HABIT = 0.3  # how much a new day counts in what an hour usually has
_HOURS = 24
_MOST_NAMED = 100
_LONGEST_SILENCE = 8640  # intervals without anything: more of them change nothing
_EXACT = 50.0  # mean up to which Poisson's tail is summed up
_SURE = 4.753  # standard deviations that one in a million exceeds
TAIL = 1e-6


class RateRule(Protocol):
    """Of intervals of `bucket_s` seconds, `warm_up` are looked at before the first judgement."""

    @property
    def bucket_s(self) -> float: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def least(self) -> int:
        """A spike has at least so many in an interval."""
        ...


@dataclass(slots=True)
class Jump:
    """An interval that was too full: how full, what was expected, and who made the most of it."""

    count: int
    expected: float
    score: float
    subject: str
    share: float
    at: float


@dataclass(slots=True)
class Rate:
    """How often something happens, by intervals."""

    ends: float = 0.0
    count: int = 0
    by_subject: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    level: float = 0.0
    variance: float = 1.0
    score: float = 0.0
    usual: list[float] = field(default_factory=lambda: [0.0] * _HOURS)
    hour: int = -1
    hour_sum: float = 0.0
    hour_seen: int = 0

    def add(self, at: float, count: int, subject: str, rule: RateRule) -> Jump | None:
        """Count some more; what was wrong with the interval before, if this one begins another."""
        found = self.advance(at, rule) if at >= self.ends else None
        self.count += count
        if subject in self.by_subject or len(self.by_subject) < _MOST_NAMED:
            self.by_subject[subject] = self.by_subject.get(subject, 0) + count
        return found

    def advance(self, at: float, rule: RateRule) -> Jump | None:
        """Close the intervals that are over by *at*."""
        width = rule.bucket_s
        if not self.ends:
            self.ends = at - at % width + width
        if at < self.ends:
            return None
        found = self._close(rule)
        silent = int((at - self.ends) // width)
        for _ in range(min(silent, _LONGEST_SILENCE)):
            self.ends += width
            self._close(rule)
        self.ends = at - at % width + width
        return found

    def _close(self, rule: RateRule) -> Jump | None:
        count, self.count = self.count, 0
        by_subject, self.by_subject = self.by_subject, {}
        value = 2.0 * sqrt(count + 0.375)
        hour = int(self.ends // _HOUR_S) % _HOURS
        if hour != self.hour:
            self._end_hour(hour)
        self.hour_sum += value
        self.hour_seen += 1
        self.seen += 1
        if self.seen == 1:
            self.level = value
        habit = self.usual[hour]
        expected = max(self.level, habit)
        score = self.score + (value - expected) / sqrt(self.variance) - _DRIFT
        self.score = max(0.0, score)
        self._learn(value)
        if self.seen <= rule.warm_up or self.score <= LIMIT or count < rule.least:
            if self.seen <= rule.warm_up:
                self.score = 0.0
            return None
        score, self.score = self.score, 0.0
        subject, most = max(by_subject.items(), key=lambda item: item[1], default=("", 0))
        usual = max(expected * expected / 4 - 0.375, 0.0)
        return Jump(count, round(usual, 1), round(score, 2), subject, most / count, self.ends)

    def _learn(self, value: float) -> None:
        off = value - self.level
        far = _FAR * sqrt(self.variance)
        if off > far:
            off = far
        elif off < -far:
            off = -far
        self.level += off * (_SLOW if self.seen > 1 / _SLOW else 1.0 / self.seen)
        variance = self.variance + _SLOW * (off * off - self.variance)
        self.variance = max(1.0, variance)

    def _end_hour(self, hour: int) -> None:
        if self.hour_seen:
            mean, known = self.hour_sum / self.hour_seen, self.usual[self.hour]
            self.usual[self.hour] = known + _HABIT * (mean - known) if known else mean
        self.hour, self.hour_sum, self.hour_seen = hour, 0.0, 0

    def usually(self, at: float) -> float:
        """What an interval at that time is expected to have."""
        expected = max(self.level, self.usual[int(at // _HOUR_S) % _HOURS])
        return max(expected * expected / 4 - 0.375, 0.0)

    def bound(self, at: float) -> float:
        """
        The count that an interval at that time reaches by chance less than once in a million times.

        The larger of Poisson's bound and of that of counts that vary as much as these do.
        """
        mean = self.usually(at)
        far = 2.0 * sqrt(mean + 0.375) + _SURE * sqrt(self.variance)
        return max(poisson_bound(mean), far * far / 4 - 0.375)


def poisson_bound(mean: float, tail: float = TAIL) -> float:
    """The smallest n with P(N >= n) <= *tail*, of a Poisson count with that mean."""
    if mean > _EXACT:
        far = 2.0 * sqrt(mean + 0.375) + _SURE
        return far * far / 4 - 0.375
    term = exp(-mean)
    left, count = 1.0 - term, 1
    while left > tail:
        term *= mean / count
        left -= term
        count += 1
    return count
