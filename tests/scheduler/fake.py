"""A resource engine of a few lines: keeps tasks in a journal, and ends them when it is told."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from engines.engine import Engine
from engines.journal import Event


class TaskPriority(IntEnum):
    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass
class Task:
    task_id: str
    priority: int = 2
    payload: Any = None
    max_attempts: int = 3
    timeout_s: float | None = None
    source: str | None = None
    not_before: float | None = None
    start_by: float | None = None
    limits: dict[str, int] = field(default_factory=dict)
    state: str = "queued"
    outcome: str | None = None
    error: Any = None
    started_at: float | None = None
    finished_at: float | None = None


class FakeResources(Engine):
    def reset(self) -> None:
        self._tasks: dict[str, Task] = {}

    def submit_tasks(self, tasks: list[Task]) -> list[str]:
        with self.deciding():
            for task in tasks:
                if task.task_id not in self._tasks:
                    self.record("task_submitted", task=vars(task))
        return [task.task_id for task in tasks]

    def submit_task(self, task: Task) -> bool:
        return bool(self.submit_tasks([task]))

    def task(self, task_id: str) -> Task | None:
        self.refresh()
        return self._tasks.get(task_id)

    recall = task

    def tasks(self) -> list[Task]:
        self.refresh()
        return list(self._tasks.values())

    def cancel(self, task_id: str, reason: str = "") -> bool:
        self.end(task_id, "cancelled", "cancelled")
        return True

    def end(self, task_id: str, outcome: str = "ok", state: str = "succeeded") -> None:
        with self.deciding():
            self.record("task_ended", id=task_id, outcome=outcome, state=state, now=self.clock())

    def apply_task_submitted(self, event: Event) -> None:
        self._tasks[event["task"]["task_id"]] = Task(**event["task"])

    def apply_task_ended(self, event: Event) -> None:
        task = self._tasks[event["id"]]
        task.state, task.outcome = event["state"], event["outcome"]
        task.started_at = task.finished_at = event["now"]


def install() -> None:
    module: Any = types.ModuleType("engines.resource_engine")
    module.Task, module.TaskPriority = Task, TaskPriority
    sys.modules.setdefault("engines.resource_engine", module)


def journal_of(root: Path) -> Path:
    return root / "engine_state.jsonl"
