"""The journal `runs`, counted: how runs of skills and tools ended, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, histograms
from engines.metrics.fold import JournalFold
from engines.metrics.histogram import Histogram


class RunFold(JournalFold):
    """What became of runs."""

    journal_name = "runs"
    told: ClassVar = (
        *("started", "ok", "error", "timeout", "denied", "cancelled"),
        *("tools_started", "tools_finished"),
    )

    def reset(self) -> None:
        super().reset()
        self.ended: dict[str, dict[str, int]] = {}
        self.durations: dict[str, Histogram] = {}
        self.tools: dict[str, dict[str, int]] = {}

    def apply_run_started(self, event: Event) -> None:
        self.tally(event, "started")

    def apply_run_finished(self, event: Event) -> None:
        skill, outcome = self.label(event["skill"]), event["outcome"]
        outcomes = self.ended.setdefault(skill, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        self.durations.setdefault(skill, Histogram()).observe(event["duration_s"])
        self.totals["output_bytes"] += event.get("output_bytes", 0)
        self.tally(event, outcome)

    def apply_tool_started(self, event: Event) -> None:
        self.tally(event, "tools_started")

    def apply_tool_finished(self, event: Event) -> None:
        counts = self.tools.setdefault(self.label(event["tool"]), {"true": 0, "false": 0})
        counts["true" if event.get("success") else "false"] += 1
        self.tally(event, "tools_finished")

    def families(self, now: float) -> Iterable[Family]:
        del now
        yield counter("dino_runs_started_total", "Runs of skills begun.", self.totals["started"])
        yield counters(
            "dino_runs_total",
            "Runs of skills that ended, by outcome.",
            (
                ({"skill": skill, "outcome": outcome}, count)
                for skill, outcomes in self.ended.items()
                for outcome, count in outcomes.items()
            ),
        )
        yield histograms(
            "dino_run_duration_seconds",
            "How long runs of skills took.",
            (({"skill": skill}, found) for skill, found in self.durations.items()),
        )
        yield counter(
            "dino_run_output_bytes_total", "What skills printed.", self.totals["output_bytes"]
        )
        yield counters(
            "dino_tool_runs_total",
            "Runs of tools that ended, by success.",
            (
                ({"tool": tool, **labels}, count)
                for tool, counts in self.tools.items()
                for labels, count in by("success", counts)
            ),
        )
