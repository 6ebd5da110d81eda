"""The journal `entities`, counted: life cycles, runs, recoveries and alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, gauges
from engines.metrics.fold import JournalFold


class EntityFold(JournalFold):
    """What became of entities."""

    journal_name = "entities"
    told: ClassVar = ("spawned", "runs_ok", "runs_failed", "corrections", "recoveries", "alerts")

    def reset(self) -> None:
        super().reset()
        self.states: dict[str, str] = {}
        self.moves: dict[str, int] = {}
        self.runs: dict[str, int] = {}

    def apply_entity_spawned(self, event: Event) -> None:
        self.states[event["entity_id"]] = "hibernating"
        self.tally(event, "spawned")

    def apply_entity_hibernating(self, event: Event) -> None:
        self._move(event, "hibernating")

    def apply_entity_awakening(self, event: Event) -> None:
        self._move(event, "awakening")

    def apply_entity_active(self, event: Event) -> None:
        self._move(event, "active")
        if event.get("recovered"):
            self.tally(event, "recoveries")

    def apply_entity_error_correction(self, event: Event) -> None:
        self._move(event, "error_correction")
        self.tally(event, "corrections")

    def apply_entity_offline_adapting(self, event: Event) -> None:
        self._move(event, "offline_adapting")

    def apply_entity_deactivated(self, event: Event) -> None:
        self._move(event, "deactivated")

    def apply_entity_run_ended(self, event: Event) -> None:
        outcome = event["outcome"]
        self.runs[outcome] = self.runs.get(outcome, 0) + 1
        self.tally(event, "runs_ok" if outcome in {"ok", "ok_no_action"} else "runs_failed")

    def apply_entity_alerted(self, event: Event) -> None:
        self.tally(event, "alerts")

    def families(self, now: float) -> Iterable[Family]:
        del now
        states = Counter(dict.fromkeys(self.moves, 0))  # one that none is in now is 0
        states.update(self.states.values())
        yield gauges("dino_entities", "Entities, by state.", by("state", states))
        yield counters(
            "dino_entity_transitions_total",
            "Changes of state, by the new one.",
            by("state", self.moves),
        )
        yield counters(
            "dino_entity_runs_total",
            "Runs of entities that ended, by outcome.",
            by("outcome", self.runs),
        )
        for name, text in _COUNTERS.items():
            yield counter(f"dino_entity_{name}_total", text, self.totals[name])

    def _move(self, event: Event, state: str) -> None:
        self.states[event["entity_id"]] = state
        self.moves[state] = self.moves.get(state, 0) + 1


_COUNTERS = {
    "recoveries": "Entities that came back by themselves.",
    "alerts": "How often somebody had to be told.",
}
