"""The entity manager's state as a fold over its journal: what each event means, and no more."""

from __future__ import annotations

from engines.engine import Engine
from engines.entity_manager.lifecycle import Command, EntityState
from engines.entity_manager.model import (
    HEALTH_AT_START,
    HEALTH_WEIGHT,
    Alert,
    EntityType,
    Record,
    RestartLimits,
    Run,
    Work,
)
from engines.journal import Event

OK_OUTCOMES = frozenset({"ok", "ok_no_action"})


class EntityFold(Engine):
    """Folds; the commands are those of the classes below it."""

    def reset(self) -> None:
        self._records: dict[str, Record] = {}
        self._recoveries = 0
        self._alerts: list[Alert] = []  # those that nobody was told of yet
        self._alert_count = 0

    # --- the life cycle ----------------------------------------------------------------------

    def apply_entity_spawned(self, event: Event) -> None:
        work = event["work"]
        self._records[event["entity_id"]] = Record(
            event["entity_id"],
            EntityType(event["entity_type"]),
            dict(event["needs"]),
            Work(**work) if work else None,
            RestartLimits(**event["limits"]),
            changed_at=event["at"],
            heartbeat_at=event["at"],
            position=event["position"],
        )

    def apply_entity_awakening(self, event: Event) -> None:
        entity = self._move(event, EntityState.AWAKENING)
        if event["command"] == Command.AWAKEN:  # a fresh start
            entity.failures, entity.corrections = [], []
            if event["position"] is not None:
                entity.position = max(entity.position, event["position"])
        entity.reserved = entity.reserved or event["reserves"]

    def apply_entity_active(self, event: Event) -> None:
        entity = self._move(event, EntityState.ACTIVE)
        entity.health = max(entity.health, HEALTH_AT_START)
        entity.heartbeat_at = event["at"]
        if entity.work and entity.work.every_s is not None:
            entity.next_due = event["at"]
        self._recoveries += event["recovered"]

    def apply_entity_error_correction(self, event: Event) -> None:
        entity = self._move(event, EntityState.ERROR_CORRECTION)
        entity.error_count += 1
        entity.recovery_attempts += 1
        entity.recover_at = event["recover_at"]
        since = event["at"] - entity.limits.corrections_within_s
        recent = [at for at in entity.corrections if since < at <= event["at"]]
        entity.corrections = [*recent, event["at"]]
        entity.failures = []

    def apply_entity_offline_adapting(self, event: Event) -> None:
        entity = self._move(event, EntityState.OFFLINE_ADAPTING)
        if entity.run:
            entity.run.held = True

    def apply_entity_hibernating(self, event: Event) -> None:
        entity = self._move(event, EntityState.HIBERNATING)
        entity.next_due = None
        if event.get("nothing_held"):
            entity.reserved = False

    def apply_entity_deactivated(self, event: Event) -> None:
        self._move(event, EntityState.DEACTIVATED).next_due = None

    def apply_entity_released(self, event: Event) -> None:
        self._records[event["entity_id"]].reserved = False

    def _move(self, event: Event, state: EntityState) -> Record:
        entity = self._records[event["entity_id"]]
        entity.state = state
        entity.reason = event["reason"]
        entity.changed_at = event["at"]
        entity.recover_at = None
        return entity

    # --- signs of life -----------------------------------------------------------------------

    def apply_entity_heartbeats(self, event: Event) -> None:
        for entity_id in event["entity_ids"]:
            self._records[entity_id].heartbeat_at = event["at"]

    def apply_entity_health_set(self, event: Event) -> None:
        self._records[event["entity_id"]].health = event["health"]

    # --- runs --------------------------------------------------------------------------------

    def apply_entity_run_planned(self, event: Event) -> None:
        entity = self._records[event["entity_id"]]
        entity.runs = event["number"]
        entity.run = Run(event["number"], event["at"], event.get("message"))
        if entity.run.message is not None:
            entity.position = entity.run.message
        if "next_due" in event:
            entity.next_due = event["next_due"]

    def apply_entity_run_retried(self, event: Event) -> None:
        run = self._records[event["entity_id"]].run
        if run:
            run.held = False

    def apply_entity_run_ended(self, event: Event) -> None:
        entity = self._records[event["entity_id"]]
        entity.run = None
        entity.heartbeat_at = event["at"]
        if not event["counted"]:
            return
        good = event["outcome"] in OK_OUTCOMES
        entity.health = (1 - HEALTH_WEIGHT) * entity.health + HEALTH_WEIGHT * 100.0 * good
        if good:
            entity.tasks_completed += 1
            return
        entity.tasks_failed += 1
        entity.error_count += 1
        # Older ones than the last few can no longer make it too many.
        entity.failures = [*entity.failures, event["at"]][-entity.limits.max_failures :]

    def apply_entity_read_on(self, event: Event) -> None:
        self._records[event["entity_id"]].position = event["position"]

    def apply_entity_messages_gone(self, event: Event) -> None:
        self._records[event["entity_id"]].position = event["last"]

    # --- alerts ------------------------------------------------------------------------------

    def apply_entity_alerted(self, event: Event) -> None:
        self._alert_count = event["number"]
        self._alerts.append(
            Alert(event["number"], event["entity_id"], event["reason"], event["at"])
        )

    def apply_entity_alert_sent(self, event: Event) -> None:
        self._alerts = [alert for alert in self._alerts if alert.number != event["number"]]
