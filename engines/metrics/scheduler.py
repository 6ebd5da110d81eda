"""The journal `scheduler`, counted: what became of due times, and how late they were heeded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, histograms
from engines.metrics.fold import JournalFold
from engines.metrics.histogram import LONG_SPANS, Histogram

_LATE_S = 1.0
_BOUNDS = (0.1, 0.5, *LONG_SPANS)


class ScheduleFold(JournalFold):
    """What became of due times."""

    journal_name = "scheduler"
    told: ClassVar = (
        *("due", "late", "skipped", "requested", "submitted", "ended_ok", "ended_otherwise"),
        "clock_jumps",
    )

    def reset(self) -> None:
        super().reset()
        self.lateness = Histogram(_BOUNDS)
        self.skipped: dict[str, int] = {}
        self.ended: dict[str, int] = {}

    def apply_occurrence_recorded(self, event: Event) -> None:
        if event.get("why") == "requested":
            self.tally(event, "requested")
            return
        late = event["timestamp"] - event["due"]
        self.lateness.observe(late)
        self.tally(event, "due")
        if late > _LATE_S:
            self.tally(event, "late")

    def apply_occurrences_skipped(self, event: Event) -> None:
        reason = self.label(event["reason"])
        self.skipped[reason] = self.skipped.get(reason, 0) + event["count"]
        self.tally(event, "skipped", event["count"])

    def apply_occurrence_submitted(self, event: Event) -> None:
        self.tally(event, "submitted")

    def apply_occurrence_ended(self, event: Event) -> None:
        outcome = event["outcome"]
        self.ended[outcome] = self.ended.get(outcome, 0) + 1
        self.tally(event, "ended_ok" if outcome in {"ok", "ok_no_action"} else "ended_otherwise")

    def apply_clock_jumped(self, event: Event) -> None:
        self.tally(event, "clock_jumps")

    def families(self, now: float) -> Iterable[Family]:
        del now
        totals = self.totals
        yield histograms(
            "dino_schedule_lateness_seconds",
            "From a due time until it was decided on.",
            [({}, self.lateness)],
        )
        yield counters(
            "dino_schedule_skipped_total", "Due times skipped, by why.", by("reason", self.skipped)
        )
        yield counters(
            "dino_schedule_ended_total",
            "Due times done with, by outcome.",
            by("outcome", self.ended),
        )
        yield counter(
            "dino_schedule_requested_total", "Runs asked for by hand.", totals["requested"]
        )
        yield counter(
            "dino_clock_jumps_total", "How often the clock was set.", totals["clock_jumps"]
        )
