"""Decisions in words: why this agent, and who would be next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from engines.assign.compile import Compiled, places_of
from engines.assign.model import AgentProfile, AssignableTask, AssignmentDecision
from engines.assign.problem import Ints

_LOOKED_AT = 20_000_000  # pairs among which runners-up are looked for
_ALIKE = 1e-5  # scores that differ by less are the same


@dataclass(slots=True)
class Writer:
    """Writes decisions in turn, counting down the hours."""

    problem: Compiled
    hours: Callable[[AssignableTask, AgentProfile], float]
    pinned: Mapping[str, str]
    others: Mapping[str, tuple[int, float]] | None
    now: datetime
    left: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.left = [agent.available_hours for agent in self.problem.agents]

    def decision(self, task: AssignableTask, column: int, spent: float) -> AssignmentDecision:
        agent, has_left = self.problem.agents[column], self.left[column]
        self.left[column] = max(has_left - spent, 0.0)
        parts = components(task, agent, spent)
        match, score = parts[0], self.problem.weights.score(parts)
        if task.required_skills:
            has = [skill for skill in task.required_skills if skill in agent.skills]
            skills = f"has {len(has)} of {len(task.required_skills)} skills ({', '.join(has)})"
        else:
            skills = "no special skill needed"
        rationale = f"{skills}; {spent:g} h of {has_left:g} h left; score {score:.2f}"
        rationale += self._beside(task)
        load = min(spent / has_left, 1.0) if has_left > 0 else 1.0
        return AssignmentDecision(
            task.identifier, agent.name, rationale, min(score, 1.0), match, load, self.now
        )

    def _beside(self, task: AssignableTask) -> str:
        """Why not another agent."""
        if task.identifier in self.pinned:
            return ", pinned"
        if (size := self.problem.rules.teams.get(task.identifier, 1)) > 1:
            return f", in a team of {size}"
        if self.others is None:
            return ""
        if task.identifier not in self.others:
            return ", nobody else can"
        column, more = self.others[task.identifier]
        other = self.problem.agents[column]
        score = self.problem.weights.score(components(task, other, self.hours(task, other)))
        if more > _ALIKE:
            return f", {other.name} has {score:.2f} and is worth more elsewhere"
        return f", next is {other.name} with {score:.2f}"


def components(
    task: AssignableTask, agent: AgentProfile, spent: float
) -> tuple[float, float, float, float]:
    """Skill, free, confidence and focus of a pair, each 0…1."""
    hours = agent.available_hours
    load = min(spent / hours, 1.0) if hours > 0 else 1.0
    return (
        agent.skill_overlap(task.required_skills),
        1 - load,
        agent.confidence,
        float(bool(agent.focus_areas and set(places_of(task)) & set(agent.focus_areas))),
    )


def runners_up(problem: Compiled, row: Ints, column: Ints) -> dict[str, tuple[int, float]] | None:
    """
    Per task given to one agent, the best column beside it, and how much more it would score with
    what rules add; None where they are too many to look at.
    """
    if len(row) * len(problem.agents) > _LOOKED_AT:
        return None
    found: dict[str, tuple[int, float]] = {}
    step = max(1, (1 << 21) // max(len(problem.agents), 1))
    for first in range(0, len(row), step):
        rows, mine = row[first : first + step], column[first : first + step]
        value, _ = problem.held.rows(rows)
        each = np.arange(len(rows))
        own = value[each, mine]
        value[each, mine] = -np.inf
        best = value.argmax(axis=1)
        more = (value[each, best] - own) / problem.urgency[rows]
        for at in np.flatnonzero(more > -np.inf).tolist():
            task = problem.tasks[int(rows[at])].identifier
            found[task] = int(best[at]), float(more[at])
    return found
