"""A crowd is planned as the greedy method plans its tasks, decision by decision and word for word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.assign import (
    AgentProfile,
    AssignableTask,
    Crowd,
    DynamicAssignEngine,
    UnassignedTask,
    decide_crowd,
)
from engines.errors import InvalidInput

skills = st.sets(st.sampled_from("abc"), max_size=3).map(lambda some: tuple(sorted(some)))
task_fields = st.tuples(
    st.sampled_from([0, 0.5, 0.9, 1]), skills, st.sampled_from([0.2, 1, 2.5]), st.sampled_from("XY")
)
agent_fields = st.tuples(
    skills.filter(bool), st.sampled_from([0, 0.3, 2, 6]), st.sampled_from([(), ("x",)])
)


@settings(max_examples=36, deadline=None)
@given(
    st.lists(task_fields, min_size=1, max_size=25),
    st.lists(agent_fields, min_size=1, max_size=4),
    st.sampled_from([None, 0, 3]),
    st.sampled_from([0, 0.5, 1]),
)
def test_a_crowd_is_planned_as_its_tasks_are(
    of_tasks: list[tuple[float, tuple[str, ...], float, str]],
    of_agents: list[tuple[tuple[str, ...], float, tuple[str, ...]]],
    limit: int | None,
    least: float,
) -> None:
    """Ties of priority, agents without hours, and limits among them."""
    tasks = [
        AssignableTask(f"t{n}", f"do {n}", priority, needs, hours, {"zone": zone, "number": n})
        for n, (priority, needs, hours, zone) in enumerate(of_tasks)
    ]
    agents = [
        AgentProfile(f"a{n}", able, hours, focus)
        for n, (able, hours, focus) in enumerate(of_agents)
    ]
    engines = [DynamicAssignEngine(clock=lambda: 1e9) for _ in range(2)]
    plan = engines[0].decide(tasks, agents, limit=limit, min_skill_match=least, method="greedy")
    crowd = Crowd()
    for task in tasks:
        crowd.add(task)
    names = [task.identifier for task in tasks]
    found = decide_crowd(engines[1], crowd, names, agents, limit=limit, min_skill_match=least)
    assert found.decisions == plan.decisions
    assert found.value == pytest.approx(plan.value, abs=1e-5)
    told = [
        UnassignedTask(names[at], *found.causes[found.cause_of[at]]) for at in found.left_over()
    ]
    assert tuple(told) == plan.unassigned
    assert sum(found.counts().values()) == len(told)
    assert engines[1].last_plan.decisions == engines[0].last_plan.decisions


def test_agents_of_one_name_are_refused() -> None:
    twins = [AgentProfile("a", ("x",), 1)] * 2
    with pytest.raises(InvalidInput, match="two agents are named 'a'"):
        decide_crowd(DynamicAssignEngine(), Crowd(), [], twins)
