"""Past cycles, as their journal has them: what is asked seldom, and not kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engines.journal import Event, Journal, VolatileJournal

_OF_THE_JOURNAL = frozenset({"event_type", "parent_hash", "event_hash"})


def tasks_of(journal: Journal | VolatileJournal, cycle: int) -> list[dict[str, Any]]:
    """The tasks of a cycle as they were recorded, highest severity first."""
    tasks = [
        {key: value for key, value in event.items() if key not in _OF_THE_JOURNAL}
        for event in events_of(journal, cycle)
    ]
    return sorted(tasks, key=lambda task: -float(task["severity"]))


def events_of(journal: Journal | VolatileJournal, cycle: int) -> Iterator[Event]:
    """The records of the tasks of a cycle that was completed, in the signals' order."""
    begin = 0
    for event in _events(journal):
        # One that was begun and never completed has left its lines, and its number is used again.
        if event["event_type"] == "cycle_started" and event["cycle"] == cycle:
            begin = event["seq"]
    for event in _events(journal):
        if event["seq"] < begin:
            continue
        if event["event_type"] == "task_planned" and event["cycle"] == cycle:
            yield event
        elif event["event_type"] == "cycle_completed" and event["cycle"] == cycle:
            return


def _events(journal: Journal | VolatileJournal) -> Iterator[Event]:
    for events, _ in journal.read(journal.begin()):
        yield from events


def agents_of(journal: Journal | VolatileJournal, cycle: int) -> list[dict[str, Any]] | None:
    """The agents of a cycle as they were recorded; None where it is not on record."""
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event["event_type"] == "cycle_started" and event["cycle"] == cycle:
                return [dict(agent) for agent in event["agents"]]
    return None


def number_of(journal: Journal | VolatileJournal, reference: str) -> int | None:
    """The number of the cycle that its caller calls so, or None."""
    for event in _events(journal):
        if event["event_type"] == "cycle_completed" and event.get("reference") == reference:
            return int(event["cycle"])
    return None
