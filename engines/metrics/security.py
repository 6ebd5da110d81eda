"""
The journal `security_log`, counted: what was asked for, and what was refused.

What is refused here was an attempt at what is not allowed, and was blocked.  An attempt that nobody
noticed is in no record; the gates of the nav mesh count those that got through.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counters
from engines.metrics.fold import JournalFold

_REFUSED = frozenset({"denied", "rate_limited", "failed"})


class SecurityFold(JournalFold):
    """How often something was allowed or refused."""

    journal_name = "security_log"
    told: ClassVar = ("decisions", "breaches_blocked", "rate_limited")

    def reset(self) -> None:
        super().reset()
        self.results: dict[str, int] = {}

    def look(self, event: Event) -> None:
        if "entity" not in event:
            return
        result = event.get("result", "ok")
        shown = result if result in _REFUSED else "ok"
        self.results[shown] = self.results.get(shown, 0) + 1
        self.tally(event, "decisions")
        if result == "rate_limited":  # too often is not yet without a right
            self.tally(event, "rate_limited")
        elif result == "denied" or event["event_type"] == "unlock_failed":
            self.tally(event, "breaches_blocked", _attempts(event))

    def families(self, now: float) -> Iterable[Family]:
        del now
        yield counters(
            "dino_security_decisions_total",
            "Entries of the security log, by result.",
            by("result", self.results),
        )
        yield counters(
            "dino_breach_attempts_total",
            "Attempts at what is not allowed, by what became of them.",
            [({"result": "blocked"}, self.totals["breaches_blocked"])],
        )


def _attempts(event: Event) -> int:
    """How many attempts an entry stands for: that of a run may stand for several."""
    calls: dict[str, Any] = event.get("system_calls") or {}
    numbers = [count for count in calls.values() if isinstance(count, int)]
    several = sum(len(event.get(name) or ()) for name in ("connections", "calls"))
    return max(sum(numbers) + several + (event.get("more_connections") or 0), 1)
