"""The scheduler: which skills and functions shall run when, the same for every process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

from dino_os import inside
from dino_os.errors import InvalidInput, SchedulerError
from dino_os.face import Face
from dino_os.skill import MARK

__all__ = ["Job", "Scheduler", "SchedulerError"]

# Workspace → functions that this program gave itself, as "module:name": those it may import.
_given: dict[Path, set[str]] = {}


@dataclass(frozen=True, slots=True)
class Job:
    """
    What shall run when.

    Attributes:
        func: A skill's name, or a function as "module:name".
        owner: The skill that added it, as "skill:NAME"; None where it was a user or a program.
        trigger: In its canonical form; a cron job's names its time zone.
        next_run: None while it is paused, and where it will not run again.
        last_run: When the last run began that is over.
        status: scheduled, paused or running.
        params: What it is called with; a skill is not shown those of jobs that are not its own.
        policies: What was said about missed times, overlap and how it runs; else the defaults hold.
        last_outcome: How that run ended: ok, error, timeout, …
        paused_until: When a pause ends by itself.
        counts: How often each outcome came, and "skipped:REASON".
    """

    id: str
    name: str
    func: str
    trigger: dict[str, Any]
    next_run: datetime | None
    last_run: datetime | None
    status: str
    params: dict[str, Any] = field(default_factory=dict)
    policies: dict[str, Any] = field(default_factory=dict)
    last_outcome: str | None = None
    paused_until: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    owner: str | None = None


class Scheduler(Face):
    """
    The workspace's jobs.

    It keeps what shall run, and when next.  What is due is run by `dino scheduler start`, by
    `dino scheduler tick` from cron, or in the background of a program by `start()`.  Where a job is
    asked for, its id or its name will do; `NotFound` is raised where there is none.
    """

    _part = "scheduler"

    def add_job(
        self, name: str, func: str | Callable[..., Any], trigger: str | Mapping[str, Any], **kw: Any
    ) -> str:
        """
        Add a job and return its id.

        Args:
            name: No other job may have it.
            func: A skill's name, a function as "module:name", or a function that can be imported.
            trigger: {"kind": "cron", "expr": "0 9 * * *"}, {"kind": "interval", "everyMs": 60000},
                {"kind": "at", "at": "2027-01-15T10:00:00Z"}, or the kind alone and the rest by
                name: hour=9, minute=0 (also day, month, day_of_week); minutes=5; at="…".
            kw: Also `tz`, the zone of cron and of a time that names none (this machine's, unless
                told); `params`, a mapping that it is called with; `replace=True`, which makes the
                job of that name what is said here; and the policies: misfire, misfire_limit,
                grace_s, catchup_window_s, catchup_spread_s, overlap, jitter_s, start_deadline_s,
                max_attempts, timeout_s, priority, scope (see `dino_os.scheduler.policies`).

        Raises:
            InvalidInput: The name is taken, the time never comes, or nobody else could find *func*.
            SchedulerError: There are as many jobs as there may be.
            Denied: In a sandbox, where *func* is not the skill itself, or the job is another's.
        """
        path = func if isinstance(func, str) else path_of(func)
        job_id = str(self._call("add_job", name=name, func=path, trigger=trigger, **kw))
        if not isinstance(func, str) and ":" in path and inside.connection() is None:
            _given.setdefault(self._workspace().root, set()).add(path)
        return job_id

    def start(self) -> None:
        """
        Run what is due in the background of this program, until `stop` or its end.

        Skills run in their sandbox, functions that this program gave to `add_job` in processes that
        import them; a function that was only named runs where the settings name it
        (`resources.functions`).  Nothing where it is running already.

        Raises:
            SchedulerError: This is a skill, whose program it is not.
        """
        from dino_os.scheduler import background  # noqa: PLC0415

        _refuse_inside()
        workspace = self._workspace()
        background.start(workspace, _given.setdefault(workspace.root, set()))

    def stop(self) -> bool:
        """
        End what `start` began, once what runs has ended; False where nothing was.

        Raises:
            DinoError: It had ended already, of this: the record could not be read or written.
        """
        from dino_os.scheduler import background  # noqa: PLC0415

        _refuse_inside()
        return background.stop(self._workspace().root)

    def remove_job(self, job_id: str) -> bool:
        """Forget a job."""
        return bool(self._call("remove_job", job_id=job_id))

    def list_jobs(self) -> list[Job]:
        """All jobs, in the order in which they were added."""
        times = ("next_run", "last_run", "paused_until")
        return [
            Job(**{**job, **{name: _as_datetime(job.get(name)) for name in times}})
            for job in self._call("list_jobs")
        ]

    def pause(self, job_id: str, until: datetime | str | None = None) -> bool:
        """
        Have a job not run until it is resumed, or until then; False where it was so already.

        Its history stays.  Raises InvalidInput where *until* is past.
        """
        moment = until.astimezone().isoformat() if isinstance(until, datetime) else until
        return bool(self._call("pause", job_id=job_id, **_said(until=moment)))

    def resume(self, job_id: str, *, skip_missed: bool | None = None) -> bool:
        """
        Go on with a paused job; False where it was not paused.

        Args:
            skip_missed: Whether times that passed meanwhile are skipped (True), or left to the
                job's misfire policy (False).  Unless told, those of cron and intervals are skipped,
                and an `at` that passed is due now.
        """
        return bool(self._call("resume", job_id=job_id, **_said(skip_missed=skip_missed)))

    def run_now(self, job_id: str) -> bool:
        """
        Make a job due now.

        Raises:
            InvalidInput: It is paused.
        """
        return bool(self._call("run_now", job_id=job_id))

    def job_count(self) -> int:
        """How many jobs there are."""
        return int(self._call("job_count"))

    def running_jobs(self) -> int:
        """How many of them are running."""
        return int(self._call("running_jobs"))

    def history(self, job_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """
        What became of its last due times, latest first.

        Each is recorded, submitted, ended (with its outcome), skipped (with the reason, and for how
        many in a row) or elsewhere (with the node that had it).  The journal has all of them.
        """
        return list(self._call("history", job_id=job_id, limit=limit))

    def next_runs(self, job_id: str, count: int = 5) -> list[datetime]:
        """Its next due times, in the zone of its trigger."""
        found = self._call("next_runs", job_id=job_id, count=count)
        return [datetime.fromisoformat(text) for text in found]


def _refuse_inside() -> None:
    if inside.connection() is not None:
        raise SchedulerError("a skill adds jobs; it is not what serves them")


def path_of(func: Callable[..., Any]) -> str:
    """
    By what name another process finds *func*: a skill by its own, any other as "module:name".

    Raises:
        InvalidInput: It finds it by none.
    """
    if not isinstance(func, FunctionType | BuiltinFunctionType):
        raise InvalidInput(f"a job runs a skill or a function, found {func!r}")
    if hasattr(func, MARK):
        return func.__name__
    module, name = func.__module__, func.__qualname__
    found: Any = sys.modules.get(module)
    for step in name.split("."):
        found = getattr(found, step, None)
    if module == "__main__" or found is not func:
        kind = "a lambda" if "<lambda>" in name else f"the function {name!r} of {module!r}"
        raise InvalidInput(
            f"{kind} cannot be found by another process",
            hint="define it at the top of a module that can be imported, or make it a skill",
        )
    return f"{module}:{name}"


def _said(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _as_datetime(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
