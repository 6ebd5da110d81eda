"""
What signals do to their zones and sectors.

Many signals are recorded in parts, each durable before the next begins.  The journal of the zones,
and that of the sectors, says with each part how far it reaches, so that whoever goes on after a
crash records none a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from engines import checks
from engines.space import DynamicSpaceEngine, SpaceEvent, SpaceEventSeverity
from engines.zone import DynamicZoneRegistry, ZoneEventType

Facts = Mapping[str, Any]
"""What the record of a planned task says of its signal."""

AT_ONCE = 10_000
"""So many signals are in one batch of a journal."""

_ADVISORY_THRESHOLD = 0.35


class Thresholds(NamedTuple):
    """From which severity on a signal is an alert, and from which it is critical."""

    alert: float
    critical: float

    def grade(self, severity: float) -> SpaceEventSeverity:
        if severity >= self.critical:
            return SpaceEventSeverity.CRITICAL
        if severity >= self.alert:
            return SpaceEventSeverity.ALERT
        if severity >= _ADVISORY_THRESHOLD:
            return SpaceEventSeverity.ADVISORY
        return SpaceEventSeverity.INFO


def strain_zones(
    registry: DynamicZoneRegistry, signals: Iterable[Facts], cycle: int, thresholds: Thresholds
) -> None:
    """Record what *signals* do to their zones, as far as that is not on record yet."""

    def record(facts: Facts) -> None:
        alert = facts["severity"] >= thresholds.alert
        seen_at = facts["seen_at"]
        registry.record_event(
            facts["zone"],
            kind=ZoneEventType.ALERT if alert else ZoneEventType.SAMPLE,
            change=1 if alert else 0,
            value=facts["severity"],
            note=facts["summary"],
            metadata={"cycle": cycle},
            timestamp=None if seen_at is None else checks.from_epoch(seen_at),
        )

    _in_parts(registry, signals, cycle, ("zone", registry), record)


def strain_sectors(
    engine: DynamicSpaceEngine, signals: Iterable[Facts], cycle: int, thresholds: Thresholds
) -> None:
    """Record what *signals* do to their sectors, as far as that is not on record yet."""

    def record(facts: Facts) -> None:
        engine.record_event(sector_event(facts, thresholds, cycle))

    _in_parts(engine, signals, cycle, ("sector", engine.space), record)


def sector_event(facts: Facts, thresholds: Thresholds, cycle: int) -> SpaceEvent:
    seen_at = facts["seen_at"]
    return SpaceEvent(
        sector_name=facts["sector"],
        description=facts["summary"],
        impact_score=facts["severity"],
        severity=thresholds.grade(facts["severity"]),
        timestamp=None if seen_at is None else checks.from_epoch(seen_at),
        metadata={"cycle": cycle},
    )


class Latest:
    """By sector the last *horizon* of many signals: of more its stability does not tell."""

    def __init__(self, horizon: int) -> None:
        self._horizon = horizon
        self._facts: dict[str, deque[Facts]] = {}

    def add(self, facts: Facts) -> None:
        sector = self._facts.get(facts["sector"])
        if sector is None:
            sector = self._facts[facts["sector"]] = deque(maxlen=self._horizon)
        sector.append(facts)

    def events(self, thresholds: Thresholds, cycle: int) -> dict[str, list[SpaceEvent]]:
        return {
            sector: [sector_event(facts, thresholds, cycle) for facts in last]
            for sector, last in self._facts.items()
        }


def is_in(engine: DynamicZoneRegistry | DynamicSpaceEngine, cycle: int) -> bool:
    """Whether the places have all that *cycle* did to them."""
    return engine.last_batch == _batch(cycle)


def _in_parts(
    engine: DynamicZoneRegistry | DynamicSpaceEngine,
    signals: Iterable[Facts],
    cycle: int,
    places: tuple[str, Container[str]],
    record: Callable[[Facts], None],
) -> None:
    kind, known = places
    batch = _batch(cycle)
    before, _, reached = (engine.last_batch or "").partition(":")
    done = int(reached) if before == batch and reached else 0
    for count, facts in enumerate(islice(signals, done, None), start=done + 1):
        if facts[kind] in known:  # it may have been removed since, where a crash came between
            record(facts)
        if count % AT_ONCE == 0:
            engine.close_batch(f"{batch}:{count}")
            engine.commit_so_far()
    engine.close_batch(batch)


def _batch(cycle: int) -> str:
    return f"cycle-{cycle}"
