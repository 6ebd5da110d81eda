"""Assignment refuses what cannot be, says what was wrong, and records nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.assign import AgentProfile, AssignableTask, AssignmentRules, DynamicAssignEngine
from engines.errors import InvalidInput
from engines.journal import Journal

NAN, INF = float("nan"), float("inf")
TASK = AssignableTask("t", "d")
AVA = AgentProfile("Ava", ("x",), 8)


def task(**wrong: Any) -> Callable[[], AssignableTask]:
    return lambda: AssignableTask(**{"identifier": "t", "description": "d", **wrong})


def agent(**wrong: Any) -> Callable[[], AgentProfile]:
    good = {"name": "Ava", "skills": ("x",), "available_hours": 8}
    return lambda: AgentProfile(**{**good, **wrong})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (task(identifier=""), "a task's identifier must not be empty"),
        (task(identifier=7), "found 7"),
        (task(description=" "), "task 't': the description must not be empty"),
        (task(priority=NAN), "task 't': priority must be finite, found nan"),
        (task(priority="high"), "task 't': priority must be a number, found 'high'"),
        (task(required_skills="law"), "task 't': skills must be a list of words"),
        (task(required_skills=("law", "")), "task 't': skills must not be empty"),
        (task(estimated_effort_hours=0), "effort must be above 0 hours, found 0"),
        (task(estimated_effort_hours=-2), "found -2"),
        (task(estimated_effort_hours=INF), "effort in hours must be finite"),
        (task(metadata=[]), "task 't': metadata must be a mapping"),
        (agent(name=" "), "an agent's name must not be empty"),
        (agent(skills=()), "agent 'Ava' has no skills; it needs at least one"),
        (agent(skills=None), "agent 'Ava' has no skills"),
        (agent(skills="x"), "agent 'Ava': skills must be a list of words"),
        (agent(skills=(1,)), "found 1"),
        (agent(available_hours=-1), "available_hours must be at least 0, found -1"),
        (agent(available_hours=NAN), "available_hours must be finite"),
        (agent(available_hours=10**400), "available_hours is too large"),
        (agent(focus_areas="Pier"), "focus_areas must be a list of words"),
        (agent(confidence=INF), "confidence must be finite"),
    ],
)
def test_a_wrong_value_is_a_value_error_that_names_it(
    make: Callable[[], Any], message: str
) -> None:
    """The error is an InvalidInput, and so a ValueError; it names the task or the agent."""
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("given", "taken"), [(-1, 0.0), (7, 1.0)])
def test_a_number_beyond_its_scale_is_clamped_to_it(given: float, taken: float) -> None:
    """Earlier code relies on it for priority and confidence."""
    assert task(priority=given)().priority == agent(confidence=given)().confidence == taken


@pytest.mark.parametrize(
    ("tasks", "agents", "options", "message"),
    [
        ([TASK, AssignableTask(" t ", "other")], [AVA], {}, "two tasks are named 't'"),
        ([TASK], [AVA, AVA], {}, "two agents are named 'Ava'"),
        ([TASK], [AVA], {"limit": -1}, "limit must be at least 0, found -1"),
        ([TASK], [AVA], {"min_skill_match": NAN}, "min_skill_match must be finite"),
        ([TASK], [AVA], {"min_skill_match": "all"}, "found 'all'"),
    ],
)
def test_a_wrong_round_records_nothing(
    tmp_path: Path, tasks: Any, agents: Any, options: dict[str, Any], message: str
) -> None:
    """Neither a decision nor a byte of the journal."""
    path = tmp_path / "assignments.jsonl"
    engine = DynamicAssignEngine(journal=Journal(path))
    engine.recommend_assignments([TASK], [AVA])
    before, history = path.read_bytes(), engine.history
    with pytest.raises(InvalidInput, match=message):
        engine.recommend_assignments(tasks, agents, **options)
    assert path.read_bytes() == before
    assert engine.history == history


def test_the_smallest_effort_finds_no_hours_where_there_are_none() -> None:
    """An agent without hours takes nothing, not even what rounding would forgive."""
    engine = DynamicAssignEngine()
    plan = engine.decide([task(estimated_effort_hours=1e-10)()], [agent(available_hours=0)()])
    assert [left.cause for left in plan.unassigned] == ["hours"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "method must be one of auto, greedy"),
        ({"time_limit": NAN}, "time_limit must be finite"),
        ({"time_limit": -1}, "time_limit must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"method": "greedy", "rules": AssignmentRules()}, "knows no rules"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        DynamicAssignEngine().decide([], [], **options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"teams": {"t": 0}}, "team of 't'"),
        ({"min_match": {"t": NAN}}, "must be finite"),
        ({"travel_hours": {("z", "a"): -1}}, "at least 0"),
        ({"affinity": {("z", "a"): 2}}, "between -1 and 1"),
        ({"away": {"a": [(2, 1)]}}, "later end"),
        ({"forbidden": ["t"]}, "pairs of names"),
        ({"forbidden": 5}, "expected a list, found 5"),
        ({"absent": "Ava"}, "expected a list, found 'Ava'"),
        ({"pinned": {"t": 5}}, "to whom 't' is pinned"),
        ({"pinned": [("t", "a")]}, "pinned must be a mapping"),
        ({"when": {"t": 5}}, "expected a list"),
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        AssignmentRules(**wrong)
