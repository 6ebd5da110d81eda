"""
Who does what: tasks to agents under hard constraints, each decision with its reason.

Its state, the history of decisions, is a fold over `assignments.jsonl`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from engines import checks
from engines.assign.explain import Explanation, explain
from engines.assign.learning import Lesson, Observation, learned
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
    of_names,
)
from engines.assign.planner import Round
from engines.assign.reasons import components
from engines.assign.record import read, written
from engines.assign.rules import AssignmentRules
from engines.assign.weights import Weights
from engines.assign.whatif import Changes, WhatIf, what_if
from engines.engine import Engine
from engines.errors import InvalidInput, NotFound
from engines.journal import Event, Journal

METHODS = ("auto", "greedy")
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
        self._decided: list[AssignmentDecision] = []
        self._round: Event = {}
        self.feedback_given: list[Observation] = []
        self.weights_history: list[Weights] = [Weights()]

    # --- commands ----------------------------------------------------------------------------

    def recommend_assignments(
        self,
        tasks: Sequence[AssignableTask],
        agents: Sequence[AgentProfile],
        *,
        limit: int | None = None,
        min_skill_match: float = 0.0,
        **options: Any,
    ) -> list[AssignmentDecision]:
        """
        Decide as `decide` does, with its *options*, and return the assignments; `last_plan` has
        the value and the bound, `unassigned` the rest.
        """
        plan = self.decide(tasks, agents, limit=limit, min_skill_match=min_skill_match, **options)
        return list(plan.decisions)

    def decide(
        self,
        tasks: Sequence[AssignableTask],
        agents: Sequence[AgentProfile],
        *,
        limit: int | None = None,
        min_skill_match: float = 0.0,
        method: str = "auto",
        rules: AssignmentRules | None = None,
        time_limit: float | None = None,
        seed: int = 0,
        stable: bool = False,
    ) -> AssignmentPlan:
        """
        Give each task to at most one agent, or to a team, or say why nobody gets it.

        Args:
            tasks: Their identifiers are unique.
            agents: Their names are unique; the profiles are not changed.
            limit: At most so many assignments, the most urgent of the plan.
            min_skill_match: Share of the required skills an agent must have, 0…1.  At 0 one of
                them is enough; nobody ever gets a task of whose skills it has none.
            method: "auto" for the plan of the highest value that is found, with a proven bound;
                "greedy" for one task after the other to the best agent that still can.
            rules: What else the plan must keep; not with "greedy".
            time_limit: Seconds in which to go on looking for better plans.  Without one the work
                done is fixed, and so the plan is the same in every process.
            seed: Of the order in which parts of large plans are tried.
            stable: Begin with the last plan and leave a task with its agent unless more than
                `rules.keep` of score is gained.

        Raises:
            InvalidInput: A name stands twice, a number is out of range, or a pin cannot be.
        """
        tasks, agents = tuple(tasks), tuple(agents)  # an iterator would be used up by the checks
        _no_twins("task", (task.identifier for task in tasks))
        _no_twins("agent", (agent.name for agent in agents))
        if limit is not None and limit < 0:
            raise InvalidInput(f"limit must be at least 0, found {limit}")
        if seed < 0:
            raise InvalidInput(f"seed must be at least 0, found {seed}")
        least = checks.clamped(min_skill_match, "min_skill_match")
        if method not in METHODS:
            raise InvalidInput(f"method must be one of {', '.join(METHODS)}, found {method!r}")
        if method == "greedy" and rules is not None:
            raise InvalidInput("the greedy method knows no rules")
        left = _countdown(time_limit)
        now = checks.from_epoch(self.clock())
        with self.deciding():
            last = self.last_assigned if stable else {}
            round_ = Round(tasks, agents, rules or AssignmentRules(), self.weights, least, last)
            if method == "greedy":
                round_ = replace(round_, weights=Weights(), last={})
            plan = round_.made(method, limit, now, seed=seed, left=left)
            self.record(
                "round_planned",
                tasks=len(tasks),
                assigned=len(plan.decisions),
                **plan.summary(),
                prices=dict(plan.prices),
                **written(round_, limit),
            )
            for decision in plan.decisions:
                self.record("assignment_decided", **decision.as_dict())
            for task in plan.unassigned:
                self.record("task_left_over", **task.as_dict())
        return plan

    def feedback(self, task_id: str, *, accepted: bool, reason: str | None = None) -> None:
        """
        Record what people think of the last plan's choice for a task; `learn` learns from it.

        Raises:
            NotFound: The last plan gives the task to nobody.
        """
        with self.deciding():
            round_, _ = self._last_round()
            decision = next((d for d in self.last_plan.decisions if d.task_id == task_id), None)
            if decision is None:
                raise NotFound(f"the last plan gives no task {task_id!r} to anybody")
            task = next(task for task in round_.tasks if task.identifier == task_id)
            agent = next(agent for agent in round_.agents if agent.name == decision.agent)
            self.record(
                "feedback_given",
                task_id=task_id,
                agent=agent.name,
                accepted=accepted,
                reason=reason,
                components=list(components(task, agent, round_.hours(task, agent))),
            )

    def learn(self) -> Lesson:
        """
        Learn weights from the feedback of people; rounds planned from now on go by them.

        Raises:
            InvalidInput: There is no feedback.
        """
        with self.deciding():
            if not self.feedback_given:
                raise InvalidInput(
                    "there is no feedback to learn from",
                    hint="`dino assign feedback accept TASK` or `reject TASK` gives it",
                )
            first = self.weights_history[0]
            lesson = learned(first, self.weights, self.feedback_given)
            self.record("weights_changed", why="learned", **lesson.as_dict())
        return lesson

    def revert_weights(self) -> Weights:
        """
        Go back to the weights before the last change.

        Raises:
            InvalidInput: They were never changed.
        """
        with self.deciding():
            if not self.weights_history[1:]:
                raise InvalidInput("the weights are as they were at first")
            old, new = self.weights_history[-1], self.weights_history[-2]
            self.record("weights_changed", why="reverted", old=old.as_dict(), new=new.as_dict())
        return new

    # --- queries -----------------------------------------------------------------------------

    @property
    def history(self) -> list[AssignmentDecision]:
        """The latest decisions, oldest first (at most 10,000; the journal has all)."""
        return list(self._history)

    @property
    def unassigned(self) -> tuple[UnassignedTask, ...]:
        """What the last round left over, with the cause of each."""
        return tuple(self._unassigned)

    @property
    def last_plan(self) -> AssignmentPlan:
        """The plan of the last round, empty where there was none."""
        event = self._round
        return AssignmentPlan(
            tuple(self._decided),
            tuple(self._unassigned),
            event.get("method", "greedy"),
            event.get("value", 0.0),
            event.get("bound"),
            event.get("price_bound"),
            event.get("prices", {}),
            event.get("finished", True),
        )

    @property
    def last_assigned(self) -> dict[str, tuple[str, ...]]:
        """Task → its agents in the last round."""
        return of_names([(decision.task_id, decision.agent) for decision in self._decided])

    @property
    def weights(self) -> Weights:
        """What rounds planned from now on go by."""
        return self.weights_history[-1]

    def explain(self, task_id: str) -> Explanation:
        """
        Why the last plan gave a task to whom it did, or to nobody, and what would change that.

        Raises:
            NotFound: No such task was in it, or its inputs are not on record.
        """
        round_, limit = self._last_round()
        return explain(round_, self.last_plan, limit, task_id, checks.from_epoch(self.clock()))

    def what_if(self, changes: Changes) -> WhatIf:
        """The last round planned again with *changes*; nothing is recorded."""
        round_, limit = self._last_round()
        now = checks.from_epoch(self.clock())
        return what_if(round_, self.last_plan, limit, changes, now)

    def _last_round(self) -> tuple[Round, int | None]:
        self.refresh()
        if not self._round:
            raise NotFound("nothing was planned yet")
        if "inputs" not in self._round:
            raise NotFound("the inputs of the last round are not on record: it was too large")
        return read(self._round["inputs"])

    # --- folding -----------------------------------------------------------------------------

    def apply_assignment_decided(self, event: Event) -> None:
        decision = AssignmentDecision(
            event["task_id"],
            event["agent"],
            event["rationale"],
            event["confidence"],
            event["skill_match"],
            event["load_factor"],
            datetime.fromisoformat(event["issued_at"]),
        )
        self._history.append(decision)
        self._decided.append(decision)

    def apply_round_planned(self, event: Event) -> None:
        self._round = event
        self._decided = []
        self._unassigned = []

    def apply_feedback_given(self, event: Event) -> None:
        skill, free, confidence, focus = event["components"]
        seen = Observation((skill, free, confidence, focus), event["accepted"])
        self.feedback_given.append(seen)

    def apply_weights_changed(self, event: Event) -> None:
        if event["why"] == "reverted":
            self.weights_history.pop()
        else:
            self.weights_history.append(Weights(**event["new"]))

    def apply_task_left_over(self, event: Event) -> None:
        self._unassigned.append(UnassignedTask(event["task_id"], event["cause"], event["reason"]))


def _countdown(seconds: float | None) -> Callable[[], float] | None:
    if seconds is None:
        return None
    end = time.monotonic() + checks.at_least(seconds, 0, "time_limit")
    return lambda: end - time.monotonic()


def _no_twins(what: str, names: Iterable[Hashable]) -> None:
    seen: set[Hashable] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"two {what}s are named {name!r}; each needs a name of its own")
        seen.add(name)
