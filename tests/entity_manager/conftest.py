"""Managers of one journal, and an office in which entities are looked after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.entity_manager import EntityManager
from engines.journal import Journal
from tests.entity_manager.office import Office, offices
from tests.entity_manager.things import Clock

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


@pytest.fixture
def office(tmp_path: Path, clock: Clock) -> Iterator[Office]:
    yield from offices(tmp_path, clock)
