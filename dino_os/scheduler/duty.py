"""
The scheduler's turns: what is due becomes tasks of the resource engine.

A turn never waits and runs nothing itself.  Any number of processes may take turns on one
workspace: each due time is decided and submitted by one of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dino_os.errors import DinoError, InvalidInput, NotFound
from dino_os.scheduler.ledger import Ended, Wanted
from dino_os.scheduler.model import RECORDED, SUBMITTED
from dino_os.scheduler.shared import Answers, Question, Time, Verdict
from dino_os.work.calls import refuse_own_call
from dino_os.work.duty import Duty

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.resource_engine import ResourceEngine, Task


class SchedulerDuty(Duty):
    """
    What a service does for the jobs of *workspace*.

    Args:
        clock: Seconds, only ever forward; a wall clock that moves otherwise is noted.
        on_submit: Is told the ids of what was submitted.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_submit: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._jobs = workspace.jobs
        self._others = workspace.occurrences
        self._clock = clock
        self._on_submit = on_submit
        self._seen: tuple[float, float] | None = None
        memory = workspace.memory
        self.watches: Sequence[Path] = (
            memory / "scheduler.jsonl",
            memory / "engine_state.jsonl",  # whoever runs the tasks
        )

    @property
    def _tasks(self) -> ResourceEngine:
        return self._workspace.resources

    def turn(self) -> float | None:
        """Submit what is due; say when the next is, in seconds since the epoch."""
        jobs = self._jobs
        jobs.refresh()
        self._look_at_the_clock()
        # Asked before the lock is taken, which nobody shall wait for as long as for an answer.
        answers = self._ask()
        settled = answers is not None and answers.settle_something
        ended = self._has_ended()
        if ended or settled or self._is_due(jobs.clock()) or jobs.open_tasks(RECORDED):
            with jobs.deciding():
                jobs.settle(self._end_of)
                jobs.decide_due(answers)
            # COMMIT POINT: what was decided is recorded.  From here on any process submits it.
            jobs.submit(self._submit, self._confirm(answers))
        return self._wake()

    def finish(self) -> bool:
        """For a service that is about to leave: other nodes need not wait for it."""
        if self._others is not None:
            self._others.release()
        return False

    def _wake(self) -> float | None:
        wake = self._jobs.wake()
        if self._others is None or not self._jobs.shared():
            return wake
        pause_s = self._others.pause_s(waiting=self._jobs.held)
        again = None if pause_s is None else self._jobs.clock() + pause_s
        return min((moment for moment in (wake, again) if moment is not None), default=None)

    # --- other nodes -------------------------------------------------------------------------

    def _ask(self) -> Answers | None:
        """What the other nodes leave to us of what has come; None where there are none."""
        if self._others is None:
            return None
        self._jobs.align()
        shared, question = self._jobs.shared(), Question()
        verdicts: Mapping[Time, Verdict] | None = None
        if shared and self._others.look(shared):
            question = self._jobs.question(self._others.time)
            verdicts = self._others.ask(question) if question else {}
        return Answers(question, verdicts, self._others.time)

    def _confirm(self, answers: Answers | None) -> Mapping[Time, Verdict] | None:
        """Whose what was recorded is, as far as that is settled for good."""
        if self._others is None or answers is None:
            return None
        ours = [time for time, verdict in (answers.verdicts or {}).items() if verdict.is_claim]
        held, dropped = self._jobs.unconfirmed(), filter(self._jobs.is_skipped, ours)
        return self._others.confirm(held, list(dropped))

    def is_worked_for(self) -> bool:
        """Whether a process that is alive, and stays, works off the skills that are submitted."""
        return any(
            one["skills"] and not (one["lost"] or one["leaving"]) for one in self._tasks.sessions()
        )

    def _is_due(self, now: float) -> bool:
        wake = self._jobs.wake()
        return wake is not None and wake <= now

    def _look_at_the_clock(self) -> None:
        wall, steady = self._jobs.clock(), self._clock()
        before, self._seen = self._seen, (wall, steady)
        moved = (wall - before[0]) - (steady - before[1]) if before else 0.0
        self._jobs.heed_clock(moved)

    # --- what became of tasks ----------------------------------------------------------------

    def _has_ended(self) -> bool:
        """Whether any of the submitted tasks is done."""
        submitted = self._jobs.open_tasks(SUBMITTED)
        if submitted:
            self._tasks.refresh()  # once for all of them
        return any(self._end_of(task_id) for task_id in submitted)

    def _end_of(self, task_id: str) -> Ended | None:
        from engines.resource_engine import FINISHED  # noqa: PLC0415  known by then

        task = self._tasks.known(task_id) or self._tasks.recall(task_id)
        if task is None:
            return Ended("error", reason="the resource engine does not know its task any more")
        if task.state not in FINISHED:
            return None
        error = task.error or {}
        reason = error.get("message") or error.get("type")
        return Ended(
            str(task.outcome), task.started_at, task.finished_at, str(reason) if reason else None
        )

    # --- submitting --------------------------------------------------------------------------

    def _submit(self, wanted: list[Wanted]) -> dict[str, Ended | None]:
        """Make tasks of *wanted*: for each None, or why there cannot be one."""
        answers: dict[str, Ended | None] = {}
        tasks = []
        for one in wanted:
            try:
                tasks.append(self._task(one))
                answers[one.task_id] = None
            except DinoError as error:  # its skill is gone, or takes other parameters now
                answers[one.task_id] = Ended("blocked", reason=error.message)
        self._submit_all(tasks, answers)
        self._on_submit([task_id for task_id, failed in answers.items() if failed is None])
        for one in wanted:
            for other in one.cancels if answers[one.task_id] is None else ():
                with contextlib.suppress(NotFound):  # it was never submitted
                    self._tasks.cancel(other, reason=f"{one.task_id} takes its place")
        return answers

    def _submit_all(self, tasks: list[Task], answers: dict[str, Ended | None]) -> None:
        """All at once; where one is refused, each on its own, so that it stops no other."""
        try:
            if tasks:
                self._tasks.submit_tasks(tasks)
        except InvalidInput:
            for task in tasks:
                try:
                    self._tasks.submit_task(task)
                except InvalidInput as error:
                    answers[task.task_id] = Ended("blocked", reason=error.message)

    def _task(self, wanted: Wanted) -> Task:
        from engines.resource_engine import Task, TaskPriority  # noqa: PLC0415

        policies, group = wanted.policies, f"job:{wanted.job_id}"
        options: dict[str, Any] = {
            "task_id": wanted.task_id,
            # A crash may be mended when the id is forgotten; keys outlast it.
            "key": wanted.task_id,
            "priority": TaskPriority[policies.priority.upper()],
            "source": group,
            "max_attempts": policies.max_attempts,
            "not_before": wanted.not_before,
            "start_by": wanted.start_by,
            "limits": {} if policies.overlap == "allow" else {group: 1},
        }
        if policies.timeout_s is not None:
            options["timeout_s"] = policies.timeout_s
        if ":" in wanted.func:
            refuse_own_call(wanted.func)  # it may be of a record from before that was refused
            payload = {"call": wanted.func, "params": wanted.params}
            return Task(**options, payload=payload)
        from dino_os.work.tasks import skill_task  # noqa: PLC0415

        return skill_task(self._workspace, wanted.func, wanted.params, **options)
