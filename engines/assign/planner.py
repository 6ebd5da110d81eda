"""From a solution in rows and columns to decisions with their reasons, and what is left over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from engines.assign.balance import balanced
from engines.assign.compile import Compiled, compiled, places_of, usable
from engines.assign.draft import Draft
from engines.assign.greedy import GreedyPlanner
from engines.assign.hours import rounding
from engines.assign.left_over import left_over
from engines.assign.model import (
    AgentProfile,
    AssignableTask,
    AssignmentDecision,
    AssignmentPlan,
    UnassignedTask,
)
from engines.assign.problem import Problem
from engines.assign.reasons import Writer, components, runners_up
from engines.assign.rules import AssignmentRules
from engines.assign.solution import Solution
from engines.assign.solve import bounded, solve
from engines.assign.weights import Weights, urgency
from engines.errors import InvalidInput

Last = Mapping[str, Collection[str]]
_BOUNDED = 1_000_000  # pairs up to which a plan of another method gets a bound


@dataclass(slots=True)
class Round:
    """
    One round of planning, ready to be solved.

    Attributes:
        last: Task → its agents in the last plan.
    """

    tasks: Sequence[AssignableTask]
    agents: Sequence[AgentProfile]
    rules: AssignmentRules
    weights: Weights
    min_match: float
    last: Last

    @property
    def turns(self) -> dict[str, int]:
        """Each task's place in the order in which a limit lets them in: pins, then urgency."""
        pinned = self._pinned
        order = sorted(self.tasks, key=lambda t: (t.identifier not in pinned, -t.priority))
        return {task.identifier: place for place, task in enumerate(order)}

    def hours(self, task: AssignableTask, agent: AgentProfile) -> float:
        """What *agent* spends on *task*, the way there included."""
        travel = self.rules.travel_hours
        places = set(places_of(task)) if travel else ()
        return task.estimated_effort_hours + sum(travel.get((p, agent.name), 0.0) for p in places)

    def made(
        self,
        method: str,
        limit: int | None,
        now: datetime,
        *,
        seed: int = 0,
        left: Callable[[], float] | None = None,
    ) -> AssignmentPlan:
        """The plan that a method makes."""
        if method != "greedy":
            return self.plan(limit, now, seed=seed, left=left)
        plan = GreedyPlanner(self.agents, self.min_match).plan(self.tasks, limit, now)
        return self.bound_of(plan, limit)

    def plan(
        self,
        limit: int | None,
        now: datetime,
        *,
        seed: int = 0,
        left: Callable[[], float] | None = None,
    ) -> AssignmentPlan:
        """The best plan found; of a *limit* the most urgent decisions."""
        problem, pinned = self._problem()
        if limit is not None and len(pinned) > limit:
            raise InvalidInput(f"{len(pinned)} tasks are pinned, more than the limit of {limit}")
        held = problem.held
        start = self._start(problem, held)
        solution = solve(held, start, seed=seed, left=left)
        balanced(held, solution, self.rules.balance)
        return self._written(problem, pinned, solution, limit, now)

    def bound_of(self, plan: AssignmentPlan, limit: int | None) -> AssignmentPlan:
        """*plan* of another method, with its value, and a bound where that costs little."""
        if len(self.tasks) * len(self.agents) > _BOUNDED:
            return replace(plan, value=self._value(plan))
        problem, _ = self._problem()
        draft = _drafted(problem, plan)
        found = bounded(problem.held, draft)
        limited, prices = _limited(problem, found, limit), _prices(problem, found)
        return replace(plan, value=found.value, bound=limited, price_bound=limited, prices=prices)

    def _problem(self) -> tuple[Compiled, dict[str, str]]:
        """The problem without the pairs that are pinned, and these."""
        pinned = self._pinned
        return (self._without(pinned) if pinned else self._compiled(self.tasks)), pinned

    @property
    def _pinned(self) -> dict[str, str]:
        """Pins of tasks and agents that are there."""
        if not self.rules.pinned:
            return {}
        tasks = {task.identifier for task in self.tasks}
        agents = {agent.name for agent in self.agents}
        return {
            task: agent
            for task, agent in sorted(self.rules.pinned.items())
            if task in tasks and agent in agents
        }

    def _value(self, plan: AssignmentPlan) -> float:
        tasks = {task.identifier: task for task in self.tasks}
        agents = {agent.name: agent for agent in self.agents}
        pairs = [(tasks[d.task_id], agents[d.agent]) for d in plan.decisions]
        return sum(
            float(urgency(task.priority)) * self.score(task, agent, task.estimated_effort_hours)
            for task, agent in pairs
        )

    def _compiled(self, tasks: Sequence[AssignableTask]) -> Compiled:
        return compiled(
            tasks,
            self.agents,
            rules=self.rules,
            weights=self.weights,
            min_match=self.min_match,
            last=self.last,
        )

    def _without(self, pinned: Mapping[str, str]) -> Compiled:
        chosen = [task for task in self.tasks if task.identifier in pinned]
        apart = self._compiled(chosen)
        columns = {agent.name: column for column, agent in enumerate(apart.agents)}
        column = np.array([columns[pinned[t.identifier]] for t in apart.tasks], np.int64)
        value, hours = apart.pairs(np.arange(len(column)), column)
        for task, worth, size in zip(apart.tasks, value.tolist(), apart.team.tolist(), strict=True):
            if worth == -np.inf or size > 1:
                who = pinned[task.identifier]
                raise InvalidInput(
                    f"task {task.identifier!r} is pinned to {who!r}, who cannot take it"
                    if size == 1
                    else f"task {task.identifier!r} needs a team of {size} and cannot be pinned"
                )
        spent = np.bincount(column, hours, len(apart.agents))
        for agent, asked in zip(apart.agents, spent.tolist(), strict=True):
            if asked > agent.available_hours + rounding(agent.available_hours):
                raise InvalidInput(
                    f"{asked:g} h are pinned to {agent.name!r}, who has {agent.available_hours:g} h"
                )
        rest = [task for task in self.tasks if task.identifier not in pinned]
        problem = self._compiled(rest)
        problem.capacity = usable(np.maximum(problem.hours - spent, 0.0), rest, self.rules)
        problem.pinned = list(
            zip(apart.tasks, column.tolist(), value.tolist(), hours.tolist(), strict=True)
        )
        return problem

    def _start(self, problem: Compiled, held: Problem) -> Draft | None:
        """The last plan, as far as it still can be."""
        if not self.last:
            return None
        draft = Draft.empty(held)
        columns = {agent.name: column for column, agent in enumerate(problem.agents)}
        rows, chosen = [], []
        for row, task in enumerate(problem.tasks):
            names = [name for name in self.last.get(task.identifier, ()) if name in columns]
            if len(names) == 1 and problem.team[row] == 1:
                rows.append(row)
                chosen.append(columns[names[0]])
        value, hours = held.pairs(np.array(rows, np.int64), np.array(chosen, np.int64))
        for at in np.argsort(-value, kind="stable").tolist():
            if value[at] > -np.inf and draft.fits(chosen[at], float(hours[at])):
                draft.put(rows[at], chosen[at], float(hours[at]))
        return draft

    # --- in words ------------------------------------------------------------------------------

    def _written(
        self,
        problem: Compiled,
        pinned: Mapping[str, str],
        solution: Solution,
        limit: int | None,
        now: datetime,
    ) -> AssignmentPlan:
        others = runners_up(problem, *solution.draft.pairs())
        writer = Writer(problem, self.hours, pinned, others, now)
        given = _given(problem, solution.draft)
        most_urgent_first = sorted(self.tasks, key=lambda task: -task.priority)
        taken = [task for task in most_urgent_first if task.identifier in given]
        decisions: list[AssignmentDecision] = []
        done = self._within(limit, {name: len(members) for name, members in given.items()})
        for task in taken:
            if task.identifier not in done:
                continue
            for agent, spent in given[task.identifier]:
                decisions.append(writer.decision(task, agent, spent))
        full = limit is not None and len(decisions) >= limit
        rest = [task for task in most_urgent_first if task.identifier not in done]
        cut = {t.identifier for t in rest if full or t.identifier in given}
        why = left_over(problem, [t for t in rest if t.identifier not in cut], writer.left)
        reason = f"the limit of {limit} assignments was reached"
        unassigned = [
            UnassignedTask(task.identifier, "limit", reason)
            if task.identifier in cut
            else why[task.identifier]
            for task in rest
        ]
        fixed = sum(value for _, _, value, _ in problem.pinned)
        plan = AssignmentPlan(
            tuple(decisions),
            tuple(unassigned),
            "auto",
            solution.value + fixed,
            solution.bound + fixed,
            solution.price_bound + fixed,
            _prices(problem, solution),
            solution.finished,
        )
        if len(done) == len(taken):
            return plan
        value = _drafted(problem, plan).value(problem)
        value += sum(worth for task, _, worth, _ in problem.pinned if task.identifier in done)
        limited = _limited(problem, solution, limit) + fixed
        return replace(plan, value=value, bound=limited, price_bound=limited)

    def _within(self, limit: int | None, sizes: Mapping[str, int]) -> set[str]:
        """Of the tasks that are given to so many agents each, those that a limit lets in."""
        if limit is None:
            return set(sizes)
        done: set[str] = set()
        for name in self.turns:
            if 0 < sizes.get(name, 0) <= limit:
                limit -= sizes[name]
                done.add(name)
        return done

    def score(self, task: AssignableTask, agent: AgentProfile, spent: float) -> float:
        """The weighted components, without what rules add."""
        return self.weights.score(components(task, agent, spent))


def _given(problem: Compiled, draft: Draft) -> dict[str, list[tuple[int, float]]]:
    """Task → columns and hours of its agents."""
    row, column = draft.pairs()
    _, hours = problem.pairs(row, column)
    given: dict[str, list[tuple[int, float]]] = {}
    for at, agent, spent in zip(row.tolist(), column.tolist(), hours.tolist(), strict=True):
        given.setdefault(problem.tasks[at].identifier, []).append((agent, spent))
    for task, agent, _, spent in problem.pinned:
        given[task.identifier] = [(agent, spent)]
    return given


def _drafted(problem: Compiled, plan: AssignmentPlan) -> Draft:
    draft = Draft.empty(problem)
    rows = {task.identifier: row for row, task in enumerate(problem.tasks)}
    columns = {agent.name: column for column, agent in enumerate(problem.agents)}
    teams: dict[int, list[int]] = {}
    for decision in plan.decisions:
        row = rows.get(decision.task_id)
        if row is None:
            continue
        if problem.team[row] > 1:
            teams.setdefault(row, []).append(columns[decision.agent])
        else:
            draft.column[row] = columns[decision.agent]
    draft.teams = {row: np.array(sorted(team), np.int64) for row, team in teams.items()}
    return draft


def _prices(problem: Compiled, solution: Solution) -> dict[str, float]:
    return {
        problem.agents[column].name: float(solution.prices[column])
        for column in np.flatnonzero(solution.prices > 0).tolist()
    }


def _limited(problem: Compiled, solution: Solution, limit: int | None) -> float:
    """The bound where at most *limit* tasks are assigned: pins, and those worth most."""
    left = len(problem.tasks) if limit is None else limit - len(problem.pinned)
    if left >= len(problem.tasks) or not problem.agents:
        return solution.bound
    bound = solution.bound
    for prices in (solution.prices, np.zeros_like(solution.prices)):  # few leave hours over
        worth = np.sort(problem.held.responses(prices).worth)[::-1][:left]
        bound = min(bound, float(worth.sum() + (prices * problem.capacity).sum()))
    return bound
