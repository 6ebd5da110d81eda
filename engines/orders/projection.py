"""
What the next days may bring: net revenue projected from the days there were, with intervals.

The circular block bootstrap over daily net revenue, in blocks of a week, so that a week's pattern
stays whole.  There is no growth rate: the days to come are taken to be like those observed.  Each
replicate draws a history as long as the one observed and a future as long as asked for; how far the
future lies from what that history would have promised is the error to be expected.  It holds both
the chance of the days to come and that the mean is known from few days only.  For few weeks the
errors are widened, by the variance that blocks drawn from themselves lack and by Student's factor.
What is too rare to have been seen yet, such as a very large order, no block can hold: with few
orders of very different size the intervals are too narrow.

Source: Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Ann. Statist.
17 (1989); Politis & Romano, "A Circular Block-Resampling Procedure for Stationary Data" (1992).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from statistics import NormalDist
from typing import Any

from engines.checks import from_epoch
from engines.errors import InvalidInput
from engines.orders.money import decimal
from engines.orders.revenue import Revenue

WEEK = 7
LEAST_DAYS, LEAST_ORDERS = 14, 10
LEVELS = 0.80, 0.95
MOST_DAYS = 3650
_REPLICATES = 2000


@dataclass(frozen=True, slots=True)
class Projection:
    """
    Net revenue of the next days, in minor units; or why there is none.

    Attributes:
        observed_days: Whole days it rests on; the first day with a payment is not one of them.
        missing: What it would take: so many more days and orders.
        intervals: Level → (low, high).
    """

    currency: str
    horizon_days: int
    observed_days: int
    observed_orders: int
    observed_net: int = 0
    first_day: date | None = None
    last_day: date | None = None
    seed: int | None = None
    expected: int | None = None
    intervals: dict[float, tuple[int, int]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def reason(self) -> str | None:
        """Why there is no projection."""
        if not self.missing:
            return None
        needs = " and ".join(f"{count} more {what}" for what, count in self.missing.items())
        return (
            f"too little data: {self.observed_days} whole days and {self.observed_orders} paid "
            f"orders; it takes {needs}"
        )

    def as_dict(self) -> dict[str, Any]:
        def amount(minor: int | None) -> str | None:
            return None if minor is None else decimal(minor, self.currency)

        return {
            "currency": self.currency,
            "horizon_days": self.horizon_days,
            "observed_days": self.observed_days,
            "observed_orders": self.observed_orders,
            "observed_net_minor": self.observed_net,
            "first_day": self.first_day.isoformat() if self.first_day else None,
            "last_day": self.last_day.isoformat() if self.last_day else None,
            "seed": self.seed,
            "expected_minor": self.expected,
            "expected": amount(self.expected),
            "intervals": [
                {
                    "level": level,
                    "low_minor": low,
                    "low": amount(low),
                    "high_minor": high,
                    "high": amount(high),
                }
                for level, (low, high) in self.intervals.items()
            ],
            "reason": self.reason,
            "missing": dict(self.missing),
            "assumptions": list(self.assumptions) if self.expected is not None else [],
        }

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What has to be true for the intervals to mean what they say."""
        basis = f"the {self.observed_days} days from {self.first_day} to {self.last_day}"
        how = f"blocks of {WEEK} days, {_REPLICATES:,} replicates, seed {self.seed}"
        return (
            f"the next {self.horizon_days} days are like {basis}: no growth, no season",
            "weeks are alike, and what happens in one says little about the next",
            "days are UTC days; the first one, and today, which is not over, are left out",
            "orders are many, or alike in size: with few of very different size it is too narrow",
            "refunds count on the day they are made, and come as often as before",
            f"circular block bootstrap: {how}",
        )


def project(revenue: Revenue, *, now: float, days: int = 30, seed: int | None = None) -> Projection:
    """
    Project the net revenue of the next *days* days.

    Args:
        now: Seconds since the epoch; the day it falls on is not over and not counted.
        seed: For the same drawing again; None takes one from the data, which gives the same too.

    Raises:
        InvalidInput: *days* is out of range.
    """
    if not 0 < days <= MOST_DAYS:
        raise InvalidInput(f"days must be from 1 to {MOST_DAYS}, found {days}")
    today = from_epoch(now).date()
    # The first day is known only because something was paid on it: counting it would flatter.
    begin = min((d for d, sums in revenue.days.items() if sums.orders), default=today)
    begin += timedelta(days=1)
    count = max((today - begin).days, 0)
    whole = [begin + timedelta(days=number) for number in range(count)]
    series = [revenue.days[day].net if day in revenue.days else 0 for day in whole]
    orders = sum(revenue.days[day].orders for day in whole if day in revenue.days)
    facts: dict[str, Any] = {
        "currency": revenue.currency,
        "horizon_days": days,
        "observed_days": count,
        "observed_orders": orders,
        "observed_net": sum(series),
        "first_day": whole[0] if whole else None,
        "last_day": whole[-1] if whole else None,
    }
    lacking = {"days": LEAST_DAYS - count, "paid orders": LEAST_ORDERS - orders}
    missing = {what: more for what, more in lacking.items() if more > 0}
    if missing:
        return Projection(**facts, missing=missing)
    if seed is None:
        seed = seed_of(series, days)
    expected, intervals = bootstrap(series, days, seed)
    return Projection(**facts, seed=seed, expected=expected, intervals=intervals)


def seed_of(series: Sequence[int], days: int) -> int:
    """The seed that a series and a horizon have."""
    return int.from_bytes(sha256(repr((list(series), days)).encode()).digest()[:4])


def bootstrap(
    series: Sequence[int], days: int, seed: int, *, replicates: int = _REPLICATES
) -> tuple[int, dict[float, tuple[int, int]]]:
    """
    Return the sum to be expected of the next *days* values of *series*, and its intervals.

    Args:
        series: At least two weeks of daily values, oldest first.
    """
    chance = random.Random(seed)  # noqa: S311  statistics, no secret
    size, total = len(series), sum(series)
    histories = _sums(series, size, chance, replicates)
    futures = _sums(series, days, chance, replicates)
    # All in units of 1/size, so that nothing is rounded before the end.
    errors = sorted(f * size - days * h for f, h in zip(futures, histories, strict=True))
    # Where nothing was ever lost on a day, nothing is lost on many.
    floor = 0 if min(series) >= 0 else None
    intervals = {}
    for level in LEVELS:
        tail = (1 - level) / 2
        wider = _widening(size / WEEK, 1 - tail)
        low = days * total + errors[math.floor(tail * (replicates - 1))] * wider
        high = days * total + errors[math.ceil((1 - tail) * (replicates - 1))] * wider
        least = round(low / size)
        intervals[level] = max(least, floor) if floor is not None else least, round(high / size)
    return round(days * total / size), intervals


def _sums(series: Sequence[int], length: int, chance: random.Random, count: int) -> list[int]:
    """*count* sums of *length* days, each made of weeks that begin anywhere, and a shorter rest."""
    weeks, rest = divmod(length, WEEK)
    whole = _runs(series, WEEK)
    parts = chance.choices(_runs(series, rest), k=count) if rest else [0] * count
    return [sum(chance.choices(whole, k=weeks)) + part for part in parts]


def _runs(series: Sequence[int], length: int) -> list[int]:
    """The sum of every *length* days on end, from each day on; the end goes on at the beginning."""
    circle = [*series, *series[:length]]
    found, run = [], sum(circle[:length])
    for place in range(len(series)):
        found.append(run)
        run += circle[place + length] - circle[place]
    return found


def _widening(blocks: float, quantile: float) -> float:
    """How much further the errors reach where they are known from so few blocks."""
    free = max(blocks - 1, 1.0)
    z = NormalDist().inv_cdf(quantile)
    # Student's quantile, by its expansion around the normal one (Abramowitz & Stegun 26.7.5).
    student = (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
    return math.sqrt(blocks / (blocks - 1)) * student / z
