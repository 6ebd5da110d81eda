"""
The scheduler's state: a fold over `scheduler.jsonl`.

Owns what each event means.  When a job is due next, and what becomes of a due time, is decided by
commands and recorded, so that folding needs neither a clock nor the data of time zones.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from dino_os.errors import Denied, NotFound
from dino_os.scheduler.model import (
    ELSEWHERE,
    ENDED,
    RECORDED,
    SKIPPED,
    SUBMITTED,
    Occurrence,
    StoredJob,
)
from dino_os.scheduler.policies import Policies
from engines import checks
from engines.engine import Engine
from engines.journal import Event, Journal


class JobTable(Engine):
    """The jobs, and what is known of their due times."""

    def __init__(
        self, journal: Journal | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        # Not a part of the state: what `wake` found, and whether it has to look again.
        self._stale = True
        self._wake: float | None = None
        self._asker: str | None = None
        # Nor is this: shared jobs of which something came that is not settled among the nodes.
        self._held: set[str] = set()
        self._definitions: dict[str, str] = {}
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._stale = True
        self._definitions.clear()
        self._jobs: dict[str, StoredJob] = {}
        # Removed, but a due time of theirs was decided and is still to be submitted.
        self._leaving: dict[str, StoredJob] = {}
        # Task → job and due time of what is recorded or submitted and has not ended.
        self._open: dict[str, tuple[str, float]] = {}

    # --- in whose name -----------------------------------------------------------------------

    @contextlib.contextmanager
    def asked_by(self, entity: str) -> Iterator[None]:
        """Decide in the name of *entity*: events say so, and jobs of others are not changed."""
        with self.deciding():
            self._asker = entity
            try:
                yield
            finally:
                self._asker = None

    def record(self, event_type: str, **payload: Any) -> Event:
        named = {"entity": self._asker} if self._asker else {}
        return super().record(event_type, **payload, **named)

    def _own(self, job: StoredJob) -> StoredJob:
        """
        *job*, where whoever asks may change it.

        Raises:
            Denied: An entity asks, and it is another's.
        """
        if self._asker and job.owner != self._asker:
            raise Denied(
                f"the job {job.name!r} is {job.owner or 'the operator'}'s, not {self._asker}'s"
            )
        return job

    # --- queries -----------------------------------------------------------------------------

    def wake(self) -> float | None:
        """When something is to be decided; 0 where it is wanted now, None: not by itself."""
        if self._stale:
            times = [job.wake for job in self._jobs.values() if not self._is_held(job)]
            self._wake = min((time for time in times if time is not None), default=None)
            self._stale = False
        return self._wake

    def _definition(self, job: StoredJob) -> str:
        """As the job has it; worked out once."""
        if job.id not in self._definitions:
            self._definitions[job.id] = job.definition()
        return self._definitions[job.id]

    def _is_held(self, job: StoredJob) -> bool:
        return job.id in self._held and job.requested is None

    def open_tasks(self, state: str) -> list[str]:
        """The tasks of what is in *state* (recorded or submitted), in the order of decision."""
        return [task_id for task_id in self._open if self._occurrence(task_id).state == state]

    def _occurrence(self, task_id: str) -> Occurrence:
        return self._job_of(task_id).occurrences[self._open[task_id][1]]

    def _job_of(self, task_id: str) -> StoredJob:
        job_id = self._open[task_id][0]
        return self._jobs.get(job_id) or self._leaving[job_id]

    def _find(self, job_id: str) -> StoredJob:
        """The job of that id, or of that name."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        if found := job or self._named(job_id):
            return found
        known = [*self._jobs, *(job.name for job in self._jobs.values())]
        raise NotFound(f"no job {job_id!r}{checks.did_you_mean(job_id, known)}")

    def _named(self, name: str) -> StoredJob | None:
        return next((job for job in self._jobs.values() if job.name == name), None)

    # --- folding: jobs -----------------------------------------------------------------------

    def _apply(self, event: Event) -> None:
        self._stale = True
        super()._apply(event)

    def apply_job_added(self, event: Event) -> None:
        job_id = event["job_id"]
        self._jobs[job_id] = StoredJob(
            job_id,
            event["name"],
            event["func"],
            event["trigger"],
            event["params"],
            Policies(**event.get("policies", {})),
            event["added"],
            event["next_run"],
            owner=event.get("entity"),
            seen=event["added"],
        )

    def apply_job_changed(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        self._definitions.pop(job.id, None)
        job.func, job.params = event["func"], event["params"]
        job.owner = event.get("entity")
        job.policies = Policies(**event["policies"])
        job.trigger, job.added = event["trigger"], event["added"]
        job.next_run = event["next_run"]
        job.seen = max(job.seen, job.added)

    def apply_job_removed(self, event: Event) -> None:
        job = self._jobs.pop(event["job_id"])
        for found in job.open_ones():
            if found.state == SUBMITTED:
                self._open.pop(found.task_id or "", None)
        if any(found.state == RECORDED for found in job.open_ones()):
            self._leaving[job.id] = job

    def apply_job_paused(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.paused, job.paused_until = True, event.get("until")

    def apply_job_resumed(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.paused, job.paused_until = False, None
        job.next_run, job.requested = event["next_run"], event.get("requested")

    def apply_job_run_requested(self, event: Event) -> None:
        self._jobs[event["job_id"]].requested = event["next_run"]

    def apply_job_advanced(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.next_run, job.requested = event["next_run"], None

    def apply_job_replanned(self, event: Event) -> None:
        job = self._jobs[event["job_id"]]
        job.next_run, job.added = event["next_run"], event["added"]

    def apply_clock_jumped(self, event: Event) -> None:
        for job in self._jobs.values():
            job.seen = min(job.seen, event["now"])

    # --- folding: due times ------------------------------------------------------------------

    def apply_occurrence_recorded(self, event: Event) -> None:
        job = self._decided(event)
        job.remember(
            Occurrence(
                event["due"],
                RECORDED,
                event["task_id"],
                why=event["why"],
                not_before=event.get("not_before"),
                cancels=event.get("cancels", []),
                claim=event.get("claim"),
            )
        )
        self._open[event["task_id"]] = job.id, event["due"]

    def apply_occurrences_skipped(self, event: Event) -> None:
        job = self._decided(event)
        first, reason, count = event["first"], event["reason"], event["count"]
        node = event.get("node")
        state = SKIPPED if node is None else ELSEWHERE
        before = next(reversed(job.occurrences.values()), None)
        if before and (before.state, before.reason, before.why, before.node) == (
            *(state, reason, event["why"]),
            node,
        ):
            before.last, before.more = event["last"], before.more or event["more"]
            before.count += count
            job.count(f"skipped:{reason}" if node is None else ELSEWHERE, count)
            return
        row = Occurrence(first, state, reason=reason, count=count, more=event["more"], node=node)
        row.why = event["why"]
        row.last = event["last"] if count > 1 or event["more"] else None
        job.remember(row)

    def apply_occurrences_elsewhere(self, event: Event) -> None:
        self.apply_occurrences_skipped(event)

    def apply_occurrence_taken_over(self, event: Event) -> None:
        task_id = event["task_id"]
        job, found = self._job_of(task_id), self._occurrence(task_id)
        found.state, found.node, found.reason = ELSEWHERE, event["node"], event.get("reason")
        job.has_not_run(found.due)
        job.count(ELSEWHERE)
        if not self._leave(task_id):
            del self._open[task_id]

    def apply_occurrence_withdrawn(self, event: Event) -> None:
        job = self._job_of(event["task_id"])
        del self._open[event["task_id"]], job.occurrences[event["due"]]
        job.has_not_run(event["due"])
        job.next_run = event["next_run"]

    def apply_occurrence_submitted(self, event: Event) -> None:
        self._occurrence(event["task_id"]).state = SUBMITTED
        self._leave(event["task_id"])

    def apply_occurrence_ended(self, event: Event) -> None:
        task_id = event["task_id"]
        job, found = self._job_of(task_id), self._occurrence(task_id)
        found.state, found.outcome, found.reason = ENDED, event["outcome"], event.get("reason")
        found.started, found.finished = event.get("started"), event.get("finished")
        job.last_run = found.started or job.last_run
        job.last_outcome = found.outcome
        job.count(event["outcome"])
        if not self._leave(task_id):
            del self._open[task_id]

    def _decided(self, event: Event) -> StoredJob:
        """The job of which a due time was decided, moved on to its next."""
        job = self._jobs[event["job_id"]]
        job.next_run = event["next_run"]
        job.seen = max(job.seen, event.get("now", 0.0), event.get("due", 0.0))
        if event["why"] == "requested":
            job.requested = None
        return job

    def _leave(self, task_id: str) -> bool:
        """Forget a removed job behind the last of its due times that had to be submitted."""
        job_id = self._open[task_id][0]
        job = self._leaving.get(job_id)
        if job is None:
            return False
        del self._open[task_id]
        if not any(found.state == RECORDED for found in job.open_ones()):
            del self._leaving[job_id]
        return True
