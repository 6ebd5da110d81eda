"""What planning comes to: the plan with its proof, and the front of cost and burden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engines.trajectory.fairness import Fairness
from engines.trajectory.model import Rule


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Rules that lead from the facts to the goals.

    Attributes:
        goals: Symbols.
        steps: Each with its premises given or concluded before.
        cost: Of all steps, each once.
        bound: No plan costs less; where a burden is capped, none within the cap.
        gap: How much more than the bound it may cost, as a share of it; None where the bound is 0.
        bounds: Method → the bound it proved.
        fairness: How the cost falls on the parties.
        must: Steps without whose rules no plan is possible.
        fold: Canonical hash of the path.
        cut: Whether a time limit ended the search.
    """

    goals: tuple[str, ...]
    steps: tuple[Rule, ...]
    cost: float
    bound: float
    gap: float | None
    bounds: Mapping[str, float]
    fairness: Fairness
    must: tuple[str, ...]
    fold: str
    cut: bool = False

    @property
    def optimal(self) -> bool:
        """Whether it is proven that no plan costs less."""
        return self.gap == 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "goals": list(self.goals),
            "steps": [rule.as_dict() for rule in self.steps],
            "cost": self.cost,
            "bound": self.bound,
            "gap": self.gap,
            "optimal": self.optimal,
            "bounds": dict(self.bounds),
            "fairness": self.fairness.as_dict(),
            "must": list(self.must),
            "fold": self.fold,
            "cut": self.cut,
        }


@dataclass(frozen=True, slots=True)
class Front:
    """
    Plans none of which is worse than another in both cost and greatest burden, cheapest first.

    Attributes:
        knee: The number of the plan where giving up more of one gains the least of the other.
        exact: Whether it is proven that there are no others.
    """

    plans: tuple[Plan, ...]
    knee: int
    exact: bool

    def as_dict(self) -> dict[str, Any]:
        plans = [plan.as_dict() for plan in self.plans]
        return {"plans": plans, "knee": self.knee, "exact": self.exact}


def knee_of(points: list[tuple[float, float]]) -> int:
    """
    The point farthest below the line from the first to the last, both scaled to 0…1.

    Args:
        points: Cost and burden, cheapest first, none worse than another in both.
    """
    (low, high), (last, least) = points[0], points[-1]
    across, down = (last - low) or 1.0, (high - least) or 1.0
    heights = [(cost - low) / across + (burden - least) / down for cost, burden in points]
    return min(range(len(points)), key=lambda number: (heights[number], number))
