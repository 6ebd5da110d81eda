"""`kill -9` of workers, schedulers and who submits, 500 times while ten thousand tasks run."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from dino_os.scheduler.duty import SchedulerDuty
from dino_os.workspace import Workspace
from engines.journal import Journal, verify
from engines.resource_engine import ResourceEngine, TaskState
from tests.crash.nursery import Life, Nursery
from tests.crash.programs.queue_lives import LOOK, TASKS

CHUNKS, KILLS = 10, 50
ENDS = {"task_succeeded", "task_cancelled"}


class Shift:
    """A queue, those who work on it, and how they are killed."""

    def __init__(self, folder: Path, nursery: Nursery, chance: random.Random) -> None:
        (folder / "config.yaml").touch()
        self.workspace = Workspace(folder)
        self.path = folder / "memory" / "engine_state.jsonl"
        self._notes = folder / "memory" / "notes"
        self._jobs = [
            self.workspace.jobs.add_job(
                name,
                LOOK,
                "interval",
                everyMs=every_ms,
                misfire="fire_all",
                misfire_limit=1000,
                overlap="allow",
            )
            for name, every_ms in (("tide", 40), ("wind", 70))
        ]
        self._nursery = nursery
        self._chance = chance
        self._workers = [self._start("work", 2), self._start("work", 1)]
        self._submitter = self._start("submit")
        self._schedulers = [self._start("schedule"), self._start("schedule")]
        self.killed: Counter[str] = Counter()

    def _start(self, what: str, *args: object) -> Life:
        return self._nursery.start("queue_lives", what, self.path, *args, name=what)

    def kill_somebody(self) -> None:
        """And have another take the place."""
        what = self._chance.choices(("session", "worker", "submitter", "scheduler"), (4, 3, 2, 3))[
            0
        ]
        place = self._chance.randrange(2)
        if what == "submitter":
            self._submitter = self._replaced(self._submitter)
        elif what == "scheduler":
            self._schedulers[place] = self._replaced(self._schedulers[place])
        elif what == "session":
            self._workers[place] = self._replaced(self._workers[place])
        elif below := children(self._workers[place].pid):
            os.kill(self._chance.choice(below), signal.SIGKILL)
        self.killed[what] += 1

    def _replaced(self, life: Life) -> Life:
        orphans = children(life.pid)
        life.kill()
        life.wait()
        assert all(gone(pid) for pid in orphans)
        return self._start(life.name, *([self._chance.choice((1, 2))] * (life.name == "work")))

    def finish(self) -> None:
        """Let the rest be done: by those who still live and one more."""
        assert self._submitter.wait() == 0
        for job in self._jobs:
            self.workspace.jobs.pause(job)
        for life in self._schedulers:
            life.kill()
            life.wait()
        SchedulerDuty(self.workspace).turn()
        last = self._start("work_off")
        assert last.wait() == 0
        assert last.said[-1]["end"] == "done", last.said[-1]
        for life in self._workers:
            life.kill()
            life.wait()
        SchedulerDuty(self.workspace).turn()

    def check(self) -> None:
        report = verify(self.path)
        assert report.ok, report.verdict
        events = list(Journal(self.path).events())
        ended = Counter(e["task_id"] for e in events if e["event_type"] in ENDS)
        dead = [
            e["task_id"] for e in events if e["event_type"] == "task_failed" and not e["retry_at"]
        ]
        ended.update(dead)
        dues = self._check_due_times()
        assert ended == Counter([*(f"t-{number}" for number in range(TASKS)), *dues])
        engine = ResourceEngine(self.path)
        assert {task.state for task in engine.tasks()} <= {TaskState.SUCCEEDED, TaskState.DEAD}
        assert all(pool.allocated == 0 for pool in engine.pools.values())
        assert not engine._leases
        assert +engine._running_in == Counter()

    def _check_due_times(self) -> list[str]:
        """None was lost, none decided twice, and each ended once; the ids of their tasks."""
        events = list(Journal(self.path.with_name("scheduler.jsonl")).events())
        recorded = [e for e in events if e["event_type"] == "occurrence_recorded"]
        over = Counter(e["task_id"] for e in events if e["event_type"] == "occurrence_ended")
        for job, every in zip(self._jobs, (0.04, 0.07), strict=True):
            dues = [e["due"] for e in recorded if e["job_id"] == job]
            assert len(dues) > KILLS / 10
            steps = [round(after - before, 3) for before, after in pairwise(dues)]
            assert steps == [every] * len(steps)
        assert not [e for e in events if e["event_type"] == "occurrences_skipped"]
        assert over == Counter(e["task_id"] for e in recorded)
        return [e["task_id"] for e in recorded]

    def check_never_twice_at_once(self) -> None:
        """Who was taken for lost and ran on would note an end after another's begin."""
        running: dict[int, int] = {}
        for line in self._notes.read_text().splitlines():
            what, number, pid = line.split()
            if what == "begin":
                running[int(number)] = int(pid)
            else:
                assert running[int(number)] == int(pid), line


def children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def gone(pid: int) -> bool:
    """Whether it ends without its parent: it must not go on with what others run by now."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.0005)
    return False


@pytest.fixture
def shift(request: pytest.FixtureRequest, tmp_path: Path, nursery: Nursery) -> Iterator[Shift]:
    chunk = request.node.callspec.params["chunk"]
    return Shift(tmp_path, nursery, random.Random(chunk))


def test_there_are_five_hundred_kills_and_ten_thousand_tasks() -> None:
    assert CHUNKS * KILLS >= 500
    assert CHUNKS * TASKS >= 10_000


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_task_ends_once_whoever_is_killed(shift: Shift, chunk: int) -> None:
    """No slot leaks, nothing is lost, nothing runs twice at once."""
    for _ in range(KILLS):
        # Nothing waits for this: it only makes the moment of the kill a random one.
        time.sleep(shift._chance.uniform(0, 0.03))
        shift.kill_somebody()
    shift.finish()
    assert shift.killed.total() == KILLS
    shift.check()
    shift.check_never_twice_at_once()
