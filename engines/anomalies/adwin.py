"""
A window that is as long as nothing changed: ADWIN, for shares such as that of failures.

The values of the window stand summed up in an exponential histogram.  Where two parts of it differ
by more than chance allows at the confidence asked for, the older part is dropped.

Source: Bifet & Gavaldà 2007, "Learning from time-changing data with adaptive windowing",
doi:10.1137/1.9781611972771.42 (ADWIN2; the bound with the variance, its section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log, sqrt

from engines.anomalies.model import Finding

_PER_ROW = 5
_ROWS = 14  # of up to 80,000 values in all; older ones are dropped
_EVERY = 16
_LEAST = 8  # values in either part


@dataclass(slots=True)
class Adwin:
    """
    The mean of values from 0 to 1 over an adaptive window.

    Attributes:
        delta: With what probability an alarm is false at one of its cuts.
        rows: Sums by row, newest last; a sum in row i is of 2**i values.
    """

    delta: float = 0.0005
    rows: list[list[float]] = field(default_factory=lambda: [[]])
    width: int = 0
    total: float = 0.0
    since_look: int = 0

    @property
    def mean(self) -> float:
        return self.total / self.width if self.width else 0.0

    def add(self, value: float) -> Finding | None:
        """Take a value; what is told when the mean has changed: the one before and the new one."""
        self.rows[0].append(value)
        self.width += 1
        self.total += value
        self._settle()
        self.since_look += 1
        if self.since_look < _EVERY:
            return None
        self.since_look = 0
        # Where all are the same there is nothing to tell apart.
        return self._cut() if 0 < self.total < self.width else None

    def _settle(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) <= _PER_ROW:
                return
            if number + 1 == _ROWS:
                self._drop(number)
                return
            if number + 1 == len(self.rows):
                self.rows.append([])
            self.rows[number + 1].append(row.pop(0) + row.pop(0))

    def _drop(self, number: int) -> None:
        self.total -= self.rows[number].pop(0)
        self.width -= 1 << number

    def _cut(self) -> Finding | None:
        """Drop what differs from the rest; from the oldest on, as often as there is something."""
        first: Finding | None = None
        while found := self._worst():
            first = first or found
            oldest = max(number for number, row in enumerate(self.rows) if row)
            self._drop(oldest)
        while len(self.rows) > 1 and not self.rows[-1]:
            self.rows.pop()
        return first and first._replace(seen=self.mean)

    def _worst(self) -> Finding | None:
        """What is told of the first cut at which the older part differs from the newer one."""
        count, total = 0, 0.0
        variance = self.mean * (1 - self.mean)  # the largest that values from 0 to 1 have
        confidence = log(2 * log(max(self.width, 3)) / self.delta)
        for number in reversed(range(len(self.rows))):
            for part in self.rows[number]:
                count += 1 << number
                total += part
                newer = self.width - count
                if newer < _LEAST:
                    return None
                if count < _LEAST:
                    continue
                before, after = total / count, (self.total - total) / newer
                each = 1 / count + 1 / newer
                bound = sqrt(2 * each * variance * confidence) + 2 / 3 * each * confidence
                if abs(before - after) > bound:
                    evidence = {"window": self.width, "newer": newer}
                    return Finding(abs(before - after), bound, before, after, evidence)
        return None
