"""A clock that stands until it is moved, and a pool that remembers who holds what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.entity_manager import EntityManager
from engines.journal import VolatileJournal


class Clock:
    """Seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Pool:
    """So much of compute, and who holds of it: as the resource engine keeps it."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.held: dict[str, int] = {}

    def reserve(self, holder: str, needs: Mapping[Any, int]) -> bool:
        wanted = sum(needs.values())
        if holder in self.held or sum(self.held.values()) + wanted > self.room:
            return False
        self.held[holder] = wanted
        return True

    def release(self, holder: str) -> bool:
        return self.held.pop(holder, None) is not None


def in_memory(clock: Clock, pools: Any = None, **more: Any) -> EntityManager:
    """A manager that lasts as long as the process."""
    journal: Any = VolatileJournal(clock=clock)
    return EntityManager(resource_engine=pools, journal=journal, clock=clock, **more)
