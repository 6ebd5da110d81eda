"""From a question in symbols to a search in numbers, and back to rules in an order that works."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from engines.trajectory.budget import Budget
from engines.trajectory.derivation import steps_to
from engines.trajectory.fairness import fairness
from engines.trajectory.folding import fold_of
from engines.trajectory.front import capped, pareto
from engines.trajectory.index import RuleIndex
from engines.trajectory.model import Closure, Fact, Rule, TrajectoryPath, Unreachable, parties_of
from engines.trajectory.planned import Front, Plan, knee_of
from engines.trajectory.solver import Solution, relative_gap, solve
from engines.trajectory.task import Task, build

_ASKED = 1_000_000  # steps times rules, of which it is asked which are a must


class Planner:
    """
    Plans over the rules of *index* from facts.

    Args:
        facts: Symbol → fact.
        goals: Symbols.
        gap: What is good enough, as a share of the bound.

    Raises:
        Unreachable: No rules lead to the goals.
    """

    def __init__(
        self,
        index: RuleIndex,
        facts: dict[str, Fact],
        goals: Sequence[str],
        *,
        width: int,
        seed: int,
        gap: float,
        budget: Budget,
    ) -> None:
        self._index = index
        self._facts = facts
        self._goals = tuple(dict.fromkeys(goals))
        self._width, self._seed, self._gap, self._budget = width, seed, gap, budget
        self.parties = parties_of(index.rules[place] for place in index.active())
        self._given = {index.id_of(fact.symbol) for fact in facts.values() if fact.holds}
        self._wanted = [index.id_of(goal) for goal in self._goals]
        task = build(index, self._given, self._wanted, self.parties)
        if task is None:
            short = sorted(set(self._wanted) - index.reached(self._given))
            names = ", ".join(repr(index.symbols[symbol]) for symbol in short[:5])
            raise Unreachable(
                f"no rules lead from the facts to {names}",
                hint="`dino trajectory why-not` tells what is missing",
            )
        self._task: Task = task
        self._cheapest: Solution | None = None

    def cheapest(self) -> Solution:
        """The cheapest way that was found."""
        if self._cheapest is None:
            self._cheapest = solve(
                self._task,
                beam_width=self._width,
                seed=self._seed,
                gap=self._gap,
                budget=self._budget,
            )
        return self._cheapest

    def plan(self, max_burden: float | None = None) -> Plan:
        """
        The cheapest plan found, where nobody bears more than *max_burden*.

        Raises:
            Unreachable: There is no such plan, or none was found.
        """
        found = self.cheapest()
        if max_burden is None:
            return self._as_plan(found.ops, found.bound, found.bounds)
        plan, bound = capped(
            self._task, found, max_burden, width=self._width, seed=self._seed, budget=self._budget
        )
        if plan is None:
            proven = "there is no plan" if math.isinf(bound) else "no plan was found"
            raise Unreachable(
                f"{proven} in which nobody bears more than {max_burden:g}",
                hint="`dino trajectory plan --front` shows what burden has which cost",
            )
        return self._as_plan(plan[2], bound, found.bounds)

    def front(self) -> Front:
        """Cost against the greatest burden."""
        found = self.cheapest()
        points, exact = pareto(
            self._task, found, width=self._width, seed=self._seed, budget=self._budget
        )
        plans = tuple(self._as_plan(ops, found.bound, found.bounds) for _, _, ops in points)
        knee = knee_of([(plan.cost, plan.fairness.max_burden) for plan in plans])
        return Front(plans, knee, exact)

    # --- back to rules -----------------------------------------------------------------------

    def _as_plan(self, ops: Iterable[int], bound: float, bounds: dict[str, float]) -> Plan:
        index = self._index
        chosen = {self._task.rules[op] for op in ops}
        free = {place for place in index.places.values() if not index.rules[place].cost}
        steps = steps_to(index, self._given, chosen | free, self._wanted)
        cost = math.fsum(rule.cost for rule in steps)
        gap = relative_gap(cost, bound)
        return Plan(
            self._goals,
            steps,
            cost,
            bound,
            None if math.isinf(gap) else gap,
            dict(bounds),
            fairness(steps, self.parties),
            self._musts(steps),
            fold_of(self._facts.values(), steps),
            self._budget.cut,
        )

    def _musts(self, steps: Sequence[Rule]) -> tuple[str, ...]:
        """Without which the goals are out of reach; nobody is told of plans that are too long."""
        index, found = self._index, list[str]()
        if len(steps) * len(index.places) > _ASKED:
            return ()
        for rule in steps:
            place = index.places[rule.rule_id]
            if not index.reached(self._given, without=place).issuperset(self._wanted):
                found.append(rule.rule_id)
        return tuple(found)


def path_of(facts: Iterable[Fact], steps: Iterable[Rule]) -> TrajectoryPath:
    """The path that *steps* make, round by round; neither scored nor named yet."""
    given = {fact.symbol: fact for fact in facts}
    own = RuleIndex()
    for rule in steps:
        own.add(rule)
    closures = closures_of(own, given)
    rules = tuple(own.rules[own.places[rule_id]] for rule_id in closures[-1].rules_applied)
    return TrajectoryPath("", closures, 0.0, 0.0, math.fsum(r.cost for r in rules), rules)


def closures_of(
    index: RuleIndex, facts: dict[str, Fact], max_depth: int | None = None
) -> tuple[Closure, ...]:
    """What holds at the beginning, and after each round of all rules of *index*."""
    holding = {index.id_of(fact.symbol) for fact in facts.values() if fact.holds}
    found, applied = dict(facts), list[str]()
    closures = [Closure(frozenset(found.values()), 0, ())]
    for places in index.rounds(holding, max_depth):
        rules = [index.rules[place] for place in places]
        found.update((rule.conclusion, Fact(rule.conclusion)) for rule in rules)
        applied += [rule.rule_id for rule in rules]
        closures.append(Closure(frozenset(found.values()), len(closures), tuple(applied)))
    return tuple(closures)
