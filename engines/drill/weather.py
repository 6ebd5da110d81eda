"""
What the network is like over the hours, and what a bad one does to each connection; by seed.

    cut ──▶ bad ──▶ fair ──▶ cut …       it ends cut: who reconnects does so at the end
"""

from __future__ import annotations

import random
from bisect import bisect_right
from enum import Enum

from engines.drill.proxy import Fault

_FAIR_AT_FIRST = 0.02
_DAY_S = 86_400.0
# Of the whole time, or of a day where it is longer: how long each lasts, least and most.
_CUT, _BAD, _FAIR = (0.05, 0.15), (0.01, 0.03), (0.004, 0.01)
_SPARED = 0.35
# Those for which somebody has to wait are rarer.
_WEIGHTS = {
    "reset": 6,
    "truncate_request": 6,
    "truncate_answer": 6,
    "busy": 4,
    "delay": 6,
    "drop": 2,
}
_TOO_LATE = 0.2
_SOON_BYTES, _LATE_BYTES = 300, 20_000
_DELAY_S = (0.005, 0.04)


class Weather(Enum):
    """What the network is like."""

    FAIR = "fair"
    BAD = "bad"
    CUT = "cut"


class Forecast:
    """
    The weather of *seconds*, as *rng* has it.

    Args:
        patience_s: How long a client waits for an answer; some delays are longer.
    """

    def __init__(self, rng: random.Random, seconds: float, *, patience_s: float) -> None:
        self._rng = rng
        self._patience_s = patience_s
        self._begins: list[float] = [0.0]
        self._kinds: list[Weather] = [Weather.FAIR]
        unit = min(seconds, _DAY_S)
        at = _FAIR_AT_FIRST * unit
        while at < seconds:
            for kind, span in (
                (Weather.CUT, _CUT),
                (Weather.BAD, _BAD),
                (Weather.FAIR, _FAIR),
            ):
                self._begins.append(at)
                self._kinds.append(kind)
                at += rng.uniform(*span) * unit
        self._begins.append(seconds - _FAIR_AT_FIRST * unit)
        self._kinds.append(Weather.CUT)
        order = sorted(range(len(self._begins)), key=self._begins.__getitem__)
        self._begins = [self._begins[i] for i in order]
        self._kinds = [self._kinds[i] for i in order]

    def at(self, second: float) -> Weather:
        """What it is like so long after the beginning."""
        return self._kinds[bisect_right(self._begins, second) - 1]

    def span(self, begin: float, end: float) -> Weather:
        """The best that there is between two moments: what an attempt then may meet."""
        low, high = bisect_right(self._begins, begin) - 1, bisect_right(self._begins, end)
        there = set(self._kinds[low : max(high, low + 1)])
        return next(kind for kind in Weather if kind in there)

    def fault(self, weather: Weather) -> Fault:
        """What is done to the next connection."""
        rng = self._rng
        if weather is not Weather.BAD or rng.random() < _SPARED:
            return Fault()
        (kind,) = rng.choices([*_WEIGHTS], [*_WEIGHTS.values()])
        delay_s = rng.uniform(*_DELAY_S)
        if rng.random() < _TOO_LATE:
            delay_s += self._patience_s
        return Fault(kind, self._bytes(), delay_s)

    def _bytes(self) -> int:
        """How far it comes: into the head, or into the body of what is longer."""
        return self._rng.randrange(self._rng.choice((_SOON_BYTES, _LATE_BYTES)))
