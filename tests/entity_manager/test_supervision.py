"""Too much failure: in two steps, each with its window, by a clock that the tests move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.entity_manager import Entity, EntityManager, EntityState, RestartLimits
from tests.entity_manager.things import Clock, Pool, in_memory

LIMITS = RestartLimits(
    max_failures=3,
    within_s=60,
    backoff_s=1,
    backoff_most_s=5,
    max_corrections=4,
    corrections_within_s=1000,
)


@pytest.fixture
def pool() -> Pool:
    return Pool(1)


@pytest.fixture
def manager(clock: Clock, pool: Pool) -> EntityManager:
    return in_memory(clock, pool, limits=LIMITS)


@pytest.fixture
def entity(manager: EntityManager) -> Entity:
    return active(manager)


def active(manager: EntityManager, **more: object) -> Entity:
    manager.spawn("e", "worker", {"compute": 1}, skill="s", every_s=10, **more)  # type: ignore[arg-type]
    assert manager.awaken("e")
    entity = manager.get_entity("e")
    assert entity
    return entity


def run(manager: EntityManager, outcome: str, **more: object) -> None:
    """The next run of "e" ends so, as soon as it may begin."""
    entity = manager.get_entity("e")
    assert entity
    clock = manager.clock
    assert isinstance(clock, Clock)
    clock.now = max(clock.now, entity.next_due or 0)
    assert manager.plan_run("e") == f"entity:e#{entity.run and entity.run.number}"
    assert entity.run
    assert manager.end_run("e", entity.run.number, outcome, **more)  # type: ignore[arg-type]


def fail_until_correction(manager: EntityManager) -> None:
    for _ in range(3):
        run(manager, "error", error="boom")


def test_the_third_failure_within_the_window_is_too_many(
    manager: EntityManager, entity: Entity
) -> None:
    run(manager, "error")
    run(manager, "ok")
    run(manager, "timeout")
    assert entity.state is EntityState.ACTIVE
    run(manager, "error", error="ValueError: no")
    assert entity.state.value == "error_correction"
    assert entity.reason == "3 failed runs within 60 s, the last: ValueError: no"
    assert (entity.tasks_completed, entity.tasks_failed, entity.error_count) == (1, 3, 4)


def test_failures_further_apart_are_none_too_many(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    """Health has its own opinion of them."""
    for _ in range(5):
        run(manager, "error")
        clock.pass_by(31)
    assert entity.state is EntityState.ACTIVE
    assert entity.health == pytest.approx(100 * 0.8**5)
    run(manager, "error")
    assert manager.monitor_health() == ["e"]
    assert entity.recovery_attempts == 1


def test_each_correction_takes_longer_than_the_last(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    """At once, 1 s, 2 s, 4 s; and then it is awakened again."""
    for wait in (0, 1, 2, 4):
        fail_until_correction(manager)
        assert entity.recover_at == clock() + wait
        if wait:
            clock.pass_by(wait - 0.01)
            assert manager.monitor_health() == []
            clock.pass_by(0.01)
        assert manager.monitor_health() == ["e"]
        assert entity.state.value == "active"
        assert entity.next_due == clock()
    assert manager.get_status()["total_recoveries"] == entity.recovery_attempts == 4


def test_no_correction_takes_longer_than_the_most() -> None:
    assert [LIMITS.delay(n) for n in (1, 2, 3, 4, 5, 6, 10**6)] == [0, 1, 2, 4, 5, 5, 5]


def test_too_many_corrections_put_it_to_sleep_with_an_alert(
    manager: EntityManager, entity: Entity, clock: Clock, pool: Pool
) -> None:
    for _ in range(4):
        fail_until_correction(manager)
        manager.recover("e")
    assert manager.alerts == []
    fail_until_correction(manager)
    assert entity.state.value == "hibernating"
    assert entity.reason.startswith("error correction 5 times within 1000 s, the last: 3 failed")
    (alert,) = manager.alerts
    assert (alert.number, alert.entity_id, alert.reason, alert.at) == (
        1,
        "e",
        entity.reason,
        clock(),
    )
    assert manager.reconcile() == ["e"]
    assert pool.held == {}
    assert manager.alert_sent(1)
    assert (manager.alert_sent(1), manager.alerts) == (False, [])


def test_corrections_further_apart_are_forgotten(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    for _ in range(20):
        fail_until_correction(manager)
        assert entity.recover_at == clock()
        manager.monitor_health()
        clock.pass_by(1000)
        manager.heartbeat("e")
    assert (entity.state.value, manager.alerts) == ("active", [])


def test_who_is_awakened_by_hand_begins_anew(manager: EntityManager, entity: Entity) -> None:
    for _ in range(5):
        fail_until_correction(manager)
        manager.recover("e")
    assert entity.state.value == "hibernating"
    manager.reconcile()
    assert manager.awaken("e")
    assert (entity.health, entity.reason) == (50.0, "")
    fail_until_correction(manager)
    assert entity.state.value == "error_correction"


def test_monitoring_that_gives_up_gives_back_what_was_held(clock: Clock, pool: Pool) -> None:
    """As with a program that died and beats its heart no more."""
    manager = in_memory(clock, pool)
    entity = active(manager)
    for _ in range(6):
        assert pool.held == {"entity:e": 1}
        clock.pass_by(301)
        manager.monitor_health()
        clock.pass_by(10)
        manager.monitor_health()
    assert entity.state is EntityState.HIBERNATING
    assert entity.reason.endswith("the last: no heartbeat for 301 s")
    assert (len(manager.alerts), pool.held) == (1, {})


def test_what_is_not_counted_counts_for_nothing(manager: EntityManager, entity: Entity) -> None:
    for _ in range(10):
        run(manager, "cancelled", counted=False)
    assert (entity.state.value, entity.health) == ("active", 100.0)
    assert entity.get_stats()["tasks_failed"] == 0


# --- runs ----------------------------------------------------------------------------------------


def test_a_run_is_planned_when_it_is_due_and_only_once(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    assert manager.plan_run("e") == "entity:e#1"
    assert manager.plan_run("e") is None
    clock.pass_by(35)
    assert manager.plan_run("e") is None
    assert manager.end_run("e", 1, "ok")
    assert not manager.end_run("e", 1, "ok")
    assert manager.plan_run("e") == "entity:e#2"
    assert entity.next_due == clock() + 5  # on the grid; what was missed is left out
    assert manager.end_run("e", 2, "ok")
    assert manager.plan_run("e") is None
    assert (entity.tasks_completed, manager.plan_run("nobody")) == (2, None)


@pytest.mark.parametrize("command", ["hibernate", "error_correction", "offline_adapt"])
def test_who_is_not_active_has_no_run_due(
    manager: EntityManager, entity: Entity, command: str
) -> None:
    getattr(manager, command)("e")
    assert manager.plan_run("e") is None


@pytest.mark.parametrize("command", ["hibernate", "offline_adapt", "deactivate"])
def test_a_run_ends_whatever_became_of_its_entity(
    manager: EntityManager, entity: Entity, command: str
) -> None:
    """And no failure moves one that does not work."""
    for _ in range(2):
        run(manager, "error")
    assert manager.clock() <= (entity.next_due or 0)
    clock = manager.clock
    assert isinstance(clock, Clock)
    clock.now = entity.next_due or 0
    manager.plan_run("e")
    getattr(manager, command)("e")
    state = entity.state
    assert manager.end_run("e", 3, "error")
    assert (entity.state, entity.tasks_failed, entity.run) == (state, 3, None)


def test_messages_are_taken_in_order_each_once(clock: Clock) -> None:
    manager = in_memory(clock)
    manager.spawn("e", "worker", skill="s", channel="c", position=7)
    manager.awaken("e")
    assert manager.plan_run("e") is None
    assert manager.plan_run("e", message=7) is None
    assert manager.plan_run("e", message=9) == "entity:e#1"
    assert manager.plan_run("e", message=12) is None
    manager.end_run("e", 1, "ok")
    assert manager.plan_run("e", message=9) is None
    assert manager.plan_run("e", message=12) == "entity:e#2"
    entity = manager.get_entity("e")
    assert entity
    assert entity.position == 12


def test_awakening_may_leave_messages_out_but_never_goes_back(clock: Clock) -> None:
    manager = in_memory(clock)
    manager.spawn("e", "worker", skill="s", channel="c", from_now=True)
    entity = manager.get_entity("e")
    assert entity
    for at, position in ((None, -1), (0, 0), (40, 40), (None, 40), (3, 40)):
        assert manager.awaken("e", position=at)
        assert entity.position == position
        manager.hibernate("e")


def test_what_failed_offline_is_kept_to_be_tried_again(
    manager: EntityManager, entity: Entity
) -> None:
    manager.plan_run("e")
    assert manager.retry_run("e", 1) is False
    manager.offline_adapt("e", reason="not reached: x:443")
    assert entity.run
    assert (entity.run.held, entity.reason) == (True, "not reached: x:443")
    manager.hibernate("e")
    manager.awaken("e")
    assert entity.run.held
    assert manager.retry_run("e", 1)
    assert (entity.run.held, manager.retry_run("e", 1)) == (False, False)


@given(outcomes=st.lists(st.booleans(), max_size=60))
def test_health_is_the_share_of_successes_older_ones_counting_less(outcomes: list[bool]) -> None:
    """By the sum that the formula stands for, over any history."""
    manager = in_memory(Clock(), limits=RestartLimits(max_failures=100))
    entity = active(manager)
    for good in outcomes:
        run(manager, "ok" if good else "error")
    count = len(outcomes)
    share = sum(0.2 * 0.8 ** (count - 1 - n) * good for n, good in enumerate(outcomes))
    assert entity.health == pytest.approx(100 * (0.8**count + share))
    assert 0 <= entity.health <= 100
    assert entity.is_healthy() == (entity.health >= 30)


# --- a clock that was wrong once ----------------------------------------------------------------

YEARS = 10 * 365 * 86400.0


def test_a_run_planned_by_a_wrong_clock_keeps_nothing_waiting(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    """It runs at once, then on its grid again."""
    run(manager, "ok")
    began = clock()
    clock.pass_by(YEARS)
    run(manager, "ok")
    clock.now = began + 3
    assert entity.next_due == clock()
    assert manager.plan_run("e") == "entity:e#3"
    assert manager.end_run("e", 3, "ok")
    assert entity.next_due == pytest.approx(began + 10)
    assert manager.plan_run("e") is None


def test_a_recovery_planned_by_a_wrong_clock_comes_at_once(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    began = clock()
    clock.pass_by(YEARS)
    for _ in range(2):
        fail_until_correction(manager)
        manager.monitor_health()
    assert entity.state is EntityState.ERROR_CORRECTION
    clock.now = began
    assert entity.recover_at == began
    assert manager.monitor_health() == ["e"]
    assert entity.state is EntityState.ACTIVE


def test_failures_of_times_yet_to_come_are_none_of_late(
    manager: EntityManager, entity: Entity, clock: Clock
) -> None:
    """Else one more would be too many for as many years."""
    began = clock()
    clock.pass_by(YEARS)
    for _ in range(4):
        fail_until_correction(manager)
        clock.pass_by(5)
        manager.monitor_health()
    run(manager, "error")
    run(manager, "error")
    clock.now = began + 3600
    run(manager, "error")
    assert (entity.state, entity.recovery_attempts) == (EntityState.ACTIVE, 4)
    run(manager, "error")
    run(manager, "error")
    assert (entity.state, entity.recovery_attempts) == (EntityState.ERROR_CORRECTION, 5)
    assert manager.alerts == []


def test_silence_is_noticed_also_where_the_last_sign_of_life_is_yet_to_come(
    manager: EntityManager, clock: Clock
) -> None:
    """Counted from when the clock was found to be put back: nobody is to blame for that."""
    manager.spawn("own", "worker")
    manager.awaken("own")
    own = manager.get_entity("own")
    assert own
    began = clock()
    clock.pass_by(YEARS)
    own.heartbeat()
    clock.now = began
    assert manager.monitor_health() == []
    assert own.last_heartbeat == began
    clock.pass_by(301)
    assert manager.monitor_health() == ["own"]
    assert own.recovery_attempts == 1
