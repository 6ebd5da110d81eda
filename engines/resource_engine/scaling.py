"""
How large a pool should be: the rule of Kubernetes' HorizontalPodAutoscaler, between our thresholds.

    desired = ceil(capacity * utilisation / target)

with the utilisation in percent.  It is heeded upwards above 80 % while somebody waits, downwards
below 30 %, and not where it differs by less than the tolerance.  Downwards the largest size that
was advisable within the stabilisation window is taken, so that a lull does not empty the house.

Source: kubernetes.io, "Horizontal Pod Autoscaling", algorithm details.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from engines.resource_engine.model import ResourceType
from engines.resource_engine.pool import ResourcePool

UP_ABOVE = 80.0
DOWN_BELOW = 30.0
_MOST_AT_ONCE = 2.0  # at most twice as many in one step


class ScalingRule(NamedTuple):
    """Its settings: percent, share, seconds."""

    target: float = 60.0
    tolerance: float = 0.1
    stabilisation_s: float = 300.0
    every_s: float = 15.0


class Advice(NamedTuple):
    """A size, and why."""

    capacity: int
    reason: str


class Autoscaler:
    """What was advisable lately; it begins with nothing each time a session does."""

    def __init__(self, rule: ScalingRule) -> None:
        self._rule = rule
        self._advised: dict[ResourceType, deque[tuple[float, int]]] = {}

    def advise(
        self, pool: ResourcePool, waiting: int, now: float, *, largest: int = 0
    ) -> Advice | None:
        """
        Another capacity for *pool*, or None to leave it.

        Args:
            waiting: How much of it is asked for by tasks that could start.
            now: Seconds, of a clock that is not set.
            largest: The most that one of these tasks asks for.
        """
        window = self._advised.setdefault(pool.resource_type, deque())
        used = pool.get_utilization()
        ratio = used / self._rule.target
        steady = abs(ratio - 1.0) <= self._rule.tolerance
        desired = pool.capacity if steady else math.ceil(pool.capacity * ratio)
        window.append((now, max(desired, 1)))
        since = now - self._rule.stabilisation_s
        while len(window) > 1 and window[1][0] <= since:  # what held at its beginning counts
            window.popleft()
        if used > UP_ABOVE and waiting > 0:
            most = math.ceil(pool.capacity * _MOST_AT_ONCE)
            wanted = min(max(desired, pool.capacity + 1), most)
            why = f"{used:.0f} % in use and {waiting} waiting"
        elif largest > pool.capacity:
            wanted, why = largest, f"a task needs {largest}"
        elif used < DOWN_BELOW and window[0][0] <= since:
            wanted = min(max(size for _, size in window), pool.capacity)
            why = f"{used:.0f} % in use, never more needed in {self._rule.stabilisation_s:g} s"
        else:
            return None
        return self._bounded(pool, wanted, why)

    @staticmethod
    def _bounded(pool: ResourcePool, wanted: int, why: str) -> Advice | None:
        least, most = (pool.limits.least, pool.limits.most) if pool.limits else (1, wanted)
        capacity = min(max(wanted, least, pool.allocated), most)
        if capacity == pool.capacity or (wanted > pool.capacity) != (capacity > pool.capacity):
            return None
        return Advice(capacity, why)
