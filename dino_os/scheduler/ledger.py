"""
What becomes of each due time: decided once, under the journal's lock, before anything is submitted.

    due ──▶ recorded ──▶ submitted ──▶ ended (outcome of the task)
        ├─▶ skipped (reason)
        └─▶ elsewhere (node)                where nodes of a cluster share it

A crash leaves what was recorded to the next turn, of whichever process: a task's id follows from
the job and the due time, so that submitting it twice makes one task.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dino_os.scheduler.due import Decision, Row, Run, just_after
from dino_os.scheduler.model import RECORDED, SUBMITTED, Occurrence, StoredJob
from dino_os.scheduler.policies import Policies
from dino_os.scheduler.shared import Answers, Time, Verdict
from dino_os.scheduler.sharing import SharedTimes, come
from dino_os.scheduler.triggers import times_after

_JUMP_S = 300.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended, and when it was started and finished."""

    outcome: str
    started: float | None = None
    finished: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be submitted for a due time."""

    task_id: str
    job_id: str
    func: str
    params: dict[str, Any]
    policies: Policies
    not_before: float | None
    start_by: float | None
    cancels: list[str]


class Ledger(SharedTimes):
    """The due times of the jobs, and the commands that decide them."""

    def settle(self, ended: Callable[[str], Ended | None]) -> None:
        """Record how those submitted tasks ended of which *ended* knows it."""
        with self.deciding():
            for task_id in self.open_tasks(SUBMITTED):
                if how := ended(task_id):
                    self._record_end(task_id, how)

    def decide_due(self, answers: Answers | None = None) -> None:
        """
        Decide all due times that have come, and record what becomes of them.

        Args:
            answers: Which of those that nodes share are ours; what it does not say waits.  None:
                there are no other nodes.
        """
        with self.deciding():
            now = self.clock()
            self._held.clear()
            for job in list(self._jobs.values()):
                until = job.paused_until if job.paused else None
                if until is not None and until <= now:
                    self._resume(job, until, skip_missed=None)
                if (wake := job.wake) is not None and wake <= now:
                    self._decide_job(job, now, answers if job.is_shared else None)

    def submit(
        self,
        submit: Callable[[list[Wanted]], dict[str, Ended | None]],
        confirmed: Mapping[Time, Verdict] | None = None,
    ) -> None:
        """
        Have *submit* make tasks of what was recorded, and record what it made.

        It answers for each task None, or why it cannot be made.  The lock is held meanwhile, so
        that nothing is removed between its being submitted and its being known to be.

        Args:
            confirmed: Who has what is held here; what it does not say is to be decided again.
                None: there are no other nodes.
        """
        with self.deciding():
            tasks = self.open_tasks(RECORDED)
            if confirmed is not None:
                tasks = [
                    task_id for task_id in reversed(tasks) if self._is_ours(task_id, confirmed)
                ]
                tasks.reverse()
            waiting = [self._wanted(task_id) for task_id in tasks]
            if not waiting:
                return
            for task_id, failed in submit(waiting).items():
                if failed:
                    self._record_end(task_id, failed)
                else:
                    job_id, due = self._open[task_id]
                    self.record("occurrence_submitted", job_id=job_id, due=due, task_id=task_id)

    def heed_clock(self, by_s: float = 0.0) -> None:
        """
        Record that the clock was set, where that is much, and plan anew what was planned by it.

        What ran while it was wrong has run; but where it was ahead, times that are still to come
        were passed over, and no next run would come before that wrong time does.

        Args:
            by_s: By how much it moved more than time did, as far as this process was there.
        """
        jumped = abs(by_s) > _JUMP_S
        if not jumped and not self._ahead():
            return
        with self.deciding():
            ahead, now = self._ahead(), self.clock()
            if not jumped and not ahead:  # another process was first
                return
            by_s = by_s if jumped else -ahead
            decided_later = [job for job in self._jobs.values() if job.seen > now]
            self.record("clock_jumped", by_s=round(by_s, 3), now=now)
            for job in decided_later:
                self._replan(job, now)

    # --- deciding ----------------------------------------------------------------------------

    def _decide_job(self, job: StoredJob, now: float, answers: Answers | None) -> None:
        if answers is None:
            decision = come(job, job.policies, now)
        else:
            decision = self._shared_out(job, now, answers)
        fresh = [run for run in decision.runs if not job.has_run(run.due)]
        wanted, rows = self._overlapping(job, [*fresh, *self._requested(job, decision)])
        rows = sorted([*decision.rows, *rows], key=lambda row: row.first)
        self._skip(job, rows, decision.next_run)
        for run, cancels in wanted:
            self._record_run(job, run, cancels, decision.next_run, now)
        if job.next_run != decision.next_run or job.requested is not None:
            self.record("job_advanced", job_id=job.id, next_run=decision.next_run)

    def _ahead(self) -> float:
        """By how much the clock was ahead when something was decided, where that is much; else 0"""
        by_s = max((job.seen for job in self._jobs.values()), default=0.0) - self.clock()
        return by_s if by_s > _JUMP_S else 0.0

    def _replan(self, job: StoredJob, now: float) -> None:
        """Have *job* run next at the first time to come at which it has not run yet."""
        added = _moved_back(job, now)
        coming = times_after(job.trigger, after=now, since=added)
        due = next((time for time in coming if not job.has_run(time)), None)
        if due is not None and (job.next_run is None or due < job.next_run):
            self.record("job_replanned", job_id=job.id, next_run=due, added=added)

    def _requested(self, job: StoredJob, decision: Decision) -> list[Run]:
        """The run that somebody asked for, unless one is due anyway at that very moment."""
        if job.requested is None:
            return []
        dues = {run.due for run in decision.runs} | {row.last for row in decision.rows}
        known = job.requested in dues or job.requested in job.occurrences
        return [] if known else [Run(job.requested, "requested")]

    def _overlapping(
        self, job: StoredJob, runs: list[Run]
    ) -> tuple[list[tuple[Run, list[str]]], list[Row]]:
        """Which of *runs* are made, each with the tasks that it ends, and which are skipped."""
        under_way = [found.task_id or "" for found in job.open_ones()]
        room = {"skip": 1, "queue_one": 2, "cancel_other": 1}.get(job.policies.overlap)
        all_count = job.policies.misfire == "fire_all"
        wanted: list[tuple[Run, list[str]]] = []
        rows: list[Row] = []
        latest = max((run.due for run in runs), default=None)
        for run in runs:
            cancels: list[str] = []
            waits_its_turn = room is None or (run.why == "catch_up" and all_count)
            if not waits_its_turn and job.policies.overlap == "cancel_other":
                # Of several that came at once only the last has nobody to make room for.
                if run.due != latest:
                    rows.append(Row(run.due, run.due, 1, "overlap", why=run.why))
                    continue
                cancels = list(under_way)
            elif not waits_its_turn and room is not None and len(under_way) >= room:
                rows.append(Row(run.due, run.due, 1, "overlap", why=run.why))
                continue
            wanted.append((run, cancels))
            under_way.append(job.task_id(run.due))
        return wanted, list(_joined(rows))

    def _record_run(
        self, job: StoredJob, run: Run, cancels: list[str], next_run: float | None, now: float
    ) -> None:
        starts = max(run.due + job.policies.jitter(job.id, run.due), now + run.delay_s)
        if run.why == "requested":
            starts = now
        more: dict[str, Any] = {"cancels": cancels} if cancels else {}
        more |= {"claim": run.claim} if run.claim else {}
        self.record(
            "occurrence_recorded",
            job_id=job.id,
            due=run.due,
            task_id=job.task_id(run.due),
            why=run.why,
            next_run=next_run,
            **more,
            **({"not_before": starts} if starts > now else {}),
        )

    def _skip(self, job: StoredJob, rows: Iterable[Row], next_run: float | None) -> None:
        for row in (part for whole in rows for part in _without_runs(job, whole)):
            self.record(
                "occurrences_skipped" if row.node is None else "occurrences_elsewhere",
                job_id=job.id,
                first=row.first,
                last=row.last,
                count=row.count,
                more=row.more,
                reason=row.reason or None,
                why=row.why,
                next_run=next_run,
                now=self.clock(),
                **({"node": row.node} if row.node else {}),
            )

    def _resume(self, job: StoredJob, moment: float, *, skip_missed: bool | None) -> None:
        """
        End a pause at *moment*; *skip_missed* as `Jobs.resume` has it.

        What was due meanwhile is recorded as skipped, or left to the misfire policy.
        """
        next_run, requested = job.next_run, job.requested
        if skip_missed is not False and next_run is not None and next_run <= moment:
            rows = job.times.row(next_run, just_after(moment), "paused")
            next_run = job.times.after(moment)
            if rows and next_run is None and skip_missed is None:
                # Its one time came while it was paused: late is better than silently never.
                requested = moment
            self._skip(job, rows, next_run)
        if skip_missed and requested is not None:
            row = Row(requested, requested, 1, "paused", why="requested")
            self._skip(job, [row], next_run)
            requested = None
        self.record("job_resumed", job_id=job.id, next_run=next_run, requested=requested)

    # --- submitting --------------------------------------------------------------------------

    def _wanted(self, task_id: str) -> Wanted:
        job, found = self._job_of(task_id), self._occurrence(task_id)
        return Wanted(
            task_id,
            job.id,
            job.func,
            job.params,
            job.policies,
            found.not_before,
            _start_by(job, found),
            found.cancels,
        )

    def _record_end(self, task_id: str, how: Ended) -> None:
        job_id, due = self._open[task_id]
        told = {"started": how.started, "finished": how.finished, "reason": how.reason}
        self.record(
            "occurrence_ended",
            job_id=job_id,
            due=due,
            task_id=task_id,
            outcome=how.outcome,
            **{name: value for name, value in told.items() if value is not None},
        )


def _start_by(job: StoredJob, found: Occurrence) -> float | None:
    deadline = job.policies.start_deadline_s
    if deadline is None:
        return None
    return found.due + job.policies.jitter(job.id, found.due) + deadline


def _moved_back(job: StoredJob, now: float) -> float:
    """From where its interval is counted, by whole intervals no later than *now*."""
    if job.trigger["kind"] != "interval" or job.added <= now:
        return job.added
    every: int = job.trigger["everyMs"]
    steps = math.ceil((job.added - now) * 1000 / every)
    return (round(job.added * 1000) - steps * every) / 1000


def _without_runs(job: StoredJob, row: Row) -> Iterable[Row]:
    """*row* without the times that ran before the clock was set back."""
    ran = sorted(due for due in job.ran if row.first <= due <= row.last)
    if not ran or row.node or row.why != "due":
        yield row
        return
    low = row.first
    for due in [*ran, just_after(row.last)]:
        yield from job.times.row(low, due, row.reason)
        low = just_after(due)


def _joined(rows: Iterable[Row]) -> Iterable[Row]:
    """Rows that follow each other as one."""
    whole: Row | None = None
    for row in rows:
        if whole and (whole.reason, whole.why) == (row.reason, row.why):
            whole = replace(whole, last=row.last, count=whole.count + row.count)
            continue
        if whole:
            yield whole
        whole = row
    if whole:
        yield whole
