"""
What was counted when: per minute, later per hour, then per day, then no more.

Each count stands in one bucket.  When there are too many minutes, the oldest becomes part of its
hour; so it goes on to days.  Oldest means first begun, not smallest: one event with the time of a
clock that was wrong must not push all others out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

MINUTE, HOUR, DAY = 60, 3600, 86400
_MINUTES, _HOURS, _DAYS = 180, 200, 400  # how many are kept

Buckets = dict[int, dict[str, int]]


@dataclass(slots=True)
class History:
    """Counts by name in buckets, each known by the epoch second at which it begins."""

    minutes: Buckets = field(default_factory=dict)
    hours: Buckets = field(default_factory=dict)
    days: Buckets = field(default_factory=dict)

    def add(self, name: str, at: float, count: int = 1) -> None:
        start = int(at // MINUTE) * MINUTE
        bucket = self.minutes.get(start)
        if bucket is None:
            bucket = self.minutes[start] = {}
            self._settle()
        bucket[name] = bucket.get(name, 0) + count

    def since(self, begin: float) -> tuple[Counter[str], float]:
        """
        What was counted from *begin* on, and from when on that is.

        A bucket counts whole: the window may begin up to an hour earlier, of long ago a day.
        """
        found: Counter[str] = Counter()
        first = begin
        for start, width, counts in self._buckets():
            if start + width > begin:
                found.update(counts)
                first = min(first, start)
        return found, first

    def series(self, begin: float, until: float, steps: int) -> list[Counter[str]]:
        """What was counted in each of so many equal spans of [*begin*, *until*]."""
        found: list[Counter[str]] = [Counter() for _ in range(steps)]
        width = (until - begin) / steps
        for start, length, counts in self._buckets():
            if start + length > begin and start <= until:
                step = int((max(start, begin) - begin) / width)
                found[min(step, steps - 1)].update(counts)
        return found

    def points(self, name: str, begin: float) -> list[tuple[float, int]]:
        """The beginning of each bucket from *begin* on, and what was counted in it of *name*."""
        return [
            (start, counts[name])
            for start, _, counts in self._buckets()
            if start >= begin and name in counts
        ]

    @property
    def begins(self) -> float | None:
        """The beginning of the earliest that is kept."""
        return min((start for start, _, _ in self._buckets()), default=None)

    def _buckets(self) -> Iterator[tuple[int, int, dict[str, int]]]:
        for width, buckets in ((DAY, self.days), (HOUR, self.hours), (MINUTE, self.minutes)):
            for start, counts in buckets.items():
                yield start, width, counts

    def _settle(self) -> None:
        if len(self.minutes) > _MINUTES:
            _move_first(self.minutes, self.hours, HOUR)
        if len(self.hours) > _HOURS:
            _move_first(self.hours, self.days, DAY)
        if len(self.days) > _DAYS:
            del self.days[next(iter(self.days))]


def _move_first(source: Buckets, target: Buckets, width: int) -> None:
    start = next(iter(source))
    into = target.setdefault(start // width * width, {})
    for name, count in source.pop(start).items():
        into[name] = into.get(name, 0) + count
