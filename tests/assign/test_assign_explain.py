"""What is said of a task holds: the change that would place it places it, what moves moves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentRules,
    Changes,
    DynamicAssignEngine,
)
from tests.assign.test_assign_optimum import Agents, Tasks, some_agents, some_rules, some_tasks


def engine() -> DynamicAssignEngine:
    return DynamicAssignEngine(clock=lambda: 1_800_000_000.0)


def changed(
    text: str, task: AssignableTask, agents: Agents, rules: AssignmentRules, options: dict[str, Any]
) -> tuple[Agents, AssignmentRules, dict[str, Any]]:
    """What `smallest` says, done."""
    by_name = {agent.name: agent for agent in agents}
    for change in text.split(" and "):
        match change.split():
            case ["there", "is", "an", "agent", *_]:
                by_name["new"] = AgentProfile("new", task.required_skills or ("x",), 100)
            case [name, "has", more, "h", "more"]:
                agent = by_name[name]
                hours = agent.available_hours + float(more)
                by_name[name] = replace(agent, available_hours=hours)
            case [name, "learns", count, "of", *lacking]:
                words = " ".join(lacking).split(", ")[: 1 if count == "one" else int(count)]
                by_name[name] = replace(by_name[name], skills=(*by_name[name].skills, *words))
            case ["a", "match", "of", percent, *_]:
                bar = float(percent.rstrip("%")) / 100
                rules = replace(rules, min_match={**rules.min_match, task.identifier: bar})
                options = {**options, "min_skill_match": min(options["min_skill_match"], bar)}
            case [name, "is", "no", "longer", "forbidden"]:
                pair = (task.identifier, name)
                rules = replace(rules, forbidden=[p for p in rules.forbidden if p != pair])
            case [name, "is", "there"]:
                rules = replace(rules, absent=[a for a in rules.absent if a != name])
            case [name, "is", "not", "away", *_]:
                rules = replace(rules, away={})
            case _:
                raise AssertionError(change)
    return list(by_name.values()), rules, options


@settings(max_examples=36, deadline=None)
@given(some_tasks.filter(bool), some_agents, some_rules, st.sampled_from([0.0, 0.6]))
def test_the_smallest_change_places_the_task(
    tasks: Tasks, agents: Agents, rules: AssignmentRules, bar: float
) -> None:
    """All else as it is, there is room for it then, also where several things were in the way."""
    rules = replace(rules, teams={})
    planner, options = engine(), {"min_skill_match": bar}
    plan = planner.decide(tasks, agents, rules=rules, **options)
    pins = {decision.task_id: decision.agent for decision in plan.decisions}
    for left in plan.unassigned:
        text = planner.explain(left.task_id).smallest
        assert text
        (task,) = (task for task in tasks if task.identifier == left.task_id)
        new = changed(text, task, agents, replace(rules, pinned=pins), options)
        placed = [task for task in tasks if task.identifier in {*pins, left.task_id}]
        again = engine().decide(placed, new[0], rules=new[1], **new[2])
        assert again.unassigned == (), text


@settings(max_examples=18, deadline=None)
@given(some_tasks.filter(bool), some_agents, st.integers(0, 3))
def test_the_limit_that_is_named_lets_the_task_in(tasks: Tasks, agents: Agents, limit: int) -> None:
    """One more is not always enough: others have their turn first."""
    planner = engine()
    for left in planner.decide(tasks, agents, limit=limit).unassigned:
        text = planner.explain(left.task_id).smallest or ""
        if found := re.fullmatch(r"the limit is (\d+) \(now \d+\)", text):
            again = engine().decide(tasks, agents, limit=int(found[1]))
            assert left.task_id in {decision.task_id for decision in again.decisions}


def test_a_team_is_placed_by_all_that_it_lacks() -> None:
    """Not by one member's hours alone."""
    tasks = [AssignableTask("t", "d", 0.5, ("x",), 3)]
    agents = [AgentProfile("a", ("x",), 2), AgentProfile("b", ("y",), 8)]
    planner = engine()
    planner.decide(tasks, agents, rules=AssignmentRules(teams={"t": 2}))
    assert planner.explain("t").smallest == "a has 1 h more and b learns one of x"
    planner.decide(tasks, agents[:1], rules=AssignmentRules(teams={"t": 3}))
    assert planner.explain("t").smallest == "there are 2 agents more and a has 1 h more"


def test_what_if_of_a_greedy_plan_tells_only_what_the_change_does() -> None:
    """Not what another method would do anyway."""
    tasks = [
        AssignableTask("big", "d", 0.9, ("x",), 4),
        *(AssignableTask(f"small{n}", "d", 0.85, ("x",), 2) for n in range(2)),
    ]
    planner = engine()
    agents = [AgentProfile("a", ("x",), 4), AgentProfile("b", ("y",), 4)]
    planner.decide(tasks, agents, method="greedy")
    nothing = planner.what_if(Changes(remove_agents=("b",)))
    assert (nothing.moved, nothing.gain, nothing.before.method) == ({}, 0.0, "greedy")
    assert planner.what_if(Changes(forbid=(("big", "b"),))).moved == {}
    assert set(planner.what_if(Changes(forbid=(("big", "a"),))).moved) <= {"big"}
    better = planner.explain("big").alternatives
    assert better == ()


def test_what_an_alternative_costs_may_be_less_than_nothing() -> None:
    """A greedy plan can be worse than the best one with another choice."""
    tasks = [AssignableTask("t", "d", 0.9, ("x",), 4), AssignableTask("u", "d", 0.8, ("y",), 4)]
    agents = [AgentProfile("a", ("x", "y"), 4, (), 0.9), AgentProfile("b", ("x",), 4, (), 0.8)]
    planner = engine()
    planner.decide(tasks, agents, method="greedy")
    (other,) = planner.explain("t").alternatives
    assert other.agent == "b"
    assert other.cost is not None
    assert other.cost < 0
    assert engine().decide(tasks, agents).value == pytest.approx(
        planner.last_plan.value - other.cost
    )


def test_the_same_feedback_counts_once() -> None:
    """Learning again without more of it changes nothing."""
    tasks = [AssignableTask("t", "d", 0.9, ("x",), 4), AssignableTask("u", "d", 0.8, ("x", "z"), 4)]
    planner = engine()
    planner.decide(tasks, [AgentProfile("a", ("x",), 9, (), 0.9)])
    planner.feedback("t", accepted=True)
    planner.feedback("u", accepted=False)
    once = planner.learn().new
    assert planner.learn().new == once
    assert len(planner.weights_history) == 3


def test_who_is_named_beside_a_choice_is_compared_as_the_plan_compares() -> None:
    """With what rules add; of a team nobody is compared with its own members."""
    tasks = [
        AssignableTask("t", "d", 0.5, (), 2, {"zone": "north"}),
        AssignableTask("team", "d", 0.4, (), 1),
    ]
    agents = [
        AgentProfile("a", ("s",), 8, (), 0.9),
        AgentProfile("b", ("s",), 8, (), 0.5),
        AgentProfile("c", ("s",), 8, (), 0.1),
    ]
    rules = AssignmentRules(teams={"team": 2}, affinity={("north", "b"): 0.3})
    plan = DynamicAssignEngine().decide(tasks, agents, rules=rules)
    said = {(d.task_id, d.agent): d.rationale for d in plan.decisions}
    assert said["t", "b"].endswith("score 0.88, next is a with 0.91")
    assert said["team", "a"].endswith(", in a team of 2")


def test_pins_count_in_the_bound_of_a_limit() -> None:
    tasks = [AssignableTask(f"t{n}", "d", 1.0, (), 1) for n in range(4)]
    agents = [AgentProfile("a", ("s",), 9)]
    rules = AssignmentRules(pinned={"t3": "a"})
    plan = DynamicAssignEngine().decide(tasks, agents, rules=rules, limit=1)
    assert (len(plan.decisions), plan.optimal) == (1, True)


def test_nobody_is_said_to_be_alone_where_others_were_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of plans that are too large for that."""
    from engines.assign import reasons

    tasks = [AssignableTask("t", "d", 0.5, (), 2)]
    agents = [AgentProfile(name, ("s",), 8) for name in "ab"]
    for most, end in ((2, "next is b with 0.88"), (1, "score 0.88")):
        monkeypatch.setattr(reasons, "_LOOKED_AT", most)
        decision = DynamicAssignEngine().decide(tasks, agents).decisions[0]
        assert decision.rationale.endswith(end)
