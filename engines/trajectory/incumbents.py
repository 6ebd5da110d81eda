"""The best plans found so far: none of them is worse than another in both cost and burden."""

from __future__ import annotations

from collections.abc import Iterable

from engines.trajectory.task import Task

_NEVER = float("inf")
Plan = tuple[float, float, tuple[int, ...]]
"""Cost, greatest burden, operators in the order of their numbers."""


class Incumbents:
    """
    Plans for *task*, dominated ones left out; the same plan found twice is one.

    Args:
        cap: What no party may bear more of; plans above it are not kept.
    """

    def __init__(self, task: Task, *, cap: float = _NEVER) -> None:
        self._task = task
        self._cap = cap
        self.front: list[Plan] = []

    @property
    def best(self) -> Plan | None:
        """The cheapest; of those the one with the least burden, then the first by its numbers."""
        return self.front[0] if self.front else None

    @property
    def cost(self) -> float:
        return self.front[0][0] if self.front else _NEVER

    def offer(self, ops: Iterable[int]) -> float:
        """Take in a plan unless there is one as good in both; its cost."""
        chosen = tuple(sorted(ops))
        new = (self._task.cost(chosen), self._task.burden(chosen), chosen)
        if new[1] > self._cap * (1 + 1e-9):
            return new[0]
        for other in self.front:
            if other[0] <= new[0] and other[1] <= new[1]:
                if other[:2] != new[:2] or other[2] <= chosen:
                    return new[0]
                break
        kept = [p for p in self.front if not (new[0] <= p[0] and new[1] <= p[1])]
        self.front = sorted([*kept, new])
        return new[0]
