"""A folder with journals, and a clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.metrics.desk import Clock, Queue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


@pytest.fixture
def queue(memory: Path, clock: Clock) -> Queue:
    return Queue(memory, clock)
