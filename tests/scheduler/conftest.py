"""A table of jobs whose clock is set by the test, and the turns of a scheduler over it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from dino_os.scheduler.jobs import Jobs
from engines.journal import Journal
from tests.scheduler.desk import Desk


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.set("2027-01-15T08:30:00Z")

    def set(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "scheduler.jsonl"


@pytest.fixture
def opened(journal: Path, clock: Clock) -> Callable[[], Jobs]:
    """The table as each process opens it."""
    return lambda: Jobs(journal=Journal(journal), clock=clock)


@pytest.fixture
def jobs(opened: Callable[[], Jobs]) -> Jobs:
    return opened()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    return Desk(tmp_path, clock)
