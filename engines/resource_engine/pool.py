"""Pools: of what there is only so much, and how much of it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engines import checks
from engines.errors import InvalidInput
from engines.resource_engine.model import ResourceType


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """
    How large a pool is at first, and between what it may move.

    Raises:
        InvalidInput: They are not whole, or not in order.
    """

    capacity: int
    least: int = 1
    most: int = 0

    def __post_init__(self) -> None:
        most = self.most or max(2 * self.capacity, 1)
        object.__setattr__(self, "most", checks.whole(most, "a pool's most"))
        least, capacity = (checks.whole(v, "a pool's size") for v in (self.least, self.capacity))
        if not 0 <= least <= capacity <= self.most:
            raise InvalidInput(
                f"a pool needs 0 <= least <= capacity <= most, "
                f"found {self.least}, {self.capacity}, {self.most}"
            )


DEFAULT_LIMITS = {
    ResourceType.COMPUTE: PoolLimits(10, 1, 20),
    ResourceType.STORAGE: PoolLimits(100, 10, 200),
    ResourceType.NETWORK: PoolLimits(20, 2, 40),
    ResourceType.DATABASE: PoolLimits(5, 1, 10),
}


class ResourcePool:
    """
    So much of one resource.

    Those of an engine show its state; to take of them for longer, see `ResourceEngine.reserve`.

    Args:
        capacity: How much there is now.
        limits: Between what `scale_up` and `scale_down` move it; by itself 1 to any.
    """

    def __init__(
        self,
        resource_type: ResourceType,
        capacity: int | None = None,
        limits: PoolLimits | None = None,
    ) -> None:
        self.resource_type = ResourceType(resource_type)
        self.limits = limits
        begin = (limits or DEFAULT_LIMITS[self.resource_type]).capacity
        self.capacity = begin if capacity is None else capacity
        self.allocated = 0
        self.waiting = 0
        self.total_requests = 0
        self.failed_requests = 0

    @property
    def free(self) -> int:
        return max(self.capacity - self.allocated, 0)

    def allocate(self, amount: int = 1) -> bool:
        """Take *amount* if there is that much; whether there was."""
        self.total_requests += 1
        if amount < 0 or amount > self.free:
            self.failed_requests += 1
            return False
        self.allocated += amount
        return True

    def release(self, amount: int = 1) -> None:
        """Give back *amount*; more than was taken cannot be."""
        self.allocated = max(self.allocated - max(amount, 0), 0)

    def scale_up(self, amount: int = 5) -> None:
        most = self.limits.most if self.limits else self.capacity + amount
        self.capacity = max(min(self.capacity + amount, most), self.capacity)

    def scale_down(self, amount: int = 5) -> None:
        """Shrink, though never below what is taken."""
        least = max(self.limits.least if self.limits else 1, self.allocated)
        self.capacity = min(max(self.capacity - amount, least), self.capacity)

    def get_utilization(self) -> float:
        """How much is taken, in percent."""
        return 100.0 * self.allocated / self.capacity if self.capacity else 0.0

    def get_stats(self) -> dict[str, Any]:
        granted = self.total_requests - self.failed_requests
        return {
            "type": self.resource_type.value,
            "capacity": self.capacity,
            "allocated": self.allocated,
            "utilization": self.get_utilization(),
            "waiting": self.waiting,
            "total_requests": self.total_requests,
            "failed_requests": self.failed_requests,
            "success_rate": 100.0 * granted / self.total_requests if self.total_requests else 100.0,
        }


def pool_named(name: ResourceType | str) -> ResourceType:
    """
    The pool of that name.

    Raises:
        InvalidInput: There is none.
    """
    try:
        return ResourceType(name)
    except ValueError:
        known = [kind.value for kind in ResourceType]
        close = checks.did_you_mean(str(name), known)
        raise InvalidInput(
            f"no pool {name!r}{close}", hint=f"there are {', '.join(known)}"
        ) from None
