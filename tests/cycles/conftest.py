"""A configured desk, and somebody on the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.planning.configured import ConfiguredCycle
from dino_os.planning.cycle_file import load_cycle
from dino_os.planning.cycle_report import CycleReport
from dino_os.workspace import Workspace
from tests.cycles.duty import write_duty
from tests.cycles.outboxes import Desk
from tests.cycles.receiver import Receiver, serving

Run = Callable[..., CycleReport]


@pytest.fixture
def duty(workspace: Path) -> Path:
    """A workspace with the duty desk."""
    write_duty(workspace)
    return workspace


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with serving() as receiver:
        yield receiver


@pytest.fixture
def run(duty: Path) -> Run:
    """Run the configured cycle in this process, as a new one would."""

    def run(*, rehearsal: bool = False, payload: str | None = None, **parts: Any) -> CycleReport:
        if parts:
            write_duty(duty, **parts)
        workspace = Workspace(duty, rehearsal=rehearsal)
        cycle = load_cycle(duty / "cycle.yaml", workspace.plugins.skills().find)
        return ConfiguredCycle(workspace, cycle, payload=payload).run()

    return run


@pytest.fixture
def desk(workspace: Path) -> Desk:
    """An outbox, and nothing in it."""
    return Desk(workspace)
