"""Why a task went where it did, or nowhere, and what would change that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from engines.assign.compile import ROUNDING
from engines.assign.model import AgentProfile, AssignableTask, AssignmentPlan
from engines.assign.planner import Round, components
from engines.assign.weights import urgency
from engines.errors import InvalidInput, NotFound

_ALTERNATIVES = 3
_SOLVED = 200_000  # pairs up to which what another choice costs is found by planning anew


@dataclass(frozen=True, slots=True)
class Alternative:
    """
    Another agent who could do the task.

    Attributes:
        cost: By how much the best plan found with that choice is worth less; None where it cannot
            be.  An estimate at the prices where *exact* is false.
    """

    agent: str
    score: float
    cost: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    What keeps an agent, or several, from a task that was left over.

    Attributes:
        cause: skill, skill_match, forbidden, absent, away or hours.
        change: The smallest change that would let this agent take it; empty where there is none.
        size: Of the change: hours, or a share; what is to be compared only within one cause.
    """

    agent: str
    cause: str
    change: str
    size: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Attributes:
        agents: Who does it; none where it was left over.
        parts: Of each component of the score, what it adds.
        price: What an hour of the agent is worth to others, as the bound has it.
        smallest: The smallest change that would place a task that was left over.
    """

    task_id: str
    agents: tuple[str, ...]
    reason: str
    score: float | None = None
    parts: dict[str, float] | None = None
    price: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    smallest: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def explain(
    round_: Round, plan: AssignmentPlan, limit: int | None, task_id: str, now: datetime
) -> Explanation:
    """
    Explain what *plan* does with a task.

    Raises:
        NotFound: No such task was planned.
    """
    task = next((task for task in round_.tasks if task.identifier == task_id), None)
    if task is None:
        raise NotFound(f"no task {task_id!r} in the last plan")
    by_name = {agent.name: agent for agent in round_.agents}
    mine = [decision for decision in plan.decisions if decision.task_id == task_id]
    if mine:
        agent = by_name[mine[0].agent]
        hours = _hours(round_, task, agent)
        weights = round_.weights.as_dict()
        found = zip(weights.items(), components(task, agent, hours), strict=True)
        parts = {name: weight * component for (name, weight), component in found}
        return Explanation(
            task_id,
            tuple(decision.agent for decision in mine),
            mine[0].rationale,
            round_.score(task, agent, hours),
            parts,
            plan.prices.get(agent.name, 0.0),
            _alternatives(round_, plan, limit, task, {d.agent for d in mine}, now),
        )
    left = next(left for left in plan.unassigned if left.task_id == task_id)
    obstacles = tuple(_obstacle(round_, plan, task, agent) for agent in round_.agents)
    return Explanation(
        task_id, (), left.reason, obstacles=obstacles, smallest=_smallest(obstacles, left.cause)
    )


def _hours(round_: Round, task: AssignableTask, agent: AgentProfile) -> float:
    travel = round_.rules.travel_hours
    places = {str((task.metadata or {}).get(key) or "").lower() for key in ("zone", "sector")}
    return task.estimated_effort_hours + sum(travel.get((p, agent.name), 0.0) for p in places)


def _alternatives(  # noqa: PLR0917
    round_: Round,
    plan: AssignmentPlan,
    limit: int | None,
    task: AssignableTask,
    taken: set[str],
    now: datetime,
) -> tuple[Alternative, ...]:
    able = []
    for agent in round_.agents:
        if agent.name in taken or _obstacle_of_pair(round_, task, agent):
            continue
        able.append((-round_.score(task, agent, _hours(round_, task, agent)), agent.name, agent))
    found = []
    solved = len(round_.tasks) * len(round_.agents) <= _SOLVED and len(taken) == 1
    for minus, name, agent in sorted(able, key=lambda each: each[:2])[:_ALTERNATIVES]:
        if solved:
            cost = _cost_of(round_, plan, limit, task.identifier, name, now)
        else:
            cost = _estimate(round_, plan, task, agent, min(taken))
        found.append(Alternative(name, -minus, cost, solved))
    return tuple(found)


def _cost_of(  # noqa: PLR0917
    round_: Round, plan: AssignmentPlan, limit: int | None, task: str, agent: str, now: datetime
) -> float | None:
    rules = replace(round_.rules, pinned={**round_.rules.pinned, task: agent})
    try:
        other = replace(round_, rules=rules).plan(limit, now)
    except InvalidInput:
        return None
    return max(plan.value - other.value, 0.0)


def _estimate(
    round_: Round, plan: AssignmentPlan, task: AssignableTask, agent: AgentProfile, mine: str
) -> float:
    by_name = {each.name: each for each in round_.agents}

    def reduced(who: AgentProfile) -> float:
        hours = _hours(round_, task, who)
        value = float(urgency(task.priority)) * round_.score(task, who, hours)
        return value - plan.prices.get(who.name, 0.0) * hours

    return max(reduced(by_name[mine]) - reduced(agent), 0.0)


def _obstacle_of_pair(  # noqa: PLR0911  one for each cause
    round_: Round, task: AssignableTask, agent: AgentProfile
) -> tuple[str, str, float] | None:
    """What keeps *agent* from *task* whatever the plan: cause, change and its size."""
    rules = round_.rules
    match = agent.skill_overlap(task.required_skills)
    least = max(round_.min_match, rules.min_match.get(task.identifier, 0.0))
    hours = _hours(round_, task, agent)
    if match == 0:
        lacking = ", ".join(task.required_skills)
        return "skill", f"{agent.name} learns one of {lacking}", 1.0
    if match < least:
        return "skill_match", f"a match of {match:.0%} is enough (now {least:.0%})", least - match
    if (task.identifier, agent.name) in rules.forbidden:
        return "forbidden", f"{agent.name} is no longer forbidden", 1.0
    if agent.name in rules.absent:
        return "absent", f"{agent.name} is there", 1.0
    if not rules.can_be_there(task.identifier, agent.name):
        return "away", f"{agent.name} is not away then, or it is done at another time", 1.0
    if hours > agent.available_hours + ROUNDING:
        short = hours - agent.available_hours
        return "hours", f"{agent.name} has {short:g} h more", short
    return None


def _obstacle(
    round_: Round, plan: AssignmentPlan, task: AssignableTask, agent: AgentProfile
) -> Obstacle:
    found = _obstacle_of_pair(round_, task, agent)
    if found is not None and found[0] != "hours":
        return Obstacle(agent.name, *found)
    tasks = {each.identifier: each for each in round_.tasks}
    spent = sum(
        _hours(round_, tasks[decision.task_id], agent)
        for decision in plan.decisions
        if decision.agent == agent.name
    )
    short = _hours(round_, task, agent) - (agent.available_hours - spent)
    if short <= ROUNDING:
        return Obstacle(agent.name, "limit", "the limit is one higher", 1.0)
    short = round(short, 9)
    return Obstacle(agent.name, "hours", f"{agent.name} has {short:g} h more", short)


def _smallest(obstacles: tuple[Obstacle, ...], cause: str) -> str | None:
    """One change: of hours where hours are short, else of what fewest agents lack."""
    order: Callable[[Obstacle], tuple[int, float, str]] = lambda each: (  # noqa: E731
        _ORDER.index(each.cause),
        each.size,
        each.agent,
    )
    if not obstacles:
        return "there is an agent" if cause == "no_agents" else None
    return min(obstacles, key=order).change


_ORDER = ("limit", "hours", "skill_match", "forbidden", "absent", "away", "skill")
