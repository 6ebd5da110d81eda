"""Laws that every plan keeps, whatever the tasks and agents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentPlan,
    AssignmentRules,
    DynamicAssignEngine,
)

SKILLS = ["climb", "dive", "drive", "fly"]
ROUNDING = 1e-6  # hours
share = st.floats(0, 1)
skills = st.lists(st.sampled_from(SKILLS), unique=True, max_size=3).map(tuple)
tasks = st.lists(
    st.builds(
        AssignableTask,
        st.integers(0, 99).map("t{}".format),
        st.just("d"),
        share,
        skills,
        st.floats(1e-10, 9) | st.sampled_from([0.1, 0.2, 0.3, 1, 4]),
    ),
    unique_by=lambda task: task.identifier,
    max_size=8,
)
agents = st.lists(
    st.builds(
        AgentProfile,
        st.integers(0, 99).map("a{}".format),
        skills.filter(bool),
        st.floats(0, 12) | st.sampled_from([0, 0.3, 0.6, 8]),
        confidence=share,
    ),
    unique_by=lambda agent: agent.name,
    max_size=6,
)
Tasks, Agents = list[AssignableTask], list[AgentProfile]


def planned(tasks: Tasks, agents: Agents, **options: Any) -> AssignmentPlan:
    return DynamicAssignEngine(clock=lambda: 1_800_000_000.0).decide(tasks, agents, **options)


def overlap(task: AssignableTask, agent: AgentProfile) -> float:
    return agent.skill_overlap(task.required_skills)


@given(tasks, agents)
def test_no_agent_gets_more_hours_than_it_has(tasks: Tasks, agents: Agents) -> None:
    """Summed over a round, up to the rounding of decimal hours."""
    effort = {task.identifier: task.estimated_effort_hours for task in tasks}
    spent: Counter[str] = Counter()
    for decision in planned(tasks, agents).decisions:
        spent[decision.agent] += effort[decision.task_id]
        assert 0 < decision.load_factor <= 1
    for agent in agents:
        assert spent[agent.name] <= agent.available_hours + ROUNDING


@given(tasks, agents, share)
def test_nobody_gets_a_task_below_the_bar(tasks: Tasks, agents: Agents, bar: float) -> None:
    """At least one required skill always, and at least *min_skill_match* of them."""
    by_task = {task.identifier: task for task in tasks}
    by_name = {agent.name: agent for agent in agents}
    for decision in planned(tasks, agents, min_skill_match=bar).decisions:
        match = overlap(by_task[decision.task_id], by_name[decision.agent])
        assert match > 0
        assert match >= bar
        assert decision.skill_match == match


@given(tasks, agents, st.none() | st.integers(0, 5))
def test_each_task_is_decided_or_left_over(tasks: Tasks, agents: Agents, limit: int | None) -> None:
    """Never both, never twice; each has its reason, and causes are a closed set of words."""
    plan = planned(tasks, agents, limit=limit)
    decided = [decision.task_id for decision in plan.decisions]
    left = [task.task_id for task in plan.unassigned]
    assert sorted(decided + left) == sorted(task.identifier for task in tasks)
    assert all(decision.rationale for decision in plan.decisions)
    causes = {"no_agents", "no_skill", "skill_match", "hours", "limit"}
    assert all(task.cause in causes and task.reason for task in plan.unassigned)
    assert limit is None or len(decided) <= limit


@given(tasks, agents, st.sampled_from([None, 0]), st.booleans())
@example(
    [
        AssignableTask("t0", "d", 0.0, (), 2),
        AssignableTask("t1", "d", 1.0, ("fly", "dive"), 3),
        AssignableTask("t2", "d", 0.0, ("fly", "dive"), 3),
        AssignableTask("t3", "d", 1.0, (), 3),
        AssignableTask("t4", "d", 0.5, (), 3),
        AssignableTask("t5", "d", 0.0, ("fly", "dive"), 3),
    ],
    [AgentProfile("a0", ("fly", "dive"), 8.9, (), 0), AgentProfile("a1", ("climb",), 3, (), 1)],
    0,
    True,
)
def test_a_task_is_left_over_only_where_nobody_could_take_it(
    tasks: Tasks, agents: Agents, time_limit: float | None, liked: bool
) -> None:
    """Whoever has a skill for it has fewer hours left than it needs; also where it is worth 0."""
    tasks = [replace(task, metadata={"zone": "north"}) for task in tasks]
    affinity = {("north", agent.name): -1.0 for agent in agents if not liked}
    rules = AssignmentRules(affinity=affinity)
    plan = planned(tasks, agents, rules=rules, time_limit=time_limit)
    effort = {task.identifier: task.estimated_effort_hours for task in tasks}
    hours = {agent.name: agent.available_hours for agent in agents}
    for decision in plan.decisions:
        hours[decision.agent] -= effort[decision.task_id]
    left = {task.task_id for task in plan.unassigned}
    for task in tasks:
        if task.identifier in left:
            able = [agent for agent in agents if overlap(task, agent) > 0]
            assert all(hours[agent.name] < effort[task.identifier] for agent in able)


@given(tasks, agents, share, share)
def test_a_higher_bar_never_lets_more_agents_in(
    tasks: Tasks, agents: Agents, a: float, b: float
) -> None:
    """What the higher bar calls a lack of skill, or worse, no lower one allows with that agent."""
    low, high = sorted((a, b))

    def unskilled(bar: float) -> set[str]:
        left = planned(tasks, agents, min_skill_match=bar).unassigned
        return {task.task_id for task in left if task.cause in ("no_skill", "skill_match")}

    assert unskilled(low) <= unskilled(high)


@given(tasks, agents, st.integers(0, 8))
def test_a_limit_takes_the_beginning_of_the_plan(tasks: Tasks, agents: Agents, limit: int) -> None:
    """The most urgent stay; the decisions that remain are the same."""
    assert planned(tasks, agents, limit=limit).decisions == planned(tasks, agents).decisions[:limit]


@given(tasks, agents)
def test_decisions_come_by_falling_priority(tasks: Tasks, agents: Agents) -> None:
    """Among equals the order given is kept."""
    order = [task.identifier for task in sorted(tasks, key=lambda task: -task.priority)]
    decided = [decision.task_id for decision in planned(tasks, agents).decisions]
    assert decided == [name for name in order if name in decided]


@given(tasks, agents, st.randoms(use_true_random=False))
def test_the_order_of_the_agents_does_not_matter(tasks: Tasks, agents: Agents, random: Any) -> None:
    """The same input gives the same plan, and so does another order of the agents."""
    shuffled = random.sample(agents, len(agents))
    assert planned(tasks, agents) == planned(tasks, agents) == planned(tasks, shuffled)


@given(tasks, agents)
def test_the_spelling_of_skills_does_not_matter(tasks: Tasks, agents: Agents) -> None:
    """Upper case, outer space and repetition change nothing."""

    def loud(skills: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f" {skill.upper()} " for skill in (*skills, *skills))

    louder = [
        AgentProfile(a.name, loud(a.skills), a.available_hours, confidence=a.confidence)
        for a in agents
    ]
    again = [
        AssignableTask(
            t.identifier, "d", t.priority, loud(t.required_skills), t.estimated_effort_hours
        )
        for t in tasks
    ]
    assert planned(again, louder) == planned(tasks, agents)
