"""
A portfolio for cheapest plans: heuristics from above, proven bounds from below, until they meet.

In turn: the plan of h_add and some repair; h_max and LM-cut; where the task is small enough the
linear relaxation, what its reduced costs rule out, and the integer program for all that is left;
else beam search and more repair.  Effort is counted, so that the same input gives the same plan;
a time limit cuts between rounds, and inside the program.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from engines.trajectory.beam import beam_search
from engines.trajectory.budget import Budget
from engines.trajectory.incumbents import Incumbents
from engines.trajectory.lmcut import lm_cut
from engines.trajectory.parts import split
from engines.trajectory.program import Program
from engines.trajectory.repair import repair
from engines.trajectory.supporters import h_max, minimal, suggested
from engines.trajectory.task import Task, rounded_up

_SAME = 1e-6  # of a cost: less than this is no difference
_SMALL = 4_000  # operators and needs of a task that a program is made of
_NODES, _FEW_NODES, _ROOM = 3_000, 20, 1_000_000
_EFFORT = 3_000_000  # operators looked at by repair
_FIRST_ROUNDS, _MORE_ROUNDS = 40, 200
_CUTS = 4_000_000  # operators looked at by LM-cut
_WORTH_PRUNING = 0.05


@dataclass(slots=True)
class Solution:
    """
    Attributes:
        ops: Of the best plan.
        cost: What it costs.
        bound: No plan costs less.
        bounds: Method → the bound that it proved.
    """

    ops: tuple[int, ...]
    cost: float
    bound: float
    bounds: dict[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        return relative_gap(self.cost, self.bound)


def relative_gap(cost: float, bound: float) -> float:
    """By what share of the bound the cost may be too high; 0 where it is proven least."""
    if cost <= bound * (1 + _SAME):
        return 0.0
    return cost / bound - 1 if bound > 0 else float("inf")


def solve(task: Task, *, beam_width: int, seed: int, gap: float, budget: Budget) -> Solution:
    """
    A cheap plan for *task*, and how cheap one can be; independent parts of it each by themselves.

    Args:
        gap: One that is good enough, as a share of the bound.
    """
    musts, parts = split(task)
    searches = []
    for part, ops in parts:
        search = Search(part, beam_width, Random(seed), gap, budget)  # noqa: S311  reproducible, not secret
        search.begin()
        searches.append((search, ops))
    open_ones = sorted(searches, key=lambda found: found[0].distance, reverse=True)
    for number, (search, _) in enumerate(open_ones):
        search.go_on(budget.share(len(open_ones) - number))
    found = [(search.solution(), ops) for search, ops in searches]
    chosen = sorted(musts.union(ops[op] for part, ops in found for op in part.ops))
    fixed = task.cost(musts)
    methods = sorted({method for part, _ in found for method in part.bounds})
    return Solution(
        tuple(chosen),
        task.cost(chosen),
        min(fixed + math.fsum(part.bound for part, _ in found), task.cost(chosen)),
        {
            method: fixed + math.fsum(part.bounds.get(method, part.bound) for part, _ in found)
            for method in methods
        },
    )


class Search:
    """The search for one task, in two stages: what costs little first."""

    def __init__(
        self, task: Task, beam_width: int, random: Random, gap: float, budget: Budget
    ) -> None:
        self.task = task
        self.width = beam_width
        self.random = random
        self.allowed = gap
        self.budget = budget
        self.plans = Incumbents(task)
        self.bounds: dict[str, float] = {}
        self.landmarks: list[tuple[int, ...]] = []

    def begin(self) -> None:
        """A first plan and a first bound."""
        first = suggested(self.task, self.task.costs)
        if first is None:
            raise ValueError("a task whose goals are out of reach")
        self.plans.offer(first)
        self._prove("h_max", h_max(self.task))
        if not self._done():
            self._bound_by_cuts()

    def go_on(self, budget: Budget) -> None:
        """Until they meet, or *budget* is over."""
        self.budget = budget
        if not self._done():
            self._repair(_FIRST_ROUNDS)
        if not self._done() and self._size() <= _SMALL:
            self._by_program()
        if not self._done():
            beam_search(self.task, self.plans, width=self.width, budget=self.budget)
        if not self._done():
            self._repair(self._rounds())

    @property
    def distance(self) -> float:
        """What the plan costs more than it is proven to have to."""
        return self.plans.cost - self._bound()

    def _size(self) -> int:
        return len(self.task.costs) + sum(map(len, self.task.needs))

    def _rounds(self) -> int:
        return max(10, min(2_000, _EFFORT // max(self._size(), 1)))

    def solution(self) -> Solution:
        best = self.plans.best
        assert best is not None  # noqa: S101  the first plan was offered
        cost, _, ops = best
        return Solution(ops, cost, min(self._bound(), cost), self.bounds)

    def _bound(self) -> float:
        return max(self.bounds.values(), default=0.0)

    def _prove(self, method: str, bound: float) -> None:
        proven = min(rounded_up(self.task, bound), self.plans.cost)
        self.bounds[method] = max(proven, self.bounds.get(method, 0.0))

    def _done(self) -> bool:
        return self.budget.over() or (relative_gap(self.plans.cost, self._bound()) <= self.allowed)

    def _repair(self, rounds: int) -> None:
        repair(
            self.task,
            self.plans,
            rounds=rounds,
            random=self.random,
            budget=self.budget,
            target=self._bound() * (1 + self.allowed),
        )

    def _bound_by_cuts(self) -> None:
        most = max(5, _CUTS // max(self._size(), 1))
        bound, self.landmarks = lm_cut(self.task, most=most, budget=self.budget)
        self._prove("lm_cut", bound)

    def _by_program(self) -> None:
        """The relaxation first: an operator of too high a reduced cost is in no better plan."""
        task, kept = self.task, list(range(len(self.task.costs)))
        landmarks: Sequence[Sequence[int]] = self.landmarks
        ceiling = float("inf")
        while True:
            program = Program(task, landmarks)
            found = program.relaxed(seconds=self.budget.left())
            if found is None:
                return
            bound, reduced = found
            # Once operators were left out nothing is known of what costs more than the ceiling.
            self._prove("lp", min(bound, ceiling))
            if task is self.task and not self._done():
                self._repair(_MORE_ROUNDS)
            if self._done():
                return
            ceiling = self._ceiling()
            slack = 1e-6 * max(1.0, ceiling)
            dropped = {op for op, more in enumerate(reduced) if bound + more > ceiling + slack}
            if len(dropped) < _WORTH_PRUNING * len(kept):
                break
            landmarks = _renumbered(landmarks, dropped)
            task = task.without(dropped)
            kept = [op for number, op in enumerate(kept) if number not in dropped]
        self._by_integers(program, kept)

    def _ceiling(self) -> float:
        """What a plan costs at most by which the best known would not be good enough."""
        cost = self.plans.cost
        better = cost - self.task.step / 2 if self.task.step else cost * (1 - _SAME / 2)
        return min(better, cost / (1 + self.allowed))

    def _by_integers(self, program: Program, kept: list[int]) -> None:
        ceiling = self._ceiling()
        answer = program.solved(
            below=ceiling,
            gap=self.allowed,
            nodes=None if self.budget.left() is not None else node_limit(program),
            seconds=self.budget.left(),
        )
        # Below the ceiling there are only plans that the program has, and maybe what is none.
        self._prove("milp", min(answer.bound, ceiling))
        if answer.ops is not None:
            ops = {kept[op] for op in answer.ops}
            if self.task.reaches(ops):
                self.plans.offer(minimal(self.task, ops))
        if not answer.closed:
            self.budget.over()


def node_limit(program: Program) -> int:
    """How far a search tree may grow without a time limit: the larger the program, the less."""
    return max(_FEW_NODES, min(_NODES, _ROOM // (program.size + 1)))


def _renumbered(landmarks: Sequence[Sequence[int]], dropped: set[int]) -> list[tuple[int, ...]]:
    """Without the operators that no better plan has; an empty one says that there is none."""
    most = max((op for landmark in landmarks for op in landmark), default=-1)
    numbers, number = {}, 0
    for op in range(most + 1):
        if op not in dropped:
            numbers[op] = number
            number += 1
    return [tuple(numbers[op] for op in lm if op in numbers) for lm in landmarks]
