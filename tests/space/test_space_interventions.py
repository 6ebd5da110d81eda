"""Choosing what to do: never below the greedy guarantee, never above the printed bound."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.space import DynamicSpaceEngine
from engines.space import selection as selection_module
from engines.space.selection import select

NOW = 1_800_000_000.0
weight = st.integers(0, 9)


@st.composite
def covers(draw: st.DrawFn) -> tuple[list[int], list[frozenset[int]], list[float]]:
    """A weighted coverage: what things are worth, which each choice covers, what it takes."""
    worth = draw(st.lists(weight, min_size=1, max_size=8))
    things = st.frozensets(st.integers(0, len(worth) - 1), max_size=4)
    sets = draw(st.lists(things, min_size=1, max_size=9))
    hours = draw(st.lists(st.integers(1, 6), min_size=len(sets), max_size=len(sets)))
    return worth, sets, [float(h) for h in hours]


def gain_of(worth: list[int], sets: list[frozenset[int]]) -> Any:
    return lambda chosen: float(
        sum(worth[t] for t in frozenset().union(*(sets[n] for n in chosen)))
    )


def best_of(gain: Any, hours: list[float], limit: int | None, budget: float | None) -> float:
    return max(
        gain(frozenset(choice))
        for size in range(len(hours) + 1)
        for choice in combinations(range(len(hours)), size)
        if (limit is None or size <= limit)
        and (budget is None or sum(map(hours.__getitem__, choice)) <= budget)
    )


limits = st.one_of(st.none(), st.integers(0, 5))
budgets = st.one_of(st.none(), st.integers(0, 15))


@settings(max_examples=45)
@given(covers(), limits, budgets, st.booleans())
def test_the_choice_keeps_its_guarantee_and_the_bound_holds(
    instance: Any, limit: int | None, budget: float | None, exact: bool
) -> None:
    """Against every choice there is, with the exhaustive search and without it."""
    worth, sets, hours = instance
    gain = gain_of(worth, sets)
    with pytest.MonkeyPatch.context() as patch:
        if not exact:
            patch.setattr(selection_module, "TRIED_ALL", 0)
        found = select(gain, hours, limit=limit, budget=budget)
    best = best_of(gain, hours, limit, budget)
    assert found.value == pytest.approx(gain(frozenset(found.chosen)))
    assert len(found.chosen) <= (len(hours) if limit is None else limit)
    assert budget is None or sum(hours[n] for n in found.chosen) <= budget
    assert found.value - 1e-9 <= best <= found.bound + 1e-9
    if found.optimal:
        assert found.value == pytest.approx(best)
    if exact:
        assert found.optimal
    if budget is None:
        assert found.value >= (1 - 1 / math.e) * best - 1e-9
    elif limit is None:
        assert found.value >= (1 - 1 / math.e) / 2 * best - 1e-9
    alone = [
        gain(frozenset(found.chosen[: n + 1])) - gain(frozenset(found.chosen[:n]))
        for n in range(len(found.chosen))
    ]
    per_hour = [a / hours[n] for a, n in zip(alone, found.chosen, strict=True)]
    assert per_hour == sorted(per_hour, reverse=True)


def space(*sectors: dict[str, Any]) -> DynamicSpaceEngine:
    return DynamicSpaceEngine(sectors, clock=lambda: NOW)


def sector(name: str, *told: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "hazard_index": 0.9,
        "supply_level": 0.2,
        "metadata": {"interventions": list(told)},
        **more,
    }


def test_gain_per_hour_ranks_not_the_score() -> None:
    """The worse sector's long work comes after the better one's short one."""
    worse = sector("Worse", {"name": "rebuild", "hours": 40, "hazard": 0.9}, hazard_index=1.0)
    better = sector("Better", {"name": "resupply", "hours": 1, "supply": 0.5})
    engine = space(worse, better)
    assert engine.prioritise_interventions()[0].sector_name == "Worse"
    plan = engine.interventions(target=0.9)
    assert [(item.sector, item.name) for item in plan.chosen] == [
        ("Better", "resupply"),
        ("Worse", "rebuild"),
    ]
    assert plan.chosen[0].gain == pytest.approx(0.2 * 0.5)
    assert plan.optimal
    assert plan.bound == plan.value
    assert engine.interventions(target=0.9, hours=8).hours == 1
    assert engine.interventions(target=0.9, limit=0).chosen == ()
    assert engine.interventions(target=0.0).value == 0


def test_two_that_do_the_same_do_not_add_up() -> None:
    """The second is worth what it adds to the first."""
    engine = space(
        sector(
            "North",
            {"name": "sweep", "hours": 2, "hazard": 0.5},
            {"name": "guard", "hours": 2, "hazard": 0.6},
        )
    )
    plan = engine.interventions(target=1)
    assert [item.name for item in plan.chosen] == ["guard", "sweep"][: len(plan.chosen)]
    assert plan.value == pytest.approx(0.25 * 0.6)


def test_ours_are_offered_with_their_effect_and_hours_may_be_told() -> None:
    """Relief and damping of crowded routes, by what they do to the score; never beyond it."""
    routes = [
        {
            "identifier": "a",
            "origin": "A",
            "destination": "B",
            "delta_v_kms": 1,
            "congestion": 1,
            "stability": 0.4,
        },
        {"identifier": "b", "origin": "A", "destination": "B", "delta_v_kms": 1, "congestion": 0.1},
    ]
    engine = space(sector("North", {"name": "stabilise", "hours": 7}, routes=routes))
    plan = engine.interventions(target=1)
    hours = {item.name: item.hours for item in plan.chosen}
    assert hours["stabilise"] == 7
    before = engine.snapshot("North").stability_score
    engine.stabilise("North")
    lifted = engine.snapshot("North").stability_score - before
    alone = {item.name: item.alone for item in plan.chosen}
    assert alone["stabilise"] == pytest.approx(lifted)


def test_scenarios_are_drawn_by_the_seed() -> None:
    """The same seed the same plan; the interval holds the gain."""
    engine = space(sector("North", {"name": "sweep", "hours": 2, "hazard": 0.5}))
    for impact in (0.1, 0.9, 0.4):
        engine.record_event(
            {
                "sector_name": "North",
                "description": "e",
                "impact_score": impact,
                "severity": "critical",
            }
        )
    first, again, other = (engine.interventions(target=0.3, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    (item,) = first.chosen
    assert item.low <= item.gain <= item.high
    assert first.value <= first.shortfall


def test_of_many_candidates_the_bound_is_near() -> None:
    """Beyond the exhaustive search the certificate says how near."""
    engine = space(
        *(
            sector(f"S{n:02}", {"name": "sweep", "hours": 1 + n % 5, "hazard": n / 40})
            for n in range(40)
        )
    )
    plan = engine.interventions(target=1, hours=20)
    assert plan.candidates == 40
    assert plan.value <= plan.bound <= 1.1 * plan.value
    assert plan.hours <= 20


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("x", "must be a list"),
        ([7], "needs a name and hours"),
        ([{"name": "a"}], "needs a name and hours"),
        ([{"name": "a", "hours": 0}], "more than 0"),
        ([{"name": "a", "hours": 1, "hazrd": 1}], "did you mean 'hazard'"),
        ([{"name": "a", "hours": 1}, {"name": "a", "hours": 2}], "two entries named 'a'"),
        ([{"name": " ", "hours": 1}], "must not be empty"),
    ],
)
def test_an_intervention_that_cannot_be_is_refused(told: Any, message: str) -> None:
    """With its path."""
    engine = space({"name": "North", "metadata": {"interventions": told}})
    with pytest.raises(InvalidInput, match=message):
        engine.interventions()


@pytest.mark.parametrize(
    "wrong",
    [
        {"hours": -1},
        {"limit": -1},
        {"ahead": -1},
        {"horizon": -1},
        {"scenarios": 0},
        {"target": math.nan},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """As bad input."""
    with pytest.raises(InvalidInput):
        space(sector("North")).interventions(**wrong)
