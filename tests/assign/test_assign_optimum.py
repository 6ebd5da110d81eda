"""What is claimed of a plan, held against all the plans there are, where these can be counted."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentPlan,
    AssignmentRules,
    DynamicAssignEngine,
    check,
)
from engines.errors import InvalidInput

SKILLS = ["climb", "dive", "drive"]
ROUNDING = 1e-6
Tasks, Agents = list[AssignableTask], list[AgentProfile]

share = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1)
skills = st.lists(st.sampled_from(SKILLS), unique=True, max_size=3).map(tuple)
hours = st.sampled_from([0, 1, 2, 3, 5]) | st.floats(0, 6)
efforts = st.sampled_from([0.5, 1, 2, 3]) | st.floats(0.1, 4)


def numbered(make: Any) -> Any:
    return lambda rows: [make(n, *row) for n, row in enumerate(rows)]


tasks_of = numbered(
    lambda n, priority, need, effort, zone: AssignableTask(
        f"t{n}", "d", priority, need, effort, {"zone": zone}
    )
)
agents_of = numbered(lambda n, has, free, sure: AgentProfile(f"a{n}", has, free, ("north",), sure))
some_tasks = st.lists(
    st.tuples(share, skills, efforts, st.sampled_from(["north", "south"])), max_size=6
).map(tasks_of)
some_agents = st.lists(st.tuples(skills.filter(bool), hours, share), max_size=3).map(agents_of)
pairs = st.tuples(st.sampled_from([f"t{n}" for n in range(6)]), st.sampled_from(["a0", "a1", "a2"]))
some_rules = st.builds(
    AssignmentRules,
    forbidden=st.lists(pairs, max_size=3),
    teams=st.dictionaries(st.sampled_from(["t0", "t1"]), st.integers(1, 3), max_size=1),
    min_match=st.dictionaries(st.just("t2"), share, max_size=1),
    absent=st.lists(st.just("a2"), max_size=1),
    away=st.dictionaries(st.just("a1"), st.just([(10.0, 20.0)]), max_size=1),
    when=st.dictionaries(st.just("t3"), st.just((15.0, 25.0)), max_size=1),
    travel_hours=st.dictionaries(st.just(("north", "a0")), st.just(0.5), max_size=1),
    affinity=st.dictionaries(st.just(("south", "a1")), st.just(0.2), max_size=1),
)


def planned(tasks: Tasks, agents: Agents, **options: Any) -> AssignmentPlan:
    return DynamicAssignEngine(clock=lambda: 1_800_000_000.0).decide(tasks, agents, **options)


def worth(task: AssignableTask, agent: AgentProfile, rules: AssignmentRules) -> float | None:
    """The definition in docs/assignment.md, once more."""
    match = agent.skill_overlap(task.required_skills)
    zone = str((task.metadata or {}).get("zone", ""))
    spent = task.estimated_effort_hours + rules.travel_hours.get((zone, agent.name), 0)
    least = rules.min_match.get(task.identifier, 0)
    barred = (task.identifier, agent.name) in rules.forbidden or agent.name in rules.absent
    when = rules.when.get(task.identifier)
    for begin, end in rules.away.get(agent.name, ()):
        barred = barred or (when is not None and begin < when[1] and when[0] < end)
    if barred or match == 0 or match < least or spent > agent.available_hours + 1e-9:
        return None
    if agent.available_hours == 0:
        return None
    free = 1 - min(spent / agent.available_hours, 1)
    score = 0.6 * match + 0.3 * free + 0.1 * agent.confidence
    score += rules.affinity.get((zone, agent.name), 0) + 1e-6 * (zone in agent.focus_areas)
    return (0.2 + 0.8 * task.priority) * max(score, 0)


def every_plan(
    tasks: Tasks, agents: Agents, rules: AssignmentRules, left: dict[str, float]
) -> Iterator[float]:
    if not tasks:
        yield 0.0
        return
    task, *rest = tasks
    zone = str((task.metadata or {}).get("zone", ""))
    yield from every_plan(rest, agents, rules, left)
    size = rules.teams.get(task.identifier, 1)
    for team in itertools.combinations(agents, size):
        values = [worth(task, agent, rules) for agent in team]
        if None in values:
            continue
        then = dict(left)
        for agent in team:
            travel = rules.travel_hours.get((zone, agent.name), 0)
            then[agent.name] -= task.estimated_effort_hours + travel
        if min(then[agent.name] for agent in team) >= -1e-9:
            gained = sum(value for value in values if value is not None)
            yield from (gained + more for more in every_plan(rest, agents, rules, then))


def optimum(tasks: Tasks, agents: Agents, rules: AssignmentRules) -> float:
    left = {agent.name: agent.available_hours for agent in agents}
    return max(every_plan(tasks, agents, rules, left))


@settings(max_examples=24, deadline=None)
@given(some_tasks, some_agents, some_rules)
def test_small_plans_are_the_best_there_are(
    tasks: Tasks, agents: Agents, rules: AssignmentRules
) -> None:
    """Value = optimum = bound, whatever the rules; the certificate stands in exact arithmetic."""
    plan = planned(tasks, agents, rules=rules)
    best = optimum(tasks, agents, rules)
    assert plan.value == pytest.approx(best, abs=ROUNDING, rel=1e-5)
    assert plan.bound is not None
    assert plan.bound >= best - ROUNDING
    assert plan.optimal
    assert plan.gap in (0, pytest.approx(0))
    verdict = check(plan, tasks, agents, rules=rules)
    assert verdict.faults == ()
    assert verdict.bound >= best - ROUNDING


@settings(max_examples=20, deadline=None)
@given(some_tasks, some_agents)
def test_greedy_is_below_the_bound_too(tasks: Tasks, agents: Agents) -> None:
    """Each method's bound is above every plan, and no method beats the optimum."""
    best = optimum(tasks, agents, AssignmentRules())
    plan = planned(tasks, agents, method="greedy")
    assert plan.bound is not None
    assert plan.value - ROUNDING <= best <= plan.bound + ROUNDING


@settings(max_examples=15, deadline=None)
@given(some_tasks, some_agents, st.integers(0, 4))
def test_a_limits_bound_is_above_every_plan_of_that_length(
    tasks: Tasks, agents: Agents, limit: int
) -> None:
    """Cut or not, the plan stays within what is proven."""
    plan = planned(tasks, agents, limit=limit)
    best = max(
        (
            optimum(list(some), agents, AssignmentRules())
            for size in range(min(limit, len(tasks)) + 1)
            for some in itertools.combinations(tasks, size)
        ),
        default=0.0,
    )
    assert plan.bound is not None
    assert plan.value - ROUNDING <= best <= plan.bound + ROUNDING


def test_a_limits_bound_is_no_more_than_the_most_that_so_many_are_worth() -> None:
    """Prices of hours say little where few of these are used."""
    tasks = [AssignableTask(f"t{n}", "d", 0.5, (), 1 + n % 3) for n in range(30)]
    agents = [AgentProfile(f"a{n}", ("s",), 7.5, (), 0.5) for n in range(4)]
    for method in ("auto", "greedy"):
        plan = planned(tasks, agents, limit=2, method=method)
        assert plan.bound is not None
        assert plan.value <= plan.bound <= 2 * 0.6 * (0.6 + 0.3 * 6.5 / 7.5 + 0.05) + ROUNDING


@settings(max_examples=15, deadline=None)
@given(some_tasks, some_agents.filter(bool), st.data())
def test_pins_hold_or_are_refused(tasks: Tasks, agents: Agents, data: Any) -> None:
    """A pinned pair is in the plan; where it cannot be, nothing is planned."""
    names = [task.identifier for task in tasks]
    pins = data.draw(
        st.dictionaries(st.sampled_from(names), st.sampled_from([a.name for a in agents]))
        if names
        else st.just({})
    )
    rules = AssignmentRules(pinned=pins)
    try:
        plan = planned(tasks, agents, rules=rules)
    except InvalidInput:
        spent = dict.fromkeys((agent.name for agent in agents), 0.0)
        effort = {task.identifier: task.estimated_effort_hours for task in tasks}
        by_name = {agent.name: agent for agent in agents}
        for task, agent in pins.items():
            spent[agent] += effort[task]
        assert any(spent[name] > by_name[name].available_hours for name in spent) or any(
            worth(task, by_name[pins[task.identifier]], rules) is None
            for task in tasks
            if task.identifier in pins
        )
        return
    given_to = {decision.task_id: decision.agent for decision in plan.decisions}
    assert pins.items() <= given_to.items()
    assert check(plan, tasks, agents, rules=rules).faults == ()


def test_a_pin_takes_no_more_than_its_hours() -> None:
    """What is left of whole hours is counted after it."""
    tasks = [
        AssignableTask("p", "d", 0.5, (), 0.5),
        *(AssignableTask(n, "d", 0.5, (), 1) for n in "xy"),
    ]
    agents, rules = [AgentProfile("a", ("s",), 2.5)], AssignmentRules(pinned={"p": "a"})
    plan = planned(tasks, agents, rules=rules)
    assert len(plan.decisions) == 3
    assert check(plan, tasks, agents, rules=rules).faults == ()


def test_pins_come_first_under_a_limit() -> None:
    """And more of them than it allows are refused."""
    tasks, agents = (
        [AssignableTask(f"t{n}", "d", n / 9, (), 1) for n in range(3)],
        [AgentProfile("a", ("s",), 9)],
    )
    plan = planned(tasks, agents, rules=AssignmentRules(pinned={"t0": "a"}), limit=2)
    assert [decision.task_id for decision in plan.decisions] == ["t2", "t0"]
    assert [left.cause for left in plan.unassigned] == ["limit"]
    with pytest.raises(InvalidInput, match="2 tasks are pinned, more than the limit of 1"):
        planned(tasks, agents, rules=AssignmentRules(pinned={"t0": "a", "t1": "a"}), limit=1)


@pytest.mark.parametrize("method", ["auto", "greedy"])
def test_a_match_as_high_as_the_bar_is_enough(method: str) -> None:
    """7 of 10 is 0.7, also where single precision has a little less."""
    skills = tuple(f"s{n}" for n in range(10))
    for known in range(1, 10):
        tasks, agents = (
            [AssignableTask("t", "d", 0.5, skills)],
            [AgentProfile("a", skills[:known], 8)],
        )
        plan = planned(tasks, agents, method=method, min_skill_match=known / 10)
        assert len(plan.decisions) == 1
        assert check(plan, tasks, agents, min_skill_match=known / 10).faults == ()


def test_a_place_is_its_text_whatever_its_type() -> None:
    """A zone 0 is a place, None is none, and outer space does not count."""
    zones = {"t0": 0, "t1": None, "t2": " North "}
    tasks = [AssignableTask(name, "d", 0.5, (), 1, {"zone": zone}) for name, zone in zones.items()]
    agents = [AgentProfile("a", ("x",), 8, ("0", "none", "north"))]
    rules = AssignmentRules(affinity={("0", "a"): 0.1, ("none", "a"): 0.2, ("north", "a"): 0.4})
    plan = planned(tasks, agents, rules=rules)
    assert check(plan, tasks, agents, rules=rules).faults == ()
    assert plan.value == pytest.approx(0.6 * (3 * (0.6 + 0.3 * 7 / 8 + 0.05) + 0.5), abs=1e-5)


@pytest.mark.parametrize(("has", "needs"), [(1e308, 1.0), (1e9, 3e8), (1e-9, 1e-10), (1e7, 0.1)])
def test_hours_of_any_size_are_planned(has: float, needs: float) -> None:
    """Without sums that overflow into plans."""
    tasks = [AssignableTask(f"t{n}", "d", n / 9, (), needs) for n in range(9)]
    agents = [AgentProfile(f"a{n}", ("s",), has) for n in range(3)]
    plan = planned(tasks, agents)
    assert plan.decisions
    assert check(plan, tasks, agents).faults == ()


def test_a_task_beyond_reckoning_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"task 't': 1e\+308 h cannot be planned"):
        planned([AssignableTask("t", "d", 0.5, (), 1e308)], [AgentProfile("a", ("s",), 1e308)])
    rules = AssignmentRules(travel_hours={("north", "a"): 1e10})
    with pytest.raises(InvalidInput, match=r"\('north', 'a'\): 1e\+10 h cannot be planned"):
        planned([AssignableTask("t", "d")], [AgentProfile("a", ("s",), 8)], rules=rules)


def test_removing_an_agent_never_raises_the_optimum() -> None:
    """Nor does adding hours lower it."""
    tasks = [AssignableTask(f"t{n}", "d", n / 7, (SKILLS[n % 3],), 1 + n % 3) for n in range(7)]
    agents = [AgentProfile(f"a{n}", tuple(SKILLS[n:]), 3 + n) for n in range(3)]
    whole = planned(tasks, agents)
    for gone in agents:
        rest = [agent for agent in agents if agent is not gone]
        assert planned(tasks, rest).value <= whole.value + ROUNDING
    placed = {decision.task_id for decision in whole.decisions}
    assert len(placed) == len(whole.decisions)


@pytest.mark.parametrize("count", [1, 7])
def test_identical_agents_share_the_work(count: int) -> None:
    """Ties go by name, and loads are even where that costs nothing."""
    tasks = [AssignableTask(f"t{n}", "d", 0.5, (), 1.0) for n in range(2 * count)]
    agents = [AgentProfile(f"a{n}", ("x",), 4) for n in range(count)]
    plan = planned(tasks, agents)
    loads = [sum(d.agent == agent.name for d in plan.decisions) for agent in agents]
    assert loads == [2] * count
    assert plan.optimal


def test_a_stable_plan_does_not_reshuffle_without_gain() -> None:
    """With `stable` a task stays where it was though another is as good."""
    tasks = [AssignableTask(f"t{n}", "d", 0.5, (), 2.0) for n in range(4)]
    engine = DynamicAssignEngine(clock=lambda: 0.0)
    first = [AgentProfile("b", ("x",), 4), AgentProfile("c", ("x",), 4)]
    before = {d.task_id: d.agent for d in engine.decide(tasks, first).decisions}
    more = [*first, AgentProfile("a", ("x",), 4, confidence=0.55)]
    after = {d.task_id: d.agent for d in engine.decide(tasks, more, stable=True).decisions}
    assert after == before
    free = {d.task_id: d.agent for d in engine.decide(tasks, more).decisions}
    assert free != before


def test_balance_may_cost_no_more_than_it_is_allowed() -> None:
    """With a share to give up, loads are more even, and the value is within that share."""
    tasks = [AssignableTask(f"t{n}", "d", 0.5, ("x",), 1.0) for n in range(6)]
    agents = [AgentProfile("a", ("x",), 6, (), 0.9), AgentProfile("b", ("x",), 6, (), 0.8)]
    best = planned(tasks, agents)
    even = planned(tasks, agents, rules=AssignmentRules(balance=0.05))
    assert best.value * 0.95 <= even.value <= best.value
    assert {sum(d.agent == name for d in even.decisions) for name in "ab"} == {3}


@pytest.mark.parametrize("time_limit", [0, 1e-9])
def test_without_time_there_is_still_a_plan_and_a_bound(time_limit: float) -> None:
    """What the limit cut off is said."""
    tasks = [AssignableTask(f"t{n}", "d", n / 40, ("x",), 1 + n % 3) for n in range(40)]
    agents = [AgentProfile(f"a{n}", ("x", "y"), 7.5, (), n / 9) for n in range(9)]
    plan = planned(tasks, agents, time_limit=time_limit)
    assert plan.bound is not None
    assert plan.bound >= planned(tasks, agents).value - ROUNDING
    assert check(plan, tasks, agents).faults == ()
    assert plan.decisions


@given(some_rules)
def test_rules_survive_a_journey_through_json(rules: AssignmentRules) -> None:
    assert AssignmentRules.from_dict(json.loads(json.dumps(rules.as_dict()))) == rules


SCRIPT = """
import random
from engines.assign import AgentProfile, AssignableTask, DynamicAssignEngine
r = random.Random(3)
words = [f"s{n}" for n in range(12)]
tasks = [AssignableTask(f"t{n}", "d", r.random(), tuple(r.sample(words, 2)), r.choice([1, 2, 3]))
         for n in range(120)]
agents = [AgentProfile(f"a{n}", tuple(r.sample(words, 5)), 8, (), r.random()) for n in range(25)]
plan = DynamicAssignEngine(clock=lambda: 0.0).decide(tasks, agents)
print([(d.task_id, d.agent) for d in plan.decisions], repr(plan.value), repr(plan.bound))
"""


def test_every_process_plans_the_same(tmp_path: Path) -> None:
    """Whatever the seed of its hashes."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PATH": ""},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(said) == 1


@settings(max_examples=15, deadline=None)
@given(some_tasks.filter(bool), some_agents.filter(bool), st.randoms(use_true_random=False))
def test_the_knapsack_bound_is_above_every_plan(tasks: Tasks, agents: Agents, random: Any) -> None:
    """Whatever the prices of the tasks."""
    import numpy as np

    from engines.assign.compile import compiled
    from engines.assign.knapsacks import Knapsacks
    from engines.assign.weights import Weights

    whole = [replace(task, estimated_effort_hours=float(random.randint(1, 3))) for task in tasks]
    problem = compiled(
        whole, agents, rules=AssignmentRules(), weights=Weights(), min_match=0.0, last={}
    ).dense()
    knapsacks = Knapsacks.of(problem)
    assert knapsacks is not None
    best = optimum(whole, agents, AssignmentRules())
    for _ in range(5):
        prices = np.array([random.random() for _ in whole])
        packed = knapsacks.pack(prices, knapsacks.listed(prices, None))
        assert packed.bound >= best - ROUNDING
    packed = knapsacks.descend(np.zeros(len(whole)), 20, lambda: False)
    assert packed.bound >= best - ROUNDING
