"""
One cycle: signals in, a plan out, all of it in the record.

    signals → zone and sector events → tasks → assignments → plan

A cycle writes three journals.  `cycles.jsonl` comes first, and its `cycle_completed` is the commit
point; zones and sectors follow, and last the assignments where they are kept.  Where a crash comes
between them, the next cycle finds in the cycles journal what zones and sectors are missing and
brings them up to date before it plans.  Signals are taken one by one and wait in a file; of more
than 20,000 no more than what the greedy rule asks for stays in memory.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from engines import checks
from engines.assign import (
    AgentProfile,
    AssignmentPlan,
    DynamicAssignEngine,
    decide_crowd,
)
from engines.engine import Engine
from engines.errors import InvalidInput, NotFound
from engines.journal import Event, Journal
from engines.orchestrator.large import LeftOver, PlannedTasks, outcomes_of
from engines.orchestrator.model import CycleSummary, UsageCycleResult
from engines.orchestrator.recorded import agents_of, events_of, number_of, tasks_of
from engines.orchestrator.strain import (
    AT_ONCE,
    Facts,
    Thresholds,
    is_in,
    strain_sectors,
    strain_zones,
)
from engines.orchestrator.translation import (
    Translated,
    sector_of,
    zone_of,
)
from engines.personas import (
    Persona,
    PersonaSignal,
    prime_dynamic_start_agents,
    reset_dynamic_start_agents,
)
from engines.space import DynamicSpaceEngine, SpaceSector
from engines.zone import DynamicZoneRegistry, Zone

_CYCLES_REMEMBERED = 1000
_SIGNALS_REMEMBERED = 1000  # of the last cycle; where it had more they are read again


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
        self.space_engine = (
            DynamicSpaceEngine(clock=clock) if space_engine is None else space_engine
        )
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
        self._last_thresholds = self._thresholds
        self._gathering: list[Event] = []
        self._gathering_thresholds = self._thresholds

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
        method: str = "greedy",
        reference: str | None = None,
    ) -> UsageCycleResult:
        """
        Take the signals in and plan who answers them.

        Args:
            signals: Each becomes one task.
            agents: Who there is; their profiles are not changed.
            limit: At most so many assignments.
            allow_unassigned: Whether a cycle without agents is meant.
            horizon: How many of a sector's last events its stability is judged by.
            min_skill_match, method: As in `DynamicAssignEngine.decide`; beyond 20,000 tasks greedy.
            reference: What the caller calls this cycle; `cycle_of` finds it by that.

        Raises:
            InvalidInput: There are signals but no agents, or two tasks of one name.
            ZoneNotFoundError: A signal's zone is unknown and it brings no configuration.
        """
        agents = tuple(agents)
        checks.at_least(horizon, 0, "horizon")
        taken = Translated(horizon)
        for signal in signals:
            if not (len(taken) or agents or allow_unassigned):
                raise InvalidInput(
                    "there are signals but no agents to answer them",
                    hint="add agents, or allow a plan without assignments (--allow-unassigned)",
                )
            taken.add(signal)
        zones, sectors = self._places_brought(taken)
        with self.assign_engine.deciding():
            # What cannot be planned is refused before any place has changed.
            if taken.held is None:
                plan = self._decide_many(taken, agents, limit, min_skill_match)
            else:
                plan = self.assign_engine.decide(
                    taken.held, agents, limit=limit, min_skill_match=min_skill_match, method=method
                )
            self._register_places(zones, sectors)
            with self._deciding_everywhere():
                number = self._next_number()
                self._record_cycle(number, plan, taken, agents, reference)
                self.commit_so_far()
                strain_zones(self.zone_registry, taken.facts, number, self._thresholds)
                strain_sectors(self.space_engine, taken.facts, number, self._thresholds)
                return UsageCycleResult(
                    assignments=plan.decisions,
                    tasks=PlannedTasks(taken.names, taken.tasks)
                    if taken.held is None
                    else tuple(taken.held),
                    zone_snapshots=self.zone_registry.snapshot(),
                    space_overview=self.space_engine.network_overview(horizon=horizon),
                    unassigned=plan.unassigned,
                    cycle=number,
                    planned_at=checks.from_epoch(self.clock()),
                    plan=plan,
                )

    def catch_up(self) -> None:
        """Bring zones and sectors up to the last cycle, where a crash came between the journals."""
        with self._deciding_everywhere():
            pass

    def load_persona_chain(self, *, force: bool = False) -> Mapping[str, Persona]:
        """The personas research, execution and risk; with *force* the default ones, made anew."""
        if force:
            reset_dynamic_start_agents()
        return prime_dynamic_start_agents()

    # --- queries -----------------------------------------------------------------------------

    @property
    def last_cycle(self) -> CycleSummary | None:
        return self.cycles[-1] if self.cycles else None

    def cycle_of(self, reference: str) -> int | None:
        """The number of the cycle that its caller calls so; None where it is not on record."""
        return number_of(self.journal, reference)

    def recall(self, cycle: int) -> list[dict[str, Any]] | None:
        """
        The tasks of a past cycle as they were recorded, each with its agent or the cause that
        left it over, highest severity first; None where there was no such cycle.

        Raises:
            NotFound: They were pruned from the journal.
        """
        summary = next((s for s in self.cycles if s.cycle == cycle), None)
        if summary is None:
            return None
        tasks = tasks_of(self.journal, cycle)
        if summary.tasks and not tasks:
            raise NotFound(f"the tasks of cycle {cycle} were pruned from the journal")
        return tasks

    def agents_of(self, cycle: int) -> list[dict[str, Any]] | None:
        """Who there was in a past cycle, as recorded; None where it is not on record."""
        return agents_of(self.journal, cycle)

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._thresholds,)

    def apply_cycle_started(self, event: Event) -> None:
        self._gathering = []
        self._gathering_thresholds = Thresholds(
            event["alert_threshold"], event["critical_threshold"]
        )

    def apply_task_planned(self, event: Event) -> None:
        if len(self._gathering) < _SIGNALS_REMEMBERED:
            self._gathering.append(event)

    def apply_cycle_completed(self, event: Event) -> None:
        self._last_signals, self._gathering = self._gathering, []
        self._last_thresholds = self._gathering_thresholds
        self.cycles.append(
            CycleSummary(
                cycle=event["cycle"],
                planned_at=checks.from_epoch(event["timestamp"]),
                tasks=event["tasks"],
                assigned=event["assigned"],
                unassigned=event["unassigned"],
                average_stability=event["average_stability"],
                sectors_requiring_attention=tuple(event["sectors_requiring_attention"]),
                quality=event.get("quality"),
            )
        )

    # --- taking signals in -------------------------------------------------------------------

    def _places_brought(self, taken: Translated) -> tuple[list[Zone], list[SpaceSector]]:
        """The zones and sectors that are not known yet, as the signals describe them."""
        self.zone_registry.refresh()
        self.space_engine.refresh()
        zones = [zone_of(s) for name, s in taken.zones.items() if name not in self.zone_registry]
        known = self.space_engine.space
        sectors = [sector_of(s) for name, s in taken.sectors.items() if name not in known]
        return zones, sectors

    def _decide_many(
        self,
        taken: Translated,
        agents: Sequence[AgentProfile],
        limit: int | None,
        min_skill_match: float,
    ) -> AssignmentPlan:
        taken.check_names()
        found = decide_crowd(
            self.assign_engine,
            taken.crowd,
            taken.names,
            agents,
            limit=limit,
            min_skill_match=min_skill_match,
        )
        left: Any = LeftOver(found, taken.names)
        return AssignmentPlan(found.decisions, left, "greedy", found.value)

    def _register_places(self, zones: Sequence[Zone], sectors: Sequence[SpaceSector]) -> None:
        if not zones and not sectors:
            return
        with self.space_engine.deciding(), self.zone_registry.deciding():
            self.zone_registry.register_zones(zones)
            for sector in sectors:
                self.space_engine.upsert_sector(sector)

    @property
    def _thresholds(self) -> Thresholds:
        return Thresholds(self.alert_threshold, self.critical_threshold)

    # --- the record of a cycle ---------------------------------------------------------------

    def _next_number(self) -> int:
        return self.cycles[-1].cycle + 1 if self.cycles else 1

    def _record_cycle(
        self,
        number: int,
        plan: AssignmentPlan,
        taken: Translated,
        agents: Sequence[AgentProfile],
        reference: str | None,
    ) -> None:
        self.record(
            "cycle_started",
            cycle=number,
            agents=[
                {
                    "name": a.name,
                    "skills": list(a.skills),
                    "available_hours": a.available_hours,
                    "focus_areas": list(a.focus_areas),
                    "confidence": a.confidence,
                }
                for a in agents
            ],
            alert_threshold=self.alert_threshold,
            critical_threshold=self.critical_threshold,
        )
        outcomes = outcomes_of(plan)
        for count, fact in enumerate(taken.facts, start=1):
            outcome = outcomes(count - 1, fact["task_id"])
            self.record("task_planned", cycle=number, **fact, **outcome)
            if count % AT_ONCE == 0:
                self.commit_so_far()
        expected = taken.latest.events(self._thresholds, number)
        overview = self.space_engine.network_overview(horizon=taken.horizon, expected=expected)
        self.record(
            "cycle_completed",
            cycle=number,
            tasks=len(taken),
            assigned=len(plan.decisions),
            unassigned=len(plan.unassigned),
            average_stability=overview.average_stability,
            sectors_requiring_attention=list(overview.sectors_requiring_attention),
            quality=plan.summary(),
            **({} if reference is None else {"reference": reference}),
        )

    @contextlib.contextmanager
    def _deciding_everywhere(self) -> Iterator[None]:
        """Hold all three locks, with zones and sectors brought up to the last cycle."""
        while True:
            # Left in the opposite order: cycles, the commit point, come before the others.
            with self.space_engine.deciding(), self.zone_registry.deciding(), self.deciding():
                if not self._complete_last_cycle():
                    yield
                    return
            # Completed and committed before a new cycle begins: only the last can be completed.

    def _complete_last_cycle(self) -> bool:
        """
        Bring zones and sectors up to the last cycle, where a crash came between the journals.

        Return whether there was anything to complete.
        """
        last = self.last_cycle
        if last is None or not self.journal.durable:
            return False
        # By the thresholds of that cycle, which need not be ours.
        thresholds = self._last_thresholds
        behind = [
            strain
            for engine, strain in (
                (self.zone_registry, partial(strain_zones, self.zone_registry)),
                (self.space_engine, partial(strain_sectors, self.space_engine)),
            )
            if not is_in(engine, last.cycle)
        ]
        for strain in behind:
            strain(self._signals_of(last), last.cycle, thresholds)
        return bool(behind)

    def _signals_of(self, last: CycleSummary) -> Iterable[Facts]:
        if len(self._last_signals) == last.tasks:
            return self._last_signals
        return events_of(self.journal, last.cycle)
