"""What the personas hand to each other: observations, signals, escalations, and their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from engines import checks
from engines.errors import InvalidInput

Row = Mapping[str, str]
"""One raw record: column → text, as it stands in the file."""


@dataclass(frozen=True, slots=True)
class Observation:
    """
    A raw record that was understood: where, what and when.

    Attributes:
        line: Where it stands in its file, counted from 1.
        row: The record itself, for the tables of the next persona.
    """

    line: int
    zone: str
    sector: str
    summary: str
    row: Row
    identifier: str | None = None
    time: datetime | None = None
    position: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A raw record that was not understood, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PersonaSignal:
    """
    A reason to act: something of some severity in a zone and a sector.

    Attributes:
        severity: 0…1; becomes the task's priority.
        task_identifier: Name for the task; made from zone and persona where None.
        zone_configuration, sector_configuration: What to register where they are not known yet.
        timestamp: When it was seen, where that is not now.
    """

    persona: str
    summary: str
    zone: str
    sector: str
    severity: float
    required_skills: tuple[str, ...] = ()
    estimated_effort_hours: float = 4.0
    task_identifier: str | None = None
    metadata: Mapping[str, Any] | None = None
    zone_configuration: Any = None
    sector_configuration: Any = None
    timestamp: datetime | None = None

    def __post_init__(self) -> None:
        effort = checks.finite(self.estimated_effort_hours, "estimated_effort_hours")
        if effort <= 0:
            raise InvalidInput(f"estimated_effort_hours must be above 0, found {effort:g}")
        checked = {
            "persona": checks.name(self.persona, "a signal's persona"),
            "summary": checks.name(self.summary, "a signal's summary"),
            "zone": checks.name(self.zone, "a signal's zone"),
            "sector": checks.name(self.sector, "a signal's sector"),
            "severity": checks.clamped(self.severity, "severity"),
            "required_skills": checks.words(self.required_skills, "required_skills"),
            "estimated_effort_hours": effort,
            "metadata": checks.mapping(self.metadata, "metadata"),
            "timestamp": checks.utc(self.timestamp) if self.timestamp else None,
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)


@dataclass(frozen=True, slots=True)
class Escalation:
    """A signal that somebody should look at now, and why."""

    summary: str
    zone: str
    sector: str
    severity: float
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What a persona says: who, why, and how sure, 0…1."""

    agent: str
    rationale: str
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        return {"agent": self.agent, "rationale": self.rationale, "confidence": self.confidence}


@dataclass(frozen=True, slots=True)
class ResearchResult(AgentResult):
    """What was seen, and what could not be read."""

    observations: Sequence[Observation] = ()
    rejected: Sequence[RejectedRow] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "rationale": self.rationale,
            "confidence": self.confidence,
            "observations": len(self.observations),
            "rejected": [asdict(row) for row in self.rejected],
        }


@dataclass(frozen=True, slots=True)
class SignalResult(AgentResult):
    """Signals made or adjusted, and those that want attention now."""

    signals: Sequence[PersonaSignal] = ()
    rejected: Sequence[RejectedRow] = ()
    escalations: Sequence[Escalation] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "rationale": self.rationale,
            "confidence": self.confidence,
            "signals": len(self.signals),
            "rejected": [asdict(row) for row in self.rejected],
            "escalations": [escalation.as_dict() for escalation in self.escalations],
        }


@runtime_checkable
class Persona(Protocol):
    """One link of the chain.  Deterministic: the same payload gives the same result."""

    name: str

    def run(self, payload: Mapping[str, Any]) -> AgentResult:
        """Do the persona's part on *payload*, whose keys each persona documents."""
