"""What became of a task that is no longer remembered: the journal is asked."""

from __future__ import annotations

from engines.journal import Event, Journal, VolatileJournal
from engines.resource_engine.model import Task
from engines.resource_engine.state import ResourceState


def recall(journal: Journal | VolatileJournal, task_id: str) -> Task | None:
    """The task as it was left, from its own lines; None where it has none."""
    found: _One | None = None
    for events, _ in journal.read(journal.begin()):
        for event in events:
            if event.get("task_id") == task_id:
                found = found or _One()
                found.fold(event)
            elif found and task_id in event.get("tasks", ()):
                found.fold({**event, "tasks": [task_id]})  # the others are not known here
    return found.task(task_id) if found else None


class _One(ResourceState):
    """The fold of one task's lines; what others hold is not in it."""

    def fold(self, event: Event) -> None:
        self._apply(event)

    def task(self, task_id: str) -> Task | None:
        return self._table.tasks.get(task_id)
