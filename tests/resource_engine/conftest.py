"""A queue of one's own, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.resource_engine import ResourceEngine
from tests.resource_engine.kit import Time, engine_on

Open = Callable[..., ResourceEngine]


@pytest.fixture
def at() -> Time:
    """The time that `open_queue` goes by."""
    return Time()


@pytest.fixture
def open_queue(tmp_path: Path, at: Time) -> Open:
    """Open the queue, as often as one likes: each is what another process would have."""

    def open_it(**more: object) -> ResourceEngine:
        return engine_on(tmp_path, at, **more)

    return open_it


@pytest.fixture
def queue(open_queue: Open) -> ResourceEngine:
    return open_queue()


@pytest.fixture
def working(tmp_path: Path) -> Iterator[ResourceEngine]:
    """A queue by the real clocks, for `run_cycle`; its workers are ended."""
    engine = ResourceEngine(tmp_path / "engine_state.jsonl", probe=lambda _: {"cpu": 1.0, "memory": 1.0, "disk": 1.0})  # fmt: skip
    yield engine
    engine.stop()
