"""Who goes first, who passes whom, and that nobody waits for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.resource_engine import (
    PoolLimits,
    ResourceEngine,
    ResourceType,
    TaskPriority,
)
from tests.resource_engine.conftest import Open
from tests.resource_engine.kit import Hands, Time, error, state, task

COMPUTE, DATABASE = ResourceType.COMPUTE, ResourceType.DATABASE
FOUR = {COMPUTE: PoolLimits(4, 1, 4)}


def test_the_more_urgent_goes_first_and_among_equals_the_earlier(queue: ResourceEngine) -> None:
    queue.submit_tasks(
        task(f"{priority.name}{n}", priority=priority)
        for n in range(2)
        for priority in reversed(TaskPriority)
    )
    assert Hands.of(queue).claimed(room=8) == [
        f"{priority.name}{n}" for priority in TaskPriority for n in range(2)
    ]


@pytest.mark.parametrize(
    ("waited", "first"),
    [(299, "high"), (301, "normal"), (599, "critical"), (601, "normal")],
)
def test_waiting_makes_up_for_each_step_of_priority(
    queue: ResourceEngine, at: Time, waited: float, first: str
) -> None:
    """A step is worth 300 s: 301 s longer beats one step, and two need 601."""
    queue.submit_task(task("normal"))
    at.passes(waited)
    priority = "high" if waited < 400 else "critical"
    queue.submit_task(task(priority, priority=TaskPriority[priority.upper()]))
    assert Hands.of(queue).claimed() == [first]


@settings(max_examples=18)
@given(
    st.lists(
        st.tuples(st.sampled_from(TaskPriority), st.floats(0, 400), st.sampled_from(["a", "b"])),
        max_size=12,
    )
)
def test_the_order_is_that_of_submission_and_priority_whatever_the_kinds(
    given: list[tuple[TaskPriority, float, str]],
) -> None:
    at = Time()
    queue = ResourceEngine(journal=_volatile(at), clock=at.clock, monotonic=at.monotonic)
    ranks = {}
    for number, (priority, later, group) in enumerate(given):
        at.passes(later)
        queue.submit_task(task(f"{number}", priority=priority, limits={group: 100}))
        ranks[f"{number}"] = (at.now + 300 * priority, number)
    hands = Hands.of(queue)
    queue.pools[COMPUTE].capacity = 100
    assert hands.claimed(room=100) == sorted(ranks, key=lambda name: ranks[name])


def _volatile(at: Time):  # noqa: ANN202
    from engines.journal import VolatileJournal

    return VolatileJournal(clock=at.clock)


def test_a_large_task_is_passed_at_first_and_then_has_room_kept_for_it(
    open_queue: Open, at: Time
) -> None:
    queue = open_queue(limits=FOUR)
    hands = Hands.of(queue)
    queue.submit_tasks([task("s0"), task("large", resource_amount=4), task("s1")])
    (first, second) = hands.claim(room=2)
    assert [lease.tasks[0].task_id for lease in (first, second)] == ["s0", "s1"]
    at.passes(301)
    queue.submit_task(task("s2", priority=TaskPriority.CRITICAL))
    hands.end(first)
    assert hands.claimed(room=4) == ["s2"], "a critical one comes before it still"
    queue.submit_task(task("s3"))
    assert hands.claimed(room=4) == []
    hands.end(second)
    assert hands.claimed(room=4) == []
    queue.cancel("s2")
    queue.leave(hands.name)
    assert Hands.of(queue).claimed(room=4) == ["large"]


def test_a_stream_of_small_ones_never_starves_a_large_one(open_queue: Open, at: Time) -> None:
    queue = open_queue(limits=FOUR)
    hands = Hands.of(queue)
    running = []
    queue.submit_task(task("large", resource_amount=3))
    for number in range(300):
        queue.submit_task(task(f"s{number}", priority=TaskPriority.HIGH))
        running += hands.claim(room=4)
        if any(lease.tasks[0].task_id == "large" for lease in running):
            break
        at.passes(5)
        if number % 2:
            hands.end(running.pop(0))
    assert state(queue, "large") == "running"
    assert at.now < Time().now + 700


def test_room_is_not_kept_for_what_could_not_start_in_an_empty_pool(
    open_queue: Open, at: Time
) -> None:
    """Fewer workers than it needs may be there for long: the others go on."""
    queue = open_queue()
    hands = Hands.of(queue, slots=2)
    queue.submit_tasks([task("large", resource_amount=8), task("small")])
    at.passes(1000)
    assert hands.claimed(room=2) == ["small"]
    more = Hands.of(queue, slots=8)
    assert more.claimed(room=2) == ["large"]


def test_what_is_kept_in_one_pool_holds_up_no_other(open_queue: Open, at: Time) -> None:
    queue = open_queue(limits=FOUR)
    hands = Hands.of(queue)
    queue.submit_tasks([task("s"), task("large", resource_amount=4)])
    hands.claim()
    at.passes(301)
    queue.submit_tasks([task("d", needs={DATABASE: 1}), task("c")])
    assert hands.claimed(room=4) == ["d"]


@pytest.mark.parametrize("pool", ResourceType)
def test_what_no_pool_may_ever_hold_is_refused(queue: ResourceEngine, pool: ResourceType) -> None:
    most = queue.limits[pool].most
    told = f"needs {most + 1} of {pool.value}, which never has more than {most}"
    with pytest.raises(InvalidInput, match=told):
        queue.submit_task(task("t", needs={pool: most + 1}))
    assert queue.submit_task(task("t", needs={pool: most}))


def test_all_pools_that_a_task_needs_are_taken_or_none(queue: ResourceEngine) -> None:
    queue.submit_tasks(task(f"t{n}", needs={COMPUTE: 1, DATABASE: 2}) for n in range(4))
    hands = Hands.of(queue)
    leases = hands.claim(room=4)
    assert len(leases) == 2
    assert (queue.pools[COMPUTE].allocated, queue.pools[DATABASE].allocated) == (2, 4)
    assert queue.pools[DATABASE].get_stats()["waiting"] == 0  # until somebody asks for the status
    assert queue.get_status()["pools"]["database"]["waiting"] == 4
    hands.end(leases[0])
    assert len(hands.claim(room=4)) == 1


def test_a_group_has_so_many_at_once_and_others_go_by(queue: ResourceEngine) -> None:
    queue.submit_tasks(task(f"g{n}", limits={"skill:x": 2}) for n in range(4))
    queue.submit_task(task("other"))
    hands = Hands.of(queue)
    leases = hands.claim(room=9)
    assert [lease.tasks[0].task_id for lease in leases] == ["g0", "g1", "other"]
    hands.end(leases[0])
    assert hands.claimed(room=9) == ["g2"]


def test_what_could_not_start_in_time_does_not_start(queue: ResourceEngine, at: Time) -> None:
    queue.submit_tasks([task("late", start_by=at.now + 10), task("just", start_by=at.now + 11)])
    at.passes(11)
    assert Hands.of(queue).claimed(room=2) == ["just"]
    assert state(queue, "late") == "dead"
    assert error(queue, "late")["type"] == "TooLate"
    assert queue.retry("late"), "somebody wants it all the same"
    assert Hands.of(queue).claimed() == ["late"]


def test_what_a_session_cannot_run_is_left_for_others(queue: ResourceEngine) -> None:
    queue.submit_tasks([task("a", payload={"call": "here"}), task("b", payload={"skill": "x"})])
    hands = Hands.of(queue)
    found = queue.exchange(hands.name, room=9, runs=lambda does: does == "skill:x")
    assert [lease.tasks[0].task_id for lease in found.leases] == ["b"]
    assert hands.claimed(room=9) == ["a"]


def test_a_reservation_takes_of_the_pools_until_it_is_given_back(queue: ResourceEngine) -> None:
    assert queue.reserve("entity:a", {"database": 4})
    assert not queue.reserve("entity:a", {"database": 1}), "it has some"
    assert not queue.reserve("entity:b", {"compute": 1, "database": 2}), "all or nothing"
    assert queue.pools[COMPUTE].allocated == 0
    queue.submit_task(task("t", needs={DATABASE: 2}))
    hands = Hands.of(queue)
    assert hands.claimed() == []
    assert queue.release("entity:a")
    assert not queue.release("entity:a")
    assert hands.claimed() == ["t"]
    with pytest.raises(InvalidInput):
        queue.reserve("entity:c", {"database": 0})
    with pytest.raises(InvalidInput):
        queue.reserve("entity:c", {"databse": 1})
