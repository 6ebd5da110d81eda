"""The personas over some records, without planning: what they say, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dino_os.personas.model import Told
from dino_os.planning.cycle import orchestrator_for, take_signals, weighed
from engines.spool import Spool

if TYPE_CHECKING:
    from dino_os.personas.enrichment import Enrichment
    from dino_os.planning.scenario import Scenario
    from dino_os.workspace import Workspace
    from engines.personas import Escalation, PersonaSignal, RejectedRow


@dataclass(frozen=True, slots=True)
class Pair:
    """A signal as the deterministic personas left it, and with what models added."""

    deterministic: Mapping[str, Any]
    enriched: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"deterministic": self.deterministic, "enriched": self.enriched}


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    What the personas made of a scenario's records.

    Attributes:
        pairs: The gravest signals, highest severity first.
        signals: How many there are in all.
        told: What became of the models' part; None where none was to be asked.
    """

    scenario: str
    pairs: Sequence[Pair]
    signals: int
    rejected: Sequence[RejectedRow]
    escalated: tuple[int, int]
    told: Told | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "counts": {
                "signals": self.signals,
                "rejected": len(self.rejected),
                "escalated": self.escalated[0],
                "escalated_enriched": self.escalated[1],
            },
            "signals": [pair.as_dict() for pair in self.pairs],
            "rejected": [{"line": row.line, "reason": row.reason} for row in self.rejected],
            "enrichment": self.told.as_dict() if self.told else None,
        }


def compare(
    workspace: Workspace, scenario: Scenario, enrichment: Enrichment | None, *, most: int | None
) -> Comparison:
    """
    Run the personas over the records of *scenario*, with and without *enrichment*.

    Nothing is planned, and no zone or sector changes; what a model does is in the agent log.

    Args:
        most: How many signals are shown; None for all.

    Raises:
        InvalidInput: A file cannot be read, or a signal's place is not known.
    """
    orchestrator = orchestrator_for(workspace, scenario)
    signals, rejected = take_signals(workspace, scenario, orchestrator, enrichment=enrichment)
    options, planning = scenario.options, workspace.config.settings.planning
    horizon = planning.horizon if options.horizon is None else options.horizon

    def judged(models: Enrichment | None) -> tuple[list[PersonaSignal], int]:
        escalations: Spool[Escalation] = Spool()
        found = [*weighed(orchestrator, signals, horizon, escalations, models)]
        return found, len(escalations)

    plain, escalated = judged(None)
    enriched, raised = plain, escalated
    if enrichment:
        with enrichment:
            enriched, raised = judged(enrichment)
    places = sorted(range(len(plain)), key=lambda place: -plain[place].severity)[:most]
    return Comparison(
        scenario=scenario.name,
        pairs=[Pair(_told(plain[place]), _told(enriched[place])) for place in places],
        signals=len(plain),
        rejected=rejected,
        escalated=(escalated, raised),
        told=enrichment.told if enrichment else None,
    )


def _told(signal: PersonaSignal) -> dict[str, Any]:
    return {
        "task_id": signal.task_identifier,
        "summary": signal.summary,
        "zone": signal.zone,
        "sector": signal.sector,
        "severity": signal.severity,
        "required_skills": [*signal.required_skills],
        "argument": (signal.metadata or {}).get("argument"),
    }
