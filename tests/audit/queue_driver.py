"""A resource engine that is brought to use all that it can keep, without a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dino_os.workspace import Workspace
from engines.resource_engine import Ended, Task, TaskPriority

Step = Callable[[Workspace], Any]


def steps(mark: str) -> Iterator[Step]:
    call = {"call": mark, "params": {"n": 1, "what": ["ü", None, {"": 1.5}]}}
    yield lambda w: w.resources.submit_tasks(
        [
            Task("one", payload=call, key="k-1", batch="b", source="job:1", max_attempts=1),
            Task("two", TaskPriority.LOW, after=("one",), batch="b"),
            Task("three", needs={"network": 2, "database": 1}, limits={"g": 1}, timeout_s=3),  # type: ignore[dict-item]
            Task("four", after=("three", "two"), not_before=4e9, start_by=5e9, at_most_once=True),
            Task("five", payload=call, not_before=1.0),
            *(Task(f"n-{number}", priority=TaskPriority.CRITICAL) for number in range(5)),
        ]
    )
    yield lambda w: w.resources.reserve(f"entity:{mark}", {"storage": 3})
    yield lambda w: w.resources.join(slots=3)
    yield _exchange(2, "ok")
    yield _exchange(3, "error")
    yield lambda w: w.resources.cancel("n-4")
    yield _exchange(5, "timeout")
    yield lambda w: w.resources.retry("one")
    yield _exchange(3, "ok_no_action")
    yield lambda w: w.resources.release(f"entity:{mark}")
    yield lambda w: w.resources.cancel("two")
    yield lambda w: w.resources.drain()
    yield lambda w: w.resources.upkeep(w.resources.sessions_known[0])
    yield lambda w: w.resources.leave(w.resources.sessions_known[0])
    yield lambda w: w.resources.submit_task(Task(mark))


def _exchange(room: int, outcome: str) -> Step:
    def step(workspace: Workspace) -> None:
        engine = workspace.resources
        name = engine.sessions_known[0]
        leases = engine.exchange(name, room=room, size=lambda task, count: 2).leases
        for lease in leases[:-1]:
            first, *rest = lease.tasks
            ended = Ended(first.task_id, lease.number, outcome, {"n": 1}, {"message": "no"}, 0.5)
            engine.exchange(name, ended=[ended], returned={lease.number: [t.task_id for t in rest]})

    return step
