"""
How often each subject was let through in the last 60 seconds.

No 60 seconds see more than the limit: what happened within a second is counted as if all of it had
happened at the last of its times.  The state is bounded; where more subjects than that come within
a minute, new ones are refused rather than an old one forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

WINDOW_S = 60.0
MOST_SUBJECTS = 10_000
_FIRST, _LAST, _COUNT = 0, 1, 2


class RateTable:  # noqa: PLW1641  it changes
    """(domain, subject) → what was counted, least recently seen first; one event at a time."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Spans] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RateTable) and self._seen == other._seen

    def add(self, domain: str, subject: str, at: float) -> None:
        """Count one at that time."""
        seen = self._seen
        key = domain, subject
        spans = seen.pop(key, None)
        if spans is None:
            if len(seen) >= MOST_SUBJECTS:
                del seen[next(iter(seen))]
            spans = _Spans(0, [])
        seen[key] = spans  # the one seen last stands last
        spans.add(at)

    def wait_s(self, domain: str, subject: str, limit: int, now: float) -> float:
        """How long until one more is within *limit*; 0 where it is now."""
        spans = self._seen.get((domain, subject))
        if spans is None:
            return self._room_in_s(now)
        return 0.0 if spans.total < limit else spans.wait_s(limit, now)

    def _room_in_s(self, now: float) -> float:
        """How long until a new subject can be counted."""
        if len(self._seen) < MOST_SUBJECTS:
            return 0.0
        oldest = next(iter(self._seen.values()))
        left = oldest.spans[-1][_LAST] + WINDOW_S - now
        return left if 0 < left <= WINDOW_S else 0.0

    def to_plain(self) -> list[Any]:
        return [[*key, spans.total, spans.spans] for key, spans in self._seen.items()]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Self:
        table = cls()
        table._seen = {
            (domain, subject): _Spans(total, spans) for domain, subject, total, spans in plain
        }
        return table


@dataclass(slots=True)
class _Spans:
    """
    Of one subject: [first time, last time, how many], each within a second, oldest first.

    Attributes:
        total: How many they are together, some of which may be older than a minute.
    """

    total: int
    spans: list[list[float]]

    def add(self, at: float) -> None:
        spans = self.spans
        age = at - spans[-1][_FIRST] if spans else 1.0
        if age < -WINDOW_S:  # the clock was set back
            spans.clear()
            self.total = 0
        if -WINDOW_S <= age < 1.0:
            newest = spans[-1]
            newest[_LAST] = max(newest[_LAST], at)
            newest[_COUNT] += 1
        else:
            while spans and spans[0][_LAST] <= at - WINDOW_S:
                self.total -= int(spans.pop(0)[_COUNT])
            spans.append([at, at, 1])
        self.total += 1

    def wait_s(self, limit: int, now: float) -> float:
        if self.spans[-1][_FIRST] > now + WINDOW_S:  # the clock was set back
            return 0.0
        counted = 0.0
        for _, last, count in reversed(self.spans):
            if last <= now - WINDOW_S:
                break
            counted += count
            if counted >= limit:
                return min(last + WINDOW_S - now, WINDOW_S)
        return 0.0
