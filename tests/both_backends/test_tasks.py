"""The task queue, its tasks run by the workers of its own machine and by those of another node."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from dino_os.workspace import Workspace
from engines.journal import Journal
from engines.resource_engine import Crew, ResourceEngine, TaskPriority, calling, forking
from tests.cluster.servers import needs_server
from tests.cluster.task_nodes import FUNCTIONS, call, nodes
from tests.message_bus.waiting import until

HOUR_S = 3600.0


class Shop(Protocol):
    """A queue, and somebody who works for it while it is waited for something."""

    @property
    def resources(self) -> ResourceEngine:
        """The queue."""

    def until(self, true: Callable[[], Any]) -> None:
        """Have them work until *true()* is."""


class _Own:
    """Workers of the same machine."""

    def __init__(self, home: Path) -> None:
        self.resources = Workspace(home).resources
        self.crew = Crew(
            self.resources,
            forking(calling(FUNCTIONS)),
            runs=lambda does: does.removeprefix("call:") in FUNCTIONS,
            slots=1,
        )

    def until(self, true: Callable[[], Any]) -> None:
        def worked() -> Any:
            self.crew.turn()
            return true()

        until(worked, "an end", 60)


class _Elsewhere:
    """A worker of another node."""

    def __init__(self, found: Any) -> None:
        self.resources, self.until = found.owner.resources, found.until


@pytest.fixture(params=["embedded", pytest.param("cluster", marks=needs_server)])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    if request.param == "embedded":
        (tmp_path / "config.yaml").write_text("system:\n  name: one\n")
        own = _Own(tmp_path)
        yield own
        own.crew.close()
    else:
        with nodes(tmp_path, request.getfixturevalue("server")) as found:
            yield _Elsewhere(found)


def ended(shop: Shop, count: int) -> Callable[[], bool]:
    def have() -> bool:
        totals = shop.resources.totals()
        return totals["succeeded"] + totals["dead"] + totals["cancelled"] >= count

    return have


def state(shop: Shop, task_id: str) -> str:
    found = shop.resources.task(task_id)
    assert found
    return found.state.value


def events(shop: Shop, kind: str) -> list[Any]:
    journal = shop.resources.journal
    assert isinstance(journal, Journal)
    return [e for block, _ in journal.read() for e in block if e["event_type"] == kind]


def test_each_result_is_recorded_once(shop: Shop) -> None:
    tasks = [call(f"t-{n}", n=n, options={"key": f"k-{n}"}) for n in range(20)]
    assert shop.resources.submit_tasks(tasks) == [f"t-{n}" for n in range(20)]
    assert not shop.resources.submit_task(call("t-3", n=99))
    again = call("another", n=99, options={"key": "k-4"})
    assert shop.resources.submit_tasks([again]) == ["t-4"]
    shop.until(ended(shop, 20))
    assert not shop.resources.submit_task(again)
    found = shop.resources.tasks(state="succeeded")
    assert [(task.task_id, task.result) for task in found] == [(f"t-{n}", n * n) for n in range(20)]
    assert set(Counter(e["task_id"] for e in events(shop, "task_succeeded")).values()) == {1}


def test_the_more_urgent_goes_first(shop: Shop) -> None:
    """With one worker, of those that wait together."""
    shop.resources.submit_tasks(
        [
            call(f"{p.name}-{n}", n=n, options={"priority": p})
            for n in range(3)
            for p in TaskPriority
        ]
    )
    shop.until(ended(shop, 12))
    order = [event["task_id"] for event in events(shop, "task_succeeded")]
    assert order == [f"{p.name}-{n}" for p in TaskPriority for n in range(3)]


def test_one_that_fails_is_tried_again_and_then_it_is_a_dead_letter(shop: Shop) -> None:
    again = call("again", "fail", options={"max_attempts": 2})
    never = call("never", "fail", final=True, options={"max_attempts": 9})
    # One that asks for a time before now is to be left alone no longer than any other.
    later = call("later", "later", s=-5.0, options={"max_attempts": 2})
    shop.resources.submit_tasks([again, never, later])
    shop.until(ended(shop, 3))
    found = {task.task_id: task for task in shop.resources.tasks(state="dead")}
    assert {name: one.attempts for name, one in found.items()} == {
        "again": 2,
        "never": 1,
        "later": 2,
    }
    assert (found["again"].error or {})["message"] == "not now"
    assert (found["never"].error or {})["type"] == "Fatal"
    assert shop.resources.retry("never")
    assert not shop.resources.retry("never")
    shop.until(lambda: len(events(shop, "task_failed")) == 6)
    shop.until(lambda: state(shop, "never") == "dead")
    shop.resources.cancel("never")
    assert state(shop, "never") == "cancelled"


def test_a_worker_that_dies_over_it_is_a_failed_attempt(shop: Shop) -> None:
    shop.resources.submit_task(call("t", "bad", how="kill"))
    shop.until(ended(shop, 1))
    task = shop.resources.task("t")
    assert task
    assert (task.state.value, task.attempts) == ("dead", 3)


def test_it_begins_when_what_it_waits_for_has_succeeded(shop: Shop) -> None:
    shop.resources.submit_tasks(
        [
            call("first", "slowly", n=2, s=0.05),
            call("second", n=3, options={"after": ("first",)}),
            call("third", n=4, options={"after": ("first", "second"), "priority": TaskPriority(0)}),
            call("never", "fail", final=True),
            call("waits", n=5, options={"after": ("never", "first")}),
        ]
    )
    shop.until(ended(shop, 4))
    order = [event["task_id"] for event in events(shop, "task_succeeded")]
    assert order == ["first", "second", "third"]
    assert state(shop, "waits") == "waiting"
    shop.resources.cancel("never")
    assert state(shop, "waits") == "cancelled"


def test_it_is_stopped_wherever_it_is(shop: Shop) -> None:
    """Before it runs, and while it does."""
    shop.resources.submit_tasks(
        [
            *(call(f"t-{n}", "slowly", n=n, s=HOUR_S) for n in range(3)),
            call("later", n=1, options={"not_before": time.time() + HOUR_S}),
        ]
    )
    shop.until(lambda: shop.resources.depth()["running"])
    for name in ("t-0", "t-1", "t-2", "later"):
        assert shop.resources.cancel(name)
    shop.until(ended(shop, 4))
    assert {task.state.value for task in shop.resources.tasks()} == {"cancelled"}


def test_times_are_kept(shop: Shop) -> None:
    """What takes too long, what comes too late, and what is not due yet."""
    now = time.time()
    shop.resources.submit_tasks(
        [
            call("long", "slowly", n=1, s=HOUR_S, options={"timeout_s": 0.3, "max_attempts": 1}),
            call("late", n=2, options={"start_by": now - 1}),
            call("due", n=3, options={"not_before": now + 0.3}),
        ]
    )
    shop.until(ended(shop, 3))
    states = {name: state(shop, name) for name in ("long", "late", "due")}
    assert (states["long"], states["due"]) == ("dead", "succeeded")
    assert states["late"] in ("dead", "cancelled")
    assert {e["task_id"] for e in events(shop, "task_failed")} == {"long", "late"}
    long = shop.resources.task("long")
    assert long
    assert long.outcome == "timeout"


def test_a_result_that_is_nested_too_deep_fails_its_task(shop: Shop) -> None:
    once = {"max_attempts": 1}
    tasks = [call(f"deep-{n}", "nested", depth=n, options=once) for n in (200, 201, 252, 253)]
    large = call("large", "long_text", length=200_000)
    shop.resources.submit_tasks([*tasks, large])
    shop.until(ended(shop, 5))
    states = [state(shop, task.task_id) for task in tasks]
    assert states == ["succeeded", "dead", "dead", "dead"]
    assert len((shop.resources.task("large") or large).result) == 200_000
