"""A scheduler, the engine that it submits to, and the clock of both, in a test's hands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dino_os.scheduler.duty import SchedulerDuty
from dino_os.scheduler.jobs import Jobs
from dino_os.scheduler.shared import Occurrences
from engines.journal import Journal, RecordedJournal
from engines.resource_engine import FINISHED, Ended, ResourceEngine, Task


class Killed(BaseException):
    """What no code can do anything about."""


class Desk:
    """
    One process' view of a workspace in *folder*.

    Args:
        clock: The wall clock; the steady one goes along with `sleep` only.
        occurrences: Who runs which due time, where there are other nodes.
    """

    def __init__(
        self,
        folder: Path,
        clock: Any,
        new_id: Callable[[], str] | None = None,
        occurrences: Occurrences | None = None,
    ) -> None:
        self.folder, self.clock = folder, clock
        more = {"new_id": new_id} if new_id else {}
        self.jobs = Jobs(journal=Journal(folder / "scheduler.jsonl"), clock=clock, **more)
        self.tasks = ResourceEngine(journal=Journal(folder / "engine_state.jsonl"), clock=clock)
        self.steady = 0.0
        workspace: Any = SimpleNamespace(memory=folder, jobs=self.jobs, resources=self.tasks)
        workspace.occurrences = occurrences
        self.submitted: list[str] = []
        self.duty = SchedulerDuty(
            workspace, clock=lambda: self.steady, on_submit=self.submitted.extend
        )

    def add(self, trigger: Any = "interval", /, **options: Any) -> str:
        """A job named "tide", every ten minutes unless told otherwise."""
        if trigger == "interval" and not options.keys() & {"minutes", "seconds", "everyMs"}:
            options["minutes"] = 10
        return self.jobs.add_job("tide", "harbour:measure", trigger, **options)

    def at(self, text: str) -> float | None:
        """Take a turn at that time."""
        before = self.clock.now
        self.clock.set(text)
        self.steady += max(self.clock.now - before, 0.0)
        return self.duty.turn()

    def crash(self, when: str) -> None:
        """Take a turn that is killed *when*: before it has submitted, or after."""
        submit = self.tasks.submit_tasks

        def submit_and_die(tasks: Any) -> list[str]:
            if when == "after":
                submit(tasks)
            raise Killed

        with contextlib.suppress(Killed):
            self.tasks.submit_tasks = submit_and_die  # type: ignore[method-assign]
            self.duty.turn()
        self.tasks.submit_tasks = submit  # type: ignore[method-assign]

    def finish_all(self) -> None:
        """End also what is delayed, or had begun."""
        for task in self.under_way():
            if task.lease is not None:
                self.finish({task.task_id: task.lease})
        while waiting := [task.not_before or 0.0 for task in self.under_way()]:
            self.clock.now = max(self.clock.now, *waiting)
            self.end()

    @cached_property
    def session(self) -> str:
        """Who runs the tasks."""
        return self.tasks.join(slots=100)

    def begin(self) -> dict[str, int]:
        """Begin every task that may begin now: their ids, and the leases they run under."""
        found = self.tasks.exchange(self.session, room=100)
        return {task.task_id: lease.number for lease in found.leases for task in lease.tasks}

    def end(self, outcome: str = "ok") -> None:
        """Run every task that may run, also those that become free to, to that end."""
        while begun := self.begin():
            self.finish(begun, outcome)

    def finish(self, begun: dict[str, int], outcome: str = "ok") -> None:
        ended = [Ended(task_id, lease, outcome, final=True) for task_id, lease in begun.items()]
        self.tasks.exchange(self.session, ended=ended)

    def under_way(self) -> list[Task]:
        return [task for task in self.tasks.tasks() if task.state not in FINISHED]

    @property
    def runs(self) -> list[str]:
        """The due times of all tasks there ever were, as "HH:MM" of UTC."""
        return [hour(task.task_id.partition("@")[2]) for task in self.tasks.tasks()]

    @property
    def states(self) -> list[str]:
        """What became of the due times, earliest first, as "08:40 ended ok"."""
        return [_words(one) for one in reversed(self.jobs.history("tide"))]

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = RecordedJournal(self.folder / "scheduler.jsonl").events()
        return [dict(event) for event in found if event["event_type"] == kind]


def hour(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%H:%M")


def _words(one: dict[str, Any]) -> str:
    last = f"-{hour(one['last'])} x{one['count']}" if one["last"] else ""
    why = one["outcome"] or one["reason"]
    return f"{hour(one['due'])}{last} {one['state']}{f' {why}' if why else ''}"
