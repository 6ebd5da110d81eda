"""Pools move by the rule, between their ends, and the record says why; health does not flap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engines.resource_engine import (
    PoolLimits,
    ResourceEngine,
    ResourcePool,
    ResourceType,
    ScalingRule,
)
from engines.resource_engine.scaling import Autoscaler
from tests.resource_engine.conftest import Open
from tests.resource_engine.kit import Hands, Time, events, task

COMPUTE = ResourceType.COMPUTE


def pool(capacity: int, used: int, least: int = 1, most: int = 40) -> ResourcePool:
    found = ResourcePool(COMPUTE, capacity, PoolLimits(least, least, most))
    found.allocated = used
    return found


@pytest.mark.parametrize(
    ("capacity", "used", "waiting", "most", "advised"),
    [
        (10, 8, 5, 40, None),     # 80 % is not above it
        (10, 9, 1, 40, 15),       # ceil(10 * 90 / 60)
        (10, 10, 1, 40, 17),      # ceil(10 * 100 / 60)
        (10, 10, 0, 40, None),    # nobody waits
        (10, 10, 9, 12, 12),      # never above its most
        (40, 40, 9, 40, None),
        (1, 1, 9, 40, 2),         # one more at least, twice as many at most
        (10, 5, 9, 40, None),     # between the thresholds
        (10, 2, 9, 40, None),     # downwards only after the window
    ],
)  # fmt: skip
def test_up_above_80_percent_while_somebody_waits(
    capacity: int, used: int, waiting: int, most: int, advised: int | None
) -> None:
    found = Autoscaler(ScalingRule()).advise(pool(capacity, used, most=most), waiting, 0.0)
    assert (found.capacity if found else None) == advised


def test_tolerance_leaves_what_is_nearly_right() -> None:
    """With the target where the threshold is, 85 % is within a tenth of it."""
    rule = ScalingRule(target=80.0, tolerance=0.1)
    found = Autoscaler(rule).advise(pool(20, 17), 1, 0.0)
    assert found is not None
    assert found.capacity == 21, "no larger than it has to be while somebody waits"
    found = Autoscaler(ScalingRule(target=80.0, tolerance=0.0)).advise(pool(20, 17), 1, 0.0)
    assert found is not None
    assert found.capacity == 22


@pytest.mark.parametrize(
    ("window", "every"), [(300.0, 15.2), (60.0, 15.2), (30.0, 15.2), (300.0, 61.0)]
)
def test_down_only_when_no_more_was_needed_for_a_whole_window(window: float, every: float) -> None:
    """However often it is looked at; then to the most that was needed within it."""
    scaler = Autoscaler(ScalingRule(stabilisation_s=window))
    lull = pool(20, 2)
    now, steps = 0.0, []
    scaler.advise(pool(20, 5), 0, now)
    while not steps and now < 3 * window:
        now += every
        if found := scaler.advise(lull, 0, now):
            steps.append((now, found.capacity))
    ((when, capacity),) = steps
    assert window <= when <= window + 2 * every
    assert capacity in {4, 9}, "ceil(20 * 10 / 60), or ceil(20 * 25 / 60) while that is within"


def test_one_busy_moment_in_the_window_keeps_a_pool_large() -> None:
    scaler = Autoscaler(ScalingRule())
    for second in range(0, 200, 20):
        assert scaler.advise(pool(20, 1), 0, float(second)) is None
    assert scaler.advise(pool(20, 15), 0, 200.0) is None
    for second in range(220, 500, 20):
        assert scaler.advise(pool(20, 1), 0, float(second)) is None
    assert scaler.advise(pool(20, 1), 0, 520.0) is not None


def test_never_below_what_is_taken_or_its_least() -> None:
    for used, least, advised in ((0, 3, 3), (5, 1, 9), (4, 1, 7)):
        scaler = Autoscaler(ScalingRule())
        scaler.advise(pool(20, used, least), 0, 0.0)
        found = scaler.advise(pool(20, used, least), 0, 301.0)
        assert found is not None
        assert found.capacity == advised


def test_decisions_are_recorded_with_their_reasons(
    queue: ResourceEngine, at: Time, tmp_path: Path
) -> None:
    hands = Hands.of(queue)
    queue.submit_tasks(task(f"t{n}") for n in range(13))
    leases = hands.claim(room=10)
    at.passes(15)
    queue.upkeep(hands.name)
    queue.upkeep(hands.name)  # not twice within the quarter of a minute
    for lease in leases:
        hands.end(lease)
    for _ in range(25):
        at.passes(15)
        queue.exchange(hands.name)
        queue.upkeep(hands.name)
    scaled = events(tmp_path / "engine_state.jsonl", "pool_scaled")
    mine = [(e["was"], e["capacity"], e["reason"]) for e in scaled if e["pool"] == "compute"]
    assert mine[0] == (10, 17, "100 % in use and 3 waiting")
    assert mine[-1][1:] == (1, "0 % in use, never more needed in 300 s")
    assert queue.pools[COMPUTE].capacity == 1
    others = {e["pool"]: e["capacity"] for e in scaled}
    assert others == {"compute": 1, "storage": 10, "network": 2, "database": 1}


def test_a_clock_set_back_does_not_stop_the_scaling(queue: ResourceEngine, at: Time) -> None:
    hands = Hands.of(queue)
    queue.submit_tasks(task(f"t{n}") for n in range(40))
    hands.claim(room=40)
    at.passes(15)
    queue.upkeep(hands.name)
    hands.claim(room=40)
    at.now -= 86_400
    at.mono += 15
    queue.upkeep(hands.name)
    assert queue.pools[COMPUTE].capacity == 20


def test_a_told_number_of_workers_is_not_scaled(
    queue: ResourceEngine, at: Time, tmp_path: Path
) -> None:
    hands = Hands.of(queue, slots=2)
    assert queue.pools[COMPUTE].capacity == 2
    more = Hands.of(queue, slots=3)
    assert queue.pools[COMPUTE].capacity == 5
    queue.leave(more.name)
    queue.submit_tasks(task(f"t{n}") for n in range(9))
    assert len(hands.claim(room=9)) == 2
    for _ in range(30):
        at.passes(15)
        queue.upkeep(hands.name)
    scaled = events(tmp_path / "engine_state.jsonl", "pool_scaled")
    assert "compute" not in {e["pool"] for e in scaled}
    queue.leave(hands.name)
    assert queue.pools[COMPUTE].capacity == 10


def test_health_changes_with_hysteresis_and_is_recorded(open_queue: Open, tmp_path: Path) -> None:
    values = {"cpu": 10.0, "memory": 10.0, "disk": 10.0}
    queue = open_queue(probe=lambda _: values)
    hands = Hands.of(queue)
    told = []
    for cpu in (80.0, 80.1, 79.0, 72.0, 71.9, 75.0, 81.0):
        values["cpu"] = cpu
        queue.upkeep(hands.name)
        told.append(queue.is_healthy())
    assert told == [True, False, False, False, True, True, False]
    changes: list[Any] = events(tmp_path / "engine_state.jsonl", "health_changed")
    assert [(e["check"], e["healthy"], e["value"]) for e in changes] == [
        ("cpu", False, 80.1),
        ("cpu", True, 71.9),
        ("cpu", False, 81.0),
    ]


def test_health_knows_of_what_others_did(open_queue: Open) -> None:
    here, there = open_queue(), open_queue()
    assert here.is_healthy()
    there.submit_tasks(task(f"t{n}") for n in range(101))
    assert not here.is_healthy()
    assert here.get_status()["health_checks"]["queue_depth"]["value"] == 101
    hands = Hands.of(there)
    for _ in range(100):
        hands.run("denied")
    assert here.get_status()["health_checks"]["error_rate"]["value"] == 100.0
