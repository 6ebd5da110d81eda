"""What the table of jobs does for due times that nodes of a cluster share (see `shared`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dino_os.scheduler.due import Decision, decide
from dino_os.scheduler.model import HELD, RECORDED, StoredJob
from dino_os.scheduler.policies import Policies
from dino_os.scheduler.shared import Answers, Question, Time, Verdict, bounded, shared_out
from dino_os.scheduler.table import JobTable
from dino_os.scheduler.triggers import Trigger, next_time


class SharedTimes(JobTable):
    """The jobs, and how those that nodes share are held against what the others have."""

    # --- what is asked -----------------------------------------------------------------------

    @property
    def held(self) -> bool:
        """Whether something has come that waits until it is settled among the nodes."""
        return bool(self._held)

    def shared(self) -> set[str]:
        """The definitions of the jobs that this node takes part with."""
        return {
            self._definition(job) for job in self._jobs.values() if job.is_shared and not job.paused
        }

    def question(self, time: Callable[[str, float], float]) -> Question:
        """What has come of them, by the *time* that counts for each."""
        found, now = Question(), self.clock()
        for job in self._jobs.values():
            if not job.is_shared or job.paused or job.next_run is None or job.next_run > now:
                continue
            name = self._definition(job)
            decision = come(job, bounded(job.policies), time(name, now))
            found.claims += [(name, r.due) for r in decision.runs if not job.has_run(r.due)]
            if missed := [row for row in decision.rows if row.reason == "misfire"]:
                found.missed[name] = missed[0].first, missed[-1].last
        return found

    def unconfirmed(self) -> list[Time]:
        """What is to run here, as far as nobody took it over, and is not submitted."""
        return [
            (self._definition(self._job_of(task_id)), self._open[task_id][1])
            for task_id in self.open_tasks(RECORDED)
            if self._occurrence(task_id).claim == HELD
        ]

    def is_skipped(self, time: Time) -> bool:
        """Whether that due time was decided here, and does not run."""
        definition, due = time
        jobs = [job for job in self._jobs.values() if self._definition(job) == definition]
        return any(
            not job.has_run(due) and (job.next_run is None or job.next_run > due) for job in jobs
        )

    def align(self) -> None:
        """Have shared intervals count from the epoch, and not from when each node was told."""
        if not any(_is_askew(job, self.clock()) for job in self._jobs.values()):
            return
        with self.deciding():
            now = self.clock()
            for job in self._jobs.values():
                if _is_askew(job, now):
                    added = aligned(job.trigger, job.added)
                    due = next_time(job.trigger, after=now, since=added)
                    self.record("job_replanned", job_id=job.id, next_run=due, added=added)

    # --- what is answered --------------------------------------------------------------------

    def _shared_out(self, job: StoredJob, now: float, answers: Answers) -> Decision:
        """As `shared_out`, of what has come by the time that counts for it."""
        decision = Decision(job.next_run)
        if answers.verdicts is not None:
            name = self._definition(job)
            known = {due: verdict for (of, due), verdict in answers.verdicts.items() if of == name}
            known |= {due: Verdict() for due in job.ran}
            here = come(job, bounded(job.policies), answers.time(name, now))
            decision = shared_out(here, job.times, known)
        if decision.next_run is not None and decision.next_run <= now:
            self._hold(job)
        return decision

    def _is_ours(self, task_id: str, confirmed: Mapping[Time, Verdict]) -> bool:
        """Whether what was recorded may run; else record what becomes of it instead."""
        job, found = self._job_of(task_id), self._occurrence(task_id)
        if found.claim != HELD:
            return True
        verdict = confirmed.get((self._definition(job), found.due))
        if verdict and verdict.node is None:
            return True
        told = {"job_id": job.id, "due": found.due, "task_id": task_id}
        if verdict:
            more = {"reason": verdict.why} if verdict.why else {}
            self.record("occurrence_taken_over", node=verdict.node, **told, **more)
        elif job.id in self._jobs:
            self.record("occurrence_withdrawn", next_run=found.due, **told)
            self._hold(job)
        return False

    def _hold(self, job: StoredJob) -> None:
        """Have what has come of it not be decided before it is settled whose it is."""
        self._held.add(job.id)
        self._stale = True


def come(job: StoredJob, policies: Policies, now: float) -> Decision:
    """What there is to decide of *job*."""
    if job.next_run is None or job.next_run > now:
        return Decision(job.next_run)
    return decide(job.times, policies, job.id, job.next_run, now)


def _is_askew(job: StoredJob, now: float) -> bool:
    """Whether its interval is not counted from the epoch; what has come of it goes first."""
    if not job.is_shared:
        return False
    is_to_come = job.next_run is not None and job.next_run > now
    return is_to_come and aligned(job.trigger, job.added) != job.added


def aligned(trigger: Trigger, since: float) -> float:
    """The last moment up to *since* that is a whole number of intervals from the epoch."""
    if trigger["kind"] != "interval":
        return since
    every: int = trigger["everyMs"]
    return round(since * 1000) // every * every / 1000
