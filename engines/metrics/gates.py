"""
The journal `gate_log`, counted: what the gates of the nav mesh let through, refused, and should
have refused.

What Prometheus is told of the gates it is told by the nav mesh itself (`live.gate_families`).
"""

from __future__ import annotations

from typing import ClassVar

from engines.journal import Event
from engines.metrics.fold import JournalFold


class GateFold(JournalFold):
    """What was decided at the gates."""

    journal_name = "gate_log"
    told: ClassVar = (
        *("decisions", "let_through", "queued", "breaches_blocked", "breaches_passed"),
        "rate_limited",
    )

    def apply_gate_allowed(self, event: Event) -> None:
        self._decided(event, "let_through")

    def apply_gate_queued(self, event: Event) -> None:
        self._decided(event, "queued")

    def apply_gate_limited(self, event: Event) -> None:
        self._decided(event, "rate_limited", event["count"])

    def apply_gate_denied(self, event: Event) -> None:
        self._decided(event, "breaches_blocked", event["count"])

    def apply_gate_revoked(self, event: Event) -> None:
        """What was let through with what is revoked since it was in wrong hands."""
        if passed := sum(event.get("passed", {}).values()):
            self.tally(event, "breaches_passed", passed)

    def _decided(self, event: Event, what: str, count: int = 1) -> None:
        self.tally(event, "decisions", count)
        self.tally(event, what, count)
