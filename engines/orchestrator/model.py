"""What one planning cycle gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engines import checks
from engines.assign import AssignableTask, AssignmentDecision, AssignmentPlan, UnassignedTask
from engines.orchestrator.large import LeftOver, PlannedTasks
from engines.space import SpaceNetworkOverview
from engines.zone import ZoneSnapshot


@dataclass(frozen=True, slots=True)
class UsageCycleResult:
    """
    A plan.

    Attributes:
        assignments: Who does what, and why; highest priority first.
        tasks: All that the signals ask for, in the signals' order.  More than 20,000 are not
            held: each is read from a file when it is asked for.
        zone_snapshots: Every zone after the signals, by name.
        space_overview: Every sector after the signals.
        unassigned: The tasks that nobody got, and why; highest priority first.
        cycle: Number of the cycle, counted from 1.
        planned_at: When.
        plan: The assignments with what they are worth and what the best plan may be worth.
    """

    assignments: tuple[AssignmentDecision, ...]
    tasks: Sequence[AssignableTask]
    zone_snapshots: Mapping[str, ZoneSnapshot]
    space_overview: SpaceNetworkOverview
    unassigned: Sequence[UnassignedTask]
    cycle: int
    planned_at: datetime
    plan: AssignmentPlan | None = None

    def named(self, wanted: Collection[str]) -> dict[str, AssignableTask]:
        """The tasks of these identifiers, by identifier."""
        if isinstance(self.tasks, PlannedTasks):
            return self.tasks.named(wanted)
        return {task.identifier: task for task in self.tasks if task.identifier in wanted}

    def left_over(self) -> dict[str, int]:
        """Cause → how many tasks nobody got because of it."""
        if isinstance(self.unassigned, LeftOver):
            return self.unassigned.counts()
        return dict(sorted(Counter(task.cause for task in self.unassigned).items()))

    def as_dict(self) -> dict[str, Any]:
        overview = self.space_overview
        return {
            "cycle": self.cycle,
            "planned_at": checks.rfc3339(self.planned_at),
            "counts": {
                "tasks": len(self.tasks),
                "assigned": len(self.assignments),
                "unassigned": len(self.unassigned),
            },
            "quality": self.plan.summary() if self.plan else None,
            "assignments": [decision.as_dict() for decision in self.assignments],
            "unassigned": [task.as_dict() for task in self.unassigned],
            "tasks": [task.as_dict() for task in self.tasks],
            "zone_snapshots": {
                name: snapshot.as_dict() for name, snapshot in self.zone_snapshots.items()
            },
            "space_overview": {
                "average_stability": overview.average_stability,
                "total_energy_output_gw": overview.total_energy_output_gw,
                "sectors_requiring_attention": list(overview.sectors_requiring_attention),
                "stability": {
                    name: snapshot.stability_score for name, snapshot in overview.snapshots.items()
                },
            },
        }


@dataclass(frozen=True, slots=True)
class CycleSummary:
    """
    A past cycle in one line.

    Attributes:
        quality: What its plan is worth, as `AssignmentPlan.summary`; None where an older Dino
            did not record it.
    """

    cycle: int
    planned_at: datetime
    tasks: int
    assigned: int
    unassigned: int
    average_stability: float
    sectors_requiring_attention: tuple[str, ...]
    quality: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "cycle": self.cycle,
            "planned_at": checks.rfc3339(self.planned_at),
            "tasks": self.tasks,
            "assigned": self.assigned,
            "unassigned": self.unassigned,
            "average_stability": self.average_stability,
            "sectors_requiring_attention": list(self.sectors_requiring_attention),
            "quality": self.quality,
        }
