"""What users' code relies on in `engines.assign`: names, defaults and behaviour."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    DynamicAssignEngine,
    UnassignedTask,
)

REQUIRED = object()
NOW = datetime(2027, 1, 15, 10, tzinfo=UTC)
AVA = AgentProfile("Ava", ("Aerodynamics", "propulsion"), 6, confidence=0.8)
LAUNCH = AssignableTask("launch", "Prepare the launch", 0.9, ("aerodynamics", "safety"))


def shape(cls: type) -> dict[str, Any]:
    return {f.name: REQUIRED if f.default is MISSING else f.default for f in fields(cls)}


@pytest.fixture
def engine() -> DynamicAssignEngine:
    return DynamicAssignEngine(clock=NOW.timestamp)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            AssignableTask,
            {
                "identifier": REQUIRED,
                "description": REQUIRED,
                "priority": 0.5,
                "required_skills": (),
                "estimated_effort_hours": 4.0,
                "metadata": None,
            },
        ),
        (
            AgentProfile,
            {
                "name": REQUIRED,
                "skills": REQUIRED,
                "available_hours": REQUIRED,
                "focus_areas": (),
                "confidence": 0.5,
            },
        ),
        (
            AssignmentDecision,
            dict.fromkeys(
                (
                    "task_id",
                    "agent",
                    "rationale",
                    "confidence",
                    "skill_match",
                    "load_factor",
                    "issued_at",
                ),
                REQUIRED,
            ),
        ),
    ],
)
def test_fields_stand_in_the_promised_order_with_the_promised_defaults(
    cls: type, expected: dict[str, Any]
) -> None:
    """Positional and keyword construction of earlier code goes on working."""
    assert list(shape(cls).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("requirements", "overlap"),
    [
        ((), 1.0),
        (("aerodynamics",), 1.0),
        (("AERODYNAMICS", " Propulsion "), 1.0),
        (("aerodynamics", "safety"), 0.5),
        (("aerodynamics", "safety", "law", "sums"), 0.25),
        (("safety",), 0.0),
    ],
)
def test_skill_overlap_is_the_share_of_requirements_met(
    requirements: tuple[str, ...], overlap: float
) -> None:
    """Upper and lower case are the same; nothing required is wholly met."""
    assert AVA.skill_overlap(requirements) == overlap


def test_a_decision_says_who_why_and_how_well(engine: DynamicAssignEngine) -> None:
    """The decision is complete, and is also the history."""
    (decision,) = engine.recommend_assignments([LAUNCH], [AVA])
    assert decision == AssignmentDecision(
        "launch",
        "Ava",
        "has 1 of 2 skills (aerodynamics); 4 h of 6 h left; score 0.48, nobody else can",
        pytest.approx(0.48),
        0.5,
        pytest.approx(4 / 6),
        NOW,
    )
    assert engine.history == [decision]
    assert decision.as_dict()["issued_at"] == "2027-01-15T10:00:00Z"


def test_the_better_match_wins_and_the_next_is_named(engine: DynamicAssignEngine) -> None:
    """Skills outweigh confidence; the rationale names the runner-up."""
    bo = AgentProfile("Bo", ("aerodynamics", "SAFETY"), 6, confidence=0.1)
    (decision,) = engine.recommend_assignments([LAUNCH], [AVA, bo])
    assert (decision.agent, decision.skill_match) == ("Bo", 1.0)
    assert decision.rationale.endswith("next is Ava with 0.48")


def test_urgent_tasks_choose_first(engine: DynamicAssignEngine) -> None:
    """Where hours are short the higher priority gets them."""
    low, high = (AssignableTask(f"p{p}", "d", p) for p in (0.2, 0.8))
    plan = engine.decide([low, high], [AVA])
    assert [decision.task_id for decision in plan.decisions] == ["p0.8"]
    assert plan.unassigned == (
        UnassignedTask("p0.2", "hours", "needs 4 h; of those able nobody has more than 2 h left"),
    )


def test_focus_decides_among_equals(engine: DynamicAssignEngine) -> None:
    """An agent who prefers the task's zone or sector goes before another of equal score."""
    task = AssignableTask("t", "d", metadata={"zone": "Pier", "sector": "North"})
    ann, bea = (AgentProfile(name, ("x",), 8) for name in ("Ann", "Bea"))
    assert engine.recommend_assignments([task], [ann, bea])[0].agent == "Ann"
    for focus in ("pier", "NORTH"):
        fond = AgentProfile("Bea", ("x",), 8, focus_areas=(focus,))
        assert engine.recommend_assignments([task], [ann, fond])[0].agent == "Bea"


@pytest.mark.parametrize(
    ("task", "agents", "options", "cause", "reason"),
    [
        ({}, [], {}, "no_agents", "there are no agents"),
        ({"required_skills": ("law",)}, [AVA], {}, "no_skill", "any of its skills \\(law\\)"),
        (
            {"required_skills": ("law", "propulsion")},
            [AVA],
            {"min_skill_match": 0.6},
            "skill_match",
            "best match is 50% .* at least 60%",
        ),
        ({"estimated_effort_hours": 7}, [AVA], {}, "hours", "needs 7 h; .* more than 6 h"),
        ({}, [AVA], {"limit": 0}, "limit", "limit of 0 assignments"),
    ],
)
def test_a_task_left_over_has_its_cause(
    task: dict[str, Any], agents: list[AgentProfile], options: Any, cause: str, reason: str
) -> None:
    """One word for programs, one line for people; the engine keeps the last round's."""
    engine = DynamicAssignEngine()
    assert engine.recommend_assignments([AssignableTask("t", "d", **task)], agents, **options) == []
    (left,) = engine.unassigned
    assert (left.task_id, left.cause) == ("t", cause)
    assert re.search(reason, left.reason)


def test_the_callers_profiles_are_never_changed(engine: DynamicAssignEngine) -> None:
    """Hours are counted down on copies, so the next round starts afresh."""
    agent = AgentProfile("Cy", ("x",), 5)
    for _ in range(3):
        assert engine.recommend_assignments([AssignableTask("t", "d")], [agent])
    assert agent == AgentProfile("Cy", ("x",), 5)
    assert len(engine.history) == 3


def test_iterators_are_planned_like_lists(engine: DynamicAssignEngine) -> None:
    """What can be read only once is not lost in the checks."""
    plan = engine.decide(iter([LAUNCH]), iter([AVA]))
    assert [decision.agent for decision in plan.decisions] == ["Ava"]
