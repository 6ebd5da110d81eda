"""
LM-cut: a lower bound from shares of landmarks, sets of operators of which every plan has one.

Source: Helmert and Domshlak, "Landmarks, Critical Paths and Abstractions: What's the Difference
Anyway?", ICAPS 2009.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from engines.trajectory.budget import Budget
from engines.trajectory.task import Task

_UNKNOWN = float("inf")
_NOTHING = 1e-9


def lm_cut(task: Task, *, most: int, budget: Budget) -> tuple[float, list[tuple[int, ...]]]:
    """
    A lower bound on the cost of every plan, and the landmarks that prove it.

    At most so many landmarks; fewer prove less, and are as true.
    """
    cuts = _Cuts(task)
    shares: list[float] = []
    landmarks: list[tuple[int, ...]] = []
    while len(landmarks) < most and not budget.over():
        landmark = cuts.next()
        if not landmark:
            break
        share = min(cuts.costs[op] for op in landmark)
        for op in landmark:
            left = cuts.costs[op] - share
            cuts.costs[op] = left if left > _NOTHING else 0.0
        shares.append(share)
        landmarks.append(tuple(op for op in landmark if op < len(task.costs)))
    return math.fsum(shares), landmarks


class _Cuts:
    """The task with one fact that holds from the start and one that all goals lead to."""

    def __init__(self, task: Task) -> None:
        self.costs = [*task.costs, 0.0]
        self._start, self._end = task.size, task.size + 1
        self._needs = [needs or (self._start,) for needs in task.needs]
        self._needs.append(task.goals or (self._start,))
        self._gives = [*task.gives, (self._end,)]
        self._waiting: list[list[int]] = [[] for _ in range(task.size + 2)]
        self._givers: list[list[int]] = [[] for _ in range(task.size + 2)]
        for op, needs in enumerate(self._needs):
            for fact in needs:
                self._waiting[fact].append(op)
            for fact in self._gives[op]:
                self._givers[fact].append(op)

    def next(self) -> list[int]:
        """A landmark all of whose operators still cost something; none where there is none."""
        dearest, supported, cost = self._critical()
        if cost <= _NOTHING:
            return []
        zone = self._goal_zone(dearest)
        landmark: set[int] = set()
        before, waiting = {self._start}, [self._start]
        while waiting:
            for op in supported[waiting.pop()]:
                for fact in self._gives[op]:
                    if fact in zone:
                        landmark.add(op)
                    elif fact not in before:
                        before.add(fact)
                        waiting.append(fact)
        return sorted(landmark)

    def _critical(self) -> tuple[list[int], list[list[int]], float]:
        """Operator → its dearest need; fact → the operators it is that for; h_max of the end."""
        values = [_UNKNOWN] * len(self._waiting)
        left = [len(needs) for needs in self._needs]
        dearest = [-1] * len(self._needs)
        supported: list[list[int]] = [[] for _ in self._waiting]
        costs, gives, waiting = self.costs, self._gives, self._waiting
        values[self._start] = 0.0
        heap = [(0.0, self._start)]
        while heap:
            value, fact = heappop(heap)
            if value > values[fact]:
                continue
            for op in waiting[fact]:
                left[op] -= 1
                if not left[op]:  # facts come in the order of their cost
                    dearest[op] = fact
                    supported[fact].append(op)
                    reached = value + costs[op]
                    for given in gives[op]:
                        if reached < values[given]:
                            values[given] = reached
                            heappush(heap, (reached, given))
        return dearest, supported, values[self._end]

    def _goal_zone(self, dearest: list[int]) -> set[int]:
        """The facts from which the end costs nothing any more."""
        zone, waiting = {self._end}, [self._end]
        while waiting:
            for op in self._givers[waiting.pop()]:
                fact = dearest[op]
                if fact >= 0 and not self.costs[op] and fact not in zone:
                    zone.add(fact)
                    waiting.append(fact)
        return zone
