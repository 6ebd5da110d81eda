"""
Readings of a number over time: as they were for a day, then per hour, then per day, then no more.

A reading holds until the next one: what did not change need not be told again.  They stand in the
order in which they were recorded, whatever time a clock that was wrong gave to some.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from engines.metrics.history import DAY, HOUR

_POINTS, _HOURS, _DAYS = 1500, 24 * 31, 400


class Span(NamedTuple):
    """What was read within an hour or a day; its mean is that of the readings."""

    begin: float
    readings: int
    total: float
    least: float
    most: float
    last: float

    def with_(self, value: float) -> Span:
        return Span(
            self.begin,
            self.readings + 1,
            self.total + value,
            min(self.least, value),
            max(self.most, value),
            value,
        )


@dataclass(slots=True)
class Readings:
    """
    One number's.

    Attributes:
        points: Times and values, None where nothing was measured; as they were recorded.
    """

    points: list[tuple[float, float | None]] = field(default_factory=list)
    hours: list[Span] = field(default_factory=list)
    days: list[Span] = field(default_factory=list)

    def add(self, at: float, value: float | None) -> None:
        self.points.append((at, value))
        if len(self.points) > _POINTS:
            del self.points[0]
        if value is not None:
            _add(self.hours, at, value, HOUR, _HOURS)
            _add(self.days, at, value, DAY, _DAYS)

    @property
    def last(self) -> float | None:
        return self.points[-1][1] if self.points else None

    @property
    def begins(self) -> float | None:
        """From when on something is known."""
        if self.days and len(self.points) >= _POINTS:
            return self.days[0].begin
        return self.points[0][0] if self.points else None

    def at(self, when: float) -> float | None:
        """The value that held then; the earliest that is known where none did; None of nothing."""
        place = self._behind(when)
        return self.points[max(place - 1, 0)][1] if self.points else None

    def grown(self, now: float, span_s: float, value: float) -> float | None:
        """
        By how much a count that is *value* now grew; one that fell has begun anew.

        One that was not there when it was read was 0: it is there from the first that is counted.
        """
        if not self.points:
            return None
        total, before = 0.0, self.at(now - span_s) or 0.0
        rest = [found for _, found in self.points[self._behind(now - span_s) :]]
        for found in [*(one for one in rest if one is not None), value]:
            total += found - before if found >= before else found
            before = found
        return total

    def _behind(self, when: float) -> int:
        """Where those begin that were recorded behind the last of *when* or before."""
        place = len(self.points)
        while place and self.points[place - 1][0] > when:
            place -= 1
        return place

    def since(self, begin: float) -> list[dict[str, Any]]:
        """
        What is known from *begin* on, as finely as it still is, by their times.

        Each has at, value (the mean, of an hour or a day), least, most, and readings: how many.
        Where days turn into hours, and hours into readings, some stand in both.
        """
        first = self.points[0][0] if len(self.points) >= _POINTS else float("-inf")
        coarse: list[dict[str, Any]] = []
        if begin < first:
            until = self.hours[0].begin if self.hours else first
            coarse = [
                _told(day) for day in self.days if day.begin < until and begin < day.begin + DAY
            ]
            coarse += [
                _told(hour)
                for hour in self.hours
                if hour.begin < first and begin < hour.begin + HOUR
            ]
        fine = [
            {"at": at, "value": value, "least": value, "most": value, "readings": 1}
            for at, value in self.points
            if at >= begin
        ]
        return sorted(coarse + fine, key=itemgetter("at"))


def _add(spans: list[Span], at: float, value: float, width: int, most: int) -> None:
    begin = at // width * width
    if spans and spans[-1].begin == begin:
        spans[-1] = spans[-1].with_(value)
        return
    spans.append(Span(begin, 1, value, value, value, value))
    if len(spans) > most:
        del spans[0]


def _told(span: Span) -> dict[str, Any]:
    return {
        "at": span.begin,
        "value": span.total / span.readings,
        "least": span.least,
        "most": span.most,
        "readings": span.readings,
    }
