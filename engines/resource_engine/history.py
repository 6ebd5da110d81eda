"""What became of a task that is no longer remembered: the journal is asked."""

from __future__ import annotations

from engines.journal import START, Event, Journal, Position, VolatileJournal
from engines.resource_engine.model import Task
from engines.resource_engine.state import Held, ResourceState
from engines.resource_engine.table import TaskTable
from engines.snapshot import Snapshot, SnapshotFile

_FIRST = "task_submitted"


def recall(journal: Journal | VolatileJournal, task_id: str) -> Task | None:
    """The task as it was left, from its own lines; None where it has none from its first on."""
    found = _read(journal, journal.begin(), task_id, None)
    if found is None and (base := _base(journal)):  # its first lines may have been pruned
        known = _One.of(base, task_id)
        found = _read(journal, base.position, task_id, known) if known else None
    return found.task(task_id) if found else None


def _read(
    journal: Journal | VolatileJournal, start: Position, task_id: str, found: _One | None
) -> _One | None:
    for events, _ in journal.read(start):
        for event in events:
            if event.get("task_id") == task_id:
                if found is None and event["event_type"] == _FIRST:
                    found = _One()
                if found:
                    found.fold(event)
            elif found and task_id in event.get("tasks", ()):
                found.fold({**event, "tasks": [task_id]})  # the others are not known here
    return found


def _base(journal: Journal | VolatileJournal) -> Snapshot | None:
    """The state that was kept for lines that were pruned."""
    path = journal.snapshot_path
    if path is None or journal.begin() == START:
        return None
    found = SnapshotFile(path.with_suffix(".base")).load(None)
    return found if found and journal.holds(found.position) else None


class _One(ResourceState):
    """The fold of one task's lines; what others hold is not in it."""

    @classmethod
    def of(cls, base: Snapshot, task_id: str) -> _One | None:
        """As *base* has that task, if it does."""
        table = base.state.get("_table")
        task = table.tasks.get(task_id) if isinstance(table, TaskTable) else None
        if task is None:
            return None
        one = cls()
        one._table.add(task)
        held = base.state["_leases"].get(task.lease)
        if isinstance(held, Held):
            one._leases = {task.lease or 0: Held(held.session, {task_id: None}, {}, ())}
        return one

    def fold(self, event: Event) -> None:
        self._apply(event)

    def task(self, task_id: str) -> Task | None:
        return self._table.tasks.get(task_id)
