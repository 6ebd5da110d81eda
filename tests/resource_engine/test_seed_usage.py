"""Code written for the earlier system runs after changing its import line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.resource_engine import (
    ResourceEngine,
    ResourcePool,
    ResourceType,
    Task,
    TaskPriority,
    TaskState,
)
from tests.conftest import REPOSITORY

# As documented there, the import line apart.
SEED = """
from engines.resource_engine import ResourceEngine, Task, TaskPriority, ResourceType

engine = ResourceEngine({path})
engine.start()

task = Task("task_1", TaskPriority.NORMAL, ResourceType.COMPUTE)
engine.submit_task(task)
engine.run_cycle()

status = engine.get_status()
print(status["tasks_processed"], status["running"], engine.verify_hash_chain())
engine.stop()
print(engine.get_status()["running"])
"""
STATUS = {"running", "uptime", "tasks_processed", "tasks_queued", "tasks_retrying", "tasks_failed", "total_errors", "health_checks", "healthy", "pools"}  # fmt: skip
POOL = {"type", "capacity", "allocated", "utilization", "waiting", "total_requests", "failed_requests", "success_rate"}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "file"), [("", "memory/engine_state.jsonl"), ("'logs/mine.jsonl'", "logs/mine.jsonl")]
)
def test_the_documented_snippet_runs_with_and_without_a_path(
    tmp_path: Path, path: str, file: str
) -> None:
    (tmp_path / "logs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SEED.format(path=path)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "DINO_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 True True\nFalse\n", "")
    found = [str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.jsonl")]
    assert found == [file]


def test_the_names_that_code_relies_on_mean_what_they_did() -> None:
    assert [(one.name, one.value) for one in ResourceType] == [
        ("COMPUTE", "compute"),
        ("STORAGE", "storage"),
        ("NETWORK", "network"),
        ("DATABASE", "database"),
    ]
    names = [(one.name, one.value) for one in TaskPriority]
    assert names == [("CRITICAL", 0), ("HIGH", 1), ("NORMAL", 2), ("LOW", 3)]
    assert TaskPriority.CRITICAL < TaskPriority.LOW


def test_a_task_as_it_was_made_by_position() -> None:
    task = Task("t", TaskPriority.HIGH, ResourceType.DATABASE, 2, None)
    assert (task.task_id, task.priority, task.resource_type) == ("t", 1, ResourceType.DATABASE)
    assert (task.resource_amount, task.payload, task.attempts, task.max_attempts) == (2, None, 0, 3)
    assert task.next_retry is None
    assert task.created_at > 0


def test_backoff_doubles_up_to_five_minutes_and_attempts_end() -> None:
    task = Task("t", TaskPriority.LOW, ResourceType.COMPUTE)
    waits = []
    for attempts in (0, 1, 2, 3, 8, 9, 1_000_000):
        task.attempts = attempts
        waits.append(task.calculate_backoff())
    assert waits == [1, 2, 4, 8, 256, 300, 300]
    task.attempts = 2
    assert task.should_retry()
    task.attempts = 3
    assert not task.should_retry()


def test_the_pools_of_an_engine_begin_as_large_as_they_were(queue: ResourceEngine) -> None:
    sizes = {kind.value: pool.capacity for kind, pool in queue.pools.items()}
    assert sizes == {"compute": 10, "storage": 100, "network": 20, "database": 5}


def test_a_pool_gives_what_it_has_and_counts_what_it_refused() -> None:
    pool = ResourcePool(ResourceType.NETWORK, 10)
    assert pool.allocate(6)
    assert not pool.allocate(5)
    assert pool.allocate()
    assert (pool.allocated, pool.get_utilization()) == (7, 70.0)
    stats = pool.get_stats()
    assert stats.keys() == POOL
    assert (stats["type"], stats["total_requests"], stats["failed_requests"]) == ("network", 3, 1)
    assert stats["success_rate"] == pytest.approx(200 / 3)
    pool.release(100)
    assert pool.allocated == 0
    assert ResourcePool(ResourceType.NETWORK, 0).get_utilization() == 0.0


def test_a_pool_grows_and_shrinks_by_five_but_not_below_what_is_taken() -> None:
    pool = ResourcePool(ResourceType.COMPUTE, 10)
    pool.scale_up()
    assert pool.capacity == 15
    pool.scale_up(2)
    assert pool.capacity == 17
    pool.allocate(14)
    pool.scale_down()
    assert pool.capacity == 14
    pool.release(14)
    pool.scale_down(100)
    assert pool.capacity == 1


def test_the_status_of_a_queue_that_nothing_was_done_with(home: Path) -> None:
    """Before anything was recorded there is not even a folder."""
    engine = ResourceEngine()
    status = engine.get_status()
    assert status.keys() >= STATUS
    assert status["health_checks"].keys() >= {"cpu", "memory", "queue_depth", "error_rate"}
    limits = {name: check["threshold"] for name, check in status["health_checks"].items()}
    assert limits == {"cpu": 80, "memory": 85, "disk": 90, "queue_depth": 100, "error_rate": 10}
    assert [pool.keys() for pool in status["pools"].values()] == [POOL] * 4
    assert isinstance(engine.is_healthy(), bool)
    assert not (home / "memory").exists()


def test_a_second_engine_sees_what_the_first_did(home: Path) -> None:
    first, second = ResourceEngine(), ResourceEngine()
    task = Task("t", TaskPriority.NORMAL, ResourceType.COMPUTE)
    assert first.submit_task(task)
    assert not second.submit_task(task)
    first.run_cycle()
    first.stop()
    found = second.task("t")
    assert found is not None
    assert (found.state, found.outcome) == (TaskState.SUCCEEDED, "ok_no_action")


def test_a_cycle_is_one_round_and_the_next_takes_what_it_brought_about(
    working: ResourceEngine,
) -> None:
    working.submit_tasks([Task("a"), Task("b", after=("a",)), Task("c", after=("b",))])
    assert [working.run_cycle() for _ in range(4)] == [1, 1, 1, 0]
