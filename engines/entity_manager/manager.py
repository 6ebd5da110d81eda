"""
Entities: supervised workers, each in one of a few states that only legal transitions lead to.

Its state is a fold over `entities.jsonl`.  What an entity holds of the resource engine's pools is
in that engine's journal, and no step writes both at once.  So the record here goes first where
something is taken (awakening: it may hold something) and last where it is given back (released: it
holds nothing any more): wherever a crash comes between, `reconcile` knows what to look after.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines import checks
from engines.entity_manager.entity import Entity
from engines.entity_manager.lifecycle import WITHOUT_RESOURCES, Command, EntityState, is_legal
from engines.entity_manager.model import (
    EntityType,
    Pools,
    Record,
    RestartLimits,
    Work,
    as_needs,
    as_type,
    entity_name,
)
from engines.entity_manager.supervision import Supervision
from engines.errors import InvalidInput
from engines.home import own_journal
from engines.journal import Journal


class EntityManager(Supervision):
    """
    The entities of one journal.

    Args:
        entity_log_path: The journal's file; None is the workspace's own.
        resource_engine: Of whose pools awake entities hold what they need.
        journal: Instead of a file, where one is open already.
        clock: Seconds since the epoch.
        limits: For entities that are spawned without limits of their own.
    """

    def __init__(
        self,
        entity_log_path: str | Path | None = None,
        resource_engine: Pools | None = None,
        *,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
        limits: RestartLimits | None = None,
    ) -> None:
        self._pools = resource_engine
        self._limits = limits or RestartLimits()
        self._entities: dict[str, Entity] = {}
        super().__init__(
            journal or own_journal("entities", entity_log_path, clock=clock), clock=clock
        )

    # --- commands ----------------------------------------------------------------------------

    def spawn(
        self,
        entity_id: str,
        entity_type: EntityType | str,
        resource_requirement: Mapping[Any, int] | None = None,
        *,
        skill: str | None = None,
        params: Mapping[str, Any] | None = None,
        every_s: float | None = None,
        channel: str | None = None,
        from_now: bool = False,
        position: int = -1,
        limits: RestartLimits | None = None,
    ) -> Entity | None:
        """
        Make an entity, hibernating; None where the id was ever used.

        Args:
            resource_requirement: {ResourceType or its value: amount} that it holds while awake.
            skill: What it runs, with *params*: every *every_s* seconds, or once for each message of
                *channel*.
            from_now: On awakening leave out messages that were published while it hibernated.
            position: The seq of the last message that is not its own; by itself all there were are.
            limits: How much failure is allowed.

        Raises:
            InvalidInput: A name, an amount or a time is none, or they do not go together.
        """
        entity_id = entity_name(entity_id)
        work = _work(skill, params, every_s, channel, from_now=from_now)
        kind = as_type(entity_type)
        needs = as_needs(resource_requirement)
        allowed = limits or self._limits
        with self.deciding():
            if entity_id in self._records:
                return None
            self.record(
                "entity_spawned",
                entity_id=entity_id,
                entity_type=kind.value,
                needs=needs,
                work=work.as_dict() if work else None,
                limits=asdict(allowed),
                position=checks.whole(position, "position"),
                at=self.clock(),
            )
        return self.get_entity(entity_id)

    def awaken(self, entity_id: str, *, position: int | None = None) -> bool:
        """
        Wake a hibernating entity; False where it is none, or its resources are not free.

        Args:
            position: Leave out messages up to this seq.
        """
        with self.deciding():
            entity = self._able(entity_id, Command.AWAKEN)
            if entity is None:
                return False
            reserves = bool(entity.needs and self._pools)
            self._go(entity, Command.AWAKEN, position=position, reserves=reserves)
            if not reserves:
                self._go(entity, Command.ACTIVATE, recovered=0)
                return True
        return self._take_resources(entity_id)

    def hibernate(self, entity_id: str, *, reason: str = "") -> bool:
        """Have it rest and hold nothing; False where it is none that is awake."""
        return self._lay_down(entity_id, Command.HIBERNATE, reason)

    def give_up(self, entity_id: str, reason: str) -> bool:
        """As `hibernate`, with an alert: only a person can help it."""
        with self.deciding():
            if entity := self._able(entity_id, Command.HIBERNATE):
                self._give_up(entity, reason)
        self._release_if_asleep(entity_id)
        return entity is not None

    def deactivate(self, entity_id: str, *, reason: str = "") -> bool:
        """End it for good; False where it is none, or ended."""
        return self._lay_down(entity_id, Command.DEACTIVATE, reason)

    def offline_adapt(self, entity_id: str, *, reason: str = "") -> bool:
        """Note that what it talks to cannot be reached; False where that makes no sense."""
        with self.deciding():
            if entity := self._able(entity_id, Command.OFFLINE_ADAPT):
                self._go(entity, Command.OFFLINE_ADAPT, reason)
            return entity is not None

    def back_online(self, entity_id: str) -> bool:
        """Note that what it talks to can be reached again; False where it was not offline."""
        with self.deciding():
            if entity := self._able(entity_id, Command.BACK_ONLINE):
                self._go(entity, Command.BACK_ONLINE, recovered=0)
            return entity is not None

    def error_correction(self, entity_id: str, *, reason: str = "asked for") -> bool:
        """
        Take it out of work until its recovery (see `RestartLimits`), which `monitor_health` and
        `recover` bring; False where it is none that works.
        """
        with self.deciding():
            if entity := self._able(entity_id, Command.ERROR_CORRECTION):
                self._correct(entity, reason)
        self._release_if_asleep(entity_id)
        return entity is not None

    def recover(self, entity_id: str) -> bool:
        """Awaken it from error correction, whether its time has come or not."""
        with self.deciding():
            if entity := self._able(entity_id, Command.RECOVER):
                self._recover(entity)
            return entity is not None

    def monitor_health(self) -> list[str]:
        found = super().monitor_health()
        for entity_id in found:
            self._release_if_asleep(entity_id)
        return found

    def reconcile(self) -> list[str]:
        """Finish what a crash left between the two journals; the ids of those that were mended."""
        if self._pools is None:
            return []
        mended = [
            record.entity_id
            for record in self._records.values()
            if record.state is EntityState.AWAKENING
            or (record.reserved and record.state in WITHOUT_RESOURCES)
        ]
        for entity_id in mended:
            self._take_resources(entity_id)
            self._release_if_asleep(entity_id)
        return mended

    # --- queries -----------------------------------------------------------------------------

    def get_entity(self, entity_id: str) -> Entity | None:
        """The one object for that entity; it goes on showing what becomes of it."""
        if entity_id not in self._records:
            return None
        if entity_id not in self._entities:
            self._entities[entity_id] = Entity(entity_id, manager=self)
        return self._entities[entity_id]

    def list_entities(self, state: EntityState | str | None = None) -> list[Entity]:
        """All, or those in *state*, in the order in which they were spawned."""
        wanted = None if state is None else EntityState(state)
        found = (self.get_entity(r.entity_id) for r in self._records.values() if _is(r, wanted))
        return [entity for entity in found if entity]

    def get_status(self) -> dict[str, Any]:
        states = Counter(record.state.value for record in self._records.values())
        return {
            "total_entities": len(self._records),
            "total_spawned": len(self._records),
            "total_deactivated": states[EntityState.DEACTIVATED.value],
            "total_recoveries": self._recoveries,
            "states": {state.value: states[state.value] for state in EntityState},
            "entities": {e.entity_id: e.get_stats() for e in self.list_entities()},
        }

    @property
    def limits(self) -> RestartLimits:
        """Of entities that are spawned without limits of their own."""
        return self._limits

    def record_of(self, entity_id: str) -> Record | None:
        """What is kept of it, to be read."""
        return self._records.get(entity_id)

    # --- resources ---------------------------------------------------------------------------

    def _able(self, entity_id: str, command: Command) -> Record | None:
        """The entity, where *command* is legal for it."""
        entity = self._records.get(entity_id)
        return entity if entity and is_legal(entity.state, command) else None

    def _lay_down(self, entity_id: str, command: Command, reason: str) -> bool:
        with self.deciding():
            entity = self._able(entity_id, command)
            if entity is None:
                return False
            self._go(entity, command, reason)
        self._release_if_asleep(entity_id)
        return True

    def _take_resources(self, entity_id: str) -> bool:
        """
        Reserve what an awakening entity needs, and make it active; whether it is.

        Under the lock, so that nobody lays it down in between and gives back what it just got.
        """
        with self.deciding():
            entity = self._records[entity_id]
            if entity.state is not EntityState.AWAKENING:  # another process was faster
                return entity.state is EntityState.ACTIVE
            if self._pools is None or self._reserve(entity, self._pools):
                self._go(entity, Command.ACTIVATE, recovered=0)
                return True
            wanted = ", ".join(f"{amount} {pool}" for pool, amount in entity.needs.items())
            why = f"not free: {wanted}"
            self._go(entity, Command.HIBERNATE, why, nothing_held=True)
            return False

    def _reserve(self, entity: Record, pools: Pools) -> bool:
        from engines.resource_engine import ResourceType  # noqa: PLC0415  many need nothing of it

        needs = {ResourceType(pool): amount for pool, amount in entity.needs.items()}
        if not needs or pools.reserve(entity.holder, needs):
            return True
        # Refused also where it has some already: of an awakening that was cut off.
        return pools.release(entity.holder) and pools.reserve(entity.holder, needs)

    def _release_if_asleep(self, entity_id: str) -> None:
        """Give back what an entity holds that does nothing."""
        if self._depth:  # that it does nothing is not on record yet: `reconcile` will see to it
            return
        if self._pools is None or not _holds_asleep(self._records.get(entity_id)):
            return
        with self.deciding():
            entity = self._records.get(entity_id)
            if entity and _holds_asleep(entity):
                self._pools.release(entity.holder)
                self.record("entity_released", entity_id=entity_id)


def _is(record: Record, state: EntityState | None) -> bool:
    return state is None or record.state is state


def _holds_asleep(record: Record | None) -> bool:
    return record is not None and record.reserved and record.state in WITHOUT_RESOURCES


def _work(
    skill: str | None,
    params: Mapping[str, Any] | None,
    every_s: float | None,
    channel: str | None,
    *,
    from_now: bool,
) -> Work | None:
    if skill is not None:
        return Work(skill, checks.mapping(params, "params"), every_s, channel, from_now)
    if params or every_s is not None or channel is not None:
        raise InvalidInput("what shall it run? name a skill")
    return None
