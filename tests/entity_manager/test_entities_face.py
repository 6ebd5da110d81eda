"""What users' code relies on, by example."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import engines
from engines.entity_manager import Entity, EntityManager, EntityState, EntityType, RestartLimits
from engines.errors import InvalidInput, JournalWriteFailed, NotFound
from engines.resource_engine import ResourceType
from tests.entity_manager.conftest import Make
from tests.entity_manager.things import Clock, Pool, in_memory


def test_the_words_that_are_stored() -> None:
    assert [state.value for state in EntityState] == [
        *("hibernating", "awakening", "active", "error_correction", "offline_adapting"),
        "deactivated",
    ]
    assert [kind.value for kind in EntityType] == ["worker", "analyzer", "monitor", "orchestrator"]
    assert engines.EntityManager is EntityManager


def test_a_life(tmp_path: Path) -> None:
    manager = EntityManager(str(tmp_path / "e.jsonl"))
    entity = manager.spawn("worker_001", EntityType.WORKER)
    assert entity is not None
    assert (entity.entity_id, entity.entity_type) == ("worker_001", EntityType.WORKER)
    states: list[EntityState] = [entity.state]
    for command in ("awaken", "hibernate", "awaken", "offline_adapt", "back_online", "deactivate"):
        assert getattr(manager, command)("worker_001")
        states.append(entity.state)
    assert [state.value for state in states] == [
        *("hibernating", "active", "hibernating", "active", "offline_adapting", "active"),
        "deactivated",
    ]
    assert manager.verify_hash_chain()


def test_an_id_is_used_once(manager: EntityManager) -> None:
    """Also one whose entity was ended, and one that another process gave."""
    assert manager.spawn("e", "worker") is manager.get_entity("e")
    assert manager.spawn("e", "monitor") is None
    manager.deactivate("e")
    assert manager.spawn("e", "worker") is None
    assert manager.get_entity("f") is None


def test_what_was_unhealthy_goes_through_error_correction(manager: EntityManager) -> None:
    entity = manager.spawn("e", EntityType.MONITOR)
    assert entity
    manager.awaken("e")
    entity.health = 20.0
    assert not entity.is_healthy()
    assert manager.error_correction("e")
    assert entity.state is EntityState.ERROR_CORRECTION
    assert manager.monitor_health() == ["e"]
    assert (entity.state, entity.health) == (EntityState.ACTIVE, 50.0)
    assert (entity.recovery_attempts, entity.error_count) == (1, 1)
    assert manager.get_status()["total_recoveries"] == 1


def test_monitoring_corrects_and_recovers_in_one_go(manager: EntityManager, clock: Clock) -> None:
    """The unhealthy and the silent; nobody else."""
    for name in ("well", "ill", "silent", "asleep"):
        manager.spawn(name, "worker")
        manager.awaken(name)
    manager.set_health("ill", 29.9)
    manager.set_health("asleep", 1)
    manager.hibernate("asleep")
    clock.pass_by(301)
    manager.heartbeat("well")
    manager.heartbeat("ill")
    assert manager.monitor_health() == ["ill", "silent"]
    counts = {e.entity_id: e.recovery_attempts for e in manager.list_entities()}
    assert counts == {"well": 0, "ill": 1, "silent": 1, "asleep": 0}
    assert manager.monitor_health() == []
    assert all(e.is_healthy() for e in manager.list_entities("active"))


def test_a_heartbeat_is_recorded_now_and_then(manager: EntityManager, clock: Clock) -> None:
    entity = manager.spawn("e", "worker")
    assert entity
    manager.awaken("e")
    before = manager.journal.end.seq
    for _ in range(200):
        entity.heartbeat()
        clock.pass_by(0.5)
    assert manager.journal.end.seq == before + 9
    assert entity.last_heartbeat >= clock() - 10.5
    clock.pass_by(300)
    assert not entity.is_healthy()
    entity.heartbeat()
    assert entity.is_healthy()


def test_health_stays_on_its_scale_and_is_on_record(manager: EntityManager, make: Make) -> None:
    entity = manager.spawn("e", "worker")
    assert entity
    for given, kept in ((150, 100.0), (-1, 0.0), (42.5, 42.5)):
        entity.health = given
        assert entity.health == kept
    with pytest.raises(InvalidInput, match="health must be"):
        entity.health = float("nan")
    assert make().get_entity("e").health == 42.5  # type: ignore[union-attr]


def test_status_counts(manager: EntityManager) -> None:
    for name in "abc":
        manager.spawn(name, "worker", {ResourceType.NETWORK: 2})
    manager.awaken("b")
    manager.deactivate("c")
    status = manager.get_status()
    assert (status["total_entities"], status["total_spawned"]) == (3, 3)
    assert (status["total_deactivated"], status["total_recoveries"]) == (1, 0)
    assert status["states"] == dict.fromkeys(EntityState, 0) | {
        "hibernating": 1,
        "active": 1,
        "deactivated": 1,
    }
    assert status["entities"]["b"]["resource_requirement"] == {"network": 2}
    assert [e.entity_id for e in manager.list_entities(EntityState.ACTIVE)] == ["b"]
    assert [e.entity_id for e in manager.list_entities("deactivated")] == ["c"]
    assert len(manager.list_entities()) == 3


# --- objects -------------------------------------------------------------------------------------


def test_an_object_stays_true_whoever_moves_the_entity(manager: EntityManager, make: Make) -> None:
    """The same object, through other processes' commands and a snapshot."""
    entity = manager.spawn("e", "worker")
    assert entity
    other = make()
    assert other.awaken("e")
    assert entity.state is EntityState.HIBERNATING
    manager.refresh()
    assert entity.state is EntityState.ACTIVE
    other.save_snapshot()
    third = make()
    assert third.offline_adapt("e")
    assert manager.hibernate("e")
    assert entity is manager.get_entity("e")
    assert entity.state is EntityState.HIBERNATING
    assert other.check_snapshot() is None


def test_an_object_stays_true_when_a_command_fails(
    manager: EntityManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was applied and not written is forgotten, and the same object shows what is on record."""
    entity = manager.spawn("e", "worker")
    assert entity

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(JournalWriteFailed):
            manager.awaken("e")
        with pytest.raises(JournalWriteFailed):
            manager.spawn("never", "worker")
    assert entity.state is EntityState.HIBERNATING
    assert manager.get_entity("never") is None
    assert manager.awaken("e")
    assert (entity.state, manager.get_entity("e")) == (EntityState.ACTIVE, entity)


def test_one_of_its_own_belongs_to_no_manager() -> None:
    entity = Entity("solo", EntityType.ANALYZER, {"compute": 2})
    assert (entity.state, entity.health) == (EntityState.HIBERNATING, 100.0)
    entity.health = 12
    entity.heartbeat()
    assert not entity.is_healthy()
    assert entity.get_stats()["resource_requirement"] == {"compute": 2}
    assert repr(entity) == "<Entity 'solo': hibernating>"


def test_an_object_of_nothing_says_so(manager: EntityManager) -> None:
    with pytest.raises(NotFound, match="no entity 'x'"):
        _ = Entity("x", manager=manager).state


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"entity_id": "  "}, "an entity's id must not be empty"),
        ({"entity_id": "a#1"}, "not an entity's id"),
        ({"entity_id": "a\nb"}, "not an entity's id"),
        ({"entity_id": "x" * 151}, "not an entity's id"),
        ({"entity_type": "wrker"}, "no type of entity 'wrker' (did you mean 'worker'?)"),
        ({"resource_requirement": {"computer": 1}}, "no resource 'computer' (did you mean"),
        ({"resource_requirement": {"compute": 0}}, "compute must be at least 1"),
        ({"resource_requirement": {"compute": 1.5}}, "compute must be a whole number"),
        ({"resource_requirement": ["compute"]}, "resource_requirement must be a mapping"),
        ({"skill": "s"}, "each interval or per message"),
        ({"skill": "s", "every_s": 1, "channel": "c"}, "each interval or per message"),
        ({"skill": "s", "every_s": 0}, "every_s must be more than 0"),
        ({"skill": "s", "every_s": float("inf")}, "every_s must be finite"),
        ({"skill": "s", "channel": " "}, "a channel must not be empty"),
        ({"skill": "", "every_s": 1}, "a skill's name must not be empty"),
        ({"every_s": 1}, "name a skill"),
        ({"params": {"a": 1}}, "name a skill"),
        ({"skill": "s", "every_s": 1, "params": [1]}, "params must be a mapping"),
    ],
)
def test_what_makes_no_entity_is_refused(
    manager: EntityManager, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        manager.spawn(**{"entity_id": "e", "entity_type": "worker"} | given)
    assert told in refused.value.message
    assert manager.list_entities() == []


@pytest.mark.parametrize("given", [{"max_failures": 0}, {"within_s": -1}, {"backoff_s": "1"}])
def test_limits_that_are_none_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        RestartLimits(**given)


# --- resources -----------------------------------------------------------------------------------


def test_awake_it_holds_what_it_needs_and_asleep_nothing(clock: Clock) -> None:
    pool = Pool(3)
    manager = in_memory(clock, pool)
    manager.spawn("e", "worker", {"compute": 2})
    assert pool.held == {}
    for command in ("awaken", "error_correction", "recover", "offline_adapt", "back_online"):
        assert getattr(manager, command)("e")
        assert pool.held == {"entity:e": 2}
    for lay_down in (manager.hibernate, manager.deactivate):
        assert lay_down("e")
        assert pool.held == {}
        manager.awaken("e")


def test_without_room_it_stays_asleep_and_says_why(clock: Clock) -> None:
    pool = Pool(3)
    manager = in_memory(clock, pool)
    for name in "ab":
        manager.spawn(name, "worker", {"compute": 2})
    assert manager.awaken("a")
    assert manager.awaken("b") is False
    entity = manager.get_entity("b")
    assert entity
    assert (entity.state, entity.reason) == (EntityState.HIBERNATING, "not free: 2 compute")
    assert manager.reconcile() == []
    manager.deactivate("a")
    assert manager.awaken("b")
    assert (entity.reason, pool.held) == ("", {"entity:b": 2})
