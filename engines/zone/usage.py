"""How full a zone was, hour by hour: what forecasts are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

HOUR_S = 3600.0
KEPT_HOURS = 24 * 7 * 8
_SPARE = 64  # hours beyond that before old ones are dropped


@dataclass(slots=True)
class Usage:
    """
    Attributes:
        seconds: By hour since the epoch: occupancy times seconds.
        until: Up to when it is counted; None before anything happened.
    """

    seconds: dict[int, float] = field(default_factory=dict)
    until: float | None = None

    def advance(self, at: float, occupancy: int) -> None:
        """Count *occupancy* from where counting ended up to *at*; what lies before is past."""
        if self.until is None:
            self.until = at
            self.seconds[math.floor(at / HOUR_S)] = 0.0
        begin = max(self.until, at - KEPT_HOURS * HOUR_S)
        while begin < at:
            hour = math.floor(begin / HOUR_S)
            end = min((hour + 1) * HOUR_S, at)
            self.seconds[hour] = self.seconds.get(hour, 0.0) + occupancy * (end - begin)
            begin = end
        self.until = max(self.until, at)
        if len(self.seconds) > KEPT_HOURS + _SPARE:
            for hour in sorted(self.seconds)[:-KEPT_HOURS]:
                del self.seconds[hour]

    def hours(self, at: float, occupancy: int) -> list[float]:
        """
        The mean occupancy of each whole hour up to *at*, oldest first.

        Args:
            at: Seconds since the epoch.
            occupancy: What it has been since the last event.
        """
        if self.until is None:
            return []
        now = Usage(dict(self.seconds), self.until)
        now.advance(at, occupancy)
        last = math.floor(max(at, self.until) / HOUR_S)  # this hour is not over
        first = max(min(now.seconds), last - KEPT_HOURS)
        begun = 1 if first == min(self.seconds) else 0  # nor was the first one whole
        return [now.seconds.get(hour, 0.0) / HOUR_S for hour in range(first + begun, last)]
