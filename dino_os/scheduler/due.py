"""
Which of a job's due times that have come are run, and which are skipped and why.  Pure.

Due times are told apart by how late it is: on time (within the grace), missed (within the catch-up
window), too old.  Rows of them are never walked through where they can be counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from dino_os.scheduler.policies import Policies, share
from dino_os.scheduler.triggers import Trigger, next_time, times_after

_MOST_AT_ONCE = 1000
_MOST_COUNTED = 10_000
_FIRST_SPAN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Run:
    """
    A due time that is run, *delay_s* from now.

    Attributes:
        why: due, catch_up or requested.
        claim: By what right, where nodes share it.
    """

    due: float
    why: str = "due"
    delay_s: float = 0.0
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """
    Due times next to each other that are not run; *more* where they are too many to count.

    With a *node*, they are that one's.
    """

    first: float
    last: float
    count: int
    reason: str
    more: bool = False
    why: str = "due"
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """In the order of their times: what is skipped, what runs, and the next time after now."""

    next_run: float | None
    rows: list[Row] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Times:
    """The due times of a job; *only* this one where it is known that there is no other yet."""

    trigger: Trigger
    since: float
    only: float | None = None

    def after(self, moment: float) -> float | None:
        return next_time(self.trigger, after=moment, since=self.since)

    def all_after(self, moment: float) -> Iterator[float]:
        return times_after(self.trigger, after=moment, since=self.since)

    def before(self, moment: float, low: float) -> float:
        """The latest before *moment*, or *low* where that is later."""
        return (self.last(just_after(low), moment) or [low])[0]

    def within(self, low: float, high: float) -> Iterator[float]:
        """Those of [low, high), earliest first."""
        if self.only is not None:
            return iter([self.only] if low <= self.only < high else [])
        # A millisecond before is where one that is due at *low* itself still lies ahead.
        ahead = times_after(self.trigger, after=low - 0.001, since=self.since)
        return (time for time in takewhile(lambda t: t < high, ahead) if time >= low)

    def last(self, low: float, high: float, most: int = 1) -> list[float]:
        """The latest *most* of [low, high), without walking through all of them."""
        span = _FIRST_SPAN_S
        if self.trigger["kind"] == "interval":
            span = (most + 1) * self.trigger["everyMs"] / 1000
        while True:
            start = max(low, high - span)
            found = list(self.within(start, high))
            if len(found) >= most or start <= low:
                return found[-most:] if most else []
            span *= 4

    def row(self, low: float, high: float, reason: str) -> list[Row]:
        """Those of [low, high) as one row, or no row where there are none."""
        first = next(self.within(low, high), None)
        if first is None:
            return []
        last = self.last(first, high)[0]
        if self.trigger["kind"] == "interval":
            count = round((last - first) * 1000 / self.trigger["everyMs"]) + 1
            return [Row(first, last, count, reason)]
        counted = sum(1 for _ in islice(self.within(first, high), _MOST_COUNTED + 1))
        return [Row(first, last, min(counted, _MOST_COUNTED), reason, counted > _MOST_COUNTED)]


def decide(times: Times, policies: Policies, job_id: str, first: float, now: float) -> Decision:
    """What becomes of the due times from *first* (the earliest not decided yet) to *now*."""
    end = just_after(now)
    next_run = times.after(first)
    if next_run is None or next_run > now:  # nearly always: nothing was missed
        times, latest = replace(times, only=first), first
    else:
        latest, next_run = times.last(first, end)[0], times.after(now)
    grace = policies.grace(None if next_run is None else next_run - latest)
    on_time = times.last(max(first, now - grace), end, _MOST_AT_ONCE)
    missed_to = on_time[0] if on_time else end
    window = max(first, now - max(policies.catchup_window_s, grace))
    good = _made_good(times, policies, window, missed_to, fresh=bool(on_time))
    missed_to = good[0] if good else missed_to
    rows = times.row(first, window, "too_old") + times.row(window, missed_to, "misfire")
    runs = _spread(good, policies, job_id) + [Run(due) for due in on_time]
    late = [run for run in runs if _is_too_late(run.due, policies, job_id, now)]
    rows += [Row(run.due, run.due, 1, "too_late") for run in late]
    return Decision(next_run, rows, [run for run in runs if run not in late])


def just_after(moment: float) -> float:
    return math.nextafter(moment, math.inf)


def _made_good(
    times: Times, policies: Policies, low: float, high: float, *, fresh: bool
) -> list[float]:
    """The missed times that run after all; one that is on time is as good as the last missed."""
    most = {"skip": 0, "fire_once": 0 if fresh else 1, "fire_all": policies.misfire_limit}
    wanted = most[policies.misfire]
    return times.last(low, high, wanted) if wanted else []


def _spread(good: list[float], policies: Policies, job_id: str) -> list[Run]:
    """Each in a part of its own of the time that they are spread over."""
    part = policies.catchup_spread_s / len(good) if good else 0.0
    return [
        Run(due, "catch_up", part * (place + share(job_id, due))) for place, due in enumerate(good)
    ]


def _is_too_late(due: float, policies: Policies, job_id: str, now: float) -> bool:
    deadline = policies.start_deadline_s
    return deadline is not None and now > due + policies.jitter(job_id, due) + deadline
