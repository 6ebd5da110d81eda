"""
The scheduler as its users call it: what shall run, when next, and whether it is paused.

Takes and gives JSON values only.  The turns in which what is due is submitted are `duty.py`'s.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from dino_os.errors import InvalidInput, SchedulerError
from dino_os.json_value import to_text
from dino_os.scheduler.due import just_after
from dino_os.scheduler.ledger import Ledger
from dino_os.scheduler.model import SUBMITTED, StoredJob
from dino_os.scheduler.policies import NAMES, Policies
from dino_os.scheduler.sharing import aligned
from dino_os.scheduler.triggers import Trigger, next_time, read_moment, read_trigger, zone_of
from dino_os.work.calls import refuse_own_call
from engines import checks
from engines.journal import Journal

if TYPE_CHECKING:
    from dino_os.scheduler.skill_jobs import SkillJobs

_PARAMS_LIMIT = 2**16
_LONGEST_NAME = 200
_MOST_SHOWN = 1000
_is_path = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*(\.[^\W\d]\w*)*)?").fullmatch


@dataclass(frozen=True, slots=True)
class _Said:
    """What somebody said about a job, checked."""

    func: str
    trigger: Trigger
    params: dict[str, Any]
    policies: Policies


class Jobs(Ledger):
    """
    The jobs of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
        new_id: Makes the ids of jobs.
        max_jobs: One more is refused.
        is_running: Whether that task runs at this moment; None takes each for running that was
            submitted and has not ended.
        shares: Whether there are other nodes, with which due times are shared.
    """

    CALLS: ClassVar = frozenset(
        {
            *("add_job", "remove_job", "list_jobs", "pause", "resume", "run_now"),
            *("job_count", "running_jobs", "history", "next_runs"),
        }
    )

    def __init__(
        self,
        *,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid4().hex[:12],
        max_jobs: int = 1000,
        is_running: Callable[[str], bool] | None = None,
        shares: bool = False,
    ) -> None:
        self._shares = shares
        self._new_id = new_id
        self._max_jobs = max_jobs
        self._is_running = is_running or (lambda _: True)
        super().__init__(journal, clock=clock)

    # --- commands ----------------------------------------------------------------------------

    def add_job(
        self,
        name: str,
        func: str,
        trigger: Any,
        params: Mapping[str, Any] | None = None,
        *,
        replace: bool = False,
        **options: Any,
    ) -> str:
        name = _checked_name(name)
        said = _read(func, trigger, params, options)
        with self.deciding():
            twin = self._named(name)
            if twin is None:
                return self._add(name, said)
            if not replace:
                raise InvalidInput(
                    f"there is a job named {name!r} already, {twin.id}",
                    hint="remove it first, or replace it",
                )
            self._change(self._own(twin), said)
            return twin.id

    def remove_job(self, job_id: str) -> bool:
        with self.deciding():
            self.record("job_removed", job_id=self._own(self._find(job_id)).id)
        return True

    def pause(self, job_id: str, until: str | None = None) -> bool:
        with self.deciding():
            job = self._own(self._find(job_id))
            moment = None if until is None else read_moment(until)
            if moment is not None and moment <= self.clock():
                raise InvalidInput(f"{until} is past", hint="name a time to come")
            if job.paused and job.paused_until == moment:
                return False
            more = {} if moment is None else {"until": moment}
            self.record("job_paused", job_id=job.id, **more)
        return True

    def resume(self, job_id: str, *, skip_missed: bool | None = None) -> bool:
        with self.deciding():
            job = self._own(self._find(job_id))
            if not job.paused:
                return False
            self._resume(job, self.clock(), skip_missed=skip_missed)
        return True

    def run_now(self, job_id: str) -> bool:
        with self.deciding():
            job = self._own(self._find(job_id))
            if job.paused:
                raise InvalidInput(f"the job {job.name!r} is paused", hint="resume it first")
            if job.requested is None:
                due = self.clock()
                while due in job.occurrences:
                    due = round(due + 0.001, 3)
                self.record("job_run_requested", job_id=job.id, next_run=due)
        return True

    # --- queries -----------------------------------------------------------------------------

    def list_jobs(self) -> list[dict[str, Any]]:
        self.refresh()
        running = self._running()
        return [
            job.as_dict() | ({"status": "running"} if job.id in running and not job.paused else {})
            for job in self._jobs.values()
        ]

    def owner_of(self, job_id: str) -> str | None:
        """The entity whose job that is; None: a user's, or a program's."""
        self.refresh()
        return self._find(job_id).owner

    def job_count(self) -> int:
        self.refresh()
        return len(self._jobs)

    def running_jobs(self) -> int:
        self.refresh()
        return len(self._running())

    def history(self, job_id: str, limit: int = 20) -> list[dict[str, Any]]:
        self.refresh()
        found = list(self._find(job_id).occurrences.values())
        return [one.as_dict() for one in islice(reversed(found), checks.whole(limit, "limit"))]

    def next_runs(self, job_id: str, count: int = 5) -> list[str]:
        self.refresh()
        job, now = self._find(job_id), self.clock()
        zone = zone_of(job.trigger)
        decided_to = now if job.next_run is None else max(now, job.next_run - 0.001)
        wanted = min(max(checks.whole(count, "count"), 0), _MOST_SHOWN)
        times = islice(job.times.all_after(decided_to), wanted) if job.next_run else ()
        return [datetime.fromtimestamp(time, zone).isoformat() for time in times]

    # --- for a sandbox -----------------------------------------------------------------------

    def for_skill(self, skill: str, entity: str) -> SkillJobs:
        """What that skill has of them, in the name of *entity*."""
        from dino_os.scheduler.skill_jobs import SkillJobs  # noqa: PLC0415  it imports this

        return SkillJobs(self, skill, entity)

    # --- below the face ----------------------------------------------------------------------

    def _add(self, name: str, said: _Said) -> str:
        if len(self._jobs) >= self._max_jobs:
            raise SchedulerError(
                f"there are {len(self._jobs)} jobs, as many as there may be",
                hint="remove some, or raise the setting scheduler.max_jobs",
            )
        now = self.clock()
        added = self._counted_from(said, now)
        due = _next_or_refuse(said.trigger, now, added)
        job_id = self._new_id()
        if job_id in self._jobs:
            raise SchedulerError(f"the new id {job_id!r} is taken; try again")
        more = {"policies": kept} if (kept := said.policies.as_dict()) else {}
        self.record(
            "job_added",
            job_id=job_id,
            name=name,
            func=said.func,
            trigger=said.trigger,
            params=said.params,
            added=added,
            next_run=due,
            **more,
        )
        return job_id

    def _change(self, job: StoredJob, said: _Said) -> None:
        """Make *job* what was said; a new trigger counts from now, and what had come is skipped."""
        known = _Said(job.func, job.trigger, job.params, job.policies)
        if known == said and job.owner == self._asker:
            return
        now, added, due = self.clock(), job.added, job.next_run
        if said.trigger != job.trigger:
            # Times up to the one before its next are decided, whatever the clock says now.
            decided_to = now if due is None or due <= now else job.times.before(due, now)
            added = self._counted_from(said, now)
            due = _next_or_refuse(said.trigger, decided_to, added)
            if job.next_run is not None and job.next_run <= now:
                self._skip(job, job.times.row(job.next_run, just_after(now), "changed"), due)
        self.record(
            "job_changed",
            job_id=job.id,
            func=said.func,
            trigger=said.trigger,
            params=said.params,
            policies=said.policies.as_dict(),
            added=added,
            next_run=due,
        )

    def _counted_from(self, said: _Said, now: float) -> float:
        """From where its interval is counted, where it is told of *now*."""
        is_shared = self._shares and said.policies.scope == "cluster"
        return aligned(said.trigger, now) if is_shared else now

    def _running(self) -> set[str]:
        """The jobs of which a task runs."""
        tasks = self.open_tasks(SUBMITTED)
        return {self._open[task_id][0] for task_id in tasks if self._is_running(task_id)}


def _read(func: Any, trigger: Any, params: Any, options: Mapping[str, Any]) -> _Said:
    if not (isinstance(func, str) and _is_path(func)):
        raise InvalidInput(
            f"a job runs a skill or a function, found {func!r}",
            hint='name a skill, or a function as "module:name"',
        )
    refuse_own_call(func)
    given = checks.mapping(params, "params")
    to_text(given, "params", _PARAMS_LIMIT)
    policies = Policies.read({name: options[name] for name in options if name in NAMES})
    return _Said(func, trigger_said(trigger, options), given, policies)


def trigger_said(trigger: Any, options: Mapping[str, Any]) -> Trigger:
    """The trigger that `add_job` is given, of which some may stand among its *options*."""
    return read_trigger(trigger, {n: said for n, said in options.items() if n not in NAMES})


def _checked_name(said: Any) -> str:
    name = checks.name(said, "a job's name")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"not a job's name: {name[:40]!r}…")
    return name


def _next_or_refuse(trigger: Trigger, after: float, since: float) -> float:
    due = next_time(trigger, after=after, since=since)
    if due is None:
        raise InvalidInput(f"{trigger['at']} is past", hint="name a time to come")
    return due
