"""Hours of every size, and numbers that are nearly whole: no bound is below a plan that there is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.assign import AgentProfile, AssignableTask, DynamicAssignEngine, check
from engines.assign.hours import counted_in, whole_units
from engines.assign.packing import Packing
from engines.assign.problem import Dense
from engines.assign.solve import solve

odd = st.sampled_from(
    [1 - 9e-10, 1 + 5e-10, 2 - 1e-9, 999_999_999.0005, 1e8 + 0.1, 1e-10, 1e-40, 5e-324, 1 / 3]
)


def planned(efforts: list[float], has: list[float], **options: Any) -> Any:
    tasks = [AssignableTask(f"t{n}", "d", 0.5, (), effort) for n, effort in enumerate(efforts)]
    agents = [AgentProfile(f"a{n}", ("s",), hours) for n, hours in enumerate(has)]
    engine = DynamicAssignEngine(clock=lambda: 1_800_000_000.0)
    return engine.decide(tasks, agents, **options), tasks, agents


def most_tasks(efforts: list[float], has: float) -> int:
    """Of one agent, the shortest first."""
    left, count = Fraction(has), 0
    for effort in sorted(efforts):
        left -= Fraction(effort)
        count += left >= 0
    return count


@settings(max_examples=60, deadline=None)
@given(
    st.lists(odd, min_size=1, max_size=5), st.floats(0, 1.2), st.sampled_from(["auto", "greedy"])
)
@example([999_999_999.0005] * 2, 1.0, "auto")
@example([1e-10] * 5, 0.2, "auto")
def test_hours_of_any_size_are_kept_and_bounded(
    efforts: list[float], share: float, method: str
) -> None:
    """By the definition, in rational numbers; as many tasks as fit are worth no more."""
    has = share * sum(efforts)
    plan, tasks, agents = planned(efforts, [has], method=method)
    assert check(plan, tasks, agents).faults == ()
    spent = sum(Fraction(tasks[int(d.task_id[1:])].estimated_effort_hours) for d in plan.decisions)
    assert spent <= Fraction(has) * (1 + Fraction(1, 10**8))
    # The load of each is at most 1, so that each is worth at least its confidence and match.
    assert plan.bound >= 0.6 * (0.6 + 0.05) * most_tasks(efforts, has) - 1e-6


@given(st.lists(st.floats(0.5, 4e9), min_size=1, max_size=9), st.floats(0, 1e-8))
@settings(max_examples=60, deadline=None)
def test_whole_units_hold_whatever_fits(efforts: list[float], off: float) -> None:
    """Any choice of tasks that fits an agent's hours fits the whole units of these."""
    given_ = np.round(np.array(efforts)) * (1 - off) + off
    part = counted_in(given_, (1, 2))
    if part is not None:
        filled = whole_units(np.array([given_.sum()]), part)[0]
        assert filled >= given_.sum() * (1 - 1e-14)


def test_nearly_whole_hours_are_no_units() -> None:
    """1,500 tasks, a trifle shorter than an hour, fit where 1,499 hours and a bit are there."""
    tasks, effort = 1_500, 1 - 9e-10
    room = tasks * effort + 1e-9
    assert room < tasks - 1e-6
    shape = (tasks, 1)
    problem = Dense(
        np.ones(shape), np.full(shape, effort), np.array([room]), np.ones(tasks, np.int64)
    )
    packing = Packing.of(problem)
    assert packing is None or packing.pack(np.zeros(tasks))[0] >= tasks
    assert solve(problem).bound >= tasks - 1e-6


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_a_limit_where_nobody_is_there(method: str) -> None:
    plan, _, _ = planned([1.0, 2.0], [], limit=1, method=method)
    assert (plan.decisions, plan.bound, plan.gap) == ((), 0.0, 0.0)


@pytest.mark.parametrize("effort", [1e-320, 1e-40, 1e-9, 3e8])
def test_prices_stay_numbers_where_pairs_are_not_held(effort: float) -> None:
    """Of hours that are no numbers in single precision; the bound is above the plan."""
    from engines.assign import AssignmentRules, Weights
    from engines.assign.compile import compiled
    from engines.assign.problem import dual_bound

    random = np.random.default_rng(3)
    tasks = [
        AssignableTask(f"t{n:03}", "d", random.random(), (), effort * random.integers(1, 4))
        for n in range(90)
    ]
    agents = [AgentProfile(f"a{n:02}", ("s",), effort * (n % 7) / 2) for n in range(40)]
    rules, weights = AssignmentRules(), Weights()
    blocks = compiled(tasks, agents, rules=rules, weights=weights, min_match=0.0, last={})
    memory = blocks.dense()
    found = solve(blocks)
    load = np.bincount(found.draft.pairs()[1], memory.hours[found.draft.pairs()], len(agents))
    assert (load <= memory.capacity * (1 + 1e-8)).all()
    with np.errstate(over="ignore"):
        proven = dual_bound(memory, found.prices)[0]
    assert found.bound >= max(proven, found.value) - 1e-9
