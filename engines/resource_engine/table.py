"""
The tasks there are, and which of them is next.

`TaskTable` is state: it is folded from events and kept in snapshots.  `ReadyQueue` is derived from
it and made where somebody claims.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from engines.resource_engine.model import FINISHED, ResourceType, Task, TaskState
from engines.resource_engine.rows import from_row, to_row

_KEPT = 10_000  # finished tasks, and dead ones; the journal has all
_KEPT_NAMES = 100_000  # ids and keys of what is no longer remembered


class TaskTable:
    """Every task that is not finished, the last that are, and the keys that were used."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.keys: dict[str, str] = {}
        self._past: dict[str, str] = {}
        self._past_keys: dict[str, str] = {}
        self._done: deque[str] = deque()
        self._dead: deque[str] = deque()
        self._dependents: dict[str, list[str]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskTable) and self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]

    def add(self, task: Task) -> None:
        self.tasks[task.task_id] = task
        if task.key is not None:
            self.keys[task.key] = task.task_id
        for other in task.unmet:
            self._dependents.setdefault(other, []).append(task.task_id)

    def known(self, task: Task) -> str | None:
        """The id under which that task is known already."""
        if task.task_id in self.tasks or task.task_id in self._past:
            return task.task_id
        if task.key is None:
            return None
        return self.keys.get(task.key) or self._past_keys.get(task.key)

    def past(self, task_id: str) -> TaskState | None:
        """How a task ended that is no longer remembered."""
        found = self._past.get(task_id)
        return TaskState(found) if found else None

    def dependents(self, task_id: str) -> list[Task]:
        """Those that wait for it still."""
        found = (self.tasks[one] for one in self._dependents.get(task_id, ()) if one in self.tasks)
        return [task for task in found if task.state is TaskState.WAITING]

    def finish(self, task: Task, state: TaskState, at: float) -> list[Task]:
        """End *task*; those that waited for nothing else."""
        task.state, task.finished_at, task.lease, task.next_retry = state, at, None, None
        task.cancelling = False
        kept = self._dead if state is TaskState.DEAD else self._done
        kept.append(task.task_id)
        freed = []
        if state is TaskState.SUCCEEDED:
            for other in self.dependents(task.task_id):
                other.unmet = tuple(one for one in other.unmet if one != task.task_id)
                if not other.unmet:
                    other.next_retry = other.not_before
                    other.state = TaskState.DELAYED if other.not_before else TaskState.QUEUED
                    freed.append(other)
            self._dependents.pop(task.task_id, None)
        self._drop(kept)
        return freed

    def _drop(self, kept: deque[str]) -> None:
        states = {TaskState.DEAD} if kept is self._dead else FINISHED - {TaskState.DEAD}
        while len(kept) > _KEPT:
            old = self.tasks.get(kept.popleft())
            # It may have been tried again since; and what others wait for must not vanish.
            if old and old.state in states and not self.dependents(old.task_id):
                del self.tasks[old.task_id]
                self._past[old.task_id] = old.state.value
                _keep_last(self._past)
                if old.key is not None and old.key in self.keys:
                    del self.keys[old.key]
                    self._past_keys[old.key] = old.task_id
                    _keep_last(self._past_keys)

    # --- snapshots ---------------------------------------------------------------------------

    def to_plain(self) -> list[Any]:
        rows = [to_row(task) for task in self.tasks.values()]
        past = [self._past, self._past_keys]
        return [rows, self.keys, past, [*self._done], [*self._dead]]

    @classmethod
    def from_plain(cls, plain: list[Any]) -> Self:
        table = cls()
        rows, table.keys, past, done, dead = plain
        table._past, table._past_keys = past
        table._done.extend(done)
        table._dead.extend(dead)
        rows.reverse()
        while rows:  # each makes room for the next
            task = from_row(rows.pop())
            table.tasks[task.task_id] = task
            for other in task.unmet:
                table._dependents.setdefault(other, []).append(task.task_id)
        return table


def _keep_last(names: dict[str, str]) -> None:
    if len(names) > _KEPT_NAMES:
        del names[next(iter(names))]


class Kind(NamedTuple):
    """What tasks must have in common to be admitted, or not, for the same reason."""

    does: str
    needs: tuple[tuple[str, int], ...]
    limits: tuple[tuple[str, int], ...]
    travels: bool

    @classmethod
    def of(cls, task: Task) -> Kind:
        needs = tuple((pool.value, amount) for pool, amount in task.needs.items())
        return cls(task.does, needs, tuple(task.limits.items()), task.travels)


class _Entry(NamedTuple):
    rank: float
    number: int
    task: Task


class Place(NamedTuple):
    """Where a kind stands among the others."""

    rank: float
    number: int
    kind: Kind


class ReadyQueue:
    """
    Tasks that could start, by kind, each kind in the order in which they should.

    A task ranks by the time at which it was submitted, later by *ageing_s* for each step of
    priority that it lacks: whoever has waited that much longer goes before one of the next
    priority, and nobody waits for ever.

    Args:
        tasks: Those there are; finished ones are passed over.
    """

    def __init__(self, tasks: Iterable[Task], ageing_s: float) -> None:
        self._ageing_s = ageing_s
        self._numbers = itertools.count()
        self._ready: dict[Kind, list[_Entry]] = {}
        self._delayed: list[_Entry] = []
        self._now = 0.0
        for task in tasks:
            if task.state not in FINISHED:
                self.put(task)

    def put(self, task: Task) -> None:
        """Take note of *task*, if it is queued or delayed."""
        if task.state is TaskState.QUEUED:
            self._make_ready(task)
        elif task.state is TaskState.DELAYED:
            entry = _Entry(task.next_retry or 0.0, next(self._numbers), task)
            heapq.heappush(self._delayed, entry)

    def order(self, now: float) -> list[Place]:
        """A heap of the places of all kinds that could start by *now*, the first to go first."""
        self._now = now
        self._wake()
        places = [place for kind in [*self._ready] if (place := self.place(kind))]
        heapq.heapify(places)
        return places

    def place(self, kind: Kind) -> Place | None:
        """The place of the first of that kind."""
        head = self._head(kind)
        return Place(head.rank, head.number, kind) if head else None

    def head(self, kind: Kind) -> Task:
        return self._ready[kind][0].task

    def take(self, kind: Kind, most: int) -> list[Task]:
        """The first *most* of that kind, which are then no longer here."""
        taken: dict[str, Task] = {}
        while len(taken) < most and (head := self._head(kind)):
            heapq.heappop(self._ready[kind])
            # Where others had it meanwhile and gave it back, it is here twice.
            taken[head.task.task_id] = head.task
        return [*taken.values()]

    def next_delayed(self) -> float | None:
        """When the first delayed task is due."""
        while self._delayed and not _is_delayed(self._delayed[0]):
            heapq.heappop(self._delayed)
        return self._delayed[0].rank if self._delayed else None

    def __len__(self) -> int:
        """About how many could start; those that were taken since by others are counted too."""
        return sum(map(len, self._ready.values()))

    def count(self, kind: Kind) -> int:
        return len(self._ready.get(kind, ()))

    def waiting(self) -> Mapping[ResourceType, int]:
        """How much of each resource is asked for by tasks that could start."""
        found: dict[ResourceType, int] = {}
        for kind, entries in self._ready.items():
            count = len({e.task.task_id for e in entries if self._could_start(e.task)})
            for name, amount in kind.needs:
                pool = ResourceType(name)
                found[pool] = found.get(pool, 0) + amount * count
        return found

    def largest(self) -> Mapping[ResourceType, int]:
        """The most of each resource that one task asks for which could start."""
        found: dict[ResourceType, int] = {}
        for kind in self._ready:
            for name, amount in kind.needs:
                pool = ResourceType(name)
                found[pool] = max(found.get(pool, 0), amount)
        return found

    def _wake(self) -> None:
        """Let those start whose time has come."""
        while self.next_delayed() is not None and self._is_due(self._delayed[0].task):
            self._make_ready(heapq.heappop(self._delayed).task)

    def _make_ready(self, task: Task) -> None:
        rank = task.created_at + task.priority * self._ageing_s
        entry = _Entry(rank, next(self._numbers), task)
        heapq.heappush(self._ready.setdefault(Kind.of(task), []), entry)

    def _head(self, kind: Kind) -> _Entry | None:
        """The first of that kind that is still to start."""
        entries = self._ready.get(kind)
        while entries:
            # What was taken, cancelled or put off since is passed over when its turn comes.
            if self._could_start(entries[0].task):
                return entries[0]
            task = heapq.heappop(entries).task
            if task.state is TaskState.DELAYED:  # the clock was set back
                self.put(task)
        self._ready.pop(kind, None)
        return None

    def _could_start(self, task: Task) -> bool:
        return task.state is TaskState.QUEUED or (
            task.state is TaskState.DELAYED and self._is_due(task)
        )

    def _is_due(self, task: Task) -> bool:
        # Where its last attempt is yet to come the clock was set back, and nobody knows how far.
        return (task.next_retry or 0.0) <= self._now or (task.started_at or 0.0) > self._now


def _is_delayed(entry: _Entry) -> bool:
    return entry.task.state is TaskState.DELAYED and entry.task.next_retry == entry.rank
