"""Plans of many tasks: what fills them and makes them better keeps hours, and the bound stays one."""

from __future__ import annotations

import numpy as np
import pytest

from engines.assign import AgentProfile, AssignableTask, AssignmentRules, Weights
from engines.assign.compile import Compiled, compiled
from engines.assign.draft import Draft, fill_by_length
from engines.assign.market import priced
from engines.assign.opening import first_prices
from engines.assign.problem import dual_bound
from engines.assign.solve import solve
from engines.assign.waves import waves

ROUNDING = 1e-6


def made(seed: int, tasks: int = 80, agents: int = 20, *, alike: bool = False) -> Compiled:
    random = np.random.default_rng(seed)

    def some(most: int) -> tuple[str, ...]:
        return tuple(f"s{n}" for n in random.permutation(6)[: random.integers(1, most + 1)])

    return compiled(
        [
            AssignableTask(
                f"t{n}", "d", random.random(), some(3), float(random.choice([0.5, 1, 2, 3]))
            )
            for n in range(tasks)
        ],
        [
            AgentProfile(f"a{n}", ("s1",), 5.0)
            if alike
            else AgentProfile(f"a{n}", some(5), float(random.integers(0, 12)), (), random.random())
            for n in range(agents)
        ],
        rules=AssignmentRules(teams={"t3": 2}),
        weights=Weights(),
        min_match=0.0,
        last={},
    )


def kept(problem: Compiled, draft: Draft) -> bool:
    """Whether nobody has more hours than there are, and *left* says what is left."""
    row, column = draft.pairs()
    value, hours = problem.pairs(row, column)
    left = problem.capacity - np.bincount(column, hours, len(problem.agents))
    return bool(
        left.min() >= -ROUNDING and np.allclose(left, draft.left) and value.min(initial=0) >= 0
    )


@pytest.mark.parametrize("seed", range(8))
def test_waves_keep_hours_and_lose_no_value(seed: int) -> None:
    problem = made(seed)
    held = problem.dense()
    pairs, prices, _ = priced(held, lambda: False)
    draft = Draft.empty(held)
    fill_by_length(pairs, draft, prices, held.team == 1)
    before = draft.value(held)
    assert kept(problem, draft)
    waves(pairs, draft, held.team == 1)
    assert draft.value(held) >= before - ROUNDING
    assert kept(problem, draft)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_not_held_is_planned_within_its_bound(seed: int) -> None:
    problem = made(seed)
    large, small = solve(problem), solve(problem.dense())
    assert kept(problem, large.draft)
    assert large.bound >= small.value - ROUNDING
    assert small.bound >= large.value - ROUNDING
    assert large.value >= 0.9 * small.value


@pytest.mark.parametrize("alike", [False, True])
def test_first_prices_prove_a_lower_bound_than_none(alike: bool) -> None:
    problem = made(1, alike=alike)
    prices = first_prices(problem)
    assert (prices >= 0).all()
    nothing = dual_bound(problem, np.zeros(len(prices)))[0]
    assert dual_bound(problem, prices)[0] <= nothing + ROUNDING


def test_blocks_and_memory_say_the_same() -> None:
    """A problem too large to hold is looked at in blocks; bounds agree but for single precision."""
    random = np.random.default_rng(5)
    words = [f"s{n}" for n in range(9)]
    tasks = [
        AssignableTask(
            f"t{n}",
            "d",
            random.random(),
            tuple(random.permutation(words)[: random.integers(0, 4)]),
            float(random.integers(1, 5)),
            {"zone": f"z{n % 3}"},
        )
        for n in range(90)
    ]
    agents = [
        AgentProfile(f"a{n:02}", tuple(random.permutation(words)[:3]), n % 9, (f"z{n % 4}",))
        for n in range(40)
    ]
    rules = AssignmentRules(
        forbidden=[("t3", "a05")],
        teams={"t7": 2, "t8": 41},
        affinity={("z1", "a03"): 0.3},
        travel_hours={("z2", "a04"): 0.5},
    )
    blocks = compiled(
        tasks, agents, rules=rules, weights=Weights(), min_match=0.4, last={"t9": ["a08"]}
    )
    memory = blocks.dense()
    for prices in (np.zeros(40), random.random(40) / 5):
        exact, slack = dual_bound(memory, prices)[0], 4e-5 * len(tasks)
        assert exact <= dual_bound(blocks, prices)[0] <= exact + 2 * slack
    row, column = np.nonzero(memory.value > -np.inf)
    value, spent = blocks.pairs(row, column)
    assert value.tolist() == memory.value[row, column].tolist()
    assert spent.tolist() == memory.hours[row, column].tolist()
    found, best = solve(blocks), solve(memory)
    assert found.value <= best.bound + ROUNDING
    assert best.value <= found.bound + ROUNDING
    assert found.draft.left.min() >= -ROUNDING


def test_two_that_plan_at_once_leave_the_threads_as_they_were() -> None:
    """Whoever is the first to be done."""
    from threadpoolctl import threadpool_info, threadpool_limits

    from engines.assign.threads import one_thread

    def threads() -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    large = made(1, 400, 300)
    with threadpool_limits(2, user_api="blas"):
        one, other = one_thread(large), one_thread(large)
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        assert threads() == {1}
        other.__exit__(None, None, None)
        assert threads() == {2}
