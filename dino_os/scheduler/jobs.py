"""
The table of jobs: what shall run, when next, and whether it is paused.

Its state is a fold over `scheduler.jsonl`.  When a job is due next is decided by commands and
recorded, so that folding needs neither a clock nor the data of time zones, which changes.  Takes
and gives JSON values only.  The loop that runs what is due is not here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import uuid4

from dino_os.errors import InvalidInput, NotFound, SchedulerError
from dino_os.json_value import to_text
from dino_os.scheduler.triggers import next_time, read_trigger
from engines import checks
from engines.engine import Engine
from engines.journal import Event, Journal

_PARAMS_LIMIT = 2**16
_LONGEST_NAME = 200
_is_path = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?").fullmatch


@dataclass(slots=True)
class _Job:
    id: str
    name: str
    func: str
    trigger: dict[str, Any]
    params: dict[str, Any]
    added: float
    next_run: float | None
    last_run: float | None = None
    status: str = "scheduled"

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "func": self.func,
            "trigger": dict(self.trigger),
            "params": dict(self.params),
            "next_run": _as_time(self.next_run),
            "last_run": _as_time(self.last_run),
            "status": self.status,
        }


class Jobs(Engine):
    """
    The jobs of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
        new_id: Makes the ids of jobs.
    """

    CALLS: ClassVar = frozenset(
        {
            *("add_job", "remove_job", "list_jobs", "pause", "resume", "run_now"),
            *("job_count", "running_jobs"),
        }
    )

    def __init__(
        self,
        *,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid4().hex[:12],
    ) -> None:
        self._new_id = new_id
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._jobs: dict[str, _Job] = {}

    # --- commands ----------------------------------------------------------------------------

    def add_job(
        self,
        name: str,
        func: str,
        trigger: Any,
        params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> str:
        name = checks.name(name, "a job's name")
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidInput(f"not a job's name: {name[:40]!r}…")
        if not (isinstance(func, str) and _is_path(func)):
            raise InvalidInput(
                f"a job runs a skill or a function, found {func!r}",
                hint='name a skill, or a function as "module:name"',
            )
        given = checks.mapping(params, "params")
        to_text(given, "params", _PARAMS_LIMIT)
        read = read_trigger(trigger, options)
        with self.deciding():
            now = self.clock()
            if twin := self._named(name):
                raise InvalidInput(
                    f"there is a job named {name!r} already, {twin.id}", hint="remove it first"
                )
            due = next_time(read, after=now, since=now)
            if due is None:
                raise InvalidInput(f"{read['at']} is past", hint="name a time to come")
            job_id = self._new_id()
            if job_id in self._jobs:
                raise SchedulerError(f"the new id {job_id!r} is taken; try again")
            self.record(
                "job_added",
                job_id=job_id,
                name=name,
                func=func,
                trigger=read,
                params=given,
                added=now,
                next_run=due,
            )
        return job_id

    def remove_job(self, job_id: str) -> bool:
        with self.deciding():
            self.record("job_removed", job_id=self._find(job_id).id)
        return True

    def pause(self, job_id: str) -> bool:
        with self.deciding():
            job = self._find(job_id)
            if job.status == "paused":
                return False
            self.record("job_paused", job_id=job.id)
        return True

    def resume(self, job_id: str) -> bool:
        with self.deciding():
            job = self._find(job_id)
            if job.status != "paused":
                return False
            due = next_time(job.trigger, after=self.clock(), since=job.added)
            if due is None and job.last_run is None:
                # Its one time came while it was paused: late is better than silently never.
                due = self.clock()
            self.record("job_resumed", job_id=job.id, next_run=due)
        return True

    def run_now(self, job_id: str) -> bool:
        with self.deciding():
            job = self._find(job_id)
            if job.status == "paused":
                raise InvalidInput(f"the job {job.name!r} is paused", hint="resume it first")
            self.record("job_run_requested", job_id=job.id, next_run=self.clock())
        return True

    # --- queries -----------------------------------------------------------------------------

    def list_jobs(self) -> list[dict[str, Any]]:
        self.refresh()
        return [job.as_dict() for job in self._jobs.values()]

    def job_count(self) -> int:
        self.refresh()
        return len(self._jobs)

    def running_jobs(self) -> int:
        self.refresh()
        return sum(job.status == "running" for job in self._jobs.values())

    # --- folding -----------------------------------------------------------------------------

    def apply_job_added(self, event: Event) -> None:
        job_id = event["job_id"]
        self._jobs[job_id] = _Job(
            job_id,
            event["name"],
            event["func"],
            event["trigger"],
            event["params"],
            event["added"],
            event["next_run"],
        )

    def apply_job_removed(self, event: Event) -> None:
        del self._jobs[event["job_id"]]

    def apply_job_paused(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.status, job.next_run = "paused", None

    def apply_job_resumed(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.status, job.next_run = "scheduled", event["next_run"]

    def apply_job_run_requested(self, event: Event) -> None:
        self._jobs[event["job_id"]].next_run = event["next_run"]

    # --- below the face ----------------------------------------------------------------------

    def _find(self, job_id: str) -> _Job:
        """The job of that id, or of that name."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        if found := job or self._named(job_id):
            return found
        known = [*self._jobs, *(job.name for job in self._jobs.values())]
        raise NotFound(f"no job {job_id!r}{checks.did_you_mean(job_id, known)}")

    def _named(self, name: str) -> _Job | None:
        return next((job for job in self._jobs.values() if job.name == name), None)


def _as_time(seconds: float | None) -> str | None:
    return None if seconds is None else checks.rfc3339(checks.from_epoch(seconds))
