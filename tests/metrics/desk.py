"""What the tests of metrics share: a clock, a queue without workers, journals with known lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from engines.journal import Journal
from engines.metrics import MetricsCollector, render
from engines.resource_engine import Ended, Lease, ResourceEngine, Task

NOON = 1_800_000_000.0  # on a whole minute
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


class Queue:
    """The queue in *memory*, worked by hand."""

    def __init__(self, memory: Path, clock: Clock) -> None:
        self.clock = clock
        journal = Journal(memory / "engine_state.jsonl", clock=clock)
        self.engine = ResourceEngine(journal=journal, clock=clock, monotonic=clock)
        self.session = ""

    def submit(self, task_id: str, **options: Any) -> None:
        self.engine.submit_task(Task(task_id, **options))

    def join(self) -> None:
        self.session = self.engine.join(slots=8)

    def leave(self) -> None:
        self.engine.leave(self.session)
        self.session = ""

    def claim(self, room: int = 1) -> list[Lease]:
        return self.engine.exchange(self.session, room=room).leases

    def end(self, lease: Lease, outcome: str = "ok", took: float = 0.0, **more: Any) -> None:
        """Say that the tasks of *lease* ended so, *took* seconds after now each."""
        for task in lease.tasks:
            self.clock.go(took)
            ended = Ended(task.task_id, lease.number, outcome, duration_s=took, **more)
            self.engine.exchange(self.session, ended=[ended])

    def work(self, outcome: str = "ok", took: float = 0.0, **more: Any) -> None:
        """Claim one and end it."""
        for lease in self.claim():
            self.end(lease, outcome, took, **more)


def write(path: Path, clock: Clock, lines: Iterable[tuple[float, str, Mapping[str, Any]]]) -> None:
    """Append *lines*: seconds after noon, type, payload."""
    journal = Journal(path, clock=clock)
    for after, event_type, payload in lines:
        clock.now = NOON + after
        journal.append(event_type, payload)
    journal.close()


def parsed(text: str) -> Series:
    """Every series of an exposition and its number, as the official reader has them."""
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def exposed(collector: MetricsCollector) -> Series:
    return parsed(render(collector.families()))


def series(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
