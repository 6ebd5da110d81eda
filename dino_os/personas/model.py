"""What a model may say of a signal, what became of it, and what the signal was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ROLES: Mapping[str, tuple[str, str]] = {
    "research": ("reads records into observations", "adds a remark to a signal's summary"),
    "execution": (
        "turns observations into signals",
        "names skills for a task whose record and map name none, of those that agents have",
    ),
    "risk": (
        "raises severity where a place is strained, escalates",
        "gives an argument for the severity; raises it within personas.risk.severity_band",
    ),
}
"""Persona → what it does, and what its model may change."""


@dataclass(frozen=True, slots=True)
class Rules:
    """
    How far a model's influence reaches.

    Attributes:
        personas: Those whose models are asked.
        skills: The only ones that can be inferred.
        severity_band: How much a severity can be raised; it is never lowered.
        most: How many signals of a cycle are shown to a model, the gravest.
        timeout_s: Seconds for all of them together.
    """

    personas: frozenset[str]
    skills: tuple[str, ...] = ()
    severity_band: float = 0.0
    most: int = 20
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Said:
    """
    What a model said of one signal: texts of unknown worth.

    Attributes:
        evidence: Words of the record that skills and severity rest on.
        provider, model: Who said it.
    """

    summary: str = ""
    skills: tuple[str, ...] = ()
    severity: float | None = None
    argument: str = ""
    evidence: str = ""
    provider: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one signal, as the deterministic personas left it and as it is now."""

    persona: str
    field: str
    before: Any
    after: Any
    provider: str
    model: str
    run: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Told:
    """
    What became of a model's part in a cycle.

    Attributes:
        run: The model's run in the agent log; "" where none was begun.
        asked: How many signals it was shown.
        changes: Signal → its changes.
        refused: What it said and may not: signal and reason.
        fallbacks: Where the deterministic result stands because the model failed, and why.
    """

    run: str = ""
    asked: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    fallbacks: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
