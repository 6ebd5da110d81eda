"""
Gauges and meters: what is shown, with whether it was measured at all.

A gauge is a share in percent, a meter a rate.  Neither makes up a number: without data the value is
0 and `measured` is False.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

_HISTORY = 288  # readings kept: a day of one each five minutes
_POINTS = 4096
_SURE = 2.0  # standard deviations by which two counts differ before a rate is called changed


class Share(NamedTuple):
    """So many *good* ones of *all*."""

    good: float = 0
    all: float = 0

    def __add__(self, other: tuple[Any, ...]) -> Share:
        good, all_ = other
        return Share(self.good + good, self.all + all_)

    @property
    def percent(self) -> float | None:
        """In percent; None of nothing."""
        return min(max(100.0 * self.good / self.all, 0.0), 100.0) if self.all > 0 else None


class Reading(NamedTuple):
    """A gauge's value at a time; None where there was nothing to measure."""

    at: float
    value: float | None


class Gauge:
    """
    A share in percent, 0 to 100.

    Attributes:
        current_value: The last reading; 0 where `measured` is False.
        measured: Whether there was anything to measure.
        of: How many operations it stands for.
        history: Readings, oldest first, so many at most.
    """

    unit = "percent"

    def __init__(self, name: str, target: float, *, history: int = _HISTORY) -> None:
        self.name = name
        self.target = target
        self.current_value = 0.0
        self.measured = False
        self.of = 0
        self.history: deque[Reading] = deque(maxlen=history)

    @property
    def on_target(self) -> bool | None:
        """Whether it reaches its target; None where nothing was measured."""
        return self.current_value >= self.target if self.measured else None

    def show(self, share: Share, at: float) -> None:
        """Take *share* as the reading at that time."""
        percent = share.percent
        self.measured = percent is not None
        self.current_value = percent or 0.0
        self.of = int(share.all)
        self.history.append(Reading(at, percent))

    def replay(self, readings: Iterable[Reading]) -> None:
        """Put *readings* in the history's place: of times at which nobody looked."""
        self.history.clear()
        self.history.extend(readings)

    def get_stats(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "current_value": round(self.current_value, 3),
            "measured": self.measured,
            "of": self.of,
            "target": self.target,
            "on_target": self.on_target,
            "unit": self.unit,
            "history": [None if r.value is None else round(r.value, 3) for r in self.history],
        }


class _Track:
    """What one source has told a meter: counts with their times."""

    def __init__(self) -> None:
        self.points: deque[tuple[float, float]] = deque(maxlen=_POINTS)
        self.since: float | None = None
        self.last = 0.0


class Meter:
    """
    How often something happens per interval, over the last window.

    Attributes:
        value: Per interval; 0 where `measured` is False.
        trend: "rising", "falling" or "steady": the newer half of the window held against the older
            one, by more than chance; None where nothing was measured.
    """

    def __init__(self, name: str, *, interval_s: float = 60.0, window_s: float = 3600.0) -> None:
        self.name = name
        self.interval_s = interval_s
        self.window_s = window_s
        self.value = 0.0
        self.measured = False
        self.trend: str | None = None
        self._tracks: dict[str, _Track] = {}

    def observe(self, total: float, at: float, source: str = "") -> None:
        """Take a reading of a count that only grows; one that fell has begun anew."""
        track = self._tracks.setdefault(source, _Track())
        if track.since is None:
            track.since = at
        elif total != track.last:
            grown = total - track.last if total >= track.last else total
            track.points.append((at, grown))
        track.last = total

    def replay(self, points: Iterable[tuple[float, float]], since: float, source: str) -> None:
        """Take counts with the times at which they happened, instead of readings."""
        track = self._tracks[source] = _Track()
        track.since = since
        track.points.extend(points)

    def update(self, now: float) -> None:
        """Work out the rate up to *now*."""
        older = newer = rate = 0.0
        self.measured = False
        for track in self._tracks.values():
            begin = max(now - self.window_s, math.inf if track.since is None else track.since)
            if begin >= now:
                continue
            self.measured = True
            middle = (begin + now) / 2
            early = sum(count for at, count in track.points if begin <= at < middle)
            late = sum(count for at, count in track.points if middle <= at <= now)
            older, newer = older + early, newer + late
            # What was seen for less than an interval is not made more of.
            rate += (early + late) * self.interval_s / max(now - begin, self.interval_s)
        self.value = rate
        self.trend = _trend(older, newer) if self.measured else None

    def get_stats(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": round(self.value, 6),
            "measured": self.measured,
            "trend": self.trend,
            "interval_s": self.interval_s,
            "window_s": self.window_s,
        }


def _trend(older: float, newer: float) -> str:
    # Two counts of chance differ by about the root of their sum.
    if abs(newer - older) <= _SURE * math.sqrt(older + newer):
        return "steady"
    return "rising" if newer > older else "falling"
