"""
A plan checked from its definition: feasibility, value and bound, in exact rational arithmetic.

Nothing here is shared with what made the plan but the names of its inputs.  It takes all pairs, one
by one: some microseconds each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction as Exact
from math import gcd, inf, lcm

from engines.assign.model import AgentProfile, AssignableTask, AssignmentPlan
from engines.assign.rules import AssignmentRules
from engines.assign.weights import Weights

_TOLERANCE = Exact(1, 1_000_000)  # relative, of claimed figures; they are sums of rounded numbers
_FOND = Exact(1, 1_000_000)  # of score, to whom the place is one of its focus areas


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What was found.

    Attributes:
        faults: What the plan claims and is not so; none where it stands.
        value, bound: As computed here; *bound* is what the plan's prices prove.
    """

    faults: tuple[str, ...]
    value: float
    bound: float

    @property
    def stands(self) -> bool:
        return not self.faults


def check(
    plan: AssignmentPlan,
    tasks: Sequence[AssignableTask],
    agents: Sequence[AgentProfile],
    *,
    rules: AssignmentRules | None = None,
    weights: Weights | None = None,
    min_skill_match: float = 0.0,
) -> Verdict:
    """
    Check a plan made without a limit and without a last plan to keep to.

    A bound below the one its prices prove rests on knapsacks, a matching or the search of the exact
    solver; of such a one only that it is not below the plan itself is checked.
    """
    worth = _Worth(rules or AssignmentRules(), weights or Weights(), min_skill_match)
    value, faults = _kept(plan, tasks, agents, worth)
    faults += _listed(plan, tasks)
    wrong = {name: price for name, price in plan.prices.items() if not 0 <= price < inf}
    faults += [f"the price of {name!r} is {price:g}" for name, price in wrong.items()]
    bound = _bound(plan, tasks, agents, worth) if not wrong else Exact(0)
    if not abs(plan.value) < inf or abs(value - Exact(plan.value)) > _off(value):
        faults.append(f"the value is {float(value):g}, not {plan.value:g}")
    for claimed, least, text in (
        (plan.price_bound, bound, "the prices prove"),
        (plan.bound, value, "the plan is worth"),
    ):
        if claimed is not None and not claimed >= least - _off(least):
            faults.append(f"{text} {float(least):g}, more than the bound of {claimed:g}")
    return Verdict(tuple(faults), float(value), float(bound))


def _off(figure: Exact) -> Exact:
    return _TOLERANCE * max(abs(figure), Exact(1))


def _listed(plan: AssignmentPlan, tasks: Sequence[AssignableTask]) -> list[str]:
    """Each task is decided or left over, and nothing else is."""
    decided = {decision.task_id for decision in plan.decisions}
    left = [task.task_id for task in plan.unassigned]
    if sorted([*decided, *left]) == sorted(task.identifier for task in tasks):
        return []
    return ["its tasks are not those that were planned, each decided or left over"]


def _kept(
    plan: AssignmentPlan,
    tasks: Sequence[AssignableTask],
    agents: Sequence[AgentProfile],
    worth: _Worth,
) -> tuple[Exact, list[str]]:
    """What the decisions are worth, and where they break a rule."""
    by_task = {task.identifier: task for task in tasks}
    by_name = {agent.name: agent for agent in agents}
    faults: list[str] = []
    spent = dict.fromkeys(by_name, Exact(0))
    members: dict[str, list[str]] = {}
    value = Exact(0)
    for decision in plan.decisions:
        task, agent = by_task.get(decision.task_id), by_name.get(decision.agent)
        pair = worth.of(task, agent) if task and agent else None
        members.setdefault(decision.task_id, []).append(decision.agent)
        if pair is None:
            faults.append(f"{decision.agent!r} cannot take {decision.task_id!r}")
            continue
        spent[decision.agent] += pair[1]
        value += pair[0]
    for name, hours in spent.items():
        has = Exact(by_name[name].available_hours)
        if hours > has + 10 * _forgiven(has):
            faults.append(f"{name!r} has more hours planned than it has")
    for task_id, names in members.items():
        size = worth.rules.teams.get(task_id, 1)
        if len(set(names)) != len(names) or len(names) != size:
            faults.append(f"{task_id!r} has {len(names)} agents, not {size}")
    for task_id, name in worth.rules.pinned.items():
        if task_id in by_task and name in by_name and members.get(task_id) != [name]:
            faults.append(f"{task_id!r} is pinned to {name!r} and not with it")
    return value, faults


def _bound(
    plan: AssignmentPlan,
    tasks: Sequence[AssignableTask],
    agents: Sequence[AgentProfile],
    worth: _Worth,
) -> Exact:
    """Σ over tasks of the best team at the prices, or nothing, + Σ price · hours."""
    rules = worth.rules
    price = {agent.name: Exact(plan.prices.get(agent.name, 0.0)) for agent in agents}
    by_name = {agent.name: agent for agent in agents}
    free = {agent.name: Exact(agent.available_hours) for agent in agents}
    total, rest = Exact(0), []
    for task in tasks:
        name = rules.pinned.get(task.identifier)
        pair = worth.of(task, by_name[name]) if name in by_name else None
        if name is not None and pair is not None:
            total += pair[0]
            free[name] -= pair[1]
        else:
            rest.append(task)
    for task in rest:
        found = [(agent, worth.of(task, agent)) for agent in agents]
        reduced = sorted(
            (pair[0] - price[agent.name] * pair[1] for agent, pair in found if pair), reverse=True
        )
        size = rules.teams.get(task.identifier, 1)
        if len(reduced) >= size:
            total += max(sum(reduced[:size], Exact(0)), Exact(0))
    unit = None if rules.travel_hours else _unit([t.estimated_effort_hours for t in rest])
    farthest = sum((Exact(hours) for hours in rules.travel_hours.values()), Exact(0))
    work = sum((Exact(task.estimated_effort_hours) + farthest for task in rest), Exact(0))
    for agent in agents:
        hours = min(free[agent.name], work)
        hours += _forgiven(hours)
        if unit:
            hours = hours // unit * unit
        if agent.name not in rules.absent and hours > 0:
            total += price[agent.name] * hours
    return total


def _forgiven(hours: Exact) -> Exact:
    """What sums of *hours* may be off by: a trifle more than plans are, whose own are rounded."""
    return max(min(hours, Exact(1)) / 10**9, hours / 10**14) * 1_000_001 / 1_000_000


def _unit(efforts: Sequence[float]) -> Exact | None:
    """The largest part of an hour that all efforts are multiples of, as they are meant."""
    found = [_meant(effort) for effort in efforts]
    if not found:
        return None
    below = lcm(*(effort.denominator for effort in found))
    return Exact(gcd(*(int(effort * below) for effort in found)), below)


def _meant(effort: float) -> Exact:
    """What was rounded to *effort*: a third of an hour, say, or the number as it is written."""
    simple = Exact(effort).limit_denominator(1000)
    near = abs(simple - Exact(effort)) <= Exact(effort) / 10**15
    return simple if near else Exact(repr(effort))


@dataclass(slots=True)
class _Worth:
    rules: AssignmentRules
    weights: Weights
    min_match: float

    def of(self, task: AssignableTask, agent: AgentProfile) -> tuple[Exact, Exact] | None:
        """Value and hours of a pair; None where it must not be."""
        rules, weights = self.rules, self.weights
        needed = set(task.required_skills)
        match = Exact(len(needed & set(agent.skills)), len(needed)) if needed else Exact(1)
        least = max(self.min_match, rules.min_match.get(task.identifier, 0.0))
        named = [(task.metadata or {}).get(key) for key in ("zone", "sector")]
        places = {str(place).strip().lower() for place in named if place is not None} - {""}
        travel = [Exact(rules.travel_hours.get((place, agent.name), 0)) for place in places]
        hours = Exact(task.estimated_effort_hours) + sum(travel, Exact(0))
        has = Exact(agent.available_hours)
        if (
            match == 0
            or float(match) < least
            or has <= 0
            or hours > has + _forgiven(has)
            or (task.identifier, agent.name) in rules.forbidden
            or not rules.can_be_there(task.identifier, agent.name)
        ):
            return None
        score = Exact(weights.skill) * match + Exact(weights.confidence) * Exact(agent.confidence)
        score += Exact(weights.free) * (1 - min(hours / has, Exact(1)))
        score += (Exact(weights.focus) + _FOND) * bool(places & set(agent.focus_areas))
        fond = [Exact(rules.affinity.get((place, agent.name), 0)) for place in places]
        score += sum(fond, Exact(0))
        urgency = Exact(1, 5) + Exact(4, 5) * Exact(task.priority)
        return urgency * max(score, Exact(0)), hours
