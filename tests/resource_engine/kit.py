"""What the tests of the queue share: time that they move, engines on a file, and work by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from engines.journal import Event, Journal
from engines.resource_engine import Ended, Lease, ResourceEngine, Task

WELL = {"cpu": 1.0, "memory": 1.0, "disk": 1.0}


@dataclass
class Time:
    """Both clocks; nothing passes by itself."""

    now: float = 1_800_000_000.0
    mono: float = 5_000.0

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.mono += seconds

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.mono


def engine_on(folder: Path, at: Time, **more: Any) -> ResourceEngine:
    """An engine as another process would open it, with time by hand."""
    given: dict[str, Any] = {"rng": Random(7), "probe": lambda _: WELL, **more}
    return ResourceEngine(
        folder / "engine_state.jsonl", clock=at.clock, monotonic=at.monotonic, **given
    )


@dataclass
class Hands:
    """A session that runs nothing: the test says how each attempt ended."""

    engine: ResourceEngine
    name: str

    @classmethod
    def of(cls, engine: ResourceEngine, **more: Any) -> Hands:
        return cls(engine, engine.join(**more))

    def claim(self, room: int = 1, size: int = 1) -> list[Lease]:
        return self.engine.exchange(self.name, room=room, size=lambda task, count: size).leases

    def claimed(self, room: int = 1) -> list[str]:
        """Ids of what it was given now."""
        return [task.task_id for lease in self.claim(room) for task in lease.tasks]

    def end(self, lease: Lease, outcome: str = "ok", **more: Any) -> int:
        """Say how the first task of *lease* ended; how many of what was said count no more."""
        ended = Ended(lease.tasks[0].task_id, lease.number, outcome, **more)
        return self.engine.exchange(self.name, ended=[ended]).void

    def run(self, outcome: str = "ok", **more: Any) -> str:
        """Claim one task and end it so; its id."""
        (lease,) = self.claim()
        assert self.end(lease, outcome, **more) == 0
        return lease.tasks[0].task_id


def state(engine: ResourceEngine, task_id: str) -> str:
    """What a task is in, as text."""
    found = engine.task(task_id)
    assert found is not None
    return found.state.value


def error(engine: ResourceEngine, task_id: str) -> Mapping[str, Any]:
    found = engine.task(task_id)
    assert found is not None
    assert found.error is not None
    return found.error


def events(path: Path, *kinds: str) -> list[Event]:
    """What the record says, in order; only those kinds where some are named."""
    return [e for e in Journal(path).events() if not kinds or e["event_type"] in kinds]


def task(task_id: str, **more: Any) -> Task:
    return Task(task_id, **more)


def until(found: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
    """What *found* finds, as soon as that is something."""
    over = time.monotonic() + within_s
    while not (it := found()):
        assert time.monotonic() < over, f"there never was {what}"
        time.sleep(0.005)
    return it
