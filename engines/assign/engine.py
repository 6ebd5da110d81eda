"""
Who does what: tasks to agents under hard constraints, each decision with its reason.

Its state, the history of decisions, is a fold over `assignments.jsonl`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime

from engines import checks
from engines.assign.greedy import GreedyPlanner
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
)
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Event, Journal

_REMEMBERED = 10_000


class DynamicAssignEngine(Engine):
    """
    Plans tasks onto agents and remembers what it decided.

    Args:
        journal: Where decisions go and history comes from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, *, journal: Journal | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._history: deque[AssignmentDecision] = deque(maxlen=_REMEMBERED)
        self._unassigned: list[UnassignedTask] = []

    # --- commands ----------------------------------------------------------------------------

    def recommend_assignments(
        self,
        tasks: Sequence[AssignableTask],
        agents: Sequence[AgentProfile],
        *,
        limit: int | None = None,
        min_skill_match: float = 0.0,
    ) -> list[AssignmentDecision]:
        """Decide as `decide` does and return the assignments; `unassigned` has the rest."""
        plan = self.decide(tasks, agents, limit=limit, min_skill_match=min_skill_match)
        return list(plan.decisions)

    def decide(
        self,
        tasks: Sequence[AssignableTask],
        agents: Sequence[AgentProfile],
        *,
        limit: int | None = None,
        min_skill_match: float = 0.0,
    ) -> AssignmentPlan:
        """
        Give each task to at most one agent, or say why nobody gets it.

        Args:
            tasks: Their identifiers are unique.
            agents: Their names are unique; the profiles are not changed.
            limit: At most so many assignments.
            min_skill_match: Share of the required skills an agent must have, 0…1.  At 0 one of
                them is enough; nobody ever gets a task of whose skills it has none.

        Raises:
            InvalidInput: A name stands twice, or a number is out of range.
        """
        tasks, agents = tuple(tasks), tuple(agents)  # an iterator would be used up by the checks
        _no_twins("task", (task.identifier for task in tasks))
        _no_twins("agent", (agent.name for agent in agents))
        if limit is not None and limit < 0:
            raise InvalidInput(f"limit must be at least 0, found {limit}")
        planner = GreedyPlanner(agents, checks.clamped(min_skill_match, "min_skill_match"))
        plan = planner.plan(tasks, limit, checks.from_epoch(self.clock()))
        with self.deciding():
            self.record("round_planned", tasks=len(tasks), assigned=len(plan.decisions))
            for decision in plan.decisions:
                self.record("assignment_decided", **decision.as_dict())
            for task in plan.unassigned:
                self.record("task_left_over", **task.as_dict())
        return plan

    # --- queries -----------------------------------------------------------------------------

    @property
    def history(self) -> list[AssignmentDecision]:
        """The latest decisions, oldest first (at most 10,000; the journal has all)."""
        return list(self._history)

    @property
    def unassigned(self) -> tuple[UnassignedTask, ...]:
        """What the last round left over, with the cause of each."""
        return tuple(self._unassigned)

    # --- folding -----------------------------------------------------------------------------

    def apply_assignment_decided(self, event: Event) -> None:
        self._history.append(
            AssignmentDecision(
                event["task_id"],
                event["agent"],
                event["rationale"],
                event["confidence"],
                event["skill_match"],
                event["load_factor"],
                datetime.fromisoformat(event["issued_at"]),
            )
        )

    def apply_round_planned(self, event: Event) -> None:
        del event
        self._unassigned = []

    def apply_task_left_over(self, event: Event) -> None:
        self._unassigned.append(UnassignedTask(event["task_id"], event["cause"], event["reason"]))


def _no_twins(what: str, names: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"two {what}s are named {name!r}; each needs a name of its own")
        seen.add(name)
