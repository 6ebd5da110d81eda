"""What the resource engine knows: the fold over `engine_state.jsonl`, and nothing that decides."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.engine import Engine
from engines.journal import Event, Journal
from engines.resource_engine.model import ResourceType, Task, TaskState
from engines.resource_engine.pool import DEFAULT_LIMITS, PoolLimits, ResourcePool
from engines.resource_engine.rows import from_row
from engines.resource_engine.table import ReadyQueue, TaskTable

_RECENT = 100  # attempts by which the error rate is judged
_BATCHES_KEPT = 1000
_FOLDED_BETWEEN_SNAPSHOTS = 4  # a quarter of the tasks there are


@dataclass(slots=True)
class Session:
    """
    A process that claims tasks and the worker processes below it.

    Attributes:
        until: Until when it may hold what it claimed without a sign of life, by the clock.
        until_mono: The same by the monotonic clock of *boot*.
        slots: How many worker processes it was told to have; None follows the pool.
        skills: Whether it runs skills; a program may run its own functions only.
        remote: Whether what it claims runs elsewhere, and is admitted to the pools there.
    """

    name: str
    pid: int
    boot: str
    joined: float
    joined_seq: int
    until: float
    until_mono: float
    slots: int | None = None
    skills: bool = True
    remote: bool = False


@dataclass(slots=True)
class Held:
    """What a lease holds: tasks that run one after the other, and amounts of pools."""

    session: str
    tasks: dict[str, None]
    needs: dict[str, int]
    limits: tuple[str, ...]


@dataclass(slots=True)
class Batch:
    """Tasks that were submitted together."""

    total: int = 0
    ended: dict[str, int] = field(default_factory=dict)


class ResourceState(Engine):
    """
    The fold.

    Args:
        limits: Pool → how large it is and may become.
        ageing_s: How much longer a task has to wait to pass one of the next priority.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.time,
        limits: Mapping[ResourceType, PoolLimits] | None = None,
        ageing_s: float = 300.0,
    ) -> None:
        self.limits = {**DEFAULT_LIMITS, **(limits or {})}
        self._ageing_s = ageing_s
        self.pools = {kind: ResourcePool(kind, limits=self.limits[kind]) for kind in ResourceType}
        self._queue: ReadyQueue | None = None
        self._running_in: Counter[str] = Counter()
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._table = TaskTable()
        self._sessions: dict[str, Session] = {}
        self._leases: dict[int, Held] = {}
        self._reserved: dict[str, dict[str, int]] = {}
        self._capacities: dict[str, int] = {}
        self._scaled_at = 0.0
        self._requests: dict[str, list[int]] = {}
        self._batches: dict[str, Batch] = {}
        self._counts: Counter[str] = Counter()
        self._recent: deque[bool] = deque(maxlen=_RECENT)
        self._unhealthy: dict[str, float] = {}
        self._drained = -1
        self.restored()

    def restored(self) -> None:
        """Pools and queue are derived."""
        self._queue = None
        self._running_in.clear()
        for pool in self.pools.values():
            pool.allocated = 0
            pool.total_requests, pool.failed_requests = self._requests.get(
                pool.resource_type.value, [0, 0]
            )
            self._size(pool)
        for held in self._leases.values():
            self._take(held.needs)
            self._running_in.update(held.limits)
        for needs in self._reserved.values():
            self._take(needs)

    @property
    def snapshot_every(self) -> int:  # type: ignore[override]
        return len(self._table.tasks) // _FOLDED_BETWEEN_SNAPSHOTS

    @property
    def ready(self) -> ReadyQueue:
        """What could start, in its order."""
        if self._queue is None:
            self._queue = ReadyQueue(self._table.tasks.values(), self._ageing_s)
        return self._queue

    # --- tasks -------------------------------------------------------------------------------

    def apply_task_submitted(self, event: Event) -> None:
        task = from_row(event)
        self._table.add(task)
        self._requeue(task)
        if task.batch is not None:
            self._batches.setdefault(task.batch, Batch()).total += 1
            if len(self._batches) > _BATCHES_KEPT:
                del self._batches[next(iter(self._batches))]

    def apply_lease_granted(self, event: Event) -> None:
        number = event["seq"]
        tasks = [self._table.tasks[task_id] for task_id in event["tasks"]]
        first = tasks[0]
        needs = {pool.value: amount for pool, amount in first.needs.items()}
        if event.get("remote"):  # it is admitted to the pools where it runs
            needs = {}
        held = Held(event["session"], dict.fromkeys(event["tasks"]), needs, tuple(first.limits))
        self._leases[number] = held
        self._take(needs)
        self._running_in.update(held.limits)
        for pool in needs:
            self._requests.setdefault(pool, [0, 0])[0] += 1
            self.pools[ResourceType(pool)].total_requests += 1
        for task in tasks:
            task.state, task.lease, task.next_retry = TaskState.RUNNING, number, None
            task.started_at = event["timestamp"]
            task.attempts += 1

    def apply_tasks_returned(self, event: Event) -> None:
        """They had not begun when the worker that held them ended: that was no attempt."""
        for task_id in event["tasks"]:
            task = self._table.tasks[task_id]
            task.attempts -= 1
            self._leave_lease(task)
            self._delay(task, None)

    def apply_task_succeeded(self, event: Event) -> None:
        task = self._table.tasks[event["task_id"]]
        task.outcome, task.result, task.error = event["outcome"], event.get("result"), None
        task.duration_s = event["duration_s"]
        task.result_sha256, task.result_bytes = (
            event.get("result_sha256"),
            event.get("result_bytes"),
        )
        self._finish(task, TaskState.SUCCEEDED, event)
        self._recent.append(True)

    def apply_task_failed(self, event: Event) -> None:
        task = self._table.tasks[event["task_id"]]
        task.outcome, task.error = event["outcome"], event["error"]
        task.duration_s = event["duration_s"]
        self._counts["errors"] += 1
        self._recent.append(False)
        if (retry_at := event["retry_at"]) is None:
            self._finish(task, TaskState.DEAD, event)
        else:
            self._leave_lease(task)
            self._delay(task, retry_at)

    def apply_task_cancel_requested(self, event: Event) -> None:
        self._table.tasks[event["task_id"]].cancelling = True

    def apply_task_cancelled(self, event: Event) -> None:
        task = self._table.tasks[event["task_id"]]
        task.outcome, task.error = "cancelled", {"message": event["reason"]}
        self._finish(task, TaskState.CANCELLED, event)

    def apply_task_requeued(self, event: Event) -> None:
        task = self._table.tasks[event["task_id"]]
        self._revive(task)
        task.attempts, task.finished_at, task.start_by = 0, None, None
        self._delay(task, None)

    # --- workers -----------------------------------------------------------------------------

    def apply_session_joined(self, event: Event) -> None:
        session = Session(
            event["session"],
            event["pid"],
            event["boot"],
            event["timestamp"],
            event["seq"],
            event["until"],
            event["until_mono"],
            event["slots"],
            event["skills"],
            event.get("remote", False),
        )
        self._sessions[session.name] = session
        self._size(self.pools[ResourceType.COMPUTE])

    def apply_session_alive(self, event: Event) -> None:
        session = self._sessions[event["session"]]
        session.until, session.until_mono = event["until"], event["until_mono"]
        for pool, refused in event["refused"].items():
            counts = self._requests.setdefault(pool, [0, 0])
            counts[0] += refused
            counts[1] += refused
            shown = self.pools[ResourceType(pool)]
            shown.total_requests, shown.failed_requests = counts

    def apply_session_left(self, event: Event) -> None:
        self._sessions.pop(event["session"], None)
        self._size(self.pools[ResourceType.COMPUTE])

    def apply_session_lost(self, event: Event) -> None:
        self.apply_session_left(event)

    def apply_drain_requested(self, event: Event) -> None:
        self._drained = event["seq"]

    # --- pools and health --------------------------------------------------------------------

    def apply_pool_scaled(self, event: Event) -> None:
        self._capacities[event["pool"]] = event["capacity"]
        self._scaled_at = event["timestamp"]
        self._size(self.pools[ResourceType(event["pool"])])

    def apply_resources_reserved(self, event: Event) -> None:
        self._reserved[event["holder"]] = event["needs"]
        self._take(event["needs"])

    def apply_resources_released(self, event: Event) -> None:
        self._give(self._reserved.pop(event["holder"]))

    def apply_health_changed(self, event: Event) -> None:
        if event["healthy"]:
            self._unhealthy.pop(event["check"], None)
        else:
            self._unhealthy[event["check"]] = event["value"]

    # --- below the face ----------------------------------------------------------------------

    def _finish(self, task: Task, state: TaskState, event: Event) -> None:
        if task.state is TaskState.DEAD:  # given up
            self._revive(task)
        self._leave_lease(task)
        for freed in self._table.finish(task, state, event["timestamp"]):
            self._requeue(freed)
        self._counts[state.value] += 1
        if task.batch in self._batches:
            ended = self._batches[task.batch].ended
            ended[state.value] = ended.get(state.value, 0) + 1

    def _revive(self, task: Task) -> None:
        """It is no dead letter any more; its batch may be a later one of that name."""
        self._counts["dead"] -= 1
        batch = self._batches.get(task.batch or "")
        if batch and batch.ended.get("dead"):
            batch.ended["dead"] -= 1

    def _delay(self, task: Task, until: float | None) -> None:
        task.state = TaskState.QUEUED if until is None else TaskState.DELAYED
        task.next_retry = until
        self._requeue(task)

    def _requeue(self, task: Task) -> None:
        if self._queue is not None:
            self._queue.put(task)

    def _leave_lease(self, task: Task) -> None:
        if task.lease is None:
            return
        held = self._leases[task.lease]
        del held.tasks[task.task_id]
        if not held.tasks:
            del self._leases[task.lease]
            self._give(held.needs)
            self._running_in.subtract(held.limits)
        task.lease, task.cancelling = None, False

    def _take(self, needs: Mapping[str, int]) -> None:
        for pool, amount in needs.items():
            self.pools[ResourceType(pool)].allocated += amount

    def _give(self, needs: Mapping[str, int]) -> None:
        for pool, amount in needs.items():
            self.pools[ResourceType(pool)].release(amount)

    def _size(self, pool: ResourcePool) -> None:
        """As large as it was scaled to; compute, as many workers as were told to be there."""
        told = [session.slots for session in self._sessions.values() if session.slots]
        if pool.resource_type is ResourceType.COMPUTE and told:
            pool.capacity = sum(told)
            return
        limits = self.limits[pool.resource_type]
        scaled = self._capacities.get(pool.resource_type.value, limits.capacity)
        pool.capacity = min(max(scaled, limits.least), limits.most)

    def totals(self) -> dict[str, int]:
        """How many tasks ended how, since the beginning."""
        return {name: self._counts[name] for name in ("succeeded", "dead", "cancelled", "errors")}

    def batch(self, name: str) -> dict[str, Any] | None:
        """How far a batch is."""
        found = self._batches.get(name)
        if found is None:
            return None
        ended = {state: count for state, count in found.ended.items() if count}
        return {"batch": name, "total": found.total, **ended}
