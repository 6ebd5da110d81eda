"""A desk to plan on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Dino, Outcome
from tests.desk import write_desk

Plan = Callable[..., Outcome]


@pytest.fixture
def desk(workspace: Path) -> Path:
    """A workspace with the desk's files."""
    write_desk(workspace)
    return workspace


@pytest.fixture
def plan(desk: Path, dino: Dino) -> Plan:
    """Plan the desk's scenario, or the one that is named, and record nothing."""

    def run(*args: object, scenario: str = "scenario.yaml", code: int = 0) -> Outcome:
        return dino("plan-cycle", scenario, "--dry-run", "--json", *args, code=code)

    return run
