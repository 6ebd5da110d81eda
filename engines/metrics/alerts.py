"""
Alert rules and their states: pending while what they ask holds, firing once it did for long enough,
resolved when it does no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engines.checks import time_text
from engines.metrics.expression import Answer, Expression


class AlertState(StrEnum):
    """What has become of a rule."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """
    When somebody is to be told.

    Attributes:
        for_s: For so many seconds it must hold without a break.
        severity: info, warning or critical.
        summary: What it means, for people.
    """

    name: str
    expression: Expression
    for_s: float = 0.0
    severity: str = "warning"
    summary: str = ""


@dataclass(slots=True)
class Alert:
    """
    Where a rule stands.

    Attributes:
        since: When it came into its state.
        began: When what it asks began to hold, this time or the last.
        value: The number at its last change.
    """

    state: AlertState = AlertState.INACTIVE
    since: float = 0.0
    began: float = 0.0
    value: float | None = None
    series: tuple[str, ...] = ()
    severity: str = "warning"
    expr: str = ""
    summary: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "state": self.state.value,
            "since": time_text(self.since),
            "began": time_text(self.began),
            "value": self.value,
            "series": list(self.series),
            "severity": self.severity,
            "expr": self.expr,
            "summary": self.summary,
        }


def next_state(rule: AlertRule, before: Alert, answer: Answer, now: float) -> AlertState:
    """The state of *rule* now, where it was *before*."""
    quiet = (AlertState.INACTIVE, AlertState.RESOLVED)
    if not answer.holds:
        if before.state is AlertState.FIRING:
            return AlertState.RESOLVED
        return AlertState.INACTIVE if before.state is AlertState.PENDING else before.state
    if before.state is AlertState.FIRING:
        return before.state
    began = now if before.state in quiet else before.began
    return AlertState.FIRING if now - began >= rule.for_s else AlertState.PENDING
