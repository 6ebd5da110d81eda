"""
The main job: records in, a plan out.

    file → research → execution → risk → orchestrator → report

Nothing is recorded before every file was read and checked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dino_os.errors import InvalidInput
from dino_os.personas.enrichment import Enrichment, enrichment_of
from dino_os.personas.model import Told
from dino_os.planning.scenario import Scenario, Signals, check_columns
from dino_os.planning.sources import columns_of, reader_for
from dino_os.workspace import Workspace
from engines.checks import did_you_mean, rfc3339
from engines.names import Names
from engines.orchestrator import DynamicUsageOrchestrator, UsageCycleResult
from engines.personas import Escalation, PersonaSignal, RejectedRow, Row, SignalMap
from engines.spool import Spool
from engines.zone import Zone

T = TypeVar("T")
_AT_ONCE = 5_000

Watch = Callable[[Iterable[Any], str], Iterable[Any]]
"""Given an iterable and what it is, hands the same items on; may show progress meanwhile."""


@dataclass(frozen=True, slots=True)
class Report:
    """
    A plan with what came in, what could not be read, and what it took.

    Attributes:
        enrichment: What models had to do with it; None where none was to be asked.
    """

    scenario: str
    result: UsageCycleResult
    signals: int
    rejected: tuple[RejectedRow, ...]
    escalations: Spool[Escalation]
    source: Path | None
    duration_s: float
    recorded: bool
    enrichment: Told | None = None

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
            "enrichment": self.enrichment.as_dict() if self.enrichment else None,
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
    orchestrator = orchestrator_for(workspace, scenario)
    enrichment = enrichment_for(workspace, scenario)
    signals, rejected = take_signals(
        workspace, scenario, orchestrator, watch=watch, enrichment=enrichment
    )
    _refuse_without_agents(scenario, signals)
    result, escalations = plan_signals(
        workspace, scenario, orchestrator, signals, enrichment=enrichment
    )
    return Report(
        scenario=scenario.name,
        result=result,
        signals=len(signals),
        rejected=tuple(rejected),
        escalations=escalations,
        source=scenario.signals.file,
        duration_s=time.monotonic() - began,
        recorded=not workspace.rehearsal,
        enrichment=enrichment.told if enrichment else None,
    )


def enrichment_for(workspace: Workspace, scenario: Scenario) -> Enrichment | None:
    """What models may add to the scenario's signals; None where none is to be asked."""
    return enrichment_of(workspace, (s for agent in scenario.agents for s in agent.skills))


def orchestrator_for(workspace: Workspace, scenario: Scenario) -> DynamicUsageOrchestrator:
    """The workspace's orchestrator, with the scenario's thresholds where it has some."""
    options = scenario.options
    return workspace.orchestrator(
        alert_threshold=options.alert_threshold, critical_threshold=options.critical_threshold
    )


def plan_signals(
    workspace: Workspace,
    scenario: Scenario,
    orchestrator: DynamicUsageOrchestrator,
    signals: Iterable[PersonaSignal],
    *,
    reference: str | None = None,
    enrichment: Enrichment | None = None,
) -> tuple[UsageCycleResult, Spool[Escalation]]:
    """Plan *signals*, which fit, on the scenario's places; *reference* names the cycle."""
    options = scenario.options
    if scenario.zones:
        orchestrator.register_zones(scenario.zones)
    with workspace.sectors.deciding():
        for sector in scenario.sectors:
            orchestrator.register_sector(sector)
    planning = workspace.config.settings.planning
    horizon = planning.horizon if options.horizon is None else options.horizon
    escalations: Spool[Escalation] = Spool()
    with enrichment or contextlib.nullcontext():
        result = orchestrator.plan_cycle(
            weighed(orchestrator, signals, horizon, escalations, enrichment),
            scenario.agents,
            limit=options.limit,
            allow_unassigned=options.allow_unassigned,
            horizon=horizon,
            min_skill_match=planning.min_skill_match
            if options.min_skill_match is None
            else options.min_skill_match,
            method=planning.method,
            reference=reference,
        )
    return result, escalations


def take_signals(
    workspace: Workspace,
    scenario: Scenario,
    orchestrator: DynamicUsageOrchestrator,
    *,
    watch: Watch | None = None,
    enrichment: Enrichment | None = None,
) -> tuple[Spool[PersonaSignal] | Sequence[PersonaSignal], list[RejectedRow]]:
    """
    What the scenario's records say, and those that say nothing, with the reason.

    Raises:
        InvalidInput: A file cannot be read, or a signal's place is not known.
    """
    source = scenario.signals
    fit = _Fit(scenario, orchestrator)
    if source.file is None or source.map is None:
        fit.check_all(source.ready)
        if enrichment:
            enrichment.see(source.ready)
        return source.ready, []
    rows = (watch or _unwatched)(
        _rows(source, source.file, workspace), f"reading {source.file.name}"
    )
    kept: Spool[PersonaSignal] = Spool()
    names = Names()
    rejected: list[RejectedRow] = []
    for part in in_parts(rows):
        made, refused = read_signals(
            part, source.map, scenario, orchestrator, enrichment=enrichment
        )
        rejected += refused
        for signal in made:
            fit.check(signal)
            kept.append(signal)
            names.append(signal.task_identifier)
    if twins := names.twins():
        rejected += _rejected_twins(kept, twins)
        kept = Spool(signal for place, signal in enumerate(kept) if place not in twins)
    return kept, sorted(rejected, key=lambda row: row.line)


def read_signals(
    rows: Iterable[tuple[int, Row]],
    signal_map: SignalMap,
    scenario: Scenario,
    orchestrator: DynamicUsageOrchestrator,
    *,
    enrichment: Enrichment | None = None,
    known: Container[str | None] = (),
) -> tuple[Sequence[PersonaSignal], list[RejectedRow]]:
    """
    What *rows* say through their map, and those that say nothing, with the reason.

    Args:
        enrichment: Takes note of them, but of the *known*.
    """
    zones = known_zones(scenario, orchestrator)
    personas = orchestrator.load_persona_chain()
    seen: Any = personas["research"].run(
        {
            "rows": rows,
            "map": signal_map,
            "zones": zones,
            "sectors": known_sectors(scenario, orchestrator),
            "locate": _Locator(zones.values()),
        }
    )
    made: Any = personas["execution"].run({"observations": seen.observations, "map": signal_map})
    if enrichment:
        new = (signal for signal in made.signals if signal.task_identifier not in known)
        enrichment.see(new, seen.observations)
    return made.signals, [*seen.rejected, *made.rejected]


def known_zones(scenario: Scenario, orchestrator: DynamicUsageOrchestrator) -> dict[str, Zone]:
    registered = orchestrator.zone_registry.list_zones()
    return {zone.name: zone for zone in (*registered, *scenario.zones)}


def known_sectors(scenario: Scenario, orchestrator: DynamicUsageOrchestrator) -> set[str]:
    return {sector.name for sector in (*orchestrator.space_engine.sectors, *scenario.sectors)}


def _rows(source: Signals, file: Path, workspace: Workspace) -> Iterator[tuple[int, Row]]:
    """The records; that the map's columns are there is known at the end at the latest."""
    stated = file.suffix.lower() == ".csv"  # once; elsewhere a record may leave one out
    columns: dict[str, None] = {}
    for line, row in reader_for(file, workspace.plugins.signal_sources())(file):
        if not (stated and columns):
            columns |= dict.fromkeys(row)
            if stated:
                check_columns(source, list(columns))
        yield line, row
    if found := list(columns) or columns_of(file, []):
        check_columns(source, found)


def in_parts(items: Iterable[T]) -> Iterator[list[T]]:
    """*items* in lists that fit into memory, of which there is at least one."""
    several = iter(items)
    yield list(islice(several, _AT_ONCE))
    while part := list(islice(several, _AT_ONCE)):
        yield part


def _rejected_twins(
    signals: Iterable[PersonaSignal], twins: Mapping[int, int]
) -> Iterator[RejectedRow]:
    """Those whose identifier an earlier record has; *twins*: place → that record's."""
    firsts = set(twins.values())
    lines: dict[int, int] = {}
    for place, signal in enumerate(signals):
        line = (signal.metadata or {}).get("line", 0)
        if place in firsts:
            lines[place] = line
        if place in twins:
            told = f"identifier {signal.task_identifier!r} is taken already"
            yield RejectedRow(line, f"{told}, by line {lines[twins[place]]}")


def _refuse_without_agents(
    scenario: Scenario, signals: Spool[PersonaSignal] | Sequence[PersonaSignal]
) -> None:
    if signals and not scenario.agents and not scenario.options.allow_unassigned:
        raise InvalidInput(
            "there are signals but no agents to answer them",
            hint="name them with --agents, or allow a plan without assignments: --allow-unassigned",
        )


class _Fit:
    """Raises for what the orchestrator would refuse, or guess at, while nothing is recorded yet."""

    def __init__(self, scenario: Scenario, orchestrator: DynamicUsageOrchestrator) -> None:
        self._zones = known_zones(scenario, orchestrator)
        self._sectors = known_sectors(scenario, orchestrator)

    def check(self, signal: PersonaSignal) -> None:
        where = f"signal {signal.summary!r}"
        if signal.zone not in self._zones:
            raise InvalidInput(
                f"{where}: no zone named {signal.zone!r}{did_you_mean(signal.zone, self._zones)}",
                hint="add it to the file of zones, or register it: `dino zone add`",
            )
        if signal.sector not in self._sectors:
            known = did_you_mean(signal.sector, self._sectors)
            raise InvalidInput(
                f"{where}: no sector named {signal.sector!r}{known}",
                hint="add it to the file of sectors, or register it: `dino sector add`",
            )

    def check_all(self, signals: Iterable[PersonaSignal]) -> None:
        taken: set[str] = set()
        for signal in signals:
            self.check(signal)
            name = signal.task_identifier
            if name in taken:
                raise InvalidInput(
                    f"signal {signal.summary!r}: the identifier {name!r} is taken already"
                )
            if name is not None:
                taken.add(name)


def weighed(
    orchestrator: DynamicUsageOrchestrator,
    signals: Iterable[PersonaSignal],
    horizon: int,
    escalations: Spool[Escalation],
    enrichment: Enrichment | None = None,
) -> Iterator[PersonaSignal]:
    """Let the risk persona judge the signals against the state of their places, in parts."""
    zones, space = orchestrator.zone_registry, orchestrator.space_engine
    load: dict[str, float] = {}
    stability: dict[str, float] = {}
    risk = orchestrator.load_persona_chain()["risk"]
    for part in in_parts(signals):
        # Of those places only that the signals name: there may be many more.
        for zone in sorted({signal.zone for signal in part} - load.keys()):
            if zone in zones:
                load[zone] = zones.utilisation(zone)
        for sector in sorted({signal.sector for signal in part} - stability.keys()):
            if sector in space.space:
                stability[sector] = space.snapshot(sector, horizon=horizon).stability_score
        critical = orchestrator.critical_threshold
        judged: Any = risk.run(
            {
                "signals": part,
                "zone_load": load,
                "sector_stability": stability,
                "critical_threshold": critical,
            }
        )
        found, raised = judged.signals, judged.escalations
        if enrichment:
            found, raised = enrichment.apply(found, raised, critical)
        for escalation in raised:
            escalations.append(escalation)
        yield from found


class _Locator:
    """Finds the smallest zone around a point, among zones that may not be registered yet."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._zones = sorted(zones, key=lambda zone: (zone.boundary.volume(), zone.name))

    def __call__(self, position: tuple[float, float]) -> str | None:
        around = (zone.name for zone in self._zones if zone.boundary.contains(position))
        return next(around, None)


def _unwatched(items: Iterable[Any], what: str) -> Iterable[Any]:
    del what
    return items
