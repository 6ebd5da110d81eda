"""
The journal `offline_log`, counted: synchronisations, and what drills without a network came to.

Of drills the last one counts for the gauge, and no more than once: a thousand edits of a drill are
no measure to dilute one real loss with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, gauges
from engines.metrics.fold import JournalFold
from engines.metrics.model import Share


class OfflineFold(JournalFold):
    """What became of synchronising and of drills."""

    journal_name = "offline_log"
    told: ClassVar = ("syncs", "outages", "documents_moved", "drills", "drills_failed")

    def reset(self) -> None:
        super().reset()
        self.drill = (0, 0)
        self.drilled_at = 0.0

    def apply_sync_ended(self, event: Event) -> None:
        self.tally(event, "syncs")
        self.tally(event, "documents_moved", event["docs_written"])

    def apply_sync_failed(self, event: Event) -> None:
        self.tally(event, "outages")

    def apply_simulation_ended(self, event: Event) -> None:
        survived, met = int(event["survived"]), int(event["met_outage"])
        # A side that differs, or an edit that nobody made, is a drill that was not survived.
        if not event["ok"] and survived >= met:
            survived = met - 1
        self.drill = (max(survived, 0), max(met, 0))
        self.drilled_at = event["timestamp"]
        self.tally(event, "drills")
        if not event["ok"]:
            self.tally(event, "drills_failed")

    def drilled(self, since: float | None) -> Share:
        """The last drill, where it was not before *since*."""
        return Share(*self.drill) if since is None or self.drilled_at >= since else Share()

    def families(self, now: float) -> Iterable[Family]:
        del now
        drills = self.totals["drills"], self.totals["drills_failed"]
        results = {"ok": drills[0] - drills[1], "failed": drills[1]}
        yield counters("dino_offline_drills_total", "Drills, by result.", by("result", results))
        survived, met = self.drill
        yield gauges(
            "dino_offline_drill_survived_ratio",
            "Of the operations of the last drill that met an outage, how many arrived once.",
            [({}, survived / met)] if met else (),
        )
        for name, text in _COUNTERS.items():
            yield counter(f"dino_offline_{name}_total", text, self.totals[name])


_COUNTERS = {
    "syncs": "Synchronisations that came to their end.",
    "outages": "How often the other side could not be reached any more.",
    "documents_moved": "Documents that were written by synchronising.",
}
