"""Forecasts: their intervals hold what they promise, and their back-test is one of the past only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engines.errors import InvalidInput
from engines.space import DynamicSpaceEngine, SpaceEvent
from engines.space.forecast import NAMES, WARM, forecast

NOW = 1_800_000_000.0


def series(kind: str, count: int = 400, length: int = 165) -> Any:
    """Of known noise: its standard deviation is 1."""
    noise = np.random.default_rng(7).normal(size=(count, length))
    if kind == "noise":
        return noise
    if kind == "walk":
        return np.cumsum(noise, axis=1)
    fading = np.zeros_like(noise)
    for now in range(1, length):
        fading[:, now] = 0.7 * fading[:, now - 1] + noise[:, now]
    return fading + (0.3 * np.arange(length) if kind == "trend" else 0)


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("kind", ["noise", "fading", "walk", "trend"])
def test_intervals_hold_the_share_they_promise(kind: str, level: float) -> None:
    """Of what came after, and of the back-test, within what 400 series leave to chance."""
    whole = series(kind)
    found = forecast(whole[:, :-5], 5, level=level)
    came = np.abs(whole[:, -5:] - found.point) <= found.half_width
    assert came.mean() == pytest.approx(level, abs=0.04)
    assert np.mean(found.coverage) == pytest.approx(level, abs=0.03)


def test_what_reverts_is_forecast_better_than_by_its_last_value() -> None:
    """Noise about a level: the best possible error over one step is that of the noise."""
    found = forecast(series("noise"), 3)
    assert np.mean(found.mase) < 0.8 * np.mean(found.naive_mase)
    best = np.sqrt(2 / np.pi)
    assert np.nanmean(np.abs(found.errors)) == pytest.approx(best, rel=0.1)
    walk = forecast(series("walk"), 3)
    assert np.mean(walk.mase) < 1.05 * np.mean(walk.naive_mase)


@given(arrays(float, (2, 30), elements=st.floats(0, 1)), st.integers(5, 25))
@settings(max_examples=15)
def test_no_error_of_the_past_knows_its_future(values: Any, cut: int) -> None:
    """What was forecast at a point is the same whatever came after it."""
    whole, before = forecast(values, 3), forecast(values[:, :cut], 3)
    known = cut - 3
    assert whole.errors[:, WARM:known] == pytest.approx(before.errors[:, WARM:known], abs=1e-9)


def test_a_short_or_constant_series_promises_nothing_or_itself() -> None:
    """Without errors the interval is unbounded; of a constant nothing can be scaled."""
    short = forecast(np.array([[0.5], [0.7]]), 2)
    assert np.isinf(short.half_width).all()
    assert short.point[:, 0] == pytest.approx([0.5, 0.7])
    assert (short.tested == 0).all()
    flat = forecast(np.full((1, 60), 0.25), 2)
    assert flat.point == pytest.approx(0.25)
    assert flat.half_width == pytest.approx(0)
    assert np.isnan(flat.mase).all()
    assert len(NAMES) == len(set(NAMES))


def shaken(count: int, **options: Any) -> DynamicSpaceEngine:
    chance = np.random.default_rng(3)
    space = DynamicSpaceEngine([{"name": "Belt"}, {"name": "Calm"}], clock=lambda: NOW, **options)
    space.ingest_events(
        {
            "sector_name": "Belt",
            "description": f"e{n}",
            "impact_score": float(chance.uniform()),
            "severity": "alert",
            "timestamp": None,
        }
        for n in range(count)
    )
    return space


def test_a_sector_s_future_is_told_with_how_well_its_past_was() -> None:
    """Within the scale; the risk follows the threshold."""
    space = shaken(120)
    told = space.forecast("Belt", ahead=4, level=0.8)
    assert [step.ahead for step in told.steps] == [1, 2, 3, 4]
    assert all(0 <= s.low <= s.point <= s.high <= 1 for s in told.steps)
    assert told.observations == 120
    assert told.tested > 200
    assert told.coverage == pytest.approx(0.8, abs=0.1)
    assert told.mase is not None
    assert told.naive_mase is not None
    risks = []
    for threshold in (0.0, 0.5, 1.0):
        space.configure_intervention_threshold(threshold)
        risks.append(space.forecast("Belt").steps[0].risk)
    assert risks == sorted(risks, key=lambda risk: risk or 0)
    calm = space.forecast("Calm")
    assert (calm.observations, calm.mase, calm.coverage, calm.tested) == (0, None, None, 0)
    assert [(s.low, s.high, s.risk) for s in calm.steps] == [(0, 1, None)] * 5


def test_steps_may_be_spans_of_time() -> None:
    """The last score of each hour; an hour in which nothing happened keeps the one before."""
    space = DynamicSpaceEngine([{"name": "Belt"}], clock=lambda: NOW)
    for hours in (0, 0.2, 3):
        when = datetime.fromtimestamp(NOW + 3600 * hours, UTC)
        space.record_event(SpaceEvent("Belt", "e", 0.5, timestamp=when))
    assert space.forecast("Belt").observations == 3
    assert space.forecast("Belt", every=3600).observations == 4
    assert space.forecast("Belt", every=86400 * 365).observations == 1


@pytest.mark.parametrize(
    "wrong", [{"ahead": 0}, {"level": 1.0}, {"level": float("nan")}, {"every": 0.0}]
)
def test_what_cannot_be_forecast_is_refused(wrong: dict[str, Any]) -> None:
    """As bad input."""
    with pytest.raises(InvalidInput):
        shaken(3).forecast("Belt", **wrong)


def test_an_overview_looks_ahead_where_it_is_asked_to() -> None:
    """And is else what it always was."""
    space = shaken(30)
    plain = space.network_overview()
    assert (plain.forecasts, plain.bridges) == ({}, {})
    more = space.network_overview(ahead=2)
    assert more.snapshots == plain.snapshots
    assert more.forecasts["Belt"] == space.forecast("Belt", ahead=2)
    assert more.bridges == {"Belt": (), "Calm": ()}
