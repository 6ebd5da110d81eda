"""
How often each subject was let through in the last 60 seconds.

No 60 seconds see more than the limit: what happened within a second is counted as if all of it had
happened at the last of its times.  The state is bounded; where more subjects than that come within
a minute, new ones are refused rather than an old one forgotten.
"""

from __future__ import annotations

from typing import Any, Self

WINDOW_S = 60.0
MOST_SUBJECTS = 10_000
_FIRST, _LAST, _COUNT = 0, 1, 2


class RateTable:
    """(domain, subject) → what was counted, least recently seen first; one event at a time."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[list[float]]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, domain: str, subject: str, at: float) -> None:
        """Count one at that time."""
        seen = self._seen
        key = domain, subject
        spans = seen.pop(key, None)
        if spans is None:
            if len(seen) >= MOST_SUBJECTS:
                del seen[next(iter(seen))]
            seen[key] = [[at, at, 1]]
            return
        seen[key] = spans
        newest = spans[-1]
        age = at - newest[_FIRST]
        if age < -WINDOW_S:  # the clock was set back
            spans[:] = [[at, at, 1]]
        elif age < 1.0:
            newest[_LAST] = max(newest[_LAST], at)
            newest[_COUNT] += 1
        else:
            while spans and spans[0][_LAST] <= at - WINDOW_S:
                del spans[0]
            spans.append([at, at, 1])

    def wait_s(self, domain: str, subject: str, limit: int, now: float) -> float:
        """How long until one more is within *limit*; 0 where it is now."""
        spans = self._seen.get((domain, subject))
        if spans is None:
            return self._room_in_s(now)
        begin = now - WINDOW_S
        if spans[-1][_FIRST] > now + WINDOW_S:  # the clock was set back
            return 0.0
        counted = 0.0
        for first, last, count in reversed(spans):
            if last <= begin:
                break
            counted += count
            if counted >= limit:
                return max(last + WINDOW_S - now, 0.001) if first <= now else WINDOW_S
        return 0.0

    def _room_in_s(self, now: float) -> float:
        """How long until a new subject can be counted."""
        if len(self._seen) < MOST_SUBJECTS:
            return 0.0
        idle_since = next(iter(self._seen.values()))[-1][_LAST]
        left = idle_since + WINDOW_S - now
        return left if 0 < left <= WINDOW_S else 0.0

    def to_plain(self) -> list[Any]:
        return [[*key, spans] for key, spans in self._seen.items()]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Self:
        table = cls()
        table._seen = {(domain, subject): spans for domain, subject, spans in plain}
        return table
