"""
Very many tasks by the greedy rule, without holding them.

Of a task its priority and its kind are kept: tasks of one kind ask for the same skills and hours in
the same place.  Whoever is at the end of its hours never gets them back within a round, so a kind
that nobody could take once is not offered again.  What comes out is what `GreedyPlanner` says.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from engines import checks
from engines.assign.engine import DynamicAssignEngine
from engines.assign.greedy import GreedyPlanner
from engines.assign.model import AgentProfile, AssignableTask, AssignmentDecision, AssignmentPlan
from engines.assign.planner import Round
from engines.assign.rules import AssignmentRules
from engines.assign.weights import Weights, urgency
from engines.errors import InvalidInput

_NOBODY = -1


class Cause(NamedTuple):
    """Why nobody gets a task; see `UnassignedTask`."""

    cause: str
    reason: str


class Crowd:
    """Tasks as the greedy rule sees them, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self.samples: list[AssignableTask] = []
        self.kinds = array("i")
        self.priorities = array("d")

    def add(self, task: AssignableTask) -> None:
        """Take in one more."""
        metadata = task.metadata or {}
        places = {key: str(metadata.get(key, "")) for key in ("zone", "sector")}
        hours = task.estimated_effort_hours
        number = self._numbers.setdefault(
            (task.required_skills, hours, *places.values()), len(self.samples)
        )
        if number == len(self.samples):
            self.samples.append(replace(task, metadata=places))
        self.kinds.append(number)
        self.priorities.append(task.priority)

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True, slots=True)
class CrowdPlan:
    """
    What becomes of a crowd.

    Attributes:
        decisions: By falling priority.
        given: Place of a task → the number of its decision.
        causes: Why nobody gets a task, each once.
        cause_of: Place of a task → the number of its cause; -1 where somebody gets it.
        order: Places by falling priority.
        value: What the plan is worth, as `AssignmentPlan` has it.
    """

    decisions: tuple[AssignmentDecision, ...]
    given: dict[int, int]
    causes: Sequence[Cause]
    cause_of: array[int]
    order: Any
    value: float = 0.0

    def left_over(self) -> Iterator[int]:
        """The places of the tasks that nobody gets, by falling priority."""
        for start in range(0, len(self.order), 100_000):
            for place in self.order[start : start + 100_000].tolist():
                if self.cause_of[place] != _NOBODY:
                    yield place

    def counts(self) -> dict[str, int]:
        """Cause → how many tasks it left over."""
        found: Counter[str] = Counter()
        for number, count in Counter(self.cause_of).items():
            if number != _NOBODY:
                found[self.causes[number].cause] += count
        return dict(sorted(found.items()))


def decide_crowd(
    engine: DynamicAssignEngine,
    crowd: Crowd,
    names: Iterable[str | None],
    agents: Sequence[AgentProfile],
    *,
    limit: int | None = None,
    min_skill_match: float = 0.0,
) -> CrowdPlan:
    """
    Decide as `engine` does by the greedy method, and record the round and who got what.

    What is left over is not recorded task by task: its count is.

    Args:
        names: The identifiers of the tasks of *crowd*, in their order, no two the same.
        agents, limit, min_skill_match: As `DynamicAssignEngine.decide` has them.

    Raises:
        InvalidInput: Two agents are of one name, or a number is out of range.
    """
    taken: set[str] = set()
    for agent in agents:
        if agent.name in taken:
            raise InvalidInput(f"two agents are named {agent.name!r}; each needs a name of its own")
        taken.add(agent.name)
    if limit is not None and limit < 0:
        raise InvalidInput(f"limit must be at least 0, found {limit}")
    least = checks.clamped(min_skill_match, "min_skill_match")
    plan = _planned(crowd, agents, limit, least, checks.from_epoch(engine.clock()))
    value = _value(crowd, plan, agents, least)
    plan = replace(plan, decisions=_named(plan, names), value=value)
    with engine.deciding():
        summary = AssignmentPlan(plan.decisions, (), "greedy", value).summary()
        engine.record(
            "round_planned",
            tasks=len(crowd),
            assigned=len(plan.decisions),
            left_over=plan.counts(),
            **summary,
            prices={},
        )
        for decision in plan.decisions:
            engine.record("assignment_decided", **decision.as_dict())
    return plan


def _planned(
    crowd: Crowd, agents: Sequence[AgentProfile], limit: int | None, least: float, now: datetime
) -> CrowdPlan:
    import numpy as np  # noqa: PLC0415

    planner = GreedyPlanner(agents, least)
    order = np.argsort(-np.asarray(crowd.priorities), kind="stable")
    decisions: list[AssignmentDecision] = []
    given: dict[int, int] = {}
    causes: dict[Cause, int] = {}
    cause_of = array("i", [_NOBODY]) * len(crowd)
    known: dict[int, tuple[int, int]] = {}  # kind → its cause, and after how many decisions
    for start in range(0, len(order), 100_000):
        for place in order[start : start + 100_000].tolist():
            kind = crowd.kinds[place]
            if limit is not None and len(decisions) >= limit:
                cause = Cause("limit", f"the limit of {limit} assignments was reached")
                cause_of[place] = causes.setdefault(cause, len(causes))
                continue
            sample = crowd.samples[kind]
            if kind not in known and (decision := planner.assign(sample, now)):
                given[place] = len(decisions)
                decisions.append(decision)
                continue
            number, after = known.get(kind, (0, _NOBODY))
            if after != len(decisions):  # the hours that it names may be fewer now
                told = planner.explain(sample)
                number = causes.setdefault(Cause(told.cause, told.reason), len(causes))
                known[kind] = number, len(decisions)
            cause_of[place] = number
    return CrowdPlan(tuple(decisions), given, list(causes), cause_of, order)


def _named(plan: CrowdPlan, names: Iterable[str | None]) -> tuple[AssignmentDecision, ...]:
    """The decisions, each with the name of its own task instead of its sample's."""
    found = list(plan.decisions)
    if plan.given:
        for place, name in enumerate(names):
            if name is not None and (number := plan.given.get(place)) is not None:
                found[number] = replace(found[number], task_id=name)
    return tuple(found)


def _value(crowd: Crowd, plan: CrowdPlan, agents: Sequence[AgentProfile], least: float) -> float:
    there = {agent.name: agent for agent in agents}
    scores = Round((), agents, AssignmentRules(), Weights(), least, {})
    total = 0.0
    for place, number in plan.given.items():
        task = crowd.samples[crowd.kinds[place]]
        agent = there[plan.decisions[number].agent]
        score = scores.score(task, agent, task.estimated_effort_hours)
        total += float(urgency(crowd.priorities[place])) * score
    return total
