"""What a skill-agent's skill gets: what it takes of the assignment, and what is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dino_os.arguments import bind
from dino_os.planning.forms import Desk

if TYPE_CHECKING:
    from dino_os.skill_index import Skill

Assignment = Mapping[str, Any]

FIELDS = (
    *("cycle", "task", "agent", "summary", "zone", "sector", "severity", "required_skills"),
    *("estimated_effort_hours", "rationale", "confidence"),
)
_WHOLE = "assignment"


def params_of(skill: Skill, assignment: Assignment, desk: Desk) -> dict[str, Any]:
    """What *skill* takes of the assignment, and what is the same each time."""
    offered = {**assignment, _WHOLE: dict(assignment)}
    names = {parameter.name for parameter in skill.parameters}
    taken = offered if skill.takes_any else {n: v for n, v in offered.items() if n in names}
    return {**taken, **desk.params}


def check_params(skill: Skill, desk: Desk) -> None:
    """
    Let through a desk whose skill gets all that it needs, whatever the assignment is.

    Raises:
        InvalidInput: It needs more, or does not take what the desk gives it each time.
    """
    parameters = tuple(
        replace(parameter, required=False) if parameter.name in {*FIELDS, _WHOLE} else parameter
        for parameter in skill.parameters
    )
    bind(replace(skill, parameters=parameters), desk.params)
