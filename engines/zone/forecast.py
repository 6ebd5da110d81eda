"""
How full a zone will be: the method that did best on its own past, with intervals from its errors.

The methods are plain ones: the last value, the same hour of the day or the week before, its mean
over days or weeks, and a damped trend (Gardner & McKenzie 1985).  Each is tried from many moments
of the past (rolling origins); the one of the least mean absolute error is taken.  The interval of
a step ahead is split-conformal (Vovk et al. 2005): the forecast plus and minus that rank of the
errors of this step that covers the share asked for, with its correction for few.  How much of the
past such intervals did hold is measured on later origins with the errors of earlier ones only, and
told.  Errors of a zone whose habits change are no guide to those to come, and no interval is then
honest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from engines import checks
from engines.errors import InvalidInput
from engines.zone.model import Zone

Method: TypeAlias = Callable[[Sequence[float], int], list[float]]

_DAY, _WEEK = 24, 168
_FEWEST = 20  # origins to choose by
_MOST_ORIGINS = 400
_ALPHA, _BETA, _DAMPED = 0.3, 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Step:
    """
    One hour ahead.

    Attributes:
        hour: 1 for the next one.
        expected: Mean occupancy.
        low, high: The interval.
    """

    hour: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ZoneForecast:
    """
    Attributes:
        zone: Its name.
        capacity: Its room.
        method: What forecast: last, trend, day, week, mean of days or mean of weeks.
        coverage: The share that an interval is meant to hold.
        held: The share that such intervals did hold in the past; None where that is too short to
            say.
        error: Mean absolute error in the past, over all steps.
        hours: How many hours of the past were known.
        steps: One for each hour ahead.
    """

    zone: str
    capacity: int
    method: str
    coverage: float
    held: float | None
    error: float
    hours: int
    steps: tuple[Step, ...]

    @property
    def full_in(self) -> int | None:
        """The first hour ahead in which it is expected to be full."""
        return next((s.hour for s in self.steps if s.expected >= self.capacity), None)

    @property
    def may_be_full_in(self) -> int | None:
        """The first hour ahead whose interval reaches the capacity."""
        return next((s.hour for s in self.steps if s.high >= self.capacity), None)

    def as_dict(self) -> dict[str, Any]:
        more = {"full_in_hours": self.full_in, "may_be_full_in_hours": self.may_be_full_in}
        return {**asdict(self), "steps": [asdict(step) for step in self.steps], **more}


def forecast_zone(zone: Zone, past: Sequence[float], hours: int, coverage: float) -> ZoneForecast:
    """
    Forecast *hours* hours from the mean occupancy of *past* ones, oldest first.

    Raises:
        InvalidInput: The past is too short for such intervals; the message says what is needed.
    """
    hours = int(checks.at_least(checks.whole(hours, "hours"), 1, "hours"))
    share = checks.finite(coverage, "coverage")
    if not 0 < share < 1:
        raise InvalidInput(f"coverage must lie between 0 and 1, found {coverage!r}")
    fewest = max(_FEWEST, math.ceil(share / (1 - share)))
    if len(past) < hours + fewest + 1:
        raise InvalidInput(
            f"zone {zone.name!r} has a past of {_hours(len(past))}; "
            f"{hours} ahead with intervals of {share:g} need {hours + fewest + 1}",
            hint="ask for fewer hours or a lower coverage",
        )
    tried = {
        name: _errors(past, method, warmup, hours)
        for name, (method, warmup) in _METHODS.items()
        if len(past) >= warmup + hours + fewest
    }
    scores = {name: _mean_absolute(errors) for name, errors in tried.items()}
    name = min(scores, key=lambda one: (scores[one], list(_METHODS).index(one)))
    errors = tried[name]
    widths = [_rank([abs(row[step]) for row in errors], share) for step in range(hours)]
    steps = tuple(
        Step(step, max(value, 0.0), max(value - width, 0.0), max(value + width, 0.0))
        for step, (value, width) in enumerate(
            zip(_METHODS[name][0](past, hours), widths, strict=True), start=1
        )
    )
    held = _held(errors, share)
    return ZoneForecast(zone.name, zone.capacity, name, share, held, scores[name], len(past), steps)


def _hours(count: int) -> str:
    return f"{count} hour{'' if count == 1 else 's'}"


def _errors(past: Sequence[float], method: Method, warmup: int, hours: int) -> list[list[float]]:
    """What came less what was forecast, from each origin of the past, oldest first."""
    origins = range(max(warmup, 1), len(past) - hours + 1)
    return [
        [past[origin + step] - value for step, value in enumerate(method(past[:origin], hours))]
        for origin in origins[-_MOST_ORIGINS:]
    ]


def _mean_absolute(errors: Sequence[Sequence[float]]) -> float:
    return math.fsum(abs(error) for row in errors for error in row) / sum(map(len, errors))


def _rank(sizes: Sequence[float], share: float) -> float:
    """The smallest of *sizes* that one more of their kind stays below with that probability."""
    place = math.ceil((len(sizes) + 1) * share)
    return sorted(sizes)[min(place, len(sizes)) - 1]


def _held(errors: Sequence[Sequence[float]], share: float) -> float | None:
    """What share of later errors the earlier ones' intervals hold; none is used that overlaps."""
    ahead = len(errors[0])
    half = len(errors) // 2
    fewest = math.ceil(share / (1 - share))
    if half < fewest or len(errors) - half - ahead < fewest:
        return None
    earlier, later = errors[:half], errors[half + ahead :]
    widths = [_rank([abs(row[step]) for row in earlier], share) for step in range(ahead)]
    within = sum(
        abs(error) <= width for row in later for error, width in zip(row, widths, strict=True)
    )
    return within / (len(later) * ahead)


# --- methods ---------------------------------------------------------------------------------


def _last(past: Sequence[float], hours: int) -> list[float]:
    return [past[-1]] * hours


def _before(period: int) -> Method:
    def method(past: Sequence[float], hours: int) -> list[float]:
        season = past[-period:]
        return [season[step % period] for step in range(hours)]

    return method


def _mean_before(period: int, periods: int) -> Method:
    def method(past: Sequence[float], hours: int) -> list[float]:
        known = min(len(past) // period, periods)
        recent = past[len(past) - known * period :]
        season = [math.fsum(recent[place::period]) / known for place in range(period)]
        return [season[step % period] for step in range(hours)]

    return method


def _trend(past: Sequence[float], hours: int) -> list[float]:
    recent = past[-_WEEK:]
    level, trend = recent[0], 0.0
    for value in recent[1:]:
        before = level
        level = _ALPHA * value + (1 - _ALPHA) * (level + _DAMPED * trend)
        trend = _BETA * (level - before) + (1 - _BETA) * _DAMPED * trend
    damping = [_DAMPED * (1 - _DAMPED**step) / (1 - _DAMPED) for step in range(1, hours + 1)]
    return [level + trend * weight for weight in damping]


_METHODS: dict[str, tuple[Method, int]] = {
    "last": (_last, 1),
    "trend": (_trend, 2),
    "day": (_before(_DAY), _DAY),
    "mean of days": (_mean_before(_DAY, 7), 2 * _DAY),
    "week": (_before(_WEEK), _WEEK),
    "mean of weeks": (_mean_before(_WEEK, 4), 2 * _WEEK),
}
