"""
A durable priority queue whose tasks run in worker processes, within what the pools admit.

Its state is a fold over `engine_state.jsonl`.  Any number of processes submit, claim and look; each
decision is made under the journal's lock after catching up with the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines import checks
from engines.errors import InvalidInput, NotFound
from engines.home import own_journal
from engines.journal import Journal
from engines.liveness import Now
from engines.resource_engine import health
from engines.resource_engine.claims import Claims
from engines.resource_engine.model import FINISHED, ResourceType, Task, TaskState
from engines.resource_engine.pool import ResourcePool, pool_named
from engines.resource_engine.results import FiledTask
from engines.resource_engine.rows import anew, check_params, to_row
from engines.resource_engine.running import Running
from engines.resource_engine.scaling import Autoscaler, ScalingRule
from engines.resource_engine.sessions import why_lost

_GOOD = TaskState.SUCCEEDED
_Needs = Mapping[ResourceType, int] | Mapping[str, int]


class ResourceEngine(Running, Claims):
    """
    Submits tasks and knows what became of them.

    Args:
        state_log_path: The journal's file; None is the workspace's own.
        journal: Instead of a file, where one is open already.
        clock: Seconds since the epoch; `monotonic`: of a clock that is not set.
        limits: Pool → how large it is and may become.
        ageing_s: How much longer a task has to wait to pass one of the next priority.
        result_bytes: A result that is larger lies in a file of its own, beside the journal.
        rng: Draws the waits between attempts.
        scaling: When pools move.
        probe: Measures the machine.
    """

    def __init__(
        self,
        state_log_path: str | Path | None = None,
        *,
        journal: Journal | None = None,
        scaling: ScalingRule | None = None,
        probe: health.Probe = health.machine,
        **settings: Any,
    ) -> None:
        self._scaling = scaling or ScalingRule()
        self._autoscaler = Autoscaler(self._scaling)
        self._probe = probe
        clock = settings.get("clock")
        journal = journal or own_journal("engine_state", state_log_path, clock=clock)
        super().__init__(journal, **settings)

    @property
    def sessions_known(self) -> list[str]:
        """Names of the sessions that have joined and not left, as far as was read."""
        return [*self._sessions]

    def lock_fd(self, session: str) -> int | None:
        """What its worker processes inherit, to show that it lives."""
        return self._files.fd(session)

    def known(self, task_id: str) -> Task | None:
        """As one of `tasks`, without looking whether others wrote since."""
        return self._table.tasks.get(task_id)

    # --- submitting --------------------------------------------------------------------------

    def submit_task(self, task: Task) -> bool:
        """
        Put *task* into the queue; False where its id or key is known, and nothing is recorded then.

        Raises:
            InvalidInput: It names tasks that there are not, more than a pool may ever hold, or
                parameters of more than a million bytes, or nested more than 200 deep.
        """
        with self.deciding():
            if self._table.known(task):
                return False
            self._submit(task)
        return True

    def submit_tasks(self, tasks: Iterable[Task]) -> list[str]:
        """
        Submit all of them or none; those that are known already are left as they are.

        Returns:
            For each its id, or that of the task that has its key.

        Raises:
            InvalidInput: As `submit_task`.
        """
        ids = []
        with self.deciding():
            for task in tasks:
                known = self._table.known(task)
                if known is None:
                    self._submit(task)
                ids.append(known or task.task_id)
        return ids

    def cancel(self, task_id: str, reason: str = "cancelled") -> bool:
        """
        Have a task not run, or stop it; what waits for it is cancelled too.

        Returns:
            False where it has ended already; a dead letter is given up.

        Raises:
            NotFound: There is none.
        """
        with self.deciding():
            task = self._find(task_id)
            if task.state in {TaskState.SUCCEEDED, TaskState.CANCELLED} or task.cancelling:
                return False
            if task.state is TaskState.RUNNING:
                self.record("task_cancel_requested", task_id=task_id, reason=reason)
            else:
                self._cancel(task, reason)
        return True

    def retry(self, task_id: str) -> bool:
        """
        Put a dead letter back into the queue, its attempts counted anew; False where it is none.

        Raises:
            NotFound: There is no such task.
        """
        with self.deciding():
            if self._find(task_id).state is not TaskState.DEAD:
                return False
            self.record("task_requeued", task_id=task_id)
        return True

    def reserve(self, holder: str, needs: _Needs) -> bool:
        """Keep amounts of pools for *holder*; False where they have no room, or it has some."""
        wanted = {
            pool_named(pool).value: checks.whole(checks.at_least(n, 1, "an amount"), "an amount")
            for pool, n in needs.items()
        }
        with self.deciding():
            room = all(self.pools[ResourceType(p)].free >= n for p, n in wanted.items())
            if holder in self._reserved or not room:
                return False
            self.record("resources_reserved", holder=holder, needs=wanted)
        return True

    def release(self, holder: str) -> bool:
        """Give back what *holder* has; False where it has nothing."""
        with self.deciding():
            if holder not in self._reserved:
                return False
            self.record("resources_released", holder=holder)
        return True

    def drain(self) -> int:
        """Have those who work now finish what they run, take no more, and leave; how many."""
        with self.deciding():
            self.record("drain_requested")
            return len(self._sessions)

    def upkeep(self, name: str) -> None:
        """What a session does every few seconds: size the pools, judge the health."""
        values = self._measured(self.depth())
        now = self._now()
        with self.deciding():
            if name in self._sessions and not self._scaled_lately(now):
                self._scale(now)
            self._judge(values)

    # --- queries -----------------------------------------------------------------------------

    def task(self, task_id: str) -> Task | None:
        """
        One that is not finished, or among the last 10,000 that are.

        Where its result lies in a file, that is read when `result` is asked for, and held against
        the record: `ResultBroken` says that it is not there, or altered.
        """
        self.refresh()
        return self._with_result(self._table.tasks.get(task_id))

    def known_of(self, tasks: Iterable[Task]) -> set[str]:
        """Ids of those of which one of their id, or with their key, was submitted before."""
        self.refresh()
        return {task.task_id for task in tasks if self._table.known(task)}

    def recall(self, task_id: str) -> Task | None:
        """The same, of any age: the journal is asked for those that are not remembered."""
        if found := self.task(task_id):
            return found
        from engines.resource_engine.history import recall  # noqa: PLC0415  seldom

        return self._with_result(recall(self.journal, task_id))

    def tasks(
        self,
        *,
        state: TaskState | str | None = None,
        batch: str | None = None,
        source: str | None = None,
    ) -> list[Task]:
        """
        Those that are remembered, in the order in which they were submitted.

        Results that lie in files are left there: ask for the one with `task`.
        """
        self.refresh()
        wanted = TaskState(state) if state is not None else None
        return [
            task
            for task in self._table.tasks.values()
            if wanted in {None, task.state}
            and batch in {None, task.batch}
            and source in {None, task.source}
        ]

    def batch_progress(self, name: str) -> dict[str, Any] | None:
        """How many tasks a batch has and how many ended how; None where there is none."""
        self.refresh()
        return self.batch(name)

    def depth(self) -> dict[str, int]:
        """How many tasks are in each state that is not the end."""
        counts = dict.fromkeys((s.value for s in TaskState if s not in FINISHED), 0)
        for task in self._table.tasks.values():
            if task.state not in FINISHED:
                counts[task.state.value] += 1
        return counts

    def sessions(self) -> list[dict[str, Any]]:
        """Who works: name, pid, since when, how many leases, what of, why it is lost if it is."""
        self.refresh()
        now = self._now()
        return [
            {
                "session": session.name,
                "pid": session.pid,
                "joined": session.joined,
                "slots": session.slots,
                "leases": len(self._holds(session.name)),
                "skills": session.skills,
                "remote": session.remote,
                "leaving": session.joined_seq < self._drained,
                "lost": self._why_lost(session.name, now),
            }
            for session in self._sessions.values()
        ]

    def is_healthy(self) -> bool:
        """Whether every check passes now."""
        self.refresh()
        return all(check["healthy"] for check in self._health(self.depth()).values())

    def get_status(self) -> dict[str, Any]:
        self.refresh()
        depth, totals = self.depth(), self.totals()
        checked = self._health(depth)
        alive = [one for one in self.sessions() if not one["lost"]]
        since = min((one["joined"] for one in alive), default=None)
        return {
            "running": bool(alive),
            "uptime": self.clock() - since if since is not None else 0.0,
            "tasks_processed": totals["succeeded"],
            "tasks_queued": depth["queued"] + depth["waiting"] + depth["delayed"],
            "tasks_running": depth["running"],
            "tasks_retrying": self._retrying(),
            "tasks_failed": totals["dead"],
            "tasks_cancelled": totals["cancelled"],
            "total_errors": totals["errors"],
            "workers": sum(not one["remote"] for one in alive),
            "health_checks": checked,
            "healthy": all(check["healthy"] for check in checked.values()),
            "pools": {kind.value: pool.get_stats() for kind, pool in self._shown_pools()},
        }

    # --- below the face ----------------------------------------------------------------------

    def _with_result(self, task: Task | None) -> Task | None:
        filed = task is not None and task.result_sha256 is not None
        return FiledTask.of(task, self._results) if task and filed else task

    def _submit(self, task: Task) -> None:
        now = self.clock()
        check_params(task)
        unmet = tuple(one for one in task.after if self._is_unmet(task, one))
        for pool, amount in task.needs.items():
            most = max(self.limits[pool].most, self.pools[pool].capacity)
            if amount > most:
                raise InvalidInput(
                    f"task {task.task_id!r} needs {amount} of {pool.value}, "
                    f"which never has more than {most}"
                )
        fresh = anew(task)
        fresh.created_at, fresh.unmet, fresh.next_retry = now, unmet, task.not_before
        late = task.not_before is not None and task.not_before > now
        fresh.state = TaskState.DELAYED if late else TaskState.QUEUED
        if unmet:
            fresh.state, fresh.next_retry = TaskState.WAITING, None
        self.record("task_submitted", **to_row(fresh))

    def _is_unmet(self, task: Task, other: str) -> bool:
        found = self._table.tasks.get(other)
        state = found.state if found else self._table.past(other)
        if state is None or state is TaskState.CANCELLED or (found is None and state != _GOOD):
            close = checks.did_you_mean(other, self._table.tasks)
            what = f"is {state}" if state else f"is not there{close}"
            raise InvalidInput(
                f"task {task.task_id!r} waits for {other!r}, which {what}",
                hint="submit first what others wait for",
            )
        return state is not _GOOD

    def _find(self, task_id: str) -> Task:
        found = self._table.tasks.get(task_id)
        if found is None:
            close = checks.did_you_mean(task_id, self._table.tasks)
            raise NotFound(f"no task {task_id!r}{close}", hint="`dino engine list` shows them")
        return found

    def _retrying(self) -> int:
        tasks = self._table.tasks.values()
        return sum(task.state is TaskState.DELAYED and task.attempts > 0 for task in tasks)

    def _why_lost(self, name: str, now: Now) -> str | None:
        holds = bool(self._holds(name))
        return why_lost(self._sessions[name], now, self._files, holds=holds)

    def _shown_pools(self) -> Iterator[tuple[ResourceType, ResourcePool]]:
        waiting = self._wanted()
        for kind, pool in self.pools.items():
            pool.waiting = waiting.get(kind, 0)
            yield kind, pool

    def _wanted(self) -> Mapping[ResourceType, int]:
        self.ready.order(self.clock())
        return self.ready.waiting()

    def _scaled_lately(self, now: Now) -> bool:
        return 0.0 <= now.clock - self._scaled_at < self._scaling.every_s

    def _scale(self, now: Now) -> None:
        fixed = any(session.slots for session in self._sessions.values())
        pools, largest = [*self._shown_pools()], self.ready.largest()
        for kind, pool in pools:
            if kind is ResourceType.COMPUTE and fixed:
                continue  # there are as many workers as somebody said
            most = largest.get(kind, 0)
            if advice := self._autoscaler.advise(pool, pool.waiting, now.mono, largest=most):
                self.record(
                    "pool_scaled",
                    pool=kind.value,
                    capacity=advice.capacity,
                    was=pool.capacity,
                    reason=advice.reason,
                )

    def _measured(self, depth: Mapping[str, int]) -> dict[str, float]:
        path = getattr(self.journal, "path", None)
        values = dict(self._probe(path.parent if path else Path.cwd()))
        recent = len(self._recent)
        return values | {
            "queue_depth": float(depth["queued"] + depth["running"]),
            "error_rate": 100.0 * (recent - sum(self._recent)) / recent if recent else 0.0,
        }

    def _health(self, depth: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        return health.judged(self._measured(depth), self._unhealthy)

    def _judge(self, values: Mapping[str, float]) -> None:
        for check, found in health.judged(values, self._unhealthy).items():
            if found["healthy"] == (check in self._unhealthy):
                self.record(
                    "health_changed",
                    check=check,
                    healthy=found["healthy"],
                    value=found["value"],
                    threshold=found["threshold"],
                )
