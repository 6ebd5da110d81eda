"""Gauges and meters: what they show, from live engines by their public faces and from journals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.metrics import Gauge, Meter, MetricsCollector, Share
from engines.resource_engine import ResourceEngine
from tests.metrics.desk import NOON, Clock, Queue, exposed, series, write


class Operation:
    """One of a cache's offline queue."""

    def __init__(self, *, retry: bool = True) -> None:
        self._retry = retry

    def can_retry(self) -> bool:
        return self._retry


class Cache:
    """Of the public shape of `LatentCache`; one without entries is False, as a mapping is."""

    cache_hits = 3
    cache_misses = 1

    def __init__(self, queue: list[Operation], **stats: int) -> None:
        self.queue = queue
        self.stats = stats

    def __len__(self) -> int:
        return 0

    def get_stats(self) -> dict[str, Any]:
        return self.stats


class Nav:
    """Of the public shape of `NavigationMesh`."""

    def __init__(self, *gates: dict[str, Any], path_switches: int = 0) -> None:
        self.status = {"gates": {g["domain"]: g for g in gates}, "path_switches": path_switches}

    def get_status(self) -> dict[str, Any]:
        return self.status


def gate(domain: str, allowed: int, denied: int, breaches: int) -> dict[str, Any]:
    return {
        "domain": domain,
        "total_requests": allowed + denied,
        "total_allowed": allowed,
        "total_denied": denied,
        "breach_attempts": breaches,
    }


def collected(clock: Clock | None = None, **engines: Any) -> MetricsCollector:
    collector = MetricsCollector(clock=clock or Clock())
    collector.integrate(**engines)
    collector.update_all()
    return collector


def test_the_users_way_of_writing_works(home: Path) -> None:
    """As in the guide of the earlier system, but for the import lines."""
    from engines.metrics import MetricsCollector
    from engines.resource_engine import ResourceType, Task, TaskPriority

    engine, nav, cache = ResourceEngine(), Nav(gate("wealth", 5, 2, 2)), Cache([Operation()])
    engine.submit_task(Task("task_1", TaskPriority.NORMAL, ResourceType.COMPUTE))

    metrics = MetricsCollector()
    metrics.integrate(resource_engine=engine, nav_mesh=nav, latent_cache=cache)
    metrics.update_all()

    gauges = metrics.get_all_gauges()
    meters = metrics.get_all_meters()
    assert (
        set(gauges)
        == set(metrics.gauges)
        == {*("latency_tolerance", "threshold_lock", "resource_flow")}
    )
    assert {"nav_velocity", "gate_density"} <= set(meters)
    assert metrics.gauges["latency_tolerance"].current_value == 100
    assert metrics.gauges["threshold_lock"].current_value == 100
    assert metrics.gauges["resource_flow"].current_value == 0
    assert metrics.gauges["resource_flow"].measured


def test_without_data_nothing_is_made_up() -> None:
    collector = collected()
    for found in collector.get_all_gauges().values():
        assert (found["current_value"], found["measured"], found["on_target"]) == (0, False, None)
    for found in collector.get_all_meters().values():
        assert (found["value"], found["measured"], found["trend"]) == (0, False, None)
    assert [name for name, _ in exposed(collector)] == ["dino_gauge_target_ratio"] * 3


def test_the_targets_are_those_of_the_contract() -> None:
    targets = {name: found.target for name, found in MetricsCollector().gauges.items()}
    assert targets == {"latency_tolerance": 100, "threshold_lock": 95, "resource_flow": 80}


@pytest.mark.parametrize(
    ("cache", "percent"),
    [
        (Cache([]), None),
        (Cache([Operation(), Operation()]), 100),
        (Cache([Operation(), Operation(retry=False)]), 50),
        (Cache([], operations_synced=3, operations_lost=1), 75),
        (Cache([Operation(retry=False)], operations_synced=1), 50),
    ],
)
def test_latency_tolerance_counts_the_caches_offline_operations(
    cache: Cache, percent: float | None
) -> None:
    found = collected(latent_cache=cache).gauges["latency_tolerance"]
    assert (found.current_value if found.measured else None) == percent


@pytest.mark.parametrize(
    ("gates", "percent"),
    [
        ((), None),
        ((gate("info", 9, 0, 0),), None),
        ((gate("info", 9, 4, 4), gate("myth", 0, 6, 6)), 100),
        ((gate("info", 9, 3, 4), gate("myth", 0, 9, 6)), 90),
    ],
)
def test_threshold_lock_is_how_many_attacks_were_denied(
    gates: tuple[dict[str, Any], ...], percent: float | None
) -> None:
    found = collected(nav_mesh=Nav(*gates)).gauges["threshold_lock"]
    assert (found.current_value if found.measured else None) == percent


def test_gates_may_come_as_a_list_too() -> None:
    nav = Nav()
    nav.status["gates"] = [gate("info", 1, 1, 1)]  # type: ignore[assignment]
    collector = collected(nav_mesh=nav)
    assert collector.gauges["threshold_lock"].of == 1
    read = exposed(collector)
    assert read[series("dino_gate_decisions_total", domain="info", result="denied")] == 1


def test_the_queues_journal_and_the_cache_count_together(queue: Queue) -> None:
    """One task outlived an outage, one did not; two of the cache's operations are kept."""
    queue.submit("a")
    queue.submit("b", start_by=queue.clock.now + 1)
    queue.clock.go(60)
    queue.join()
    for lease in queue.claim(2):
        queue.end(lease)
    cache = Cache([Operation(), Operation()])
    found = collected(queue.clock, resource_engine=queue.engine, latent_cache=cache)
    gauge = found.gauges["latency_tolerance"]
    assert (gauge.current_value, gauge.of) == (75, 4)


def test_resource_flow_is_what_was_done_of_what_could_be(queue: Queue) -> None:
    """What runs, waits for others or for its time is no hindrance to the flow."""
    queue.join()
    for name in ("a", "b", "c"):
        queue.submit(name)
        queue.work()
    queue.submit("dead")
    queue.work("error", final=True)
    queue.submit("running")
    queue.claim()
    queue.submit("later", not_before=queue.clock.now + 60)
    queue.submit("behind", after=("running",))
    queue.submit("ready")
    gauge = collected(queue.clock, resource_engine=queue.engine).gauges["resource_flow"]
    assert (gauge.current_value, gauge.of) == (60, 5)


def test_an_engine_without_a_journal_tells_by_its_status() -> None:
    class Engine:
        def get_status(self) -> dict[str, Any]:
            return {"tasks_processed": 6, "tasks_failed": 1, "tasks_queued": 1}

    gauge = collected(resource_engine=Engine()).gauges["resource_flow"]
    assert (gauge.current_value, gauge.of) == (75, 8)


def test_a_window_leaves_out_what_was_before(queue: Queue, memory: Path) -> None:
    queue.join()
    queue.submit("old")
    queue.work("error", final=True)
    queue.clock.go(7200)
    queue.submit("new")
    queue.work()
    whole = MetricsCollector(memory, clock=queue.clock)
    last = MetricsCollector(memory, window_s=3600, clock=queue.clock)
    for collector in (whole, last):
        collector.update_all()
    assert whole.gauges["resource_flow"].current_value == 50
    assert last.gauges["resource_flow"].current_value == 100
    assert last.counts()["engine_state"]["submitted"] == 1
    assert whole.begins_at() is None
    assert last.begins_at() == pytest.approx(queue.clock.now - 3600, abs=60)


def test_a_gauge_keeps_so_many_readings_and_no_more() -> None:
    gauge = Gauge("g", 80, history=3)
    for good in range(5):
        gauge.show(Share(good, 4), at=float(good))
    assert [reading.value for reading in gauge.history] == [50, 75, 100]
    gauge.show(Share(), at=9.0)
    assert (gauge.current_value, gauge.measured, gauge.history[-1].value) == (0, False, None)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_gauge_lies_between_0_and_100(good: float, all_: float) -> None:
    gauge = Gauge("g", 80)
    gauge.show(Share(good, all_), at=0.0)
    assert 0 <= gauge.current_value <= 100
    assert gauge.measured == (all_ > 0)


# --- meters --------------------------------------------------------------------------------------


def metered(readings: list[tuple[float, float]], now: float) -> Meter:
    meter = Meter("m")
    for at, total in readings:
        meter.observe(total, at)
    meter.update(now)
    return meter


@pytest.mark.parametrize(
    ("readings", "now", "value", "trend"),
    [
        pytest.param([(0, 7)], 0, None, None, id="one-reading-tells-nothing"),
        pytest.param([(0, 7)], 60, 0, "steady", id="nothing-happened"),
        pytest.param([(0, 7), (60, 19)], 120, 6, "rising-or-falling", id="per-minute"),
        pytest.param([(0, 7), (60, 2)], 120, 1, "steady", id="counted-anew-behind-a-restart"),
        pytest.param([(0, 0), (100, 90), (7000, 90)], 7200, 0, "steady", id="out-of-the-window"),
        pytest.param([(0, 0), *((i, i / 60) for i in range(60, 3660, 60))], 3600, 1, "steady", id="even"),
        pytest.param([(0, 0), (3000, 50)], 3600, 50 / 60, "rising", id="rising"),
        pytest.param([(0, 0), (60, 50)], 3600, 50 / 60, "falling", id="falling"),
    ],
)  # fmt: skip
def test_a_meter_shows_the_rate_by_the_times_of_its_readings(
    readings: list[tuple[float, float]], now: float, value: float | None, trend: str | None
) -> None:
    meter = metered(readings, now)
    assert meter.measured == (value is not None)
    assert meter.value == pytest.approx(value or 0)
    assert str(meter.trend) in str(trend) if trend else meter.trend is None


def test_nav_velocity_and_gate_density_follow_the_nav_mesh() -> None:
    clock, nav = Clock(), Nav(gate("info", 10, 0, 0), path_switches=4)
    collector = collected(clock, nav_mesh=nav)
    clock.go(120)
    nav.status = Nav(gate("info", 30, 10, 0), path_switches=10).status
    collector.update_all()
    assert collector.meters["nav_velocity"].value == pytest.approx(3)
    assert collector.meters["gate_density"].value == pytest.approx(15)


def test_gate_density_is_measured_from_the_security_log(memory: Path, clock: Clock) -> None:
    """By the times of its lines: one look is enough."""
    lines = [
        (60.0 * minute, "key_accessed", {"entity": "skill:a", "result": "ok"})
        for minute in range(30)
    ]
    write(memory / "security_log.jsonl", clock, lines)
    clock.now = NOON + 1800
    collector = MetricsCollector(memory, clock=clock)
    collector.update_all()
    meter = collector.meters["gate_density"]
    assert (meter.value, meter.trend) == (pytest.approx(1), "steady")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DINO_HOME", str(tmp_path))
    return tmp_path


def test_what_is_integrated_stays(queue: Queue) -> None:
    collector = MetricsCollector(clock=queue.clock)
    collector.integrate(latent_cache=Cache([Operation()]))
    collector.integrate(nav_mesh=Nav(gate("info", 0, 1, 1)))
    collector.update_all()
    measured: Callable[[str], bool] = lambda name: collector.gauges[name].measured  # noqa: E731
    assert measured("latency_tolerance")
    assert measured("threshold_lock")
    assert not measured("resource_flow")
