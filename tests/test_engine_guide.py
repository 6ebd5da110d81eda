"""
The earlier engine system's guide: its examples run here after changing only their import lines.

They stand as they were printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

QUEUE = """
from engine.resource_engine import ResourceEngine, Task, TaskPriority, ResourceType

engine = ResourceEngine()
engine.start()

task = Task("task_1", TaskPriority.NORMAL, ResourceType.COMPUTE)
engine.submit_task(task)
engine.run_cycle()

status = engine.get_status()
"""

ENTITIES = """
from engine.entity_manager import EntityManager, EntityType

manager = EntityManager()
entity = manager.spawn("worker_001", EntityType.WORKER)
manager.awaken("worker_001")
manager.monitor_health()  # Auto-recovery if unhealthy
"""

CACHE = """
from engine.latent_cache import LatentCache

cache = LatentCache()
cache.set('key', {'data': 'value'}, ttl=3600)
value = cache.get('key')

# Simulate offline
cache.set_online(False)
cache.set('offline_key', 'data')  # Queued
cache.set_online(True)
cache.sync()  # Syncs queued operations
"""

TRAJECTORY = """
from engine.trajectory import TrajectoryOptimizer, Fact

optimizer = TrajectoryOptimizer()
optimizer.add_fact('A', True)
optimizer.add_rule('rule1', ['A'], 'B', cost=1.0)

initial_facts = {Fact('A', True)}
best_path = optimizer.beam_search_optimal_spine(initial_facts)
spine_hash = optimizer.fold_to_hash(best_path)
"""

METRICS = """
from engine.metrics import MetricsCollector

metrics = MetricsCollector()
metrics.integrate(resource_engine=engine, nav_mesh=nav, latent_cache=cache)
metrics.update_all()

gauges = metrics.get_all_gauges()
meters = metrics.get_all_meters()
"""


@pytest.fixture(autouse=True)
def _in_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").touch()
    monkeypatch.chdir(tmp_path)


def run(example: str, **names: Any) -> dict[str, Any]:
    """What the example leaves behind."""
    exec(example.replace("from engine.", "from engines."), names)
    return names


def test_the_resource_engine() -> None:
    found = run(QUEUE)
    try:
        status = found["status"]
        assert status["running"]
        assert status["tasks_processed"] + status["tasks_queued"] + status["tasks_retrying"] == 1
        assert set(status["pools"]) == {"compute", "storage", "network", "database"}
        assert found["engine"].verify_hash_chain()
    finally:
        found["engine"].stop()


def test_the_entity_manager() -> None:
    found = run(ENTITIES)
    assert found["entity"].state == "active"
    assert found["entity"].is_healthy()
    assert found["manager"].get_status()["total_entities"] == 1
    assert found["manager"].verify_hash_chain()


def test_the_latent_cache() -> None:
    found = run(CACHE)
    assert found["value"] == {"data": "value"}
    assert found["cache"].get("offline_key") == "data"
    assert list(found["cache"].queue) == []
    assert found["cache"].get_stats()["operations_synced"] == 1


def test_the_trajectory_optimizer() -> None:
    found = run(TRAJECTORY)
    assert [len(closure.facts) for closure in found["best_path"].closures] == [1, 2]
    assert len(found["spine_hash"]) == 64
    assert found["optimizer"].get_status()["plans"] == 1
    assert found["optimizer"].verify_hash_chain()


class Nav:
    """Of the public shape of `NavigationMesh`."""

    def get_status(self) -> dict[str, Any]:
        return {"gates": {}, "path_switches": 2}


class Cache:
    """Of the public shape of `LatentCache`."""

    cache_hits, cache_misses = 3, 1
    queue = ()

    def get_stats(self) -> dict[str, Any]:
        return {}


def test_the_metrics() -> None:
    engine = run(QUEUE)["engine"]
    try:
        found = run(METRICS, engine=engine, nav=Nav(), cache=Cache())
    finally:
        engine.stop()
    assert set(found["gauges"]) == {"latency_tolerance", "threshold_lock", "resource_flow"}
    assert set(found["meters"]) >= {"nav_velocity", "gate_density"}
    assert all(0 <= g.current_value <= 100 for g in found["metrics"].gauges.values())
