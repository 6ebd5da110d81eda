"""Sessions whose tasks run elsewhere: what they get, and what becomes of it when they are lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import InvalidInput
from engines.resource_engine import Ended, ResourceType, Task
from tests.resource_engine.kit import Hands, Time, engine_on


def test_it_takes_nothing_from_the_pools(tmp_path: Path) -> None:
    """Whoever runs them admits them; a session of this machine has all the room there is."""
    engine = engine_on(tmp_path, Time())
    engine.submit_tasks(Task(f"t-{n}") for n in range(20))
    there, here = Hands.of(engine, remote=True), Hands.of(engine)
    assert len(there.claim(room=12)) == 12
    assert engine.pools[ResourceType.COMPUTE].allocated == 0
    assert len(here.claim(room=8)) == 8


@pytest.mark.parametrize(
    "stays", [{"local": True}, {"at_most_once": True}, {"origin": {"node": "n"}}]
)
def test_it_gets_none_that_may_not_travel(tmp_path: Path, stays: dict[str, object]) -> None:
    engine = engine_on(tmp_path, Time())
    engine.submit_tasks([Task("stays", **stays), Task("goes")])  # type: ignore[arg-type]
    assert Hands.of(engine, remote=True).claimed(room=2) == ["goes"]
    assert Hands.of(engine).claimed(room=2) == ["stays"]


def test_what_it_held_when_it_was_lost_was_no_attempt(tmp_path: Path) -> None:
    engine = engine_on(tmp_path, Time())
    engine.submit_tasks(Task(f"t-{n}", max_attempts=1) for n in range(3))
    there = Hands.of(engine, remote=True)
    (lease,) = there.claim(size=3)
    engine.leave(there.name)
    assert [(task.state.value, task.attempts) for task in engine.tasks()] == [("queued", 0)] * 3
    again = Hands.of(engine, remote=True)
    (newer,) = again.claim(size=3)
    late = [Ended("t-0", lease.number, "ok")]
    assert engine.exchange(again.name, ended=late).void == 1
    assert engine.exchange(again.name, ended=[Ended("t-0", newer.number, "ok")]).void == 0


def test_a_limit_holds_over_all_machines(tmp_path: Path) -> None:
    engine = engine_on(tmp_path, Time())
    engine.submit_tasks(Task(f"t-{n}", limits={"few": 2}) for n in range(5))
    there, here = Hands.of(engine, remote=True), Hands.of(engine)
    assert len(there.claim(room=1)) + len(here.claim(room=4)) == 2


def test_one_that_it_cannot_take_is_left_to_others(tmp_path: Path) -> None:
    """A size of 0 says so."""
    engine = engine_on(tmp_path, Time())
    engine.submit_task(Task("large"))
    there = Hands.of(engine, remote=True)
    assert there.claim(size=0) == []
    assert Hands.of(engine).claimed() == ["large"]


def test_the_record_names_the_node_and_how_long_it_took(tmp_path: Path) -> None:
    engine = engine_on(tmp_path, Time())
    engine.submit_task(Task("t"))
    there = Hands.of(engine, remote=True)
    (lease,) = there.claim()
    ended = Ended("t", lease.number, "ok", result=1, duration_s=0.25, node="other")
    engine.exchange(there.name, ended=[ended])
    task = engine_on(tmp_path, Time()).task("t")
    assert task
    assert (task.result, task.duration_s) == (1, 0.25)
    events = [event for some, _ in engine.journal.read() for event in some]
    assert events[-1]["node"] == "other"


def test_what_a_task_of_another_queue_asks_of_it_is_on_record(tmp_path: Path) -> None:
    """Whether to try it again is that queue's affair."""
    engine = engine_on(tmp_path, Time())
    engine.submit_task(Task("t", origin={"node": "n"}, max_attempts=1))
    here = Hands.of(engine)
    (lease,) = here.claim()
    error = {"message": "no"}
    ended = Ended("t", lease.number, "error", error=error, retry_after_s=5.0, final=True)
    engine.exchange(here.name, ended=[ended])
    task = engine.task("t")
    assert task
    assert task.error == {"message": "no", "final": True, "retry_after_s": 5.0}


def test_a_mark_that_is_no_yes_or_no_is_refused() -> None:
    with pytest.raises(InvalidInput, match="local must be true or false"):
        Task("t", local="yes")  # type: ignore[arg-type]
