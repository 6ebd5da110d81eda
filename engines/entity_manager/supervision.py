"""
Runs and their consequences: what is due, how it ended, and when there was too much failure.

Whoever carries runs out (see `dino_os.entities`) asks `plan_run`, does it, and says `end_run`.  A
run is decided in the journal before anybody acts on it, under an id that is always the same for it,
so that a crash in between loses none and doubles none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from engines import checks
from engines.entity_manager.fold import OK_OUTCOMES, EntityFold
from engines.entity_manager.lifecycle import TRANSITIONS, Command, EntityState, is_legal
from engines.entity_manager.model import HEARTBEAT_LIMIT_S, Alert, Record


class Supervision(EntityFold):
    """The commands about runs, health and alerts."""

    heartbeat_every_s = 10.0

    # --- runs --------------------------------------------------------------------------------

    def plan_run(self, entity_id: str, *, message: int | None = None) -> str | None:
        """
        Decide the next run of an active entity; the id of its task, or None where none is due.

        Args:
            message: The seq of the message it is for, where it runs per message.
        """
        with self.deciding():
            entity = self._records.get(entity_id)
            now = self.clock()
            if entity is None or not self._is_due(entity, message, now):
                return None
            what: dict[str, Any] = {"entity_id": entity_id, "number": entity.runs + 1, "at": now}
            if message is not None:
                what["message"] = message
            elif entity.next_due is not None and entity.work and entity.work.every_s:
                what["next_due"] = _next_due(entity.next_due, entity.work.every_s, now)
            self.record("entity_run_planned", **what)
            return entity.task_id()

    def end_run(
        self, entity_id: str, number: int, outcome: str, *, error: str = "", counted: bool = True
    ) -> bool:
        """
        Record how run *number* ended and draw the consequences; whether it was still open.

        Args:
            outcome: One of the resource engine's words.
            error: What went wrong: its kind and place, and nothing that a skill was given or said.
            counted: Whether it is the entity's own success or failure.
        """
        with self.deciding():
            entity = self._records.get(entity_id)
            if entity is None or entity.run is None or entity.run.number != number:
                return False
            now = self.clock()
            self.record(
                "entity_run_ended",
                entity_id=entity_id,
                number=number,
                outcome=outcome,
                error=error,
                counted=counted,
                at=now,
            )
            if counted and outcome not in OK_OUTCOMES and self._too_many_failures(entity, now):
                limits = entity.limits
                self._correct(
                    entity,
                    f"{limits.max_failures} failed runs within {limits.within_s:g} s, "
                    f"the last: {error or outcome}",
                )
            return True

    def retry_run(self, entity_id: str, number: int) -> bool:
        """Record that the run that was held is under way again; whether there was one."""
        with self.deciding():
            entity = self._records.get(entity_id)
            if not (entity and entity.run and entity.run.number == number and entity.run.held):
                return False
            self.record("entity_run_retried", entity_id=entity_id, number=number, at=self.clock())
            return True

    # --- messages ----------------------------------------------------------------------------

    def read_on(self, entity_id: str, position: int) -> bool:
        """Note that up to that line of the bus nothing more is its own; whether that is news."""
        with self.deciding():
            entity = self._records.get(entity_id)
            if entity is None or entity.position >= position:
                return False
            self.record("entity_read_on", entity_id=entity_id, position=position)
            return True

    def lose_messages(self, entity_id: str, first: int, last: int) -> bool:
        """Record, with an alert, that these lines of the bus are gone before it dealt with them."""
        with self.deciding():
            entity = self._records.get(entity_id)
            if entity is None or entity.position >= last:
                return False
            now = self.clock()
            self.record("entity_messages_gone", entity_id=entity_id, first=first, last=last, at=now)
            why = f"messages {first} to {last} of the bus were pruned before it dealt with them"
            self._alert(entity, why)
            return True

    # --- what is due, and what is too much ----------------------------------------------------

    def _is_due(self, entity: Record, message: int | None, now: float) -> bool:
        if entity.state is not EntityState.ACTIVE or entity.run or entity.work is None:
            return False
        if entity.work.channel is not None:
            return message is not None and message > entity.position
        due = entity.due_at(now)
        return message is None and due is not None and due <= now

    def _too_many_failures(self, entity: Record, now: float) -> bool:
        recent = [at for at in entity.failures if now - entity.limits.within_s < at <= now]
        return entity.state is EntityState.ACTIVE and len(recent) >= entity.limits.max_failures

    # --- health ------------------------------------------------------------------------------

    def set_health(self, entity_id: str, value: float) -> bool:
        """Set an entity's health, 0 … 100; whether there is such an entity."""
        health = checks.clamped(value, "health", 0.0, 100.0)
        with self.deciding():
            if entity_id in self._records:
                self.record("entity_health_set", entity_id=entity_id, health=health)
                return True
            return False

    def heartbeat(self, entity_id: str) -> bool:
        """As `heartbeats`, of one; whether there is such an entity."""
        self.heartbeats([entity_id])
        return entity_id in self._records

    def heartbeats(self, entity_ids: Iterable[str], *, at_least_s: float | None = None) -> None:
        """
        Note that these live; recorded only where the last record of it is older than that.

        Args:
            at_least_s: How old; by itself 10 s.
        """
        entity_ids = list(entity_ids)
        if not self._silent(entity_ids, at_least_s):
            return
        with self.deciding():
            if silent := self._silent(entity_ids, at_least_s):
                self.record("entity_heartbeats", entity_ids=silent, at=self.clock())

    def monitor_health(self) -> list[str]:
        """
        Send active entities that are not healthy into error correction, and recover those whose
        time has come; the ids of all of these.
        """
        with self.deciding():
            now = self.clock()
            found = []
            self._begin_silence_anew(now)
            for entity in list(self._records.values()):
                if entity.state is EntityState.ACTIVE and (why := entity.ailment(now)):
                    self._correct(entity, why)
                    found.append(entity.entity_id)
                if _recovers(entity, now):
                    self._recover(entity)
                    found.append(entity.entity_id)
            return list(dict.fromkeys(found))

    def _begin_silence_anew(self, now: float) -> None:
        """Of those that were last heard at a time yet to come: the clock was put back since."""
        ahead = [
            entity.entity_id
            for entity in self._records.values()
            if entity.state is EntityState.ACTIVE and entity.heartbeat_at > now + HEARTBEAT_LIMIT_S
        ]
        if ahead:
            self.record("entity_heartbeats", entity_ids=ahead, at=now)

    def _silent(self, entity_ids: list[str], at_least_s: float | None) -> list[str]:
        since = self.clock() - (self.heartbeat_every_s if at_least_s is None else at_least_s)
        there = [self._records[one] for one in entity_ids if one in self._records]
        return [entity.entity_id for entity in there if entity.heartbeat_at <= since]

    # --- alerts ------------------------------------------------------------------------------

    @property
    def alerts(self) -> list[Alert]:
        """Those that nobody was told of yet, oldest first."""
        return list(self._alerts)

    def alert_sent(self, number: int) -> bool:
        """Record that somebody was told; whether it was still open."""
        with self.deciding():
            if not any(alert.number == number for alert in self._alerts):
                return False
            self.record("entity_alert_sent", number=number)
            return True

    # --- moving ------------------------------------------------------------------------------

    def _correct(self, entity: Record, reason: str) -> None:
        """Into error correction, and where that was too often to sleep, with an alert."""
        now, limits = self.clock(), entity.limits
        recent = sum(now - limits.corrections_within_s < at <= now for at in entity.corrections) + 1
        recover_at = now + limits.delay(recent)
        self._go(entity, Command.ERROR_CORRECTION, reason, recover_at=recover_at)
        if recent > limits.max_corrections:
            why = (
                f"error correction {recent} times within {limits.corrections_within_s:g} s, "
                f"the last: {reason}"
            )
            self._give_up(entity, why)

    def _give_up(self, entity: Record, reason: str) -> None:
        """Have it sleep until somebody who was told awakens it."""
        self._go(entity, Command.HIBERNATE, reason)
        self._alert(entity, reason)

    def _alert(self, entity: Record, reason: str) -> None:
        self.record(
            "entity_alerted",
            entity_id=entity.entity_id,
            number=self._alert_count + 1,
            reason=reason,
            at=self.clock(),
        )

    def _recover(self, entity: Record) -> None:
        """Awaken it again; it still holds its resources."""
        self._go(entity, Command.RECOVER, reserves=False)
        self._go(entity, Command.ACTIVATE, recovered=1)

    def _go(self, entity: Record, command: Command, reason: str = "", **more: Any) -> None:
        """Record the transition that the table has for *command*."""
        state = TRANSITIONS[entity.state, command]
        self.record(
            f"entity_{state}",
            entity_id=entity.entity_id,
            command=command.value,
            reason=reason,
            at=self.clock(),
            **more,
        )


def _recovers(entity: Record, now: float) -> bool:
    at = entity.recovers_at(now)
    return at is not None and at <= now and is_legal(entity.state, Command.RECOVER)


def _next_due(due: float, every_s: float, now: float) -> float:
    """The first time of the grid behind *now*, also where *due* is a time of a clock put back."""
    ahead = due + every_s * (math.floor((now - due) / every_s) + 1)
    return ahead if ahead > now else ahead + every_s  # rounding
