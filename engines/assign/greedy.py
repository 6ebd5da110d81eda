"""
The greedy rule: by falling priority, each task to the best agent that still can.

    score = 0.6 skill match + 0.3 (1 - load) + 0.1 confidence         load = effort / hours left

Hard constraints come first: an agent never gets more hours than it has, nor a task of whose
required skills it has none or too few.  What nobody can take is left over with its cause.  Tasks
that ask for the same skills share one list of candidates, so the cost is tasks times those able.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from engines.assign.hours import rounding
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
)

_SKILL, _FREE, _CONFIDENCE = 0.6, 0.3, 0.1


@dataclass(slots=True)
class _Bench:
    """The agents who may take tasks that ask for one set of skills, and why others may not."""

    candidates: list[tuple[int, float]]
    best_match: float


class _Offer(NamedTuple):
    """An agent who can take a task; the least of all offers wins."""

    minus_score: float
    elsewhere: bool  # the task lies in none of its focus areas
    name: str  # unique, so that the order is total and the same in every process
    place: int  # in the list of agents
    match: float


class GreedyPlanner:
    """One planning round over copies of the agents' hours."""

    def __init__(self, agents: Sequence[AgentProfile], min_skill_match: float) -> None:
        self._agents = agents
        self._hours_left = [agent.available_hours for agent in agents]
        self._forgiven = [float(rounding(hours)) for hours in self._hours_left]
        self._min_match = min_skill_match
        self._benches: dict[tuple[str, ...], _Bench] = {}

    def plan(
        self, tasks: Sequence[AssignableTask], limit: int | None, now: datetime
    ) -> AssignmentPlan:
        decisions: list[AssignmentDecision] = []
        unassigned: list[UnassignedTask] = []
        for task in sorted(tasks, key=lambda task: -task.priority):
            if limit is not None and len(decisions) >= limit:
                reason = f"the limit of {limit} assignments was reached"
                unassigned.append(UnassignedTask(task.identifier, "limit", reason))
            elif decision := self.assign(task, now):
                decisions.append(decision)
            else:
                unassigned.append(self.explain(task))
        return AssignmentPlan(tuple(decisions), tuple(unassigned))

    def assign(self, task: AssignableTask, now: datetime) -> AssignmentDecision | None:
        """The best agent that still can, whose hours it takes; None where nobody can any more."""
        effort = task.estimated_effort_hours
        offers: list[_Offer] = []
        for index, match in self._bench(task).candidates:
            left = self._hours_left[index]
            if left <= 0 or left + self._forgiven[index] < effort:
                continue
            agent = self._agents[index]
            score = (
                _SKILL * match
                + _FREE * (1 - min(effort / left, 1.0))
                + _CONFIDENCE * agent.confidence
            )
            offers.append(_Offer(-score, not _prefers(agent, task), agent.name, index, match))
        if not offers:
            return None
        best, *others = sorted(offers)[:2]
        rationale = self._rationale(task, best, others)
        left = self._hours_left[best.place]
        self._hours_left[best.place] = max(left - effort, 0.0)
        load = min(effort / left, 1.0)
        return AssignmentDecision(
            task.identifier, best.name, rationale, -best.minus_score, best.match, load, now
        )

    def _bench(self, task: AssignableTask) -> _Bench:
        required = task.required_skills
        bench = self._benches.get(required)
        if bench is None:
            matches = [(i, agent.skill_overlap(required)) for i, agent in enumerate(self._agents)]
            able = [(i, match) for i, match in matches if match > 0 and match >= self._min_match]
            best = max((match for _, match in matches), default=0.0)
            bench = self._benches[required] = _Bench(able, best)
        elif bench.candidates:
            # Whoever has nothing left never gets it back within a round.
            bench.candidates = [c for c in bench.candidates if self._hours_left[c[0]] > 0]
        return bench

    def _rationale(self, task: AssignableTask, best: _Offer, others: Sequence[_Offer]) -> str:
        agent, required = self._agents[best.place], task.required_skills
        if required:
            has = [skill for skill in required if skill in agent.skills]
            skills = f"has {len(has)} of {len(required)} skills ({', '.join(has)})"
        else:
            skills = "no special skill needed"
        if others:
            runner_up = f"next is {others[0].name} with {-others[0].minus_score:.2f}"
        else:
            runner_up = "nobody else can"
        effort, left = task.estimated_effort_hours, self._hours_left[best.place]
        return (
            f"{skills}; {effort:g} h of {left:g} h left; score {-best.minus_score:.2f}, {runner_up}"
        )

    def explain(self, task: AssignableTask) -> UnassignedTask:
        """Why nobody can, as things are."""
        bench, required = self._bench(task), ", ".join(task.required_skills)
        if not self._agents:
            cause, reason = "no_agents", "there are no agents"
        elif bench.best_match == 0:
            cause, reason = "no_skill", f"no agent has any of its skills ({required})"
        elif bench.best_match < self._min_match:
            cause = "skill_match"
            reason = (
                f"the best match is {bench.best_match:.0%} of its skills ({required}), "
                f"at least {self._min_match:.0%} is asked for"
            )
        else:
            most = max((self._hours_left[i] for i, _ in bench.candidates), default=0.0)
            cause = "hours"
            reason = (
                f"needs {task.estimated_effort_hours:g} h; "
                f"of those able nobody has more than {most:g} h left"
            )
        return UnassignedTask(task.identifier, cause, reason)


def _prefers(agent: AgentProfile, task: AssignableTask) -> bool:
    if not agent.focus_areas or not task.metadata:
        return False
    places = (str(task.metadata.get(key, "")).lower() for key in ("zone", "sector"))
    return any(place in agent.focus_areas for place in places)
