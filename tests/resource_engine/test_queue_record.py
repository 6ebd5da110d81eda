"""What is in the queue stays in it once, whoever looks, returns, stops or sets the clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import InvalidInput, NotFound
from engines.resource_engine import Ended, ResourceEngine, Task, table
from tests.resource_engine.conftest import Open
from tests.resource_engine.kit import Hands, Time, error, events, state, task


def test_a_task_named_twice_by_one_that_waits_counts_once(queue: ResourceEngine) -> None:
    queue.submit_tasks([task("a"), task("b", after=("a", "a"))])
    hands = Hands.of(queue)
    assert hands.run() == "a"
    (lease,) = hands.claim(room=1, size=5)
    assert [one.task_id for one in lease.tasks] == ["b"]
    queue.submit_tasks([task("c"), task("d", after=("c", "c"))])
    queue.cancel("c")
    assert queue.totals()["cancelled"] == 2


def test_what_goes_back_is_in_the_queue_once_for_every_process(open_queue: Open) -> None:
    """One that had no room for it before must not find it twice now."""
    here, there = open_queue(), open_queue()
    here.submit_tasks(task(f"t{n}") for n in range(3))
    here.get_status()  # it has put them in order
    hands = Hands.of(there)
    (lease,) = hands.claim(size=3)
    there.exchange(hands.name, returned={lease.number: ["t1", "t2"]})
    (lease,) = Hands.of(here).claim(size=5)
    assert [one.task_id for one in lease.tasks] == ["t1", "t2"]


def test_a_clock_that_is_set_back_loses_nothing(queue: ResourceEngine, at: Time) -> None:
    """What was due, and then is not yet, starts when it is."""
    queue.submit_task(task("later", not_before=at.now + 10))
    hands = Hands.of(queue)
    at.passes(20)
    assert queue.get_status()["pools"]["compute"]["waiting"] == 1
    at.now -= 100
    assert hands.claimed() == []
    at.passes(100)
    assert hands.claimed() == ["later"]


def test_what_is_to_be_stopped_does_not_go_back(queue: ResourceEngine) -> None:
    """It was handed over and had not begun when its worker ended: the cancelling still counts."""
    queue.submit_tasks([task("a"), task("b"), task("c", after=("b",))])
    hands = Hands.of(queue)
    (lease,) = hands.claim(size=2)
    assert queue.cancel("b")
    queue.exchange(hands.name, returned={lease.number: ["b"]})
    assert [state(queue, one) for one in "abc"] == ["running", "cancelled", "cancelled"]
    hands.end(lease)
    assert queue.pools[task("x").resource_type].allocated == 0


def test_a_finished_task_is_recalled_from_the_record_as_it_was(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_KEPT", 1)
    queue = open_queue()
    queue.submit_tasks([task("a"), task("b"), task("c", after=("a",)), task("d")])
    hands = Hands.of(queue)
    (lease,) = hands.claim(size=3)  # a, b and d under one lease, of which b and d go back
    queue.exchange(hands.name, returned={lease.number: ["b", "d"]})
    before = queue.task("a")
    assert before is not None
    started = before.started_at
    hands.end(lease, result={"n": 1})
    queue.submit_task(task("last"))
    for _ in range(4):
        hands.run()
    for name, result in (("a", {"n": 1}), ("b", None), ("c", None)):
        assert queue.task(name) is None, name
        found = queue.recall(name)
        assert found is not None
        told = (found.state, found.attempts, found.result, found.lease)
        assert told == ("succeeded", 1, result, None)
        assert found.started_at is not None
        assert found.finished_at is not None
    recalled = queue.recall("a")
    assert recalled is not None
    assert recalled.started_at == started
    assert queue.recall("never") is None


def test_times_are_those_of_the_engines_clock(queue: ResourceEngine, at: Time) -> None:
    queue.submit_task(task("a"))
    hands = Hands.of(queue)
    at.passes(3)
    (lease,) = hands.claim()
    at.passes(4)
    hands.end(lease)
    found = queue.task("a")
    assert found is not None
    times = (found.created_at, found.started_at, found.finished_at)
    assert times == (at.now - 7, at.now - 4, at.now)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"not_before": "tomorrow"}, "not_before must be a number"),
        ({"start_by": float("nan")}, "start_by must be finite"),
        ({"start_by": "soon"}, "start_by must be a number"),
        ({"not_before": 1e18}, "not_before"),
        ({"key": 5}, "key"),
        ({"batch": ""}, "batch"),
        ({"timeout_s": 0}, "timeout_s must be more than 0"),
        ({"resource_amount": 0}, "must be at least 1"),
        ({"max_attempts": 0}, "max_attempts must be at least 1"),
        ({"limits": {"g": 0}}, "limit 'g' must be at least 1"),
        ({"payload": {"skill": "a", "call": "b"}}, "not something to run"),
        ({"payload": {"call": "a", "params": [1]}}, "params must be a mapping"),
        ({"after": "abc"}, "after"),
        ({"after": 5}, "after must be a list of ids"),
        ({"after": [["a"]]}, "an id in after"),
        ({"key": ["a"]}, "key"),
        ({"key": "a\0b"}, "key must be one line"),
        ({"key": "k" * 1001}, "key must be one line of at most 1000"),
        ({"at_most_once": "no"}, "at_most_once must be true or false"),
    ],
)
def test_a_task_that_no_worker_could_deal_with_is_not_made(
    wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        task("t", **wrong)


@pytest.mark.parametrize("wrong", ["", "  ", "a\nb", "x" * 201, 7])
def test_an_id_is_a_line_of_text(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        Task(wrong)


def test_all_are_submitted_or_none(queue: ResourceEngine, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="waits for 'nothing'"):
        queue.submit_tasks([task("a"), task("b", after=("nothing",))])
    assert queue.tasks() == []
    assert events(tmp_path / "engine_state.jsonl", "task_submitted") == []
    assert queue.submit_tasks([task("a", key="k"), task("b", key="k"), task("a")]) == ["a"] * 3


def test_one_waits_only_for_what_there_is(queue: ResourceEngine) -> None:
    queue.submit_task(task("night"))
    queue.cancel("night")
    with pytest.raises(InvalidInput, match="which is cancelled"):
        queue.submit_task(task("a", after=("night",)))
    with pytest.raises(InvalidInput, match=r"'nigth', which is not there \(did you mean 'night'\?"):
        queue.submit_task(task("a", after=("nigth",)))
    with pytest.raises(NotFound, match="no task 'b'"):
        queue.cancel("b")
    with pytest.raises(NotFound, match="no task 'b'"):
        queue.retry("b")


def test_a_dead_letter_keeps_others_waiting_until_it_is_mended_or_given_up(
    queue: ResourceEngine,
) -> None:
    queue.submit_tasks([task("a", max_attempts=1), task("b", after=("a",))])
    hands = Hands.of(queue)
    hands.run("error", error={"message": "no"})
    assert [state(queue, one) for one in "ab"] == ["dead", "waiting"]
    assert queue.retry("a")
    assert not queue.retry("a")
    hands.run("denied")
    assert queue.cancel("a", "not worth it")
    assert [state(queue, one) for one in "ab"] == ["cancelled", "cancelled"]
    assert error(queue, "a") == {"message": "not worth it"}
    assert "a was cancelled" in error(queue, "b")["message"]
    assert queue.totals()["dead"] == 0


def test_a_batch_tells_how_far_it_is(queue: ResourceEngine, at: Time) -> None:
    queue.submit_tasks([task(f"t{n}", batch="night", max_attempts=1) for n in range(4)])
    hands = Hands.of(queue)
    hands.run()
    hands.run("error")
    queue.cancel("t3")
    found = {"batch": "night", "total": 4, "succeeded": 1, "dead": 1, "cancelled": 1}
    assert queue.batch_progress("night") == found
    queue.retry("t1")
    assert queue.batch_progress("night") == {k: v for k, v in found.items() if k != "dead"}
    assert queue.batch_progress("day") is None


def test_a_batch_that_was_forgotten_is_no_obstacle(
    queue: ResourceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is used again, while a dead letter of the first one is still there."""
    from engines.resource_engine import state as state_module

    monkeypatch.setattr(state_module, "_BATCHES_KEPT", 1)
    queue.submit_task(task("a", batch="b", max_attempts=1))
    Hands.of(queue).run("error")
    queue.submit_tasks([task("other", batch="c"), task("again", batch="b")])
    assert queue.retry("a")
    assert state(queue, "a") == "queued"


def test_lists_are_by_state_batch_and_who_asked(queue: ResourceEngine) -> None:
    queue.submit_tasks([task("a", batch="x"), task("b", source="job:1"), task("c", batch="x")])
    Hands.of(queue).run()
    assert [one.task_id for one in queue.tasks()] == ["a", "b", "c"]
    assert [one.task_id for one in queue.tasks(batch="x", state="queued")] == ["c"]
    assert [one.task_id for one in queue.tasks(source="job:1")] == ["b"]


def test_what_cancelling_took_out_is_not_waited_for(queue: ResourceEngine) -> None:
    """Pools grow for those that wait, and not for those that did."""
    queue.submit_tasks(task(f"t{n}") for n in range(5))
    assert queue.get_status()["pools"]["compute"]["waiting"] == 5
    for n in (1, 2, 3):
        queue.cancel(f"t{n}")
    assert queue.get_status()["pools"]["compute"]["waiting"] == 2


def test_what_ended_long_ago_is_known_by_id_and_key(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is forgotten, its names are not; a key goes with no task that is still to run."""
    monkeypatch.setattr(table, "_KEPT", 3)
    monkeypatch.setattr(table, "_KEPT_NAMES", 5)
    queue = open_queue()
    queue.submit_task(Task("waits", key="k-waits", not_before=4e9))
    for number in range(12):
        queue.submit_task(Task(f"t{number}", key=f"k{number}"))
        queue.cancel(f"t{number}") if number % 2 else done(queue, f"t{number}")
    for engine in (queue, open_queue()):
        assert engine.task("t4") is None
        assert not engine.submit_task(Task("t4"))
        assert not engine.submit_task(Task("again", key="k4"))
        assert not engine.submit_task(Task("again", key="k-waits"))
        assert engine.submit_task(Task(f"behind-{id(engine)}", after=("t4",)))
        with pytest.raises(InvalidInput, match="t5', which is cancelled"):
            engine.submit_task(Task("never", after=("t5",)))


def done(queue: ResourceEngine, task_id: str) -> None:
    name = queue.join()
    (lease,) = queue.exchange(name, room=1).leases
    queue.exchange(name, ended=[Ended(task_id, lease.number, "ok")])
    queue.leave(name)
