"""A clock that stands until it is moved, pools that remember who holds what, and managers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engines.entity_manager import EntityManager
from engines.journal import Journal, VolatileJournal


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


Make = Callable[..., EntityManager]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "entities.jsonl"


@pytest.fixture
def make(clock: Clock, log: Path) -> Make:
    """A manager of the one journal, as each process opens its own."""
    return lambda pools=None, **more: EntityManager(
        resource_engine=pools, journal=Journal(log, clock=clock), clock=clock, **more
    )


@pytest.fixture
def manager(make: Make) -> EntityManager:
    return make()


def in_memory(clock: Clock, pools: Any = None, **more: Any) -> EntityManager:
    """A manager that lasts as long as the process."""
    journal: Any = VolatileJournal(clock=clock)
    return EntityManager(resource_engine=pools, journal=journal, clock=clock, **more)
