"""
Heuristic costs and the plans they suggest.

h_add charges an operator with the sum of what its premises cost, h_max with the dearest: one pass
like Dijkstra's gives either (Knuth 1977).  The cheapest operator for each fact, its best
supporter, makes a plan, followed back from the goals; what is left over once the others are there
is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from engines.trajectory.task import Task

_UNKNOWN = float("inf")
_LONG = 1_500  # operators; trying each costs the square of it


def h_add(task: Task, costs: Sequence[float]) -> tuple[list[float], list[int]]:
    """Per fact its cost and the operator that gives it, as far as the goals go; elsewhere -1."""
    values = [_UNKNOWN] * task.size
    supporters = [-1] * task.size
    left = [len(needs) for needs in task.needs]
    sums = list(costs)
    heap: list[tuple[float, int]] = []
    gives, waiting = task.gives, task.waiting

    def offer(op: int) -> None:
        value = sums[op]
        for fact in gives[op]:
            if value < values[fact]:
                values[fact] = value
                supporters[fact] = op
                heappush(heap, (value, fact))

    for op, missing in enumerate(left):
        if not missing:
            offer(op)
    open_goals = set(task.goals)
    while heap and open_goals:
        value, fact = heappop(heap)
        if value > values[fact]:
            continue
        open_goals.discard(fact)
        for op in waiting[fact]:
            left[op] -= 1
            sums[op] += value
            if not left[op]:
                offer(op)
    return values, supporters


def h_max(task: Task) -> float:
    """A lower bound on the cost of every plan: its dearest chain."""
    values = [_UNKNOWN] * task.size
    left = [len(needs) for needs in task.needs]
    heap: list[tuple[float, int]] = []

    def offer(op: int, value: float) -> None:
        for fact in task.gives[op]:
            if value < values[fact]:
                values[fact] = value
                heappush(heap, (value, fact))

    for op, missing in enumerate(left):
        if not missing:
            offer(op, task.costs[op])
    while heap:
        value, fact = heappop(heap)
        if value > values[fact]:
            continue
        for op in task.waiting[fact]:
            left[op] -= 1
            if not left[op]:  # facts come in the order of their cost: this one is the dearest
                offer(op, value + task.costs[op])
    return max((values[goal] for goal in task.goals), default=0.0)


def followed_back(task: Task, supporters: Sequence[int]) -> set[int] | None:
    """The operators that support the goals; None where there are supporters missing."""
    plan: set[int] = set()
    waiting = list(task.goals)
    seen = set(waiting)
    while waiting:
        op = supporters[waiting.pop()]
        if op < 0:
            return None
        if op not in plan:
            plan.add(op)
            for fact in task.needs[op]:
                if fact not in seen:
                    seen.add(fact)
                    waiting.append(fact)
    return plan


def suggested(task: Task, costs: Sequence[float]) -> set[int] | None:
    """The plan of h_add under *costs*, without what it does not need; None where there is none."""
    _, supporters = h_add(task, costs)
    plan = followed_back(task, supporters)
    return None if plan is None else minimal(task, plan)


def minimal(task: Task, plan: Iterable[int]) -> set[int]:
    """*plan* without operators that it can do without, the dearest first; a very long one as is."""
    found = set(plan)
    if len(found) > _LONG or not task.reaches(found):
        return found
    for op in sorted(found, key=lambda op: (-task.costs[op], op)):
        if task.reaches(found - {op}):
            found.discard(op)
    return found


def in_order(task: Task, plan: Iterable[int]) -> list[int]:
    """The operators of *plan* so that each finds its needs achieved."""
    left = {op: len(task.needs[op]) for op in plan}
    ready = sorted(op for op, missing in left.items() if not missing)
    known: set[int] = set()
    order: list[int] = []
    for op in ready:  # grows while it is walked through
        order.append(op)
        for fact in task.gives[op]:
            if fact not in known:
                known.add(fact)
                for next_op in task.waiting[fact]:
                    if next_op in left:
                        left[next_op] -= 1
                        if not left[next_op]:
                            ready.append(next_op)
    return order
