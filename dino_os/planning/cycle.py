"""
The main job: records in, a plan out.

    file → research → execution → risk → orchestrator → report

Nothing is recorded before every file was read and checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dino_os.planning.scenario import Scenario, Signals, check_columns
from dino_os.planning.sources import reader_for
from dino_os.workspace import Workspace
from engines.checks import rfc3339
from engines.orchestrator import DynamicUsageOrchestrator, UsageCycleResult
from engines.personas import Escalation, PersonaSignal, RejectedRow, Row, SignalMap

Watch = Callable[[Iterable[Any], str], Iterable[Any]]
"""Given an iterable and what it is, hands the same items on; may show progress meanwhile."""


@dataclass(frozen=True, slots=True)
class Report:
    """A plan with what came in, what could not be read, and what it took."""

    scenario: str
    result: UsageCycleResult
    signals: int
    rejected: tuple[RejectedRow, ...]
    escalations: tuple[Escalation, ...]
    source: Path | None
    duration_s: float
    recorded: bool

    def as_dict(self) -> dict[str, Any]:
        plan = self.result.as_dict()
        counts = {
            "signals": self.signals,
            "rejected": len(self.rejected),
            "escalated": len(self.escalations),
            **plan.pop("counts"),
        }
        return {
            "scenario": self.scenario,
            "cycle": plan.pop("cycle"),
            "planned_at": rfc3339(self.result.planned_at),
            "recorded": self.recorded,
            "duration_s": round(self.duration_s, 6),
            "source": str(self.source) if self.source else None,
            "counts": counts,
            **plan,
            "escalations": [escalation.as_dict() for escalation in self.escalations],
            "rejected": [{"line": row.line, "reason": row.reason} for row in self.rejected],
        }


def run_cycle(workspace: Workspace, scenario: Scenario, watch: Watch | None = None) -> Report:
    """
    Plan one cycle of *scenario* in *workspace*, on top of what its journals hold.

    Args:
        watch: Wraps the reading of records, for example in a progress bar.

    Raises:
        InvalidInput: A file cannot be read, or there are signals but no agents.
        JournalBroken: A journal does not verify; nothing is decided on it.
    """
    began = time.monotonic()
    options = scenario.options
    orchestrator = workspace.orchestrator(
        alert_threshold=options.alert_threshold, critical_threshold=options.critical_threshold
    )
    signals, rejected = _signals(workspace, scenario, orchestrator, watch or _unwatched)
    if scenario.zones:
        orchestrator.register_zones(scenario.zones)
    with workspace.sectors.deciding():
        for sector in scenario.sectors:
            orchestrator.register_sector(sector)
    weighed, escalations = _weigh(orchestrator, signals)
    planning = workspace.config.settings.planning
    result = orchestrator.plan_cycle(
        weighed,
        scenario.agents,
        limit=options.limit,
        allow_unassigned=options.allow_unassigned,
        horizon=planning.horizon if options.horizon is None else options.horizon,
        min_skill_match=planning.min_skill_match
        if options.min_skill_match is None
        else options.min_skill_match,
    )
    return Report(
        scenario=scenario.name,
        result=result,
        signals=len(weighed),
        rejected=tuple(rejected),
        escalations=tuple(escalations),
        source=scenario.signals.file,
        duration_s=time.monotonic() - began,
        recorded=not workspace.rehearsal,
    )


def _signals(
    workspace: Workspace,
    scenario: Scenario,
    orchestrator: DynamicUsageOrchestrator,
    watch: Watch,
) -> tuple[list[PersonaSignal], list[RejectedRow]]:
    source = scenario.signals
    if source.file is None or source.map is None:
        return list(source.ready), []
    zones = {zone.name: zone for zone in (*orchestrator.zone_registry.list_zones(), *scenario.zones)}
    known = {sector.name for sector in (*orchestrator.space_engine.sectors, *scenario.sectors)}
    personas = orchestrator.load_persona_chain()
    rows = _rows(source, source.file, workspace)
    seen: Any = personas["research"].run(
        {
            "rows": watch(rows, f"reading {source.file.name}"),
            "map": source.map,
            "zones": zones,
            "sectors": known,
            "locate": _Locator(zones),
        }
    )
    made: Any = personas["execution"].run({"observations": seen.observations, "map": source.map})
    return _without_twins(made.signals, source.map, [*seen.rejected, *made.rejected])
