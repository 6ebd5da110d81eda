"""What a match is worth: the score's components and their weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from engines import checks

LEAST_URGENT = 0.2  # what a task of priority 0 is worth beside one of priority 1


@dataclass(frozen=True, slots=True)
class Weights:
    """
    Weights of the score's components, each component 0…1.

    Attributes:
        skill: Of the share of the required skills that the agent has.
        free: Of the share of its hours that the task leaves.
        confidence: Of how reliable the agent is.
        focus: Of the task lying in one of its focus areas.
    """

    skill: float = 0.6
    free: float = 0.3
    confidence: float = 0.1
    focus: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = checks.at_least(getattr(self, each.name), 0, f"weight of {each.name}")
            object.__setattr__(self, each.name, value)

    def as_dict(self) -> dict[str, float]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def score(self, components: tuple[float, ...]) -> float:
        """The weighted sum of skill, free, confidence and focus."""
        skill, free, confidence, focus = components
        worth = self.skill * skill + self.free * free
        return worth + self.confidence * confidence + self.focus * focus


def urgency(priority: Any) -> Any:
    """What a task's score is multiplied by: 0.2 at priority 0, 1 at priority 1."""
    return LEAST_URGENT + (1 - LEAST_URGENT) * priority
