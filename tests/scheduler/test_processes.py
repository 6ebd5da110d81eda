"""Real processes on one workspace: each due time is submitted once, whoever is killed when."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.journal import verify
from tests.conftest import REPOSITORY, environment
from tests.scheduler.desk import Desk
from tests.scheduler.ticking import BEGIN, EVERY_S, Clock

COUNT = 50


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    Desk(tmp_path, Clock()).add(seconds=EVERY_S, overlap="allow")
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def ticking(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.scheduler.ticking", str(folder), str(COUNT)],
        env=environment(PYTHONPATH=str(REPOSITORY)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def each_due_time_once(folder: Path) -> None:
    desk = Desk(folder, Clock())
    due = [BEGIN + n * EVERY_S for n in range(1, COUNT + 1)]
    recorded = [event["due"] for event in desk.events("occurrence_recorded")]
    submitted = Counter(event["due"] for event in desk.events("occurrence_submitted"))
    assert recorded == due
    assert submitted == Counter(due)
    assert desk.events("occurrences_skipped") == []
    task_ids = [event["task_id"] for event in desk.events("occurrence_recorded")]
    assert Counter(task.task_id for task in desk.tasks.tasks()) == Counter(task_ids)
    assert verify(folder / "scheduler.jsonl").ok
    assert verify(folder / "engine_state.jsonl").ok


def test_rule_12_eight_schedulers_at_once_submit_each_due_time_once(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """Rule 12: several daemons on one workspace are safe."""
    started += [ticking(tmp_path) for _ in range(8)]
    said = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0] * 8
    assert sum(int(number) for lines in said for number in lines) == COUNT
    each_due_time_once(tmp_path)


def test_rules_3_and_6_schedulers_that_are_killed_lose_and_double_nothing(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """Rules 3 and 6: kill -9 at any moment; who comes next goes on from what was recorded."""
    chance = random.Random(20261121)
    for _ in range(8):
        victim = ticking(tmp_path)
        started.append(victim)
        assert victim.stdout
        for _ in range(chance.randint(1, 20)):
            victim.stdout.readline()
        victim.kill()
        victim.communicate()
    started.append(ticking(tmp_path))
    started[-1].communicate()
    assert started[-1].returncode == 0
    each_due_time_once(tmp_path)
