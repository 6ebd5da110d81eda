"""Why a task went where it did, or nowhere, and what would change that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from engines.assign.hours import rounding
from engines.assign.model import AgentProfile, AssignableTask, AssignmentPlan, of_names
from engines.assign.planner import Round
from engines.assign.reasons import components
from engines.assign.weights import urgency
from engines.errors import InvalidInput, NotFound

_ALTERNATIVES = 3
_SOLVED = 200_000  # pairs up to which what another choice costs is found by planning anew
_PARTS = 10_000  # of an hour; what is short is rounded up to them
_NEGLIGIBLE = 1e-6


@dataclass(frozen=True, slots=True)
class Alternative:
    """
    Another agent who could do the task.

    Attributes:
        cost: By how much the best plan found with that choice is worth less, below 0 where it is
            worth more; None where it cannot be.  An estimate at the prices where *exact* is false.
    """

    agent: str
    score: float
    cost: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    What keeps an agent from a task that was left over.

    Attributes:
        agent: Empty where it is the limit, whoever the agent is.
        cause: The first of skill, skill_match, forbidden, absent, away, hours and limit.
        change: All that has to change so that this agent can take it.
        size: Of the first change: hours, a share, skills or assignments; 1 where it has none.
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
        price: What the bound counts an hour of the agent at.
        smallest: The smallest change that places a task that was left over, all else as it is.
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
        hours = round_.hours(task, agent)
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
    obstacles, smallest = _left_over(round_, plan, limit, task, now)
    return Explanation(task_id, (), left.reason, obstacles=obstacles, smallest=smallest)


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
        if agent.name in taken or any(_obstacles_of_pair(round_, task, agent, 0.0)):
            continue
        able.append((-round_.score(task, agent, round_.hours(task, agent)), agent.name, agent))
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
    if not round_.last:  # begin with the plan in hand, without a reward for keeping it
        last = of_names([(d.task_id, d.agent) for d in plan.decisions])
        rules, round_ = replace(rules, keep=0.0), replace(round_, last=last)
    try:
        other = replace(round_, rules=rules).plan(limit, now)
    except InvalidInput:
        return None
    cost = plan.value - other.value
    return cost if abs(cost) > _NEGLIGIBLE else 0.0


def _estimate(
    round_: Round, plan: AssignmentPlan, task: AssignableTask, agent: AgentProfile, mine: str
) -> float:
    by_name = {each.name: each for each in round_.agents}

    def reduced(who: AgentProfile) -> float:
        hours = round_.hours(task, who)
        value = float(urgency(task.priority)) * round_.score(task, who, hours)
        return value - plan.prices.get(who.name, 0.0) * hours

    return max(reduced(by_name[mine]) - reduced(agent), 0.0)


def _obstacles_of_pair(
    round_: Round, task: AssignableTask, agent: AgentProfile, spent: float
) -> Iterator[Obstacle]:
    """All that keeps *agent*, who has *spent* hours already, from *task*."""
    rules, name = round_.rules, agent.name
    match = agent.skill_overlap(task.required_skills)
    least = max(round_.min_match, rules.min_match.get(task.identifier, 0.0))
    if match == 0:
        lacking, count = task.required_skills, len(task.required_skills)
        more = next(n for n in range(1, count + 1) if n / count >= least)
        change = f"{name} learns {'one' if more == 1 else more} of {', '.join(lacking)}"
        yield Obstacle(name, "skill", change, float(more))
    elif match < least:
        change = f"a match of {_percent(match)} is enough (now {_percent(least)})"
        yield Obstacle(name, "skill_match", change, least - match)
    if (task.identifier, name) in rules.forbidden:
        yield Obstacle(name, "forbidden", f"{name} is no longer forbidden", 1.0)
    if name in rules.absent:
        yield Obstacle(name, "absent", f"{name} is there", 1.0)
    if not rules.can_be_there(task.identifier, name) and name not in rules.absent:
        change = f"{name} is not away then, or it is done at another time"
        yield Obstacle(name, "away", change, 1.0)
    short = round_.hours(task, agent) - (agent.available_hours - spent)
    if short > rounding(agent.available_hours) or agent.available_hours <= 0:
        short = max(math.ceil(short * _PARTS - _NEGLIGIBLE), 1) / _PARTS
        yield Obstacle(name, "hours", f"{name} has {short:.10g} h more", short)


def _percent(share: float) -> str:
    """Rounded down, so that a bar set to it is passed."""
    return f"{math.floor(share * 1000) / 10:g}%"


def _left_over(
    round_: Round, plan: AssignmentPlan, limit: int | None, task: AssignableTask, now: datetime
) -> tuple[tuple[Obstacle, ...], str | None]:
    """What is in each agent's way, and the smallest change that places the task beside the rest."""
    size = round_.rules.teams.get(task.identifier, 1)
    higher = None
    if limit is not None:
        plan = round_.made(plan.method, None, now)
        before = [d for d in plan.decisions if not _after(round_, task, d.task_id)]
        others = {d.task_id for d in before} - {task.identifier}
        needed = sum(d.task_id in others for d in before) + size
        if needed > limit:
            higher = Obstacle("", "limit", f"the limit is {needed} (now {limit})", needed - limit)
    if any(decision.task_id == task.identifier for decision in plan.decisions):
        return ((higher,) if higher else ()), higher.change if higher else None
    tasks = {each.identifier: each for each in round_.tasks}
    spent = dict.fromkeys((agent.name for agent in round_.agents), 0.0)
    by_name = {agent.name: agent for agent in round_.agents}
    for decision in plan.decisions:
        spent[decision.agent] += round_.hours(tasks[decision.task_id], by_name[decision.agent])
    found = {
        agent.name: tuple(_obstacles_of_pair(round_, task, agent, spent[agent.name]))
        for agent in round_.agents
    }
    obstacles = [
        Obstacle(name, some[0].cause, _all_of(some), some[0].size)
        for name, some in found.items()
        if some
    ]
    if higher:
        obstacles.insert(0, higher)
    nearest = sorted(found.values(), key=_effort)[:size]
    changes = [*([higher] if higher else ()), *(each for some in nearest for each in some)]
    return tuple(obstacles), _all_of(changes, size - len(nearest)) or None


def _all_of(changes: Iterable[Obstacle], missing: int = 0) -> str:
    agents = f"there are {missing} agents more" if missing > 1 else "there is an agent more"
    texts = [each.change for each in changes]
    return " and ".join(dict.fromkeys([agents, *texts] if missing else texts))


def _after(round_: Round, task: AssignableTask, other: str) -> bool:
    """Whether *other* has its turn after *task* where a limit cuts the plan off."""
    order = round_.turns
    return order[other] > order[task.identifier]


def _effort(obstacles: tuple[Obstacle, ...]) -> tuple[int, list[tuple[int, float, str]]]:
    """Fewer changes go first; hours before a lower bar, that before rules, these before skills."""
    ranks = [(_ORDER.index(each.cause), each.size, each.agent) for each in obstacles]
    return len(obstacles), sorted(ranks, reverse=True)


_ORDER = ("hours", "skill_match", "forbidden", "absent", "away", "skill")
