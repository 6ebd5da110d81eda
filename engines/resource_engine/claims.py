"""
Who runs what: sessions join, claim tasks under leases, say how they ended, and leave.

A lease names tasks that one worker process runs one after the other.  It is void once its session
is lost: what comes in under it later is refused, so that each task ends once in the record.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from engines.errors import InvalidInput, NotFound
from engines.filed import FOLDERS
from engines.liveness import LockFiles, Now, this_boot
from engines.resource_engine.model import (
    OK_OUTCOMES,
    OUTCOMES,
    Ended,
    Lease,
    ResourceType,
    Task,
)
from engines.resource_engine.results import Results
from engines.resource_engine.sessions import BEAT_S, LEASE_S, why_lost
from engines.resource_engine.state import ResourceState, Session
from engines.resource_engine.table import Kind

_AFTER_A_LOSS = 3  # attempts that a task has at least, where it was its worker that failed
_LOOK_AROUND_S = 1.0
_LONGEST_WAIT_S = 365 * 86400.0  # that work may ask for
_RETRIED = frozenset({"error", "timeout", "delivery_failed"})


class Exchange(NamedTuple):
    """
    What a session gets for what it brought.

    Attributes:
        leases: What is to be run now.
        stop: Ids of its running tasks that are to be stopped.
        leave: Whether it is to leave once nothing of it runs.
        void: How many of the attempts that it brought count no more.
    """

    leases: list[Lease]
    stop: list[str]
    leave: bool
    void: int


def _one(_: Task, __: int) -> int:
    return 1


def _anything(_: str) -> bool:
    return True


class Claims(ResourceState):
    """The part of the resource engine that workers deal with."""

    def __init__(
        self,
        *args: Any,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        result_bytes: int = 65536,
        **settings: Any,
    ) -> None:
        self._monotonic = monotonic
        self._rng = rng or random.Random()  # noqa: S311  it spreads load, and hides nothing
        self._refused: Counter[str] = Counter()
        self._looked_at: dict[str, float] = {}
        super().__init__(*args, **settings)
        path = getattr(self.journal, "path", None)
        self._files = LockFiles(path.with_suffix(".sessions") if path else None)
        beside = self.journal.snapshot_path
        folder = beside.with_name(FOLDERS["engine_state"]) if beside else None
        self._results = Results(folder, result_bytes, writes=self.journal.durable)

    # --- commands ----------------------------------------------------------------------------

    def join(self, *, slots: int | None = None, skills: bool = True, remote: bool = False) -> str:
        """
        Begin a session: this process will claim tasks.

        Args:
            slots: How many worker processes it has, whatever size the compute pool is.
            skills: Whether it runs skills.
            remote: Whether it has them run elsewhere.  It gets none that may not travel, takes
                nothing from the pools, and whatever it held when it is lost was no attempt:
                nobody here knows whether it had begun.

        Returns:
            Its name, with which it claims.
        """
        name = uuid4().hex
        self._files.sweep()
        self._files.hold(name)
        now = self._now()
        with self.deciding():
            self.record(
                "session_joined",
                session=name,
                pid=os.getpid(),
                slots=slots,
                skills=skills,
                **({"remote": True} if remote else {}),
                **_alive(now),
            )
        return name

    def leave(self, name: str) -> None:
        """End a session; what it still held is taken from it."""
        with self.deciding():
            if session := self._sessions.get(name):
                self._lose(session, "it left")
                self.record("session_left", session=name)
        self._files.drop(name)

    def exchange(
        self,
        name: str,
        *,
        ended: Iterable[Ended] = (),
        returned: Mapping[int, Iterable[str]] | None = None,
        room: int = 0,
        size: Callable[[Task, int], int] = _one,
        runs: Callable[[str], bool] = _anything,
    ) -> Exchange:
        """
        Say how attempts ended and claim what may start, in one durable step.

        Args:
            ended: Attempts of this session.
            returned: Lease → tasks of it that never began.
            room: How many leases it can start.
            size: Of the next task and how many there are like it: how many to put into one lease;
                0 where it cannot take that one.
            runs: Whether this session can run what `Task.does` names.

        Raises:
            NotFound: The session was lost; whatever it runs, runs elsewhere by now.
        """
        now = self._now()
        with self.deciding():
            session = self._sessions.get(name)
            if session is None:
                raise NotFound(f"the session {name} was given up")
            void = sum(not self._end(one) for one in ended)
            for lease, tasks in (returned or {}).items():
                self._return(lease, tasks)
            given_up = self._give_up_lost(name, now)
            leave = session.joined_seq < self._drained
            leases = [] if leave else self._grant(name, room, self.clock(), size, runs)
            if self._must_tell(session, now):
                self.record(
                    "session_alive", session=name, refused=dict(self._refused), **_alive(now)
                )
                self._refused.clear()
            stop = self._to_stop(name)
        for lost in given_up:  # not before that is durable: the file is what tells
            self._files.drop(lost)
        return Exchange(leases, stop, leave, void)

    # --- below the face ----------------------------------------------------------------------

    def _now(self) -> Now:
        return Now(self.clock(), self._monotonic(), this_boot())

    def _end(self, ended: Ended) -> bool:
        """Record how an attempt ended, if it still counts."""
        task = self._table.tasks.get(ended.task_id)
        if task is None or task.lease != ended.lease:
            return False
        if ended.lost:
            self._lost(task, str((ended.error or {}).get("message", "its worker was lost")))
            return True
        if ended.outcome not in OUTCOMES:
            raise InvalidInput(f"an attempt does not end as {ended.outcome!r}")
        took: dict[str, Any] = {
            "task_id": task.task_id,
            "duration_s": round(ended.duration_s, 6),
            **({"node": ended.node} if ended.node else {}),
        }
        if ended.outcome in OK_OUTCOMES:
            result = self._results.keep("result", ended.result)
            self.record("task_succeeded", outcome=ended.outcome, **took, **result)
        elif task.cancelling or ended.outcome == "cancelled":
            self._cancel(task, "it was stopped")
        else:
            retry = not ended.final and ended.outcome in _RETRIED and task.should_retry()
            self.record(
                "task_failed",
                outcome=ended.outcome,
                error={
                    **(ended.error or {"message": "it does not say why"}),
                    **_asked(task, ended),
                },
                retry_at=self._next_try(task, ended) if retry else None,
                **took,
            )
        return True

    def _next_try(self, task: Task, ended: Ended) -> float:
        if (after := _asked_wait(ended)) is not None:
            return self.clock() + after
        return self.clock() + self._rng.uniform(0.0, task.calculate_backoff())

    def _cancel(self, task: Task, reason: str) -> None:
        """Record that *task* ends here, and what waited for it too."""
        waiting = [task]
        while waiting:
            one = waiting.pop()
            waiting += self._table.dependents(one.task_id)
            self.record("task_cancelled", task_id=one.task_id, reason=reason)
            reason = f"{task.task_id} was cancelled, for which it waited"

    def _return(self, lease: int, tasks: Iterable[str]) -> None:
        held = self._leases.get(lease)
        left = [self._table.tasks[one] for one in tasks if held and one in held.tasks]
        if back := [task.task_id for task in left if not task.cancelling]:
            self.record("tasks_returned", tasks=back)
        for task in left:
            if task.cancelling:
                self._cancel(task, "it was stopped")

    # --- what was lost -----------------------------------------------------------------------

    def _give_up_lost(self, own: str, now: Now) -> list[str]:
        """Give what lost sessions hold to others; which they were."""
        lost = []
        for session in [*self._sessions.values()]:
            looked = self._looked_at.get(session.name, 0.0)
            if session.name == own or now.mono - looked < _LOOK_AROUND_S:
                continue
            self._looked_at[session.name] = now.mono
            holds = bool(self._holds(session.name))
            why = why_lost(session, now, self._files, holds=holds)
            if why:
                self._lose(session, why)
                self.record("session_lost", session=session.name, why=why)
                self._looked_at.pop(session.name)
                lost.append(session.name)
        return lost

    def _lose(self, session: Session, why: str) -> None:
        for number in self._holds(session.name):
            if session.remote:
                self._return(number, [*self._leases[number].tasks])
                continue
            first, *rest = self._leases[number].tasks
            self._return(number, rest)  # they run one after the other: these had not begun
            self._lost(self._table.tasks[first], f"its worker was lost: {why}")

    def _lost(self, task: Task, why: str) -> None:
        if task.cancelling:
            self._cancel(task, "it was stopped")
            return
        most = 1 if task.at_most_once else max(task.max_attempts, _AFTER_A_LOSS)
        self.record(
            "task_failed",
            task_id=task.task_id,
            outcome="error",
            error={"message": why, "type": "WorkerLost"},
            retry_at=self.clock() if task.attempts < most else None,
            duration_s=0.0,
        )

    def _holds(self, session: str) -> list[int]:
        return [number for number, held in self._leases.items() if held.session == session]

    def _must_tell(self, session: Session, now: Now) -> bool:
        """A session that holds nothing need not say that it lives."""
        last = session.until_mono - LEASE_S
        return now.mono - last >= BEAT_S and bool(self._holds(session.name))

    def _to_stop(self, session: str) -> list[str]:
        return [
            task_id
            for number in self._holds(session)
            for task_id in self._leases[number].tasks
            if self._table.tasks[task_id].cancelling
        ]

    # --- what may start ----------------------------------------------------------------------

    def _grant(
        self,
        session: str,
        room: int,
        now: float,
        size: Callable[[Task, int], int],
        runs: Callable[[str], bool],
    ) -> list[Lease]:
        """
        Claim the first tasks that pools and limits admit.

        Smaller ones pass one that has no room, until it has waited long enough: then what becomes
        free is kept for it.
        """
        granted: list[Lease] = []
        remote = self._sessions[session].remote
        order = self.ready.order(now) if room > 0 else []
        kept: set[str] = set()
        while order and len(granted) < room:
            kind = heapq.heappop(order).kind
            head = self.ready.head(kind)
            if (remote and not kind.travels) or (kind.does and not runs(kind.does)):
                continue
            if head.start_by is not None and now > head.start_by:
                self._too_late(self.ready.take(kind, 1)[0])
            elif any(self._running_in[group] >= most for group, most in kind.limits):
                continue
            elif not (remote or self._has_room(kind, kept)):
                self._refused.update(pool for pool, _ in kind.needs)
                if now - head.created_at > self._ageing_s and self._fits(kind):
                    kept.update(pool for pool, _ in kind.needs)
                continue
            elif most := size(head, self.ready.count(kind)):
                granted.append(self._lease(session, kind, most, now))
            else:
                continue
            if place := self.ready.place(kind):
                heapq.heappush(order, place)
        return granted

    def _fits(self, kind: Kind) -> bool:
        """Whether it could start if nothing else ran: room is kept for nothing that could not."""
        return all(self.pools[ResourceType(pool)].capacity >= amount for pool, amount in kind.needs)

    def _has_room(self, kind: Kind, kept: set[str]) -> bool:
        return all(
            pool not in kept and self.pools[ResourceType(pool)].free >= amount
            for pool, amount in kind.needs
        )

    def _lease(self, session: str, kind: Kind, most: int, now: float) -> Lease:
        tasks = self.ready.take(kind, most)
        on_time: list[Task] = []
        for task in tasks:
            if task.start_by is None or now <= task.start_by:
                on_time.append(task)
            else:
                self._too_late(task)
        ids = [task.task_id for task in on_time]
        away = {"remote": True} if self._sessions[session].remote else {}
        event = self.record("lease_granted", session=session, tasks=ids, **away)
        return Lease(event["seq"], tuple(on_time))

    def _too_late(self, task: Task) -> None:
        self.record(
            "task_failed",
            task_id=task.task_id,
            outcome="blocked",
            error={"message": "it could not start in time", "type": "TooLate"},
            retry_at=None,
            duration_s=0.0,
        )


def _asked_wait(ended: Ended) -> float | None:
    after = ended.retry_after_s
    if after is None or math.isnan(after):
        return None
    return min(max(after, 0.0), _LONGEST_WAIT_S)


def _asked(task: Task, ended: Ended) -> dict[str, Any]:
    """What a task of another queue asks of that one, which decides whether to try it again."""
    asked = {"final": ended.final or None, "retry_after_s": _asked_wait(ended)}
    return {name: value for name, value in asked.items() if task.origin and value is not None}


def _alive(now: Now) -> dict[str, Any]:
    return {
        "boot": now.boot,
        "until": now.clock + LEASE_S,
        "until_mono": now.mono + LEASE_S,
    }
