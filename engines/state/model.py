"""What a state is: its definition, the noisy signals about it, and how it looks at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from engines import checks
from engines.errors import InvalidInput, NotFound


class StateNotFoundError(NotFound):
    """No state has that name."""


@dataclass(frozen=True, slots=True)
class StateSignal:
    """
    One noisy observation of a state.

    Attributes:
        state: Its name; upper and lower case are the same.
        intensity: Where the observer sees it, -1…1.
        confidence: How sure the observer is, 0…1.
        momentum: Where it seems to be heading, -1…1.
        weight: How much this observer counts, at least 0.
        tags: Lower-case words.
    """

    state: str
    intensity: float
    confidence: float = 0.5
    momentum: float = 0.0
    weight: float = 1.0
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        checked = {
            "state": checks.name(self.state, "a state's name"),
            "intensity": checks.clamped(self.intensity, "intensity", -1.0, 1.0),
            "confidence": checks.clamped(self.confidence, "confidence"),
            "momentum": checks.clamped(self.momentum, "momentum", -1.0, 1.0),
            "weight": checks.at_least(self.weight, 0, "weight"),
            "timestamp": checks.utc(self.timestamp),
            "tags": checks.words(self.tags, "tags"),
            "metadata": checks.mapping(self.metadata, "metadata"),
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)


@dataclass(frozen=True, slots=True)
class StateDefinition:
    """
    What is known of a state before any signal.

    Attributes:
        baseline: Its value without signals, and where it is pulled to.
        floor, ceiling: Limits of its value.
        warmup: How many signals it takes until the value is to be relied on.
    """

    name: str
    description: str = ""
    baseline: float = 0.0
    floor: float = -1.0
    ceiling: float = 1.0
    warmup: int = 3

    def __post_init__(self) -> None:
        label = checks.name(self.name, "a state's name")
        floor, ceiling = checks.finite(self.floor, "floor"), checks.finite(self.ceiling, "ceiling")
        if floor > ceiling:
            raise InvalidInput(f"state {label!r}: floor {floor:g} lies above ceiling {ceiling:g}")
        checked = {
            "name": label,
            "floor": floor,
            "ceiling": ceiling,
            "baseline": checks.clamped(self.baseline, "baseline", floor, ceiling),
            "warmup": int(checks.at_least(checks.whole(self.warmup, "warmup"), 0, "warmup")),
        }
        for attribute, value in checked.items():
            object.__setattr__(self, attribute, value)

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.name.lower()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """
    A state at a moment.

    Attributes:
        state: The name as it was given.
        value: Blend of the signals and the baseline.
        change: What the last signal moved it by.
        trend: Where it is heading: half that change, half the signals' momentum.
        ready: Whether the warm-up is over.
        tags: Of its signals, by frequency, then name.
        summary: One sentence for people.
    """

    state: str
    value: float
    change: float
    trend: float
    baseline: float
    ready: bool
    signals: tuple[StateSignal, ...]
    tags: tuple[str, ...]
    summary: str
    metadata: Mapping[str, Any]
    definition: StateDefinition

    def as_dict(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "value": self.value,
            "change": self.change,
            "trend": self.trend,
            "baseline": self.baseline,
            "ready": self.ready,
            "tags": list(self.tags),
            "summary": self.summary,
            "metadata": dict(self.metadata),
            "signals": [
                {
                    "intensity": signal.intensity,
                    "confidence": signal.confidence,
                    "momentum": signal.momentum,
                    "weight": signal.weight,
                    "timestamp": checks.rfc3339(signal.timestamp),
                    "tags": list(signal.tags),
                }
                for signal in self.signals
            ],
        }
