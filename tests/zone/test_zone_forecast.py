"""Forecasts of occupancy: made of whole hours, with intervals that hold what they say."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest

from engines.errors import InvalidInput
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary
from engines.zone.forecast import forecast_zone
from engines.zone.usage import KEPT_HOURS, Usage

HALL = Zone("Hall", ZoneBoundary(0, 1, 0, 1), 50)
HOUR = 3600.0


def series(seed: int, hours: int) -> list[float]:
    """A daily rhythm with noise of known size."""
    chance = random.Random(seed)
    return [
        max(30 + 15 * math.sin(hour / 24 * math.tau) + chance.gauss(0, 3), 0)
        for hour in range(hours)
    ]


def test_intervals_hold_about_what_they_say() -> None:
    """Over many futures that were not seen, and as the past is told to have held."""
    within = told = 0.0
    futures = 40
    for seed in range(futures):
        hours = series(seed, 24 * 21 + 12)
        found = forecast_zone(HALL, hours[:-12], 12, 0.8)
        assert found.method in {"mean of days", "mean of weeks"}
        within += sum(
            step.low <= value <= step.high
            for step, value in zip(found.steps, hours[-12:], strict=True)
        )
        assert found.held is not None
        told += found.held
    assert within / futures / 12 == pytest.approx(0.8, abs=0.05)
    assert told / futures == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize(
    ("past", "method"),
    [
        ([5.0] * 60, "last"),
        ([float(n % 24) for n in range(24 * 8)], "day"),
        ([float(n % 24) * (n // 24 % 7 < 5) for n in range(168 * 4)], "week"),
    ],
)
def test_what_repeats_is_forecast_exactly(past: list[float], method: str) -> None:
    """By the simplest method that does; the interval is then as narrow as the past was sure."""
    found = forecast_zone(HALL, past, 6, 0.8)
    assert (found.method, found.error) == (method, 0.0)
    expected = {"last": past[-1:] * 6, "day": past[-24:-18], "week": past[-168:-162]}[method]
    assert [step.expected for step in found.steps] == expected


def test_it_says_when_it_is_full() -> None:
    """Expected to be, or by the interval's upper end."""
    past = [float(n % 24) * 3 for n in range(24 * 9)]
    found = forecast_zone(HALL, past, 24, 0.8)
    assert found.full_in == 18  # 17 * 3 >= 50
    assert found.may_be_full_in == 18
    assert found.as_dict()["full_in_hours"] == 18


@pytest.mark.parametrize(("hours", "coverage"), [(0, 0.9), (24, 0), (24, 1), (24, float("nan"))])
def test_what_cannot_be_asked_is_refused(hours: int, coverage: float) -> None:
    """With the value."""
    with pytest.raises(InvalidInput):
        forecast_zone(HALL, [1.0] * 500, hours, coverage)


def test_a_short_past_is_no_ground() -> None:
    """What would do is said."""
    registry = DynamicZoneRegistry([HALL])
    with pytest.raises(InvalidInput, match=r"a past of 0 hours; 24 ahead .* need 45"):
        registry.forecast("Hall")
    with pytest.raises(InvalidInput, match="need 124"):
        forecast_zone(HALL, [1.0] * 60, 24, 0.99)


def test_hours_are_means_over_time() -> None:
    """A quarter of an hour with four is one; the hours at the ends are not whole."""
    clock = [HOUR * 100]
    registry = DynamicZoneRegistry([HALL], clock=lambda: clock[0])

    def event(kind: str, change: int, hour: float) -> None:
        clock[0] = hour * HOUR
        registry.record_event("Hall", kind=kind, change=change)

    event("enter", 1, 100.5)
    event("enter", 4, 102.25)
    event("exit", -4, 102.5)
    live = registry._live["Hall"]
    assert live.usage.hours(104.5 * HOUR, live.occupancy) == [1.0, 2.0, 1.0]
    assert registry.snapshot("Hall").occupancy == 1


def test_old_hours_are_forgotten_and_wrong_clocks_pass() -> None:
    """Memory is bounded; what comes behind its time changes no hour."""
    usage = Usage()
    usage.advance(0, 1)
    for hour in range(0, 3 * KEPT_HOURS, 50):
        usage.advance(hour * HOUR, 2)
    assert len(usage.seconds) <= KEPT_HOURS + 64
    before = dict(usage.seconds)
    usage.advance(5.0, 99)
    assert usage.seconds == before
    clock = 1_800_000_000.0
    registry = DynamicZoneRegistry([HALL], clock=lambda: clock)
    registry.record_event("Hall", kind="enter", timestamp=datetime(2999, 1, 1, tzinfo=UTC))
    assert registry._live["Hall"].usage.until == clock
