"""
Equilibrium by ways: which ways each trip takes, and how much of it goes on each.

Each round finds the cheapest way of every trip at the costs as they are, and then moves load from
dearer ways to the cheapest known one, as much as makes the two alike to first order.  That comes
far nearer to an equilibrium than steps of all loads at once, as long as trips are not too many.

Source: Jayakrishnan et al. (1994), A faster path-based algorithm for traffic assignment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engines.space.equilibrium import Equilibrium, equilibrium
from engines.space.network import Floats, Latency, RouteNetwork, Trips, Whole, checked

MANY = 5000
"""Trips beyond which all loads are moved at once from the beginning."""

_ROUNDS = 60
_SHIFTS = 4


def settled(
    network: RouteNetwork,
    trips: Trips,
    *,
    optimum: bool = False,
    no_worse_than: Floats | None = None,
    gap: float = 1e-6,
    most: int = 500,
) -> Equilibrium:
    """
    The user equilibrium of *trips* on *network*, or with *optimum* the system optimum.

    Where its rounds do not come to *gap*, at most *most* steps of `equilibrium` go on from there.

    Args:
        no_worse_than: Loads that carry the trips; what is returned has no higher objective.

    Raises:
        InvalidInput: A number of the network or of the trips cannot be.
    """
    checked(network, trips)
    latency = network.latency.marginal() if optimum else network.latency
    found = None
    if len(trips) <= MANY:
        found = _by_ways(network, latency, trips, gap)
    if found is None or found.relative_gap > gap:
        start = found.load if found else no_worse_than
        further = equilibrium(network, trips, optimum=optimum, start=start, gap=gap, most=most)
        found = _nearer(further, found)
    if no_worse_than is not None and found.objective > latency.integral(no_worse_than):
        other = equilibrium(
            network, trips, optimum=optimum, start=no_worse_than, gap=gap, most=most
        )
        return _nearer(other, found)
    return found


def _nearer(found: Equilibrium, other: Equilibrium | None) -> Equilibrium:
    """*found*, with the better bound of the two, for both stand."""
    if other is None:
        return found
    steps = found.iterations + other.iterations
    bound = min(max(found.bound, other.bound), found.objective)
    return Equilibrium(found.load, found.paid, found.objective, bound, found.relative_gap, steps)


@dataclass
class _Trip:
    """The ways that a trip takes, as route numbers, and what goes on each."""

    ways: list[Whole] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)

    def learn(self, way: Whole) -> None:
        if not any(np.array_equal(way, known) for known in self.ways):
            self.ways.append(way)
            self.loads.append(0.0)

    def forget(self) -> None:
        """Ways that are taken no longer."""
        kept = [n for n, load in enumerate(self.loads) if load > 0]
        self.ways = [self.ways[n] for n in kept]
        self.loads = [self.loads[n] for n in kept]


class _Roads:
    """Loads of the routes, with the costs that they make."""

    def __init__(self, latency: Latency) -> None:
        self.latency = latency
        self.set(np.zeros(len(latency.free)))

    def set(self, load: Floats) -> None:
        self.load = load
        self.cost = self.latency.cost(load)
        self.slope = self.latency.slope(load)

    def shift(self, dear: Whole, cheap: Whole, most: float) -> float:
        """Move at most *most* from one way to the other; return how much."""
        gain = self.cost[dear].sum() - self.cost[cheap].sum()
        if gain <= 0:
            return 0.0
        apart = np.setxor1d(dear, cheap, assume_unique=True)
        steep = self.slope[apart].sum()
        amount = min(most, float(gain / steep)) if steep > 0 else most
        self.load[dear] -= amount
        self.load[cheap] += amount
        # As `Latency` has it, of open routes; done for each shift, so without its checks.
        free, power = self.latency.free[apart], self.latency.power[apart]
        use = np.maximum(self.load[apart], 0) / self.latency.capacity[apart]
        grown = free * self.latency.alpha[apart] * use ** (power - 1)
        self.cost[apart] = free + grown * use
        self.slope[apart] = power * grown / self.latency.capacity[apart]
        return amount


def _by_ways(network: RouteNetwork, latency: Latency, trips: Trips, gap: float) -> Equilibrium:
    arcs = network.arcs
    roads = _Roads(latency)
    known = [_Trip() for _ in range(len(trips))]
    bound, rounds = -np.inf, 0
    while True:
        ways, paid = arcs.ways(roads.cost, trips)
        if rounds:
            reached = np.isfinite(paid)
            spent = float(roads.cost @ roads.load)
            excess = max(spent - float(paid[reached] @ trips.load[reached]), 0.0)
            objective = latency.integral(roads.load)
            bound = max(bound, objective - excess)
            relative = excess / spent if spent > 0 else 0.0
            if relative <= gap or rounds >= _ROUNDS:
                return Equilibrium(roads.load, paid, objective, bound, relative, rounds)
        for trip, way in zip(known, ways, strict=True):
            if way.size:
                trip.learn(way)
        if rounds:
            for _ in range(_SHIFTS):
                _shift(roads, known)
        else:
            for trip, load in zip(known, trips.load, strict=True):
                trip.loads = [float(load)] * len(trip.ways)
        for trip in known:
            trip.forget()
        roads.set(_loaded(known, len(network.routes)))
        rounds += 1


def _shift(roads: _Roads, known: list[_Trip]) -> None:
    for trip in known:
        if len(trip.ways) > 1:
            costs = [roads.cost[way].sum() for way in trip.ways]
            best = costs.index(min(costs))
            for n, way in enumerate(trip.ways):
                if n != best and trip.loads[n] > 0:
                    moved = roads.shift(way, trip.ways[best], trip.loads[n])
                    trip.loads[n] -= moved
                    trip.loads[best] += moved


def _loaded(known: list[_Trip], routes: int) -> Floats:
    load = np.zeros(routes)
    for trip in known:
        for way, amount in zip(trip.ways, trip.loads, strict=True):
            load[way] += amount
    return load
