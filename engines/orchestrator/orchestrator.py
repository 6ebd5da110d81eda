"""
One cycle: signals in, a plan out, all of it in the record.

    signals → zone and sector events → tasks → assignments → plan

A cycle writes three journals.  `cycles.jsonl` comes first and is the commit point; zones and sectors
follow, each all or none.  Where a crash comes between them, the next cycle finds in the cycles
journal what the others are missing and brings them up to date before it plans.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engines import checks
from engines.assign import (
    AgentProfile,
    AssignableTask,
    AssignmentPlan,
    DynamicAssignEngine,
)
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Event, Journal
from engines.orchestrator.model import CycleSummary, UsageCycleResult
from engines.personas import (
    Persona,
    PersonaSignal,
    prime_dynamic_start_agents,
    reset_dynamic_start_agents,
)
from engines.space import DynamicSpaceEngine, SpaceEvent, SpaceEventSeverity, SpaceSector
from engines.zone import DynamicZoneRegistry, Zone, ZoneEventType, ZoneNotFoundError

_ADVISORY_THRESHOLD = 0.35
_CYCLES_REMEMBERED = 1000
_OF_THE_JOURNAL = frozenset({"event_type", "parent_hash", "event_hash"})
_unwelcome_in_slugs = re.compile(r"[^\w]+|_+")


class DynamicUsageOrchestrator(Engine):
    """
    Turns signals into a plan over zones, sectors and agents.

    Args:
        zone_registry, space_engine, assign_engine: Made in memory where None.
        alert_threshold: Severity from which a signal takes up room in its zone, 0…1.
        critical_threshold: Severity from which a sector event is critical; never below the other.
        journal: Where cycles go and come from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        *,
        zone_registry: DynamicZoneRegistry | None = None,
        space_engine: DynamicSpaceEngine | None = None,
        assign_engine: DynamicAssignEngine | None = None,
        alert_threshold: float = 0.55,
        critical_threshold: float = 0.85,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # An engine without entries is still the caller's engine.
        self.zone_registry = (
            DynamicZoneRegistry(clock=clock) if zone_registry is None else zone_registry
        )
        self.space_engine = DynamicSpaceEngine(clock=clock) if space_engine is None else space_engine
        self.assign_engine = (
            DynamicAssignEngine(clock=clock) if assign_engine is None else assign_engine
        )
        self.alert_threshold = checks.clamped(alert_threshold, "alert_threshold")
        critical = checks.clamped(critical_threshold, "critical_threshold")
        self.critical_threshold = max(critical, self.alert_threshold)
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self.cycles: deque[CycleSummary] = deque(maxlen=_CYCLES_REMEMBERED)
        self._last_signals: list[Event] = []
        self._gathering: list[Event] = []

    # --- commands ----------------------------------------------------------------------------

    def register_zone(self, zone: Zone | Mapping[str, Any]) -> Zone:
        return self.zone_registry.register_zone(zone)

    def register_zones(self, zones: Iterable[Zone | Mapping[str, Any]]) -> list[Zone]:
        return self.zone_registry.register_zones(zones)

    def register_sector(self, sector: SpaceSector | Mapping[str, Any]) -> SpaceSector:
        return self.space_engine.upsert_sector(sector)

    def plan_cycle(
        self,
        signals: Iterable[PersonaSignal],
        agents: Sequence[AgentProfile],
        *,
        limit: int | None = None,
        allow_unassigned: bool = False,
        horizon: int = 5,
        min_skill_match: float = 0.0,
    ) -> UsageCycleResult:
        """
        Take the signals in and plan who answers them.

        Args:
            signals: Each becomes one task.
            agents: Who there is; their profiles are not changed.
            limit: At most so many assignments.
            allow_unassigned: Whether a cycle without agents is meant.
            horizon: How many of a sector's last events its stability is judged by.
            min_skill_match: As in `DynamicAssignEngine.decide`.

        Raises:
            InvalidInput: There are signals but no agents, or two tasks of one name.
            ZoneNotFoundError: A signal's zone is unknown and it brings no configuration.
        """
        signals = tuple(signals)
        if signals and not agents and not allow_unassigned:
            raise InvalidInput(
                "there are signals but no agents to answer them",
                hint="add agents, or allow a plan without assignments (--allow-unassigned)",
            )
        self._register_places(signals)
        # Left in the opposite order: cycles, the commit point, come before zones and sectors.
        with self.space_engine.deciding(), self.zone_registry.deciding(), self.deciding():
            self._complete_last_cycle()
            number = self._next_number()
            for signal in signals:
                seen_at = signal.timestamp.timestamp() if signal.timestamp else None
                effect = (signal.severity, signal.summary, seen_at, number)
                self._strain_zone(signal.zone, *effect)
                self._strain_sector(signal.sector, *effect)
            self.zone_registry.close_batch(_batch(number))
            self.space_engine.close_batch(_batch(number))
            tasks = tuple(_task(signal, index) for index, signal in enumerate(signals))
            plan = self.assign_engine.decide(
                tasks, agents, limit=limit, min_skill_match=min_skill_match
            )
            result = UsageCycleResult(
                assignments=plan.decisions,
                tasks=tasks,
                zone_snapshots=self.zone_registry.snapshot(),
                space_overview=self.space_engine.network_overview(horizon=horizon),
                unassigned=plan.unassigned,
                cycle=number,
                planned_at=checks.from_epoch(self.clock()),
            )
            self._record_cycle(result, plan, signals, agents)
        return result

    def load_persona_chain(self, *, force: bool = False) -> Mapping[str, Persona]:
        """The personas research, execution and risk; with *force* the default ones, made anew."""
        if force:
            reset_dynamic_start_agents()
        return prime_dynamic_start_agents()

    # --- queries -----------------------------------------------------------------------------

    @property
    def last_cycle(self) -> CycleSummary | None:
        return self.cycles[-1] if self.cycles else None

    def recall(self, cycle: int) -> list[dict[str, Any]] | None:
        """
        The tasks of a past cycle as they were recorded, each with its agent or the cause that
        left it over, highest severity first; None where there was no such cycle.
        """
        if not any(summary.cycle == cycle for summary in self.cycles):
            return None
        tasks = [
            {key: value for key, value in event.items() if key not in _OF_THE_JOURNAL}
            for events, _ in self.journal.read()
            for event in events
            if event["event_type"] == "task_planned" and event["cycle"] == cycle
        ]
        return sorted(tasks, key=lambda task: -float(task["severity"]))

    # --- folding -----------------------------------------------------------------------------

    def apply_cycle_started(self, event: Event) -> None:
        del event
        self._gathering = []

    def apply_task_planned(self, event: Event) -> None:
        self._gathering.append(event)

    def apply_cycle_completed(self, event: Event) -> None:
        self._last_signals, self._gathering = self._gathering, []
        self.cycles.append(
            CycleSummary(
                cycle=event["cycle"],
                planned_at=checks.from_epoch(event["timestamp"]),
                tasks=event["tasks"],
                assigned=event["assigned"],
                unassigned=event["unassigned"],
                average_stability=event["average_stability"],
                sectors_requiring_attention=tuple(event["sectors_requiring_attention"]),
            )
        )

    # --- taking signals in -------------------------------------------------------------------

    def _register_places(self, signals: Sequence[PersonaSignal]) -> None:
        """Register the zones and sectors that signals bring along; none if one cannot be."""
        zones: dict[str, Zone] = {}
        sectors: dict[str, SpaceSector] = {}
        self.zone_registry.refresh()
        self.space_engine.refresh()
        for signal in signals:
            if signal.zone not in self.zone_registry and signal.zone not in zones:
                zones[signal.zone] = _zone_for(signal)
            if signal.sector not in self.space_engine.space and signal.sector not in sectors:
                sectors[signal.sector] = _sector_for(signal)
        if zones:
            self.zone_registry.register_zones(zones.values())
        for sector in sectors.values():
            self.space_engine.upsert_sector(sector)

    def _strain_zone(
        self, zone: str, severity: float, summary: str, seen_at: float | None, cycle: int
    ) -> None:
        alert = severity >= self.alert_threshold
        self.zone_registry.record_event(
            zone,
            kind=ZoneEventType.ALERT if alert else ZoneEventType.SAMPLE,
            change=1 if alert else 0,
            value=severity,
            note=summary,
            metadata={"cycle": cycle},
            timestamp=None if seen_at is None else checks.from_epoch(seen_at),
        )

    def _strain_sector(
        self, sector: str, severity: float, summary: str, seen_at: float | None, cycle: int
    ) -> None:
        self.space_engine.record_event(
            SpaceEvent(
                sector_name=sector,
                description=summary,
                impact_score=severity,
                severity=self._grade(severity),
                timestamp=None if seen_at is None else checks.from_epoch(seen_at),
                metadata={"cycle": cycle},
            )
        )

    def _grade(self, severity: float) -> SpaceEventSeverity:
        if severity >= self.critical_threshold:
            return SpaceEventSeverity.CRITICAL
        if severity >= self.alert_threshold:
            return SpaceEventSeverity.ALERT
        if severity >= _ADVISORY_THRESHOLD:
            return SpaceEventSeverity.ADVISORY
        return SpaceEventSeverity.INFO

    # --- the record of a cycle ---------------------------------------------------------------

    def _next_number(self) -> int:
        return self.cycles[-1].cycle + 1 if self.cycles else 1

    def _record_cycle(
        self,
        result: UsageCycleResult,
        plan: AssignmentPlan,
        signals: Sequence[PersonaSignal],
        agents: Sequence[AgentProfile],
    ) -> None:
        self.record(
            "cycle_started",
            cycle=result.cycle,
            agents=[
                {"name": a.name, "skills": list(a.skills), "available_hours": a.available_hours}
                for a in agents
            ],
            alert_threshold=self.alert_threshold,
            critical_threshold=self.critical_threshold,
        )
        given = {decision.task_id: decision for decision in plan.decisions}
        left = {task.task_id: task for task in plan.unassigned}
        for task, signal in zip(result.tasks, signals, strict=True):
            outcome: dict[str, Any] = {}
            if decision := given.get(task.identifier):
                outcome = {
                    "agent": decision.agent,
                    "rationale": decision.rationale,
                    "confidence": decision.confidence,
                }
            elif unassigned := left.get(task.identifier):
                outcome = {
                    "agent": None,
                    "cause": unassigned.cause,
                    "rationale": unassigned.reason,
                }
            self.record(
                "task_planned",
                cycle=result.cycle,
                task_id=task.identifier,
                zone=signal.zone,
                sector=signal.sector,
                severity=signal.severity,
                summary=signal.summary,
                required_skills=list(signal.required_skills),
                estimated_effort_hours=signal.estimated_effort_hours,
                seen_at=signal.timestamp.timestamp() if signal.timestamp else None,
                metadata=dict(signal.metadata or {}),
                **outcome,
            )
        overview = result.space_overview
        self.record(
            "cycle_completed",
            cycle=result.cycle,
            tasks=len(result.tasks),
            assigned=len(plan.decisions),
            unassigned=len(plan.unassigned),
            average_stability=overview.average_stability,
            sectors_requiring_attention=list(overview.sectors_requiring_attention),
        )

    def _complete_last_cycle(self) -> None:
        """Bring zones and sectors up to the last cycle, where a crash came between the journals."""
        last = self.last_cycle
        if last is None or not self.journal.durable:
            return
        batch = _batch(last.cycle)
        missing = [
            (engine, strain, known, place)
            for engine, strain, known, place in (
                (self.zone_registry, self._strain_zone, self.zone_registry, "zone"),
                (self.space_engine, self._strain_sector, self.space_engine.space, "sector"),
            )
            if engine.last_batch != batch
        ]
        for engine, strain, known, place in missing:
            for event in self._last_signals:
                if event[place] in known:  # it may have been removed since
                    strain(
                        event[place],
                        event["severity"],
                        event["summary"],
                        event["seen_at"],
                        last.cycle,
                    )
            engine.close_batch(batch)


def _batch(cycle: int) -> str:
    return f"cycle-{cycle}"


def _task(signal: PersonaSignal, index: int) -> AssignableTask:
    slug = _unwelcome_in_slugs.sub("-", f"{signal.zone} {signal.persona} {index + 1}".lower())
    return AssignableTask(
        identifier=signal.task_identifier or slug.strip("-"),
        description=signal.summary,
        priority=signal.severity,
        required_skills=signal.required_skills,
        estimated_effort_hours=signal.estimated_effort_hours,
        metadata={
            "source": "persona_signal",
            **(signal.metadata or {}),
            "persona": signal.persona,
            "zone": signal.zone,
            "sector": signal.sector,
            "severity": signal.severity,
        },
    )


def _zone_for(signal: PersonaSignal) -> Zone:
    configuration = signal.zone_configuration
    if configuration is None:
        raise ZoneNotFoundError(
            f"signal {signal.summary!r}: no zone named {signal.zone!r}",
            hint="register the zone first, or give the signal a zone_configuration",
        )
    if isinstance(configuration, Zone):
        return replace(configuration, name=signal.zone)
    unit_square = {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}
    return checks.built(
        Zone, {"boundary": unit_square, **configuration, "name": signal.zone}, "zone_configuration"
    )


def _sector_for(signal: PersonaSignal) -> SpaceSector:
    configuration = signal.sector_configuration
    if isinstance(configuration, SpaceSector):
        return replace(configuration, name=signal.sector)
    placeholder = {"hazard_index": max(signal.severity, 0.3), "supply_level": 0.5}
    return checks.built(
        SpaceSector,
        {**(configuration or placeholder), "name": signal.sector},
        "sector_configuration",
    )
