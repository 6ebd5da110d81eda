"""What is known of a sector's network, its future, and what can be done: plain results."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RouteFlow:
    """
    A route under its load.

    Attributes:
        use: Load divided by capacity; None where the route is closed.
        cost: Per unit of load.
        toll: What a unit of load costs the others: the marginal-cost toll (Pigou 1920).
        capacity_value: By how much a further unit of capacity would lower the total cost.
    """

    identifier: str
    origin: str
    destination: str
    capacity: float
    load: float
    use: float | None
    cost: float
    toll: float
    capacity_value: float


@dataclass(frozen=True, slots=True)
class NetworkFlows:
    """
    Loads of all routes.

    Attributes:
        principle: "equilibrium": nobody gains by another way; "optimum": the total cost is least;
            "recorded": as the routes were told to be.
        relative_gap: How far from the principle, as a share of what is paid; None if recorded.
        objective, bound: What the principle minimises (Beckmann's objective, or the total cost),
            and a proven lower bound of its minimum; None if recorded.
        cut_off: Trips without a way, as (origin, destination, load).
    """

    sector: str
    principle: str
    routes: tuple[RouteFlow, ...]
    total_cost: float
    relative_gap: float | None
    objective: float | None
    bound: float | None
    iterations: int
    cut_off: tuple[tuple[str, str, float], ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FlowReport:
    """
    A sector's network.

    Attributes:
        trips_told: The trips stand in its metadata; else they are the routes' loads.
        price_of_anarchy: Total cost of the equilibrium divided by that of the optimum, at least 1.
    """

    equilibrium: NetworkFlows
    optimum: NetworkFlows
    trips_told: bool
    price_of_anarchy: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Relief:
    """
    What moving load to other routes does.

    Attributes:
        before: As it is: the recorded loads, or the equilibrium of trips that were told.
        after: The system optimum.
        saving: Share of the total cost that is saved.
        moved: Routes whose congestion is then another than recorded.
    """

    sector: str
    before: NetworkFlows
    after: NetworkFlows
    saving: float
    moved: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RouteLoss:
    """
    What a sector is without some routes, everybody having found a new way.

    Attributes:
        bridge: What the routes joined falls apart, whatever travels.
        cut_off: Trips that lose their way.
        extra_cost: Rise of the total cost of the trips that keep a way; below 0 the loss is a gain.
        braess: Nothing is cut off and all together pay less without (Braess 1968).
    """

    sector: str
    without: tuple[str, ...]
    bridge: bool
    cut_off: tuple[tuple[str, str, float], ...]
    cut_load: float
    extra_cost: float
    braess: bool
    relative_gap: float
    most_used: str | None
    highest_use: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CriticalRoutes:
    """
    Routes by what their loss does: load cut off first, then extra cost, then name.

    Attributes:
        bridges: All of them, also those that carry nothing.
        unmeasured: How many further routes were not tried, those that carry the least.
    """

    sector: str
    losses: tuple[RouteLoss, ...]
    bridges: tuple[str, ...]
    unmeasured: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ForecastStep:
    """
    One step ahead.

    Attributes:
        low, high: The interval, within 0…1; all of that where too few errors are known.
        risk: Probability that the score is then below the threshold; None where unknown.
    """

    ahead: int
    point: float
    low: float
    high: float
    risk: float | None


@dataclass(frozen=True, slots=True)
class StabilityForecast:
    """
    What a sector's stability will be, and how well such forecasts of it did so far.

    Attributes:
        observations: Points of its history.
        every: Seconds from one point to the next; None: one event to the next.
        level: Share of the truth that the intervals shall hold.
        methods: Whose median the point is.
        mase, naive_mase: Of the back-test over all steps, ours and the last value's; below 1 is
            better than the last value does over one step.  None where nothing could be tested.
        coverage, tested: Share of *tested* points that their interval held.
    """

    sector: str
    steps: tuple[ForecastStep, ...]
    observations: int
    every: float | None
    level: float
    methods: tuple[str, ...]
    mase: float | None
    naive_mase: float | None
    coverage: float | None
    tested: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RankedIntervention:
    """
    Something that may be done.

    Attributes:
        gain: By how much it lowers the expected shortfall, beside those ranked before it.
        low, high: Of that gain, over the middle 80 % of the scenarios.
        gain_per_hour: By which it is ranked.
        alone: Its gain without the others; more than *gain* where they do the same.
    """

    sector: str
    name: str
    hours: float
    gain: float
    low: float
    high: float
    gain_per_hour: float
    alone: float


@dataclass(frozen=True, slots=True)
class InterventionPlan:
    """
    Interventions, best gain per hour first.

    Attributes:
        shortfall: Expected sum over all sectors of what they are below *target*, nothing done.
        value: By how much the chosen lower it.
        bound: What no choice within the limits can pass.
        optimal: No choice within the limits is better.
        candidates: From how many they were chosen.
    """

    chosen: tuple[RankedIntervention, ...]
    target: float
    shortfall: float
    value: float
    bound: float
    optimal: bool
    hours: float
    candidates: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
