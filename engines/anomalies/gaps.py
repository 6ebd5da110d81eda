"""
The time between events: how long it usually is, and when they come too fast.

The gaps are taken to be gamma distributed, of a mean and a shape that are learned: 1 is chance
(Poisson), more is regular as a heartbeat is, less comes in clumps.  A burst is told by a CUSUM of
the logarithms of likelihoods, of `TIMES` times the rate against the usual one; by Lorden (1971)
no other rule finds it sooner with as few false alarms.

Sources: Lorden 1971, doi:10.1214/aoms/1177693055.  Shape from the means of x and log x: Minka
2002, "Estimating a Gamma distribution".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf, log, sqrt

TIMES = 5.0
_SLOW_GAP = log(TIMES) / (TIMES - 1)  # of the mean: a longer gap speaks against a burst
BURST_LIMIT = 10.0  # about one false alarm in 50,000 events that come by chance
_WARM_UP = 50
_SLOWEST = 1 / 500
_SHORTEST_S = 1e-3  # what is recorded together has the same time
_CLUMPED, _REGULAR = 0.1, 50.0  # shapes, at the least and at the most
_FAR_OUT = 20.0
_HABIT, _LARGER, _FORGET = 3, 2.0, 0.99  # of crowds


@dataclass(slots=True)
class Gaps:
    """
    The gaps of one series.

    Attributes:
        last: The time of the last event; None before the first.
    """

    last: float | None = None
    seen: int = 0
    mean: float = 0.0
    mean_log: float = 0.0

    def add(self, at: float) -> float | None:
        """Take an event; the gap before it in seconds, None before the second."""
        before = self.last
        if before is None:
            self.last = at
            return None
        if at > before:
            self.last = at
        return max(_SHORTEST_S, at - before)

    def learn(self, gap: float) -> None:
        if gap > _FAR_OUT * self.mean and self.is_known:
            gap = _FAR_OUT * self.mean  # one outage does not make all that is usual slower
        self.seen += 1
        weight = _SLOWEST if self.seen > 1 / _SLOWEST else 1 / self.seen
        self.mean += weight * (gap - self.mean)
        self.mean_log += weight * (log(gap) - self.mean_log)

    @property
    def is_known(self) -> bool:
        return self.seen >= _WARM_UP

    @property
    def shape(self) -> float:
        return shape_of(self.mean, self.mean_log)


def shape_of(mean: float, mean_log: float) -> float:
    """The shape of a gamma distribution with that mean, and that mean of the logarithm."""
    spread = log(mean) - mean_log
    if spread <= 0:
        return _REGULAR
    found = (3 - spread + sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread)
    return min(max(found, _CLUMPED), _REGULAR)


@dataclass(slots=True)
class Burst:
    """
    Events that come too fast for what is usual of them.

    Told once; again when it was over, which it is when nothing is left of what was summed up.

    Attributes:
        since: When the events that are summed up began.
    """

    score: float = 0.0
    events: int = 0
    since: float = 0.0
    raised: bool = False

    def add(
        self, at: float, gap: float, usual: Gaps, *, least: int = 1, within_s: float = inf
    ) -> bool:
        """
        Take a gap, before *usual* has learned it.

        Returns:
            Whether a burst is told of with it: of *least* events, as fast as *least* in *within_s*
            seconds.  What is slower may be unusual, but is no flood.
        """
        if (self.score <= 0 and gap > _SLOW_GAP * usual.mean) or not usual.is_known:
            return False
        step = usual.shape * (log(TIMES) - (TIMES - 1) * gap / usual.mean)
        if self.score <= 0:
            self.raised = False
            self.events, self.since = 0, at - gap
        self.score = min(max(self.score + step, 0.0), 2 * BURST_LIMIT)
        self.events += 1
        told = (
            not self.raised
            and self.score >= BURST_LIMIT
            and self.events >= least
            and (at - self.since) * least <= within_s * self.events
        )
        self.raised = self.score > 0 if self.raised else told
        return told


@dataclass(slots=True)
class Crowd:
    """
    So many events within so short a time, whatever was learned of their gaps.

    Told once per crowd, which is over with a gap as long as that time.  Behind `_HABIT` crowds
    only such are told of as have twice as many events as the largest of late.
    """

    times: deque[float] = field(default_factory=deque)
    size: int = 0
    told: bool = False
    crowds: int = 0
    largest: float = 0.0

    def add(self, at: float, count: int, within_s: float) -> bool:
        """Whether with this event a crowd is told of: *count* within *within_s* seconds."""
        times = self.times
        if times and at - times[-1] > within_s:
            self._over()
        times.append(at)
        while len(times) > count:
            times.popleft()
        if self.size:
            self.size += 1
        elif len(times) == count and at - times[0] <= within_s:
            self.size, self.crowds = count, self.crowds + 1
        needed = count if self.crowds <= _HABIT else max(float(count), _LARGER * self.largest)
        if not self.size or self.told or self.size < needed:
            return False
        self.told = True
        return True

    def _over(self) -> None:
        if self.size:
            self.largest = max(float(self.size), self.largest * _FORGET)
        self.times.clear()
        self.size, self.told = 0, False
