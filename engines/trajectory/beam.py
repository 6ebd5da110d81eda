"""
Beam search over what has been achieved: states by cost and burden, the few most promising kept.

A state is the set of facts achieved and what that took.  Its relaxed plan for the rest, which makes
it a whole plan, says how promising it is and which operators are worth trying next.  Of two states
with the same facts the one that is worse in both cost and burden is dropped; the width is doubled
for as long as that finds something better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engines.trajectory.budget import Budget
from engines.trajectory.incumbents import Incumbents
from engines.trajectory.supporters import followed_back, h_add, minimal
from engines.trajectory.task import Task

_EFFORT = 1_500_000  # operators looked at
_WIDEST = 64


@dataclass(frozen=True, slots=True)
class _State:
    ops: frozenset[int]
    facts: frozenset[int]
    cost: float
    burden: float
    promise: float
    next: tuple[int, ...]

    @property
    def rank(self) -> tuple[float, float, tuple[int, ...]]:
        return (self.promise, self.burden, tuple(sorted(self.ops)))


def beam_search(task: Task, incumbents: Incumbents, *, width: int, budget: Budget) -> None:
    """Offer *incumbents* the plans that are met on the way."""
    search = _Beam(task, incumbents, budget)
    while width <= _WIDEST:
        before = incumbents.cost
        if not search.run(width) or incumbents.cost >= before:
            return
        width *= 2


class _Beam:
    def __init__(self, task: Task, incumbents: Incumbents, budget: Budget) -> None:
        self._task = task
        self._incumbents = incumbents
        self._budget = budget
        self._left = _EFFORT
        self._price = len(task.costs) + sum(map(len, task.needs))

    def run(self, width: int) -> bool:
        """Whether it came to its end."""
        seen: dict[frozenset[int], list[tuple[float, float]]] = {}
        first = self._state(frozenset())
        layer = [first] if first else []
        while layer:
            following: dict[frozenset[int], _State] = {}
            for ops in _each_once(state.ops | {op} for state in layer for op in state.next):
                if self._left < self._price or self._budget.over():
                    return False
                state = self._state(ops)
                if state and state.cost < self._incumbents.cost and _is_new(seen, state):
                    following[state.facts] = state
            layer = sorted(following.values(), key=lambda state: state.rank)[:width]
        return True

    def _state(self, ops: frozenset[int]) -> _State | None:
        """With the plan that h_add has for the rest, which is offered; None where it has none."""
        self._left -= self._price
        task = self._task
        costs = [0.0 if op in ops else cost for op, cost in enumerate(task.costs)]
        _, supporters = h_add(task, costs)
        plan = followed_back(task, supporters)
        if plan is None:
            return None
        found = minimal(task, plan | ops)
        promise = self._incumbents.offer(found)
        facts = frozenset(fact for op in ops for fact in task.gives[op])
        rest = sorted(op for op in found - ops if facts.issuperset(task.needs[op]))
        return _State(ops, facts, task.cost(ops), task.burden(ops), promise, tuple(rest))


def _each_once(sets: Iterator[frozenset[int]]) -> list[frozenset[int]]:
    return list(dict.fromkeys(sets))


def _is_new(seen: dict[frozenset[int], list[tuple[float, float]]], state: _State) -> bool:
    """Whether no state with the same facts is as good in both; those it beats are forgotten."""
    others = seen.setdefault(state.facts, [])
    if any(cost <= state.cost and burden <= state.burden for cost, burden in others):
        return False
    others[:] = [
        (cost, burden) for cost, burden in others if cost < state.cost or burden < state.burden
    ]
    others.append((state.cost, state.burden))
    return True
