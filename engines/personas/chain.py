"""
The chain research → execution → risk: raw records in, signals out.

Each persona is deterministic and may be replaced (see `engines.personas.cast`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from engines.errors import InvalidInput
from engines.personas.model import (
    Escalation,
    Observation,
    PersonaSignal,
    RejectedRow,
    ResearchResult,
    Row,
    SignalResult,
)
from engines.personas.signal_map import SignalMap, UnreadableRecord

Locate = Callable[[tuple[float, float]], str | None]


class _Places(NamedTuple):
    """Where a record can be: the known names, and the zone around a point."""

    zones: Container[str]
    sectors: Container[str]
    locate: Locate


def _nowhere(_: tuple[float, float]) -> None:
    return None


class ResearchPersona:
    """Reads raw records into observations: where, what, when."""

    name = "research"

    def run(self, payload: Mapping[str, Any]) -> ResearchResult:
        """
        Read records.

        Payload:
            rows: Iterable of (line number, record).
            map: A `SignalMap`.
            zones, sectors: The names that are known; a record of any other is rejected.
            locate: (x, y) → the zone there, or None.
        """
        signal_map: SignalMap = payload["map"]
        places = _Places(
            payload.get("zones", ()), payload.get("sectors", ()), payload.get("locate", _nowhere)
        )
        rows: Iterable[tuple[int, Row]] = payload.get("rows", ())
        observations, rejected = [], []
        for line, row in rows:
            try:
                observations.append(_observe(line, row, signal_map, places))
            except (UnreadableRecord, InvalidInput) as reason:
                rejected.append(RejectedRow(line, str(reason)))
        return ResearchResult(
            agent=self.name,
            rationale=f"{len(observations)} records read, {len(rejected)} not",
            confidence=_share(len(observations), len(rejected)),
            observations=observations,
            rejected=rejected,
        )


class ExecutionPersona:
    """Turns observations into signals: how severe, which skills, how much work."""

    name = "execution"

    def run(self, payload: Mapping[str, Any]) -> SignalResult:
        """
        Make signals.

        Payload:
            observations: From research.
            map: The `SignalMap` they were read through.
        """
        signal_map: SignalMap = payload["map"]
        observations: Iterable[Observation] = payload.get("observations", ())
        signals, rejected = [], []
        for observation in observations:
            try:
                signals.append(_signal(observation, signal_map, self.name))
            except (UnreadableRecord, InvalidInput) as reason:
                rejected.append(RejectedRow(observation.line, str(reason)))
        return SignalResult(
            agent=self.name,
            rationale=f"{len(signals)} signals made, {len(rejected)} records refused",
            confidence=_share(len(signals), len(rejected)),
            signals=signals,
            rejected=rejected,
        )


class RiskPersona:
    """
    Raises severity where the place is already strained, and flags what cannot wait.

        pressure  = (min(zone load, 2) / 2 + 1 - sector stability) / 2          0…1
        severity' = severity + 0.2 · (1 - severity) · pressure
    """

    name = "risk"
    _reach = 0.2

    def run(self, payload: Mapping[str, Any]) -> SignalResult:
        """
        Adjust signals.

        Payload:
            signals: From execution.
            zone_load: Zone → utilisation; a zone not named is empty.
            sector_stability: Sector → stability 0…1; one not named is stable.
            critical_threshold: Severity from which a signal is escalated.
        """
        signals: Iterable[PersonaSignal] = payload.get("signals", ())
        load: Mapping[str, float] = payload.get("zone_load", {})
        stability: Mapping[str, float] = payload.get("sector_stability", {})
        critical: float = payload.get("critical_threshold", 0.85)
        adjusted, escalations = [], []
        for signal in signals:
            zone_load = load.get(signal.zone, 0.0)
            calm = stability.get(signal.sector, 1.0)
            pressure = (min(zone_load, 2.0) / 2 + 1 - calm) / 2
            severity = signal.severity + self._reach * (1 - signal.severity) * pressure
            metadata = {**(signal.metadata or {}), "observed_severity": signal.severity}
            adjusted.append(replace(signal, severity=severity, metadata=metadata))
            if severity >= critical:
                reason = f"severity {severity:.2f} (seen as {signal.severity:.2f})"
                if zone_load > 1:
                    reason += f"; zone at {zone_load:.0%} of its capacity"
                escalations.append(
                    Escalation(signal.summary, signal.zone, signal.sector, severity, reason)
                )
        return SignalResult(
            agent=self.name,
            rationale=f"{len(adjusted)} signals weighed, {len(escalations)} escalated",
            confidence=1.0,
            signals=adjusted,
            escalations=escalations,
        )


def _observe(line: int, row: Row, signal_map: SignalMap, places: _Places) -> Observation:
    position = signal_map.position.read(row) if signal_map.position else None
    sector = str(signal_map.sector.read(row, "sector"))
    if sector not in places.sectors:
        raise UnreadableRecord(f"unknown sector {sector!r}")
    identifier = signal_map.identifier
    return Observation(
        line=line,
        zone=_zone(row, signal_map, places, position),
        sector=sector,
        summary=signal_map.read_summary(row),
        row=row,
        identifier=str(identifier.read(row, "identifier")) if identifier else None,
        time=signal_map.time.read(row) if signal_map.time else None,
        position=position,
    )


def _zone(
    row: Row, signal_map: SignalMap, places: _Places, position: tuple[float, float] | None
) -> str:
    named: str | None = None
    if signal_map.zone:
        try:
            named = str(signal_map.zone.read(row, "zone"))
        except UnreadableRecord:
            if position is None:
                raise
        if named is not None and named in places.zones:
            return named
    around = places.locate(position) if position else None
    if around is None:
        known = f"unknown zone {named!r}" if named else "no zone is named"
        where = f"position {position} lies in none" if position else "there is no position"
        raise UnreadableRecord(f"{known}, and {where}")
    return around


def _signal(observation: Observation, signal_map: SignalMap, persona: str) -> PersonaSignal:
    row = observation.row
    severity = signal_map.severity.read_number(row, "severity") / signal_map.severity_scale
    if not 0 <= severity <= 1:
        raise UnreadableRecord(f"severity must lie in 0…1, found {severity:g}")
    metadata: dict[str, Any] = {"line": observation.line}
    if observation.position:
        metadata["position"] = observation.position
    return PersonaSignal(
        persona=persona,
        summary=observation.summary,
        zone=observation.zone,
        sector=observation.sector,
        severity=severity,
        required_skills=signal_map.skills.read_words(row, "skills"),
        estimated_effort_hours=signal_map.effort_hours.read_number(row, "effort_hours"),
        task_identifier=observation.identifier,
        metadata=metadata,
        timestamp=observation.time,
    )


def _share(good: int, bad: int) -> float:
    return good / (good + bad) if good + bad else 1.0
