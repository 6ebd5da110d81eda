"""Past cycles, read from their journal: for what is asked seldom and not kept in memory."""

from __future__ import annotations

from typing import Any

from engines.journal import Journal, VolatileJournal

_OF_THE_JOURNAL = frozenset({"event_type", "parent_hash", "event_hash"})


def tasks_of(journal: Journal | VolatileJournal, cycle: int) -> list[dict[str, Any]]:
    """The tasks of a cycle as they were recorded, highest severity first."""
    tasks = [
        {key: value for key, value in event.items() if key not in _OF_THE_JOURNAL}
        for events, _ in journal.read(journal.begin())
        for event in events
        if event["event_type"] == "task_planned" and event["cycle"] == cycle
    ]
    return sorted(tasks, key=lambda task: -float(task["severity"]))


def number_of(journal: Journal | VolatileJournal, reference: str) -> int | None:
    """The number of the cycle that its caller calls so, or None."""
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event["event_type"] == "cycle_completed" and event.get("reference") == reference:
                return int(event["cycle"])
    return None
