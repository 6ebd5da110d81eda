"""What a run of `dino cycle run` came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dino_os.outbox import Sent
from dino_os.personas.model import Told
from dino_os.planning.intake import Intake
from engines.orchestrator import UsageCycleResult
from engines.personas import Escalation
from engines.spool import Spool


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a run that had crashed."""

    run: str
    cycle: int | None
    how: str

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "cycle": self.cycle, "how": self.how}


@dataclass(frozen=True, slots=True)
class HandedOver:
    """How much of a plan went where."""

    tasks: int = 0
    refused: Sequence[Mapping[str, str]] = ()
    deliveries: int = 0
    without_outbox: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "refused": list(self.refused),
            "deliveries": self.deliveries,
            "without_outbox": self.without_outbox,
        }


@dataclass(frozen=True, slots=True)
class CycleReport:
    """
    What a run came to.

    Attributes:
        outcome: ok, or ok_no_action where nothing was new.
        plan: None where nothing was planned.
        sent: What was sent of all that is due; None where nothing was tried.
        not_moved: Files that could not be moved, and why.
        enrichment: What models had to do with it; None where none was to be asked.
    """

    run: str
    name: str
    outcome: str
    recorded: bool
    intake: Intake
    plan: UsageCycleResult | None = None
    escalations: Spool[Escalation] = field(default_factory=Spool)
    handed: HandedOver = HandedOver()
    sent: Sent | None = None
    moved: int = 0
    not_moved: Sequence[str] = ()
    recovered: Recovered | None = None
    duration_s: float = 0.0
    enrichment: Told | None = None

    def as_dict(self) -> dict[str, Any]:
        plan = self.plan.as_dict() if self.plan else {}
        sources = [
            {name: value for name, value in source.items() if name != "marks"}
            for source in self.intake.sources
        ]
        return {
            "run": self.run,
            "name": self.name,
            "outcome": self.outcome,
            "recorded": self.recorded,
            "cycle": plan.get("cycle"),
            "recovered": self.recovered.as_dict() if self.recovered else None,
            "duration_s": round(self.duration_s, 6),
            "sources": sources,
            "counts": {
                "signals": len(self.intake.signals),
                "rejected": len(self.intake.rejected),
                "escalated": len(self.escalations),
                **plan.get("counts", {"tasks": 0, "assigned": 0, "unassigned": 0}),
            },
            "handed_over": self.handed.as_dict(),
            "delivery": self.sent.as_dict() if self.sent else None,
            "files_moved": self.moved,
            "files_not_moved": list(self.not_moved),
            "rejected": [row.as_dict() for row in self.intake.rejected],
            "assignments": plan.get("assignments", []),
            "unassigned": plan.get("unassigned", []),
            "enrichment": self.enrichment.as_dict() if self.enrichment else None,
        }
