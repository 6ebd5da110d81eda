"""A planning round's inputs as its journal keeps them, so that it can be explained later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.assign.model import AgentProfile, AssignableTask
from engines.assign.planner import Last, Round
from engines.assign.rules import AssignmentRules
from engines.assign.weights import Weights

MOST = 20_000  # tasks or agents of a round whose inputs are kept


def written(round_: Round, limit: int | None) -> dict[str, Any]:
    """The inputs as JSON; nothing where there are too many."""
    if max(len(round_.tasks), len(round_.agents)) > MOST:
        return {}
    # A null within makes the journal look for numbers that are none: a tenth of a round's time.
    within = {} if limit is None else {"limit": limit}
    return {
        "inputs": {
            "tasks": [_task(task) for task in round_.tasks],
            "agents": [_agent(agent) for agent in round_.agents],
            "rules": round_.rules.as_dict(),
            "weights": round_.weights.as_dict(),
            "min_skill_match": round_.min_match,
            **within,
            "last": {task: list(agents) for task, agents in sorted(round_.last.items())},
        }
    }


def read(inputs: Mapping[str, Any]) -> tuple[Round, int | None]:
    """The round that `written` wrote, and its limit."""
    last: Last = {task: tuple(agents) for task, agents in inputs["last"].items()}
    round_ = Round(
        [AssignableTask(**task) for task in inputs["tasks"]],
        [AgentProfile(**agent) for agent in inputs["agents"]],
        AssignmentRules.from_dict(inputs["rules"]),
        Weights(**inputs["weights"]),
        inputs["min_skill_match"],
        last,
    )
    return round_, inputs.get("limit")


def _task(task: AssignableTask) -> dict[str, Any]:
    metadata = task.metadata
    named = ((key, metadata.get(key)) for key in ("zone", "sector")) if metadata else ()
    places = {key: str(place) for key, place in named if place is not None}
    return {
        "identifier": task.identifier,
        "description": task.description,
        "priority": task.priority,
        "required_skills": list(task.required_skills),
        "estimated_effort_hours": task.estimated_effort_hours,
        **({"metadata": places} if places else {}),
    }


def _agent(agent: AgentProfile) -> dict[str, Any]:
    return {
        "name": agent.name,
        "skills": list(agent.skills),
        "available_hours": agent.available_hours,
        "focus_areas": list(agent.focus_areas),
        "confidence": agent.confidence,
    }
