"""Past cycles, as their journal has them: what is asked seldom, and not kept in memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from engines import checks
from engines.journal import Event, Journal, VolatileJournal

_OF_THE_JOURNAL = frozenset({"event_type", "parent_hash", "event_hash"})


class Effect(NamedTuple):
    """What a signal does to its zone and its sector."""

    severity: float
    summary: str
    seen_at: datetime | None
    cycle: int


def effect_of(event: Event) -> Effect:
    """As the record of a planned task has it."""
    seen_at = event["seen_at"]
    moment = None if seen_at is None else checks.from_epoch(seen_at)
    return Effect(event["severity"], event["summary"], moment, event["cycle"])


def tasks_of(journal: Journal | VolatileJournal, cycle: int) -> list[dict[str, Any]]:
    """The tasks of a cycle as they were recorded, highest severity first."""
    tasks = [
        {key: value for key, value in event.items() if key not in _OF_THE_JOURNAL}
        for events, _ in journal.read(journal.begin())
        for event in events
        if event["event_type"] == "task_planned" and event["cycle"] == cycle
    ]
    return sorted(tasks, key=lambda task: -float(task["severity"]))


def agents_of(journal: Journal | VolatileJournal, cycle: int) -> list[dict[str, Any]] | None:
    """The agents of a cycle as they were recorded; None where it is not on record."""
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event["event_type"] == "cycle_started" and event["cycle"] == cycle:
                return [dict(agent) for agent in event["agents"]]
    return None


def number_of(journal: Journal | VolatileJournal, reference: str) -> int | None:
    """The number of the cycle that its caller calls so, or None."""
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event["event_type"] == "cycle_completed" and event.get("reference") == reference:
                return int(event["cycle"])
    return None
