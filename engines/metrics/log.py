"""
What was measured, and which alerts there were: the journal `metrics_log`, and what is folded of it.

A reading is recorded where it changed, or an hour has passed: between two of them the first one
holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engines.engine import Engine
from engines.journal import Event
from engines.metrics.alerts import Alert, AlertRule, AlertState, next_state
from engines.metrics.expression import Point
from engines.metrics.history import HOUR
from engines.metrics.readings import Readings

MOST_NAMES = 200
_DIGITS = 3
_TOLD = (AlertState.FIRING, AlertState.RESOLVED)


class MetricsLog(Engine):
    """
    Readings of gauges and meters, and the states of alerts.

    Attributes:
        readings: Name → its readings.
        alerts: Rule → where it stands.
        untold: Rule → the change that was not yet said on the bus.
    """

    snapshot_every = 5000

    def reset(self) -> None:
        self.readings: dict[str, Readings] = {}
        self.alerts: dict[str, Alert] = {}
        self.untold: dict[str, int] = {}
        self.read_at = 0.0

    def take(self, values: Mapping[str, float | None], *, every_s: float = 0.0) -> bool:
        """
        Record what changed, or was not recorded for an hour.

        Args:
            values: None where nothing was measured.
            every_s: Not where the last ones are not yet that old.

        Returns:
            Whether they were recorded.
        """
        rounded = {
            name: None if value is None else round(value, _DIGITS) for name, value in values.items()
        }
        with self.deciding():
            now = self.clock()
            since = now - self.read_at
            if 0 <= since < every_s:
                return False
            if all(value is None for value in rounded.values()) and not self.readings:
                return False
            changed = {
                name: value for name, value in rounded.items() if self._is_news(name, value, now)
            }
            if changed:
                self.record("metrics_read", at=now, values=changed)
            return bool(changed)

    def _is_news(self, name: str, value: float | None, now: float) -> bool:
        found = self.readings.get(name)
        if found is None or found.last != value:
            return True
        return not 0 <= now - self._last_read(name) < HOUR

    def judge(self, rules: Iterable[AlertRule], points: Iterable[Point]) -> list[Event]:
        """Record which rules came into another state by what the metrics are now; the changes."""
        known = list(points)
        changes = []
        with self.deciding():
            now = self.clock()
            names = set()
            for rule in rules:
                names.add(rule.name)
                before = self.alerts.get(rule.name, Alert())
                answer = rule.expression.answer(known, self.grown)
                state = next_state(rule, before, answer, now)
                # One that began in the future, by a clock that was wrong, begins now.
                anew = state is AlertState.PENDING and now < before.began
                if state is not before.state or anew:
                    told = {"value": answer.value, "series": list(answer.series)}
                    changes.append(self._change(rule, state, now, told))
            for name in self.alerts.keys() - names:  # nobody asks any more
                self.record("alert_forgotten", rule=name, at=now)
        return changes

    def told(self, rule: str, seq: int) -> None:
        """Record that a change was said on the bus."""
        with self.deciding():
            if self.untold.get(rule) == seq:
                self.record("alert_told", rule=rule)

    def _change(
        self, rule: AlertRule, state: AlertState, now: float, told: Mapping[str, Any]
    ) -> Event:
        facts = {
            "severity": rule.severity,
            "expr": rule.expression.text,
            "summary": rule.summary,
            "for_s": rule.for_s,
        }
        return self.record("alert_changed", rule=rule.name, state=state, at=now, **told, **facts)

    # --- queries -----------------------------------------------------------------------------

    def grown(self, name: str, value: float, span_s: float) -> float | None:
        """By how much the readings of *name*, which is *value* now, grew in so many seconds."""
        found = self.readings.get(name)
        return found.grown(self.clock(), span_s, value) if found else None

    def history(self, name: str, since: float) -> list[dict[str, Any]]:
        """Readings of *name*; see `Readings.since`."""
        found = self.readings.get(name)
        return found.since(since) if found else []

    def to_tell(self) -> dict[str, tuple[int, Alert]]:
        """Rule → its change that was not yet said on the bus, and where it stands."""
        return {rule: (seq, self.alerts[rule]) for rule, seq in self.untold.items()}

    # --- folding -----------------------------------------------------------------------------

    def apply_metrics_read(self, event: Event) -> None:
        self.read_at = event["at"]
        for name, value in event["values"].items():
            if name not in self.readings and len(self.readings) >= MOST_NAMES:
                # What is read at all was read within the hour.
                del self.readings[min(self.readings, key=self._last_read)]
            self.readings.setdefault(name, Readings()).add(event["at"], value)

    def _last_read(self, name: str) -> float:
        return self.readings[name].points[-1][0]

    def apply_alert_changed(self, event: Event) -> None:
        rule, state = event["rule"], AlertState(event["state"])
        before = self.alerts.get(rule)
        holds = state in {AlertState.PENDING, AlertState.FIRING}
        goes_on = before is not None and (
            not holds or (before.state is AlertState.PENDING and before.began <= event["at"])
        )
        self.alerts[rule] = Alert(
            state,
            event["at"],
            before.began if before and goes_on else event["at"],
            event["value"],
            tuple(event["series"]),
            event["severity"],
            event["expr"],
            event["summary"],
        )
        if state in _TOLD:
            self.untold[rule] = event["seq"]

    def apply_alert_told(self, event: Event) -> None:
        self.untold.pop(event["rule"], None)

    def apply_alert_forgotten(self, event: Event) -> None:
        self.alerts.pop(event["rule"], None)
        self.untold.pop(event["rule"], None)
