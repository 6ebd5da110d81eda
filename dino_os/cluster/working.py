"""
The worker's side: tasks of other nodes' queues that this node runs.

Each becomes a task of this node's own queue, with a name that only that lease of its owner has: its
workers run it on the one path, under this node's pools and grants, and its record is here as of any
other.  A job that comes twice is known by those names: what ran is answered from the record.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dino_os.cluster.answers import Home, Key, outcome_of, parts, report
from dino_os.cluster.desk import ACK_WAIT_S, Desk
from dino_os.cluster.jobs import (
    Job,
    JobTask,
    Stop,
    decode,
    kind_token,
)
from dino_os.cluster.task_news import ArrivedJob
from dino_os.errors import ClusterError, InvalidInput
from engines.resource_engine import (
    FINISHED,
    ResourceEngine,
    ResourceType,
    Task,
    TaskPriority,
    TaskState,
    check_params,
)

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from dino_os.cluster.abilities import Abilities

_JOBS_EACH = 2  # for each place: one runs, the next is there
_BEAT_S = ACK_WAIT_S / 3
_LONGEST_ID = 200
_GIVEN_BACK = "given back to its owner"
_STOPS_KEPT = 10_000
_NOT_MINE_S = 1.0
_LEAVE_S = 2.0
_REPORT_S = 0.2  # an end is told by then, together with others


@dataclass(slots=True)
class _Held:
    """A job that this node took; `waiting` are its tasks, by their names here."""

    handle: Msg
    waiting: set[str] = field(default_factory=set)


class Working:
    """
    Runs others' tasks in the queue of *engine*.

    Args:
        own: What this node has.
    """

    def __init__(self, engine: ResourceEngine, desk: Desk, node: str, own: Abilities) -> None:
        self._engine = engine
        self._desk = desk
        self._node = node
        self._own = own
        self._came: list[ArrivedJob] = []
        self._to_submit: list[Task] = []
        self._stopped: dict[tuple[str, str, str], None] = {}
        self._must_stop = False
        self._held: dict[Key, _Held] = {}
        self._waiting: dict[str, Home] = {}
        self._ended: dict[str, list[bytes]] = {}  # owner → outcomes, as they will be sent
        self._done: dict[str, list[Key]] = {}
        self._under_way: dict[int, list[Key]] = {}
        self._reports = 0
        self._next_beat = 0.0
        self._report_at = 0.0
        self._seen: Any = None
        self._remember()

    @property
    def held(self) -> int:
        """How many jobs this node has taken and not yet answered."""
        return len(self._held)

    # --- news ----------------------------------------------------------------------------------

    def take_job(self, arrived: ArrivedJob) -> None:
        self._came.append(arrived)

    def stop(self, what: Stop) -> None:
        """An owner wants tasks stopped; their jobs may be still on their way."""
        self._stopped |= {(what.owner, what.session, task): None for task in what.tasks}
        while len(self._stopped) > _STOPS_KEPT:
            del self._stopped[next(iter(self._stopped))]
        self._must_stop = True

    def reported(self, number: int) -> None:
        """A report is durable, and what it completed acknowledged."""
        for key in self._under_way.pop(number, ()):
            self._held.pop(key, None)

    # --- a turn --------------------------------------------------------------------------------

    def turn(self, places: int) -> int:
        """
        Put what came into the queue, and report what ended.

        Args:
            places: How many tasks this node runs at once; 0: it takes none.

        Returns:
            How many tasks came or ended.

        Raises:
            DinoError: The journal does not take it; the same is tried again on the next turn.
        """
        came = self._admit()
        self._cancel()
        ended = self._look()
        self._report()
        self._beat()
        self._desk.give_room(self._room(places))
        return came + ended

    def wake_at(self) -> float:
        """Monotonic."""
        return min(self._next_beat, self._report_at) if self._ended else self._next_beat

    def close(self) -> None:
        """Report what ended and give the rest back: others go on with it at once."""
        self._look()
        self._report(at_once=True)
        for name in [*self._waiting]:
            if self._engine.known(name):
                self._engine.cancel(name, _GIVEN_BACK)
        reported = {key for keys in self._under_way.values() for key in keys}
        left = [held.handle for key, held in self._held.items() if key not in reported]
        given = self._desk.give_back([*left, *(one.handle for one in self._came)])
        with contextlib.suppress(Exception):  # others get them somewhat later then
            given.result(_LEAVE_S)

    # --- what came -----------------------------------------------------------------------------

    def _remember(self) -> None:
        """Those that were taken before this process began, and have not ended, are answered too."""
        for task in self._engine.tasks():
            if task.origin and task.state not in FINISHED:
                of = task.origin
                home = Home(of["node"], of["session"], of["lease"], of["task"])
                self._waiting[task.task_id] = home

    def _admit(self) -> int:
        for arrived in self._came:
            self._to_submit += self._tasks_of(arrived)
        self._came = []
        if count := len(self._to_submit):
            self._engine.submit_tasks(self._to_submit)  # those that are known stay as they are
            self._to_submit, self._seen = [], None
            self._must_stop = bool(self._stopped)
        return count

    def _cancel(self) -> None:
        if not self._must_stop:
            return
        for name, home in self._waiting.items():
            if (home.owner, home.session, home.task) in self._stopped:
                self._engine.cancel(name, f"{home.owner} stopped it")
        self._must_stop = False

    def _tasks_of(self, arrived: ArrivedJob) -> list[Task]:
        try:
            # Whatever is larger is no node's, and more than the queue takes.
            job = decode(arrived.data[: self._desk.most_bytes], Job)
            found = self._as_tasks(job)
        except (ClusterError, InvalidInput):
            self._desk.refuse(arrived.handle)
            return []
        key = (job.owner, job.session, job.lease)
        if key in self._held:  # it took long, and came again
            self._held[key].handle = arrived.handle
            return []
        if self._own.token(job.does) != kind_token(job.does, job.sha256):
            self._desk.give_back([arrived.handle], _NOT_MINE_S)
            return []
        held = self._held[key] = _Held(arrived.handle)
        for task, one in zip(found, job.tasks, strict=True):
            held.waiting.add(task.task_id)
            self._waiting[task.task_id] = Home(*key, one.task)
        return found

    def _as_tasks(self, job: Job) -> list[Task]:
        """
        The tasks of *job* as this queue has them.

        Raises:
            InvalidInput: One cannot be.
        """
        checked: dict[Any, Task] = {}  # what the tasks of a job have in common is checked once
        return [self._as_task(job, one, checked) for one in job.tasks]

    def _as_task(self, job: Job, one: JobTask, checked: dict[Any, Task]) -> Task:
        alike = one.priority, one.timeout_s, tuple(one.needs.items())
        if alike not in checked:
            checked[alike] = Task(
                "any",
                TaskPriority(one.priority),
                max_attempts=1,  # whether it is tried again is its owner's affair
                timeout_s=one.timeout_s,
                needs=self._needs(one),
                source=f"peer:{job.owner}",
            )
        task = copy.copy(checked[alike])
        kind, _, name = job.does.partition(":")
        task.task_id = self._name(job, one)
        task.payload = {kind: name, "params": one.params}
        task.origin = {
            "node": job.owner,
            "session": job.session,
            "lease": job.lease,
            "task": one.task,
            "attempt": one.attempt,
            "key": one.key,
            "sha256": job.sha256,
        }
        check_params(task)
        return task

    def _needs(self, one: JobTask) -> dict[ResourceType, int]:
        """What the pools of this node can give at most: they are not its owner's."""
        pools = {pool.value: pool for pool in ResourceType}
        return {
            pools[name]: min(amount, self._engine.limits[pools[name]].most)
            for name, amount in one.needs.items()
            if name in pools
        }

    def _name(self, job: Job, one: JobTask) -> str:
        """What the task is called here: no other lease of no other session has it."""
        name = f"{one.task}@{job.owner}.{job.session[:16]}.{job.lease}"
        if len(name) > _LONGEST_ID or not name.isprintable():
            digest = hashlib.sha256(name.encode()).hexdigest()
            name = f"{digest}@{job.owner}"
        again, tried = name, 0
        while self._was_given_back(again):
            tried += 1
            again = f"{name}+{tried}"
        return again

    def _was_given_back(self, name: str) -> bool:
        task = self._engine.known(name)
        return (
            task is not None
            and task.state is TaskState.CANCELLED
            and (task.error or {}).get("message") == _GIVEN_BACK
        )

    # --- what ended ----------------------------------------------------------------------------

    def _look(self) -> int:
        """Take note of those that ended since."""
        journal = self._engine.journal
        if not self._waiting or (self._seen == journal.end and not journal.moved_on()):
            return 0
        self._engine.refresh()
        self._seen = journal.end
        ended = 0
        for name in [*self._waiting]:
            task = self._engine.known(name) or self._engine.recall(name)
            if task is None or task.state in FINISHED:
                self._end(name, task)
                ended += 1
        return ended

    def _end(self, name: str, task: Task | None) -> None:
        home = self._waiting[name]
        key, owner = home.key, home.owner
        outcome = outcome_of(home, task, self._engine, self._desk.most_bytes)
        del self._waiting[name]
        if not self._ended:
            self._report_at = time.monotonic() + _REPORT_S
        self._ended.setdefault(owner, []).append(outcome)
        if held := self._held.get(key):
            held.waiting.discard(name)
            if not held.waiting:
                self._done.setdefault(owner, []).append(key)

    def _report(self, *, at_once: bool = False) -> None:
        """
        Say how they ended: where that ends a job, which is then acknowledged, and otherwise with
        others that end soon.
        """
        now = time.monotonic()
        for owner in [*self._ended]:
            if owner not in self._done and not at_once and now < self._report_at:
                continue
            outcomes = self._ended.pop(owner)
            found = parts(outcomes, self._desk.most_bytes)
            for number, part in enumerate(found, 1):
                last = number == len(found)
                done = self._done.pop(owner, []) if last else []
                self._reports += 1
                self._under_way[self._reports] = done
                handles = [self._held[key].handle for key in done]
                body = report(self._node, part)
                self._desk.report(self._reports, owner, body, handles)

    def _beat(self) -> None:
        """Keep what this node has from being given to others."""
        now = time.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + _BEAT_S
            self._desk.beat([held.handle for held in self._held.values()])

    def _room(self, places: int) -> int:
        own = len(self._engine.ready) - len(self._waiting)
        if own >= places:  # there is enough of its own to do
            return 0
        return max(places * _JOBS_EACH - len(self._held) - len(self._came), 0)
