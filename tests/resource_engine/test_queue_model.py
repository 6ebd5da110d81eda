"""Whatever sessions, submitters and clocks do, in any order, the record keeps the rules."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engines.errors import NotFound
from engines.resource_engine import (
    Ended,
    Lease,
    PoolLimits,
    ResourceEngine,
    ResourceType,
    Task,
    TaskPriority,
)
from tests.resource_engine.kit import Time, engine_on
from tests.resource_engine.referee import OPEN, Referee

SIZES = {"compute": 3, "storage": 5, "network": 2, "database": 1}
LIMITS = {ResourceType(pool): PoolLimits(size, 1, size) for pool, size in SIZES.items()}
AGEING_S = 100.0
LEASE_S = 60.0
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nothing here is about disks
OUTCOMES = ["ok", "ok_no_action", "error", "timeout", "cancelled", "denied", "blocked", "delivery_failed"]  # fmt: skip

which = st.integers(0, 30)
pools = st.dictionaries(st.sampled_from([*SIZES]), st.just(1), min_size=1, max_size=2)
alike = st.sampled_from([{"storage": 1}, {"compute": 1}])
big = st.sampled_from([{"compute": 3}, {"compute": 2, "database": 1}, {"storage": 4}])


class Queue(RuleBasedStateMachine):
    """Two engines on one file, as two processes would have it, with sessions at both."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.time = Time()
        self.engines = [self._open(), self._open()]
        self.referee = Referee(SIZES, AGEING_S)
        self.told = self.engines[0].journal.begin()
        self.hands: list[tuple[int, str]] = []
        self.given: list[tuple[tuple[int, str], Lease]] = []
        self.alive: dict[str, float] = {}

    def _open(self) -> ResourceEngine:
        return engine_on(self.folder, self.time, limits=LIMITS, ageing_s=AGEING_S)

    def teardown(self) -> None:
        assert self.engines[0].verify_hash_chain()
        for engine in self.engines:
            for name in [*engine.sessions_known]:
                engine._files.drop(name)
        shutil.rmtree(self.folder)

    def read(self) -> list[dict[str, Any]]:
        """What was recorded since, which the referee has seen by then."""
        found = []
        for events, behind in self.engines[0].journal.read(self.told):
            self.told = behind
            for event in events:
                self.referee.read(event, self.time.now)
                found.append(dict(event))
        return found

    def one(self, number: int) -> str:
        """The id of some task, later ones more often."""
        names = [*self.referee.tasks]
        return names[-1 - number % len(names)]

    # --- submitters --------------------------------------------------------------------------

    @initialize()
    def somebody_works(self) -> None:
        self.join(0)
        self.join(1)

    @rule(
        engine=st.integers(0, 1),
        needs=pools | big,
        priority=st.sampled_from(TaskPriority),
        after=st.lists(which, max_size=3),
        key=st.none() | st.integers(0, 5),
        delay=st.none() | st.integers(0, 30),
        within=st.none() | st.integers(0, 30),
        limits=st.dictionaries(st.sampled_from("gh"), st.integers(1, 2), max_size=2),
        most=st.integers(1, 4),
        once=st.booleans(),
    )
    def submit(self, *, engine: int, needs: dict[Any, int], priority: TaskPriority, after: list[int],
               key: int | None, delay: int | None, within: int | None, limits: dict[str, int],
               most: int, once: bool) -> None:  # fmt: skip
        known = self.referee.tasks
        others = tuple(self.one(n) for n in after) if known else ()
        others = tuple(one for one in others if known[one].state != "cancelled")
        now = self.time.now
        new = Task(
            f"t{len(known)}", priority, needs=needs, after=others, limits=limits,
            key=None if key is None else f"k{key}", max_attempts=most, at_most_once=once,
            not_before=None if delay is None else now + delay,
            start_by=None if within is None else now + within, batch="b" if once else None,
        )  # fmt: skip
        fresh = new.key not in self.referee.keys
        assert self.engines[engine].submit_task(new) is fresh
        assert len(self.read()) == fresh or self.told.seq < 10

    @rule(engine=st.integers(0, 1), size=st.integers(2, 5), needs=alike)
    def submit_alike(self, engine: int, size: int, needs: dict[Any, int]) -> None:
        """Tasks of one kind, so that there is something to hand over together."""
        first = len(self.referee.tasks)
        ids = [f"t{first + number}" for number in range(size)]
        assert self.engines[engine].submit_tasks(Task(i, needs=needs) for i in ids) == ids
        self.read()

    @precondition(lambda self: self.referee.tasks)
    @rule(engine=st.integers(0, 1), number=which)
    def cancel(self, engine: int, number: int) -> None:
        name = self.one(number)
        before = self.referee.tasks[name]
        could = before.state not in {"succeeded", "cancelled"} and not before.cancelling
        assert self.engines[engine].cancel(name) is could
        self.read()
        assert not could or before.state == "cancelled" or before.cancelling
        if before.state == "cancelled":
            waited = [t for t in self.referee.tasks.values() if name in t.unmet]
            assert all(one.state == "cancelled" for one in waited)

    @precondition(lambda self: self.referee.tasks)
    @rule(engine=st.integers(0, 1), number=which)
    def retry(self, engine: int, number: int) -> None:
        name = self.one(number)
        was_dead = self.referee.tasks[name].state == "dead"
        assert self.engines[engine].retry(name) is was_dead
        assert [e["event_type"] for e in self.read()] == ["task_requeued"] * was_dead

    @rule(engine=st.integers(0, 1), holder=st.sampled_from("xy"), needs=pools | big)
    def reserve(self, engine: int, holder: str, needs: dict[str, int]) -> None:
        taken = self.referee.allocated()
        room = all(taken[pool] + n <= SIZES[pool] for pool, n in needs.items())
        free = holder not in self.referee.reserved
        assert self.engines[engine].reserve(holder, needs) is (room and free)
        self.read()

    @rule(engine=st.integers(0, 1), holder=st.sampled_from("xy"))
    def release(self, engine: int, holder: str) -> None:
        assert self.engines[engine].release(holder) is (holder in self.referee.reserved)
        self.read()

    @rule(engine=st.integers(0, 1))
    def look(self, engine: int) -> None:
        depth = Counter(t.state for t in self.referee.tasks.values() if t.state in OPEN)
        status = self.engines[engine].get_status()
        assert status["tasks_running"] == depth["running"]
        assert status["tasks_queued"] == depth["queued"] + depth["waiting"] + depth["delayed"]

    # --- sessions ----------------------------------------------------------------------------

    @precondition(lambda self: len(self.hands) < 5)
    @rule(engine=st.integers(0, 1))
    def join(self, engine: int) -> None:
        name = self.engines[engine].join()
        self.alive[name] = self.time.mono
        self.hands.append((engine, name))
        self.read()

    def exchange(self, hand: tuple[int, str], **said: Any) -> Any:
        """As the engine does; a session that was given up is told so, and is gone."""
        engine, name = self.engines[hand[0]], hand[1]
        if name not in self.referee.sessions:
            with pytest.raises(NotFound):
                engine.exchange(name, **said)
            assert self.read() == []
            self.hands.remove(hand)
            return None
        found = engine.exchange(name, **said)
        for event in self.read():
            if event["event_type"] == "session_lost":
                assert self.time.mono > self.alive[event["session"]] + LEASE_S
            if event["event_type"] == "session_alive":
                self.alive[event["session"]] = self.time.mono
        self.given += [(hand, lease) for lease in found.leases]
        asked = [t for t, one in self.referee.tasks.items() if one.cancelling]
        mine = [t for t in asked if self.referee.leases[self.lease(t)][0] == name]
        assert sorted(found.stop) == sorted(mine)
        assert found.leave is (self.referee.sessions[name] < self.referee.drained)
        return found

    def lease(self, task_id: str) -> int:
        held = self.referee.tasks[task_id].lease
        assert held is not None
        return held

    @precondition(lambda self: self.hands)
    @rule(number=which, room=st.integers(0, 4), size=st.integers(1, 3))
    def claim(self, number: int, room: int, size: int) -> None:
        hand = self.hands[number % len(self.hands)]
        found = self.exchange(hand, room=room, size=lambda task, count: size)
        if found is None or found.leave:
            return
        assert len(found.leases) <= room
        if len(found.leases) < room:
            self._nothing_else_could_start()

    def _nothing_else_could_start(self) -> None:
        left = self.referee.could_start()
        blocked = [one for one in left if not self.referee.fits(one)]
        old = [one for one in blocked if self.time.now - one.row["created_at"] > AGEING_S]
        kept = {pool for one in old for pool in one.needs}
        for one in left:
            assert one in blocked or kept & set(one.needs), "there was room for it"

    @precondition(lambda self: self.given)
    @rule(
        number=which,
        outcome=st.sampled_from(OUTCOMES),
        final=st.booleans(),
        lost=st.booleans(),
        after=st.none() | st.integers(0, 50),
        more=st.integers(0, 2),
    )
    def report(self, *, number: int, outcome: str, final: bool, lost: bool, after: int | None,
               more: int) -> None:  # fmt: skip
        """How an attempt ended, perhaps long after somebody else was given the task."""
        hand, lease = self.given[-1 - number % len(self.given)]
        if hand not in self.hands:
            return
        about = lease.tasks[number % len(lease.tasks)].task_id
        counts = self.referee.tasks[about].lease == lease.number
        lost = lost and outcome == "error"
        ended = Ended(about, lease.number, outcome, final=final, lost=lost, retry_after_s=after)
        found = self.exchange(hand, ended=[ended], room=more)
        if found is None:
            return
        assert found.void == (not counts)

    @precondition(lambda self: self.given)
    @rule(number=which)
    def give_back(self, number: int) -> None:
        """All but the first of what was handed over had not begun."""
        hand, lease = self.given[-1 - number % len(self.given)]
        if hand not in self.hands:
            return
        rest = [task.task_id for task in lease.tasks[1:]]
        mine = [t for t in rest if self.referee.tasks[t].lease == lease.number]
        tries = {t: self.referee.tasks[t].attempts for t in mine}
        stopped = {t for t in mine if self.referee.tasks[t].cancelling}
        if self.exchange(hand, returned={lease.number: rest}) is None:
            return
        for name, count in tries.items():
            one = self.referee.tasks[name]
            assert one.state == ("cancelled" if name in stopped else "queued")
            assert name in stopped or one.attempts == count - 1

    @precondition(lambda self: self.hands)
    @rule(number=which, size=st.integers(2, 5))
    def a_worker_dies(self, number: int, size: int) -> None:
        """With the first of what it was just handed; the others go back."""
        hand = self.hands[number % len(self.hands)]
        found = self.exchange(hand, room=1, size=lambda task, count: size)
        if found is None or not found.leases:
            return
        (lease,) = found.leases
        first, *rest = (task.task_id for task in lease.tasks)
        ended = [Ended(first, lease.number, "error", lost=True)]
        self.exchange(hand, ended=ended, returned={lease.number: rest})

    @precondition(lambda self: self.hands)
    @rule(number=which)
    def leave(self, number: int) -> None:
        hand = self.hands.pop(number % len(self.hands))
        self.engines[hand[0]].leave(hand[1])
        self.read()
        assert hand[1] not in self.referee.sessions

    @rule(engine=st.integers(0, 1))
    def drain(self, engine: int) -> None:
        assert self.engines[engine].drain() == len(self.referee.sessions)
        self.read()

    @rule(seconds=st.sampled_from([2, 2, 20, 40, 70, 200]))
    def wait(self, seconds: int) -> None:
        self.time.passes(seconds)

    @rule(seconds=st.sampled_from([-5, 5, -1000, 1000]))
    def set_clock(self, seconds: int) -> None:
        self.time.now += seconds

    # --- what always holds -------------------------------------------------------------------

    @invariant()
    def all_see_the_same(self) -> None:
        seen = {name: one.state for name, one in self.referee.tasks.items()}
        taken = self.referee.allocated()
        fresh = self._open()
        for engine in (*self.engines, fresh):
            engine.refresh()
            tasks = {task.task_id: task for task in engine.tasks()}
            states = {name: task.state.value for name, task in tasks.items()}
            # One that is delayed until a time that has come could as well be queued.
            for name, one in self.referee.tasks.items():
                if {seen[name], states[name]} == {"queued", "delayed"}:
                    assert (tasks[name].next_retry or 0.0) <= self.time.now or one.state == "queued"
                    states[name] = seen[name]
            assert states == seen
            for name, one in self.referee.tasks.items():
                assert (tasks[name].attempts, tasks[name].lease) == (one.attempts, one.lease)
            for pool, found in engine.pools.items():
                assert found.allocated == taken[pool.value]
        assert fresh._table == self.engines[0]._table == self.engines[1]._table
        for name in ("_leases", "_sessions", "_reserved", "_batches", "_counts", "_requests"):
            assert getattr(fresh, name) == getattr(self.engines[0], name)

    @invariant()
    def a_snapshot_is_the_same_state(self) -> None:
        if self.told.seq % 7 == 3:
            self.engines[1].save_snapshot()
            assert self.engines[1].check_snapshot() is None


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
