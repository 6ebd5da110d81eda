"""Laws that hold whatever is asked in whatever order, against a model as simple as can be."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engines.entity_manager import (
    TRANSITIONS,
    Command,
    Entity,
    EntityManager,
    EntityState,
    RestartLimits,
)
from engines.journal import Journal
from tests.entity_manager.things import Clock, Pool

IDS = st.sampled_from(["a", "b", "c"])
USERS = st.sampled_from([command for command in Command if command is not Command.ACTIVATE])
ASLEEP = {EntityState.HIBERNATING, EntityState.DEACTIVATED}
LIMITS = RestartLimits(max_failures=2, within_s=30, max_corrections=3, corrections_within_s=300)
_numbers = itertools.count()


class Lives(RuleBasedStateMachine):
    """Two processes, one record, room for two; the model knows states, health and counts."""

    folder: Path

    @initialize()
    def open(self) -> None:
        self.clock, self.pool = Clock(), Pool(2)
        self.path = self.folder / f"entities-{next(_numbers)}.jsonl"
        self.managers = [self.opened(), self.opened()]
        self.objects: dict[tuple[int, str], Entity] = {}
        self.model: dict[str, EntityState] = {}
        self.corrections: dict[str, list[float]] = {}
        self.health: dict[str, float] = {}

    def opened(self) -> EntityManager:
        journal = Journal(self.path, clock=self.clock)
        return EntityManager(
            resource_engine=self.pool, journal=journal, clock=self.clock, limits=LIMITS
        )

    @rule(who=st.integers(0, 1), entity_id=IDS)
    def spawn(self, who: int, entity_id: str) -> None:
        made = self.managers[who].spawn(entity_id, "worker", {"compute": 1}, skill="s", every_s=10)
        assert (made is None) == (entity_id in self.model)
        if made:
            self.model[entity_id] = EntityState.HIBERNATING
            self.health[entity_id], self.corrections[entity_id] = 100.0, []

    @rule(who=st.integers(0, 1), entity_id=IDS, command=USERS)
    def move(self, who: int, entity_id: str, command: Command) -> None:
        state = self.model.get(entity_id)
        after = TRANSITIONS.get((state, command)) if state else None
        room = sum(s not in ASLEEP for s in self.model.values()) < 2
        done = getattr(self.managers[who], command)(entity_id)
        expected = after is not None and (command is not Command.AWAKEN or room)
        assert done is expected
        if not expected or after is None:
            return
        if after is EntityState.AWAKENING:
            self._awake(entity_id, anew=command is Command.AWAKEN)
        elif after is EntityState.ACTIVE:
            self._awake(entity_id, anew=False)
        elif after is EntityState.ERROR_CORRECTION:
            self._correct(entity_id)
        else:
            self.model[entity_id] = after

    @rule(who=st.integers(0, 1), entity_id=IDS, health=st.integers(-10, 110))
    def set_health(self, who: int, entity_id: str, health: int) -> None:
        known = self.managers[who].set_health(entity_id, health)
        assert known == (entity_id in self.model)
        if known:
            self.health[entity_id] = float(min(max(health, 0), 100))

    @rule(who=st.integers(0, 1))
    def monitor(self, who: int) -> None:
        for manager in self.managers:
            manager.heartbeats(self.model)  # silence is the subject of other tests
        found = set(self.managers[who].monitor_health())
        for entity_id, state in list(self.model.items()):
            if state is EntityState.ACTIVE and self.health[entity_id] < 30:
                self._correct(entity_id)
                assert entity_id in found
            if self.model[entity_id] is EntityState.ERROR_CORRECTION and self._is_time(entity_id):
                self._awake(entity_id, anew=False)
                assert entity_id in found

    @rule(who=st.integers(0, 1), entity_id=IDS, good=st.booleans())
    def run(self, who: int, entity_id: str, good: bool) -> None:
        manager = self.managers[who]
        manager.refresh()
        planned = manager.plan_run(entity_id)
        entity = manager.get_entity(entity_id)
        if not (planned and entity and entity.run):
            return
        was = self.model[entity_id]
        assert was is EntityState.ACTIVE
        self.health[entity_id] = 0.8 * self.health[entity_id] + 20 * good
        manager.end_run(entity_id, entity.run.number, "ok" if good else "error")
        if entity.state is not EntityState.ACTIVE:
            assert not good
            self._correct(entity_id)

    @rule(seconds=st.sampled_from([0.5, 1, 5, 10, 100, 400]))
    def wait(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    @rule(who=st.integers(0, 1), snapshot=st.booleans())
    def begin_anew(self, who: int, snapshot: bool) -> None:
        self.managers[who].reconcile()
        if snapshot and self.model:
            self.managers[who].save_snapshot()
        self.managers[who] = self.opened()
        self.objects = {key: e for key, e in self.objects.items() if key[0] != who}

    @rule(who=st.integers(0, 1))
    def fail_and_forget(self, who: int) -> None:
        """A command that fails halfway leaves nothing behind."""
        manager = self.managers[who]

        def end_all() -> None:
            with manager.deciding():
                for entity_id in self.model:
                    manager.deactivate(entity_id)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            end_all()

    @invariant()
    def both_processes_see_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        for who, manager in enumerate(self.managers):
            manager.refresh()
            found = {e.entity_id: e for e in manager.list_entities()}
            assert {one: e.state for one, e in found.items()} == self.model
            assert {one: e.health for one, e in found.items()} == pytest.approx(self.health)
            for one, entity in found.items():
                assert self.objects.setdefault((who, one), entity) is entity
            status = manager.get_status()
            assert sum(status["states"].values()) == status["total_spawned"] == len(self.model)

    @invariant()
    def who_is_awake_holds_and_nobody_else(self) -> None:
        if not hasattr(self, "model"):
            return
        self.managers[0].reconcile()
        awake = {f"entity:{one}" for one, state in self.model.items() if state not in ASLEEP}
        assert set(self.pool.held) == awake

    def _awake(self, entity_id: str, *, anew: bool) -> None:
        self.model[entity_id] = EntityState.ACTIVE
        self.health[entity_id] = max(self.health[entity_id], 50.0)
        if anew:
            self.corrections[entity_id] = []

    def _correct(self, entity_id: str) -> None:
        now = self.clock()
        times = [at for at in self.corrections[entity_id] if at > now - 300] + [now]
        self.corrections[entity_id] = times
        too_many = len(times) > 3
        self.model[entity_id] = (
            EntityState.HIBERNATING if too_many else EntityState.ERROR_CORRECTION
        )

    def _is_time(self, entity_id: str) -> bool:
        times = self.corrections[entity_id]
        return self.clock() >= times[-1] + (0, 0, 1, 2)[len(times)]


def test_entities_keep_the_law_whatever_is_asked(tmp_path: Path) -> None:
    kind: Any = type("LivesHere", (Lives,), {"folder": tmp_path})
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(kind, settings=settings(max_examples=18, stateful_step_count=25))
