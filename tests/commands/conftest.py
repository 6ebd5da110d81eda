"""A desk whose commands are tried, and the example as a user has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.desk import write_desk


@pytest.fixture
def desk(workspace: Path) -> Path:
    """A workspace with the desk's files."""
    write_desk(workspace)
    return workspace


@pytest.fixture
def duty(workspace: Path) -> Path:
    """A workspace with the example beside it; its scenario."""
    shutil.copytree(REPOSITORY / "examples", workspace / "examples")
    return workspace / "examples" / "fire-duty" / "scenario.yaml"
