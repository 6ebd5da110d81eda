"""Who carries how much: Jain's index, the greatest burden, and what the least served gains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.trajectory.model import Rule


@dataclass(frozen=True, slots=True)
class Fairness:
    """
    How cost and gain fall on the parties.

    Attributes:
        burdens: Party → its share of the cost of all rules applied.
        gains: Party → what it gains by them.
        jain: Jain's index of the burdens, 1/n…1; 1 where nobody bears anything.
        max_burden: Of whoever bears most: what a max-min fair plan makes small.
        jain_gains: Jain's index of the gains.
        min_gain: Of whoever gains least: what a max-min fair plan makes great.
    """

    burdens: Mapping[str, float]
    gains: Mapping[str, float]
    jain: float
    max_burden: float
    jain_gains: float
    min_gain: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "burdens": dict(self.burdens),
            "gains": dict(self.gains),
            "jain": self.jain,
            "max_burden": self.max_burden,
            "jain_gains": self.jain_gains,
            "min_gain": self.min_gain,
        }


def fairness(rules: Iterable[Rule], parties: Sequence[str]) -> Fairness:
    """Of *rules*, each applied once, among all *parties*, also those that bear nothing."""
    burdens: dict[str, list[float]] = {party: [] for party in parties}
    gains: dict[str, list[float]] = {party: [] for party in parties}
    for rule in rules:
        for party, share in rule.bearers:
            burdens[party].append(rule.cost * share)
        for party, amount in rule.beneficiaries:
            gains[party].append(amount)
    # Exact sums: the order of the rules must not show in the last digit.
    borne = {party: math.fsum(amounts) for party, amounts in burdens.items()}
    gained = {party: math.fsum(amounts) for party, amounts in gains.items()}
    return Fairness(
        borne,
        gained,
        jain(borne.values()),
        max(borne.values(), default=0.0),
        jain(gained.values()),
        min(gained.values(), default=0.0),
    )


def jain(amounts: Iterable[float]) -> float:
    """
    Jain's index (Σx)² / (n Σx²): 1 where all have the same, 1/n where one has all.

    Source: Jain, Chiu, Hawe, "A quantitative measure of fairness", DEC-TR-301, 1984.
    """
    found = list(amounts)
    largest = max(found, default=0.0)
    if largest <= 0:
        return 1.0
    scaled = [amount / largest for amount in found]  # squares neither overflow nor vanish
    squares = math.fsum(amount * amount for amount in scaled)
    return min(math.fsum(scaled) ** 2 / (len(scaled) * squares), 1.0)


def weighted_reach(reached: Iterable[str], weights: Mapping[str, float]) -> float:
    """
    Jain's index of who is reached (1) and who is not (0), each counting by its weight.

    (Σwx)² / (Σw Σwx²), which for 0 and 1 is the share of the weight that is reached; 1 without any.
    """
    total = math.fsum(weights.values())
    there = set(reached)
    return math.fsum(w for s, w in weights.items() if s in there) / total if total > 0 else 1.0
