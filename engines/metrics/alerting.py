"""The journal `metrics_log`, counted: readings, and which alerts fire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.alerts import AlertState
from engines.metrics.families import Family, by, counters, gauges
from engines.metrics.fold import JournalFold


class AlertFold(JournalFold):
    """What became of alerts."""

    journal_name = "metrics_log"
    told: ClassVar = ("readings", "fired", "resolved")

    def reset(self) -> None:
        super().reset()
        self.firing: dict[str, int] = {}
        self.fired: dict[str, int] = {}

    def apply_metrics_read(self, event: Event) -> None:
        self.tally(event, "readings")

    def apply_alert_changed(self, event: Event) -> None:
        rule, state = self.label(event["rule"]), event["state"]
        self.firing[rule] = int(state == AlertState.FIRING)
        if state == AlertState.FIRING:
            self.fired[rule] = self.fired.get(rule, 0) + 1
            self.tally(event, "fired")
        elif state == AlertState.RESOLVED:
            self.tally(event, "resolved")

    def apply_alert_forgotten(self, event: Event) -> None:
        self.firing.pop(self.label(event["rule"]), None)

    def families(self, now: float) -> Iterable[Family]:
        del now
        yield gauges("dino_alert_firing", "Whether an alert fires.", by("rule", self.firing))
        fired = by("rule", self.fired)
        yield counters("dino_alerts_fired_total", "How often an alert began to fire.", fired)
