"""
Weights learned from what people accepted and rejected: logistic regression, kept close to the old.

    P(accepted) = logistic(steepness · (score - level))        score = Σ weight · component

Both weights and *level* follow the gradient of the log-likelihood less a penalty for each step away
from the first weights.  Weights stay at least 0 and keep their sum, so scores stay on their scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from engines.assign.weights import Weights

_STEEPNESS = 10.0
_PULL = 2.0  # towards the old weights, as so many observations
_STEPS = 500
_RATE = 0.02


@dataclass(frozen=True, slots=True)
class Observation:
    """
    What became of one assignment.

    Attributes:
        components: Skill, free, confidence and focus, as they were.
    """

    components: tuple[float, float, float, float]
    accepted: bool


@dataclass(frozen=True, slots=True)
class Lesson:
    """
    Attributes:
        loss_before, loss_after: Mean of -log P of what was observed.
    """

    old: Weights
    new: Weights
    observations: int
    loss_before: float
    loss_after: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
            "observations": self.observations,
            "loss_before": self.loss_before,
            "loss_after": self.loss_after,
        }


def learned(first: Weights, weights: Weights, seen: Sequence[Observation]) -> Lesson:
    """
    Better weights for all that was *seen*; the *first* where nothing speaks for others.

    They are learned from the first, not from those of now: the same observations do not count
    again each time.
    """
    old = list(astuple(first))
    total = sum(old)
    level = _level(old, seen)
    now, best, best_loss = list(old), list(old), _loss(old, level, seen)
    for _ in range(_STEPS):
        slope, level_slope = [0.0] * len(now), 0.0
        for each in seen:
            error = each.accepted - _chance(now, level, each)
            for place, component in enumerate(each.components):
                slope[place] += _STEEPNESS * error * component
            level_slope -= _STEEPNESS * error
        count = max(len(seen), 1)
        for place, weight in enumerate(now):
            pull = _PULL * _STEEPNESS * (weight - old[place])
            now[place] = max(0.0, weight + _RATE * (slope[place] - pull) / count)
        level += _RATE * level_slope / count
        scale = total / sum(now) if sum(now) > 0 else 0.0
        now = [weight * scale for weight in now] if scale else list(old)
        loss = _loss(now, level, seen)
        if loss < best_loss - 1e-12:
            best, best_loss = list(now), loss
    before = _loss(astuple(weights), _level(astuple(weights), seen), seen)
    return Lesson(weights, Weights(*best), len(seen), before, best_loss)


def _level(weights: Sequence[float], seen: Sequence[Observation]) -> float:
    """Halfway between the mean scores of what was accepted and rejected."""
    means = []
    for accepted in (True, False):
        scores = [_score(weights, each) for each in seen if each.accepted is accepted]
        if scores:
            means.append(sum(scores) / len(scores))
    return sum(means) / len(means) if means else 0.5


def _score(weights: Sequence[float], each: Observation) -> float:
    return sum(w * c for w, c in zip(weights, each.components, strict=True))


def _chance(weights: Sequence[float], level: float, each: Observation) -> float:
    return 1 / (1 + math.exp(-_STEEPNESS * (_score(weights, each) - level)))


def _loss(weights: Sequence[float], level: float, seen: Sequence[Observation]) -> float:
    if not seen:
        return 0.0
    chances = [_chance(weights, level, each) for each in seen]
    likely = [p if each.accepted else 1 - p for p, each in zip(chances, seen, strict=True)]
    return -sum(math.log(max(p, 1e-300)) for p in likely) / len(likely)
