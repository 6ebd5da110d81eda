"""What is known of one series of events, and of one source of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import TypeVar

from engines.anomalies.adwin import Adwin
from engines.anomalies.failures import FOUR_IN_A_ROW, Dependency
from engines.anomalies.gaps import BURST_LIMIT, TIMES, Burst, Crowd, Gaps
from engines.anomalies.mix import Mix
from engines.anomalies.model import AnomalyKind, Finding, Severity
from engines.anomalies.novelty import Novelty
from engines.anomalies.rate import LIMIT, Jump, Rate, poisson_bound
from engines.anomalies.rules import AnomalyRules
from engines.anomalies.sequence import Sequences
from engines.anomalies.shift import Shift
from engines.anomalies.silence import Comings

_MOST_FIELDS = 16
_OFTEN = 0.2
_SELDOM, _FULLER = 5.0, 2.0  # per interval; times the fullest of late
_FORGET_S = 7 * 86_400.0 / log(2)
_KNOWN, _SLOWEST = 50, 1 / 500  # gaps before they are known; the least weight of a new one

T = TypeVar("T")

Found = tuple[AnomalyKind, str, Finding]
"""The kind, the field of the series ("" for all of it), and the finding."""


@dataclass(slots=True)
class Series:
    """
    The events of one kind from one source.

    Attributes:
        fullest: The most events of an interval of late; it counts half as much after a week.
        due: When its next event must have come; None where none is waited for.
    """

    gaps: Gaps = field(default_factory=Gaps)
    comings: Comings = field(default_factory=Comings)
    burst: Burst = field(default_factory=Burst)
    rate: Rate = field(default_factory=Rate)
    bound: float = 0.0
    bound_until: float = 0.0
    over: bool = False
    fullest: float = 0.0
    values: dict[str, Shift] = field(default_factory=dict)
    labels: dict[str, Mix] = field(default_factory=dict)
    failing: Dependency | None = None
    failures: Adwin | None = None
    due: float | None = None

    def add(self, at: float, run: str, rules: AnomalyRules) -> Iterator[Found]:
        """Take an event as such: its time."""
        gap = self.gaps.add(at)
        if gap is not None:
            least, within_s = rules.least, rules.bucket_s
            if self.burst.add(at, gap, self.gaps, least=least, within_s=within_s):
                yield AnomalyKind.BURST, "", self._burst(at)
            self.gaps.learn(gap)
        at = self.gaps.last or at
        self.comings.add(at)
        rate, ended, count, usual = self.rate, self.rate.ends, self.rate.count, self.fullest
        jump = rate.add(at, 1, run, rules)
        if rate.ends != ended:
            fades = exp((ended - rate.ends) / _FORGET_S) if ended else 1.0
            self.fullest = max(usual, float(count)) * fades
        if jump and not self._as_ever(jump.count, usual):
            yield AnomalyKind.RATE_SPIKE, "", _jump(jump, rules.bucket_s)
        if rate.ends != self.bound_until:
            self.bound_until, self.over = rate.ends, False
            self.bound = max(rate.bound(rate.ends), float(rules.least))
        if self.over or rate.count < self.bound or rate.seen <= rules.warm_up:
            return
        if not self._as_ever(rate.count, self.fullest):
            self.over = True
            yield AnomalyKind.RATE_SPIKE, "", self._over_bound(rules)

    def _as_ever(self, count: int, fullest: float) -> bool:
        """
        Whether it is usual that an interval has so many though most have few: what comes seldom
        comes in clumps (all of one run), of which bounds for chance know nothing.
        """
        return count < _FULLER * fullest and self.rate.usually(self.rate.ends) < _SELDOM

    def measure(
        self, values: Mapping[str, float], labels: Mapping[str, str], *, ok: bool | None
    ) -> Iterator[Found]:
        """Take what an event says."""
        for name, value in values.items():
            shift = _watched(self.values, name, Shift)
            if shift and (found := shift.add(value)):
                yield AnomalyKind.DRIFT, name, found
        for name, word in labels.items():
            mix = _watched(self.labels, name, Mix)
            if mix and (found := mix.add(word)):
                yield AnomalyKind.MIX_DRIFT, name, found
        if ok is not None:
            yield from self._outcome(ok=ok)

    def _outcome(self, *, ok: bool) -> Iterator[Found]:
        self.failing = known = self.failing or Dependency(limit=FOUR_IN_A_ROW)
        self.failures = share = self.failures or Adwin()
        often = share.width >= _KNOWN and share.mean >= _OFTEN
        if known.add(ok=ok) and not often:  # what fails every fifth time is no news
            evidence = {"ok": known.ok, "failed": known.failed, "unit": "failures in a row"}
            found = Finding(
                known.score, known.limit, "successes", known.in_a_row, evidence, Severity.HIGH
            )
            yield AnomalyKind.FAILING, "", found
        if found_ := share.add(float(not ok)):
            yield AnomalyKind.DRIFT, "failures", found_

    def _burst(self, at: float) -> Finding:
        burst, mean = self.burst, self.gaps.mean
        seconds = max(at - burst.since, 1e-9)
        evidence = {
            "events": burst.events,
            "seconds": round(seconds, 3),
            "shape": round(self.gaps.shape, 2),
            "times": TIMES,
            "unit": "events/s",
        }
        return Finding(burst.score, BURST_LIMIT, 1 / mean, burst.events / seconds, evidence)

    def _over_bound(self, rules: AnomalyRules) -> Finding:
        rate = self.rate
        subject, most = max(rate.by_subject.items(), key=lambda item: item[1])
        evidence = {
            "interval_s": rules.bucket_s,
            "mostly": subject,
            "share": round(most / rate.count, 3),
            "bound": "poisson",
            "unit": f"within {rules.bucket_s:g} s",
        }
        usual = round(rate.usually(rate.ends), 2)
        return Finding(float(rate.count), self.bound, usual, float(rate.count), evidence)


@dataclass(slots=True)
class Source:
    """All that comes from one source."""

    last: float | None = None
    seen: int = 0
    mean_gap: float = 0.0
    crowd: Crowd = field(default_factory=Crowd)
    novelty: Novelty = field(default_factory=Novelty)
    sequences: Sequences = field(default_factory=Sequences)

    def add(self, kind: str, at: float, run: str, rules: AnomalyRules) -> Iterator[Found]:
        """Take an event as one of all kinds."""
        before = self.last
        self.last = at = at if before is None else max(at, before)
        if self.crowd.add(at, rules.burst_events, rules.burst_window_s):
            yield from self._crowded(rules)
        if before is not None:
            self.seen += 1
            self.mean_gap += max(_SLOWEST, 1 / self.seen) * (at - before - self.mean_gap)
        if new := self.novelty.add(kind):
            yield AnomalyKind.NEW_KIND, "", new
        if odd := self.sequences.add(kind, run):
            yield AnomalyKind.UNUSUAL_SEQUENCE, "", odd

    def _crowded(self, rules: AnomalyRules) -> Iterator[Found]:
        count, within = rules.burst_events, rules.burst_window_s
        known = self.seen >= _KNOWN and self.mean_gap > 0
        expected = within / self.mean_gap if known else 0.0
        if known and count < poisson_bound(expected):  # chance makes as many
            return
        evidence = {"seconds": within, "unit": f"events within {within:g} s"}
        size = float(self.crowd.size)
        usual = round(expected, 3) if known else "fewer"
        yield AnomalyKind.BURST, "", Finding(size, float(count), usual, size, evidence)


def _jump(jump: Jump, bucket_s: float) -> Finding:
    evidence = {
        "interval_s": bucket_s,
        "mostly": jump.subject,
        "share": round(jump.share, 3),
        "bound": "cusum",
        "unit": f"within {bucket_s:g} s",
    }
    return Finding(jump.score, LIMIT, jump.expected, float(jump.count), evidence)


def _watched(known: dict[str, T], name: str, kind: type[T]) -> T | None:
    if name not in known and len(known) < _MOST_FIELDS:
        known[name] = kind()
    return known.get(name)
