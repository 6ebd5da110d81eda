"""
An entity as its users hold it: always what the manager has of it now.

It keeps no state of its own but its id, so that it stays true whatever process moves the entity and
however often the manager folds its journal anew.  One made by hand belongs to no manager and keeps
its record itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines import checks
from engines.entity_manager.lifecycle import EntityState
from engines.entity_manager.model import (
    EntityType,
    Record,
    Run,
    Work,
    as_needs,
    as_type,
    entity_name,
)
from engines.errors import NotFound

if TYPE_CHECKING:
    from engines.entity_manager.manager import EntityManager


class Entity:
    """
    One entity.

    Args:
        manager: Whose it is; None makes one on its own.
    """

    __slots__ = ("__weakref__", "_manager", "_own", "entity_id")

    def __init__(
        self,
        entity_id: str,
        entity_type: EntityType | str = EntityType.WORKER,
        resource_requirement: Mapping[Any, int] | None = None,
        *,
        manager: EntityManager | None = None,
    ) -> None:
        self.entity_id = entity_name(entity_id)
        self._manager = manager
        self._own: Record | None = None
        if manager is None:
            needs = as_needs(resource_requirement)
            self._own = Record(self.entity_id, as_type(entity_type), needs)
            self._own.changed_at = self._own.heartbeat_at = time.time()

    def __repr__(self) -> str:
        return f"<Entity {self.entity_id!r}: {self.state}>"

    # --- what may be changed -----------------------------------------------------------------

    @property
    def health(self) -> float:
        """
        0 … 100.  After each run: 0.8 of what it was, and 20 more where the run succeeded.

        Setting it is recorded where the entity belongs to a manager.
        """
        return self._record.health

    @health.setter
    def health(self, value: float) -> None:
        if self._manager:
            self._manager.set_health(self.entity_id, value)
        else:
            self._record.health = checks.clamped(value, "health", 0.0, 100.0)

    def heartbeat(self) -> None:
        """Say that it is alive."""
        if self._manager:
            self._manager.heartbeat(self.entity_id)
        else:
            self._record.heartbeat_at = time.time()

    # --- what it is ---------------------------------------------------------------------------

    @property
    def entity_type(self) -> EntityType:
        return self._record.entity_type

    @property
    def state(self) -> EntityState:
        return self._record.state

    @property
    def reason(self) -> str:
        """Why it is in this state, where there is something to say."""
        return self._record.reason

    @property
    def resource_requirement(self) -> dict[str, int]:
        """Pool → amount that it holds while it is awake."""
        return dict(self._record.needs)

    @property
    def work(self) -> Work | None:
        return self._record.work

    @property
    def run(self) -> Run | None:
        """The run under way."""
        return self._record.run

    @property
    def error_count(self) -> int:
        """Failed runs and error corrections."""
        return self._record.error_count

    @property
    def recovery_attempts(self) -> int:
        """How often it went into error correction."""
        return self._record.recovery_attempts

    @property
    def tasks_completed(self) -> int:
        return self._record.tasks_completed

    @property
    def tasks_failed(self) -> int:
        return self._record.tasks_failed

    @property
    def last_heartbeat(self) -> float:
        """In seconds since the epoch."""
        return self._record.heartbeat_at

    @property
    def next_due(self) -> float | None:
        """When it runs next, where it runs each interval; in seconds since the epoch."""
        return self._record.due_at(self._now())

    @property
    def recover_at(self) -> float | None:
        """When it is awakened again, during error correction; in seconds since the epoch."""
        return self._record.recovers_at(self._now())

    @property
    def position(self) -> int:
        """The seq of the last message that it dealt with, -1 before the first."""
        return self._record.position

    def is_healthy(self) -> bool:
        """Whether its health is 30 or more and, when active, its heartbeat at most 300 s old."""
        return not self.ailment

    @property
    def ailment(self) -> str:
        """Why it is not healthy, for people; nothing where it is."""
        return self._record.ailment(self._now())

    def get_stats(self) -> dict[str, Any]:
        """All of it as JSON; times in seconds since the epoch."""
        record = self._record
        return {
            "entity_id": record.entity_id,
            "entity_type": record.entity_type.value,
            "state": record.state.value,
            "reason": record.reason,
            "since": record.changed_at,
            "health": record.health,
            "healthy": self.is_healthy(),
            "last_heartbeat": record.heartbeat_at,
            "error_count": record.error_count,
            "recovery_attempts": record.recovery_attempts,
            "tasks_completed": record.tasks_completed,
            "tasks_failed": record.tasks_failed,
            "resource_requirement": dict(record.needs),
            "work": record.work.as_dict() if record.work else None,
            "running": record.task_id() if record.run else None,
            "next_due": self.next_due,
            "recover_at": self.recover_at,
            "position": record.position,
        }

    def _now(self) -> float:
        return self._manager.clock() if self._manager else time.time()

    @property
    def _record(self) -> Record:
        manager = self._manager
        record = manager.record_of(self.entity_id) if manager else self._own
        if record is None:  # whoever spawned it was stopped before that was acknowledged
            raise NotFound(f"there is no entity {self.entity_id!r}")
        return record
