"""
The three detectors: of rates that jump, of breaches that repeat, of dependencies that fail.

Each is a small state that folds one observation after the other and says when to raise an alarm.

A rate: counts n per interval become 2·sqrt(n + 3/8), which has about the variance 1 whatever the
rate (Anscombe 1948).  The baseline is the larger of a slow moving average and of what this hour of
the day usually has.  What lies above it, in standard deviations, is summed up by a CUSUM (Page
1954): small shifts are found after some intervals, large ones in the first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import sqrt

from engines.nav_mesh.rules import HOUR_S, AnomalyRule

_DRIFT, _LIMIT = 0.75, 6.0  # of the CUSUM: about 40,000 intervals between two false alarms
_SLOW = 0.01  # of the moving average: it follows within some 100 intervals
_FAR = 3.0  # standard deviations; what is further out moves the baseline no more than this
_HABIT = 0.3  # how much a new day counts in what an hour usually has
_HOURS = 24
_MOST_NAMED = 100
# ln(0.5/0.05) and ln(0.5/0.95), and their sum from which it is told: three failures in a row.
_UNANSWERED, _ANSWERED, _FAILING = 2.303, -0.642, 6.9
_LONGEST_SILENCE = 8640  # intervals without anything: more of them change nothing


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

    def add(self, at: float, count: int, subject: str, rule: AnomalyRule) -> Jump | None:
        """Count some more; what was wrong with the interval before, if this one begins another."""
        found = self.advance(at, rule) if at >= self.ends else None
        self.count += count
        if subject in self.by_subject or len(self.by_subject) < _MOST_NAMED:
            self.by_subject[subject] = self.by_subject.get(subject, 0) + count
        return found

    def advance(self, at: float, rule: AnomalyRule) -> Jump | None:
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

    def _close(self, rule: AnomalyRule) -> Jump | None:
        count, self.count = self.count, 0
        by_subject, self.by_subject = self.by_subject, {}
        value = 2.0 * sqrt(count + 0.375)
        hour = int(self.ends // HOUR_S) % _HOURS
        if hour != self.hour:
            self._end_hour(hour)
        self.hour_sum += value
        self.hour_seen += 1
        self.seen += 1
        if self.seen == 1:
            self.level = value
        expected = max(self.level, self.usual[hour])
        above = (value - expected) / sqrt(self.variance)
        self.score = max(self.score + above - _DRIFT, 0.0)
        self._learn(value)
        if self.seen <= rule.warm_up or self.score <= _LIMIT or count < rule.least:
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
        off = min(max(off, -far), far)
        weight = max(_SLOW, 1.0 / self.seen)
        self.level += weight * off
        self.variance += _SLOW * (off * off - self.variance)
        self.variance = max(self.variance, 1.0)

    def _end_hour(self, hour: int) -> None:
        if self.hour_seen:
            mean, known = self.hour_sum / self.hour_seen, self.usual[self.hour]
            self.usual[self.hour] = known + _HABIT * (mean - known) if known else mean
        self.hour, self.hour_sum, self.hour_seen = hour, 0.0, 0


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


@dataclass(slots=True)
class Dependency:
    """
    Whether something that is called answers, by the likelihood of failing half of the time
    against that of failing one time in twenty (a CUSUM of their logarithms).
    """

    score: float = 0.0
    ok: int = 0
    failed: int = 0
    in_a_row: int = 0
    failing: bool = False

    def add(self, *, ok: bool) -> bool:
        """Count one call; whether it has begun to fail with it."""
        self.ok, self.failed = self.ok + ok, self.failed + (not ok)
        self.in_a_row = 0 if ok else self.in_a_row + 1
        step = _ANSWERED if ok else _UNANSWERED
        self.score = min(max(self.score + step, 0.0), 2 * _FAILING)
        began = not self.failing and self.score >= _FAILING
        self.failing = self.score > 0 if self.failing else began
        return began
