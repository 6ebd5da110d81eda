"""Generated tasks whose optimum is known, and the parts of the portfolio on larger ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from engines.trajectory import Rule
from engines.trajectory.beam import beam_search
from engines.trajectory.budget import Budget
from engines.trajectory.incumbents import Incumbents
from engines.trajectory.repair import repair
from engines.trajectory.supporters import in_order, suggested
from tests.trajectory.generators import Generated, components, layered, planted, set_cover
from tests.trajectory.kit import burden, optimizer
from tests.trajectory.test_plans_laws import task_of

# Made by the test: to know the optimum of some takes a second.
KNOWN: list[tuple[Callable[..., Generated], tuple[int, ...]]] = [
    (components, (1, 1)),
    (components, (12, 2)),
    (components, (40, 3)),
    (set_cover, (8, 20, 2, 4)),
    (set_cover, (30, 90, 3, 5)),
    (planted, (20, 60, 6)),
    (planted, (60, 400, 7)),
]


@pytest.mark.parametrize(("make", "numbers"), KNOWN)
def test_where_the_optimum_is_known_it_is_found_and_proven(
    make: Callable[..., Generated], numbers: tuple[int, ...]
) -> None:
    task = make(*numbers)
    plan = optimizer(task.rules).plan(task.goals)
    assert task.optimum is not None
    assert plan.cost == pytest.approx(task.optimum)
    assert plan.bound == pytest.approx(task.optimum)
    assert plan.optimal


def test_a_gap_that_is_good_enough_is_kept_to() -> None:
    task = layered(6, 8, 3, 2, 3, 2)
    exact = optimizer(task.rules).plan(task.goals)
    assert exact.optimal
    loose = optimizer(task.rules).plan(task.goals, gap=0.2)
    assert loose.gap is not None
    assert loose.gap <= 0.2
    assert loose.bound <= exact.cost <= loose.cost


def test_each_heuristic_finds_plans_and_improves_on_the_first() -> None:
    """Every plan kept achieves the goals; none is worse than another in both."""
    task = layered(8, 10, 3, 3, 4, 3)
    draw = Random(1)
    rules = [
        Rule(r.rule_id, r.premises, r.conclusion, r.cost, {draw.choice("XYZ"): 1})  # type: ignore[arg-type]
        for r in task.rules
    ]
    made = task_of(rules, set(), set(task.goals))
    assert made is not None
    first = suggested(made, made.costs)
    assert first is not None
    for work in ("beam", "repair"):
        found = Incumbents(made)
        if work == "beam":
            beam_search(made, found, width=3, budget=Budget())
        else:
            repair(made, found, rounds=40, random=Random(0), budget=Budget(), prices=(1.0, 0, 0))
        assert found.front
        assert found.cost <= made.cost(first)
        for cost, most, ops in found.front:
            assert made.reaches(ops)
            assert sorted(in_order(made, ops)) == list(ops)
            assert cost == pytest.approx(made.cost(ops))
            assert most == pytest.approx(burden([rules_of(made, rules, op) for op in ops]))
        costs = [cost for cost, _, _ in found.front]
        burdens = [most for _, most, _ in found.front]
        assert costs == sorted(set(costs))
        assert burdens == sorted(set(burdens), reverse=True)


def rules_of(task: object, rules: list[Rule], op: int) -> Rule:
    return rules[task.rules[op]]  # type: ignore[attr-defined]


def test_a_front_of_a_large_task_is_one_though_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no program is made of it."""
    monkeypatch.setattr("engines.trajectory.front._SMALL", 0)
    rules = [
        Rule("alone", (), "g", 4, {"X": 1}),  # type: ignore[arg-type]
        Rule("both", (), "g", 5, {"X": 1, "Y": 1}),  # type: ignore[arg-type]
        Rule("all", (), "g", 6, {"X": 1, "Y": 1, "Z": 1}),  # type: ignore[arg-type]
        Rule("bad", (), "g", 9, {"X": 1, "Y": 1, "Z": 1}),  # type: ignore[arg-type]
    ]
    front = optimizer(rules).front("g")
    assert not front.exact
    assert [plan.cost for plan in front.plans] == [4, 5, 6]
    assert optimizer(rules).plan("g", max_burden=2).cost == 6
