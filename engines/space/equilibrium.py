"""
How load spreads over routes: user equilibrium and system optimum.

In a user equilibrium (Wardrop's first principle) no traveller gains by another way; it is the
minimum of Beckmann's objective.  In a system optimum the total cost is least; it is the user
equilibrium of the marginal costs.  Both are found by the bi-conjugate method of Frank and Wolfe:
each step goes towards a point that is conjugate to the two directions before it.

Each cheapest-path loading also gives a lower bound of the objective, so that what is returned says
how far from the minimum it can be at most.

Sources: Beckmann, McGuire & Winsten (1956); Mitradjieva & Lindberg (2013), The stiff is moving,
doi:10.1287/trsc.1120.0409.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engines.space.network import Floats, Latency, RouteNetwork, Trips, checked

_FULL_STEP = 0.99
_SEARCHES = 60


@dataclass(frozen=True)
class Equilibrium:
    """
    Loads, and how good they are.

    Attributes:
        load: Of each route, shape (m,).
        paid: What each trip pays per unit on its cheapest way, shape (k,); infinite without a way.
        objective, bound: Of the minimum, and a proven lower bound of it.
        relative_gap: (what is paid - what the cheapest ways cost) / what is paid.
        iterations: Steps made.
    """

    load: Floats
    paid: Floats
    objective: float
    bound: float
    relative_gap: float
    iterations: int


def equilibrium(
    network: RouteNetwork,
    trips: Trips,
    *,
    optimum: bool = False,
    start: Floats | None = None,
    gap: float = 1e-5,
    most: int = 1000,
) -> Equilibrium:
    """
    The user equilibrium of *trips* on *network*, or with *optimum* the system optimum.

    Args:
        start: Loads to begin with; they must carry the trips that have a way.
        gap: The relative gap at which to stop.
        most: Steps after which to stop in any case.

    Raises:
        InvalidInput: A number of the network or of the trips cannot be.
    """
    checked(network, trips)
    latency = network.latency.marginal() if optimum else network.latency
    arcs = network.arcs
    load = start
    if load is None:
        load, _ = arcs.all_or_nothing(latency.cost(np.zeros(len(network.routes))), trips)
    bound = -np.inf
    steps = 0
    targets = _Targets()
    while True:
        cost = latency.cost(load)
        nearest, paid = arcs.all_or_nothing(cost, trips)
        spent, least = float(cost @ load), float(cost @ nearest)
        relative = max((spent - least) / spent, 0.0) if spent > 0 else 0.0
        objective = latency.integral(load)
        bound = max(bound, objective - max(spent - least, 0.0))
        if relative <= gap or steps >= most:
            return Equilibrium(load, paid, objective, bound, relative, steps)
        slope = latency.slope(load)
        target = targets.next(load, nearest, slope)
        if float(cost @ (target - load)) >= 0:  # rounding: no way down but the plain one
            targets = _Targets()
            target = targets.next(load, nearest, slope)
        step = _least_along(latency, load, target - load)
        if step <= 0:
            return Equilibrium(load, paid, objective, bound, relative, steps)
        load = np.maximum(load + step * (target - load), 0)
        targets.went(target, step)
        steps += 1


class _Targets:
    """The points that the last two steps went towards, and the next one, conjugate to both."""

    def __init__(self) -> None:
        self._last: list[Floats] = []
        self._step = 0.0

    def went(self, target: Floats, step: float) -> None:
        self._last = [] if step > _FULL_STEP else [target, *self._last[:1]]
        self._step = step

    def next(self, load: Floats, nearest: Floats, slope: Floats) -> Floats:
        ahead = slope * (nearest - load)
        if not self._last:
            return nearest
        last = self._last[0]
        if len(self._last) == 1:
            share = _ratio((last - load) @ ahead, (last - load) @ (slope * (nearest - last)))
            share = min(max(share, 0.0), _FULL_STEP)
            return share * last + (1 - share) * nearest
        before = self._last[1]
        mixed = self._step * last + (1 - self._step) * before - load
        mu = max(-_ratio(mixed @ ahead, mixed @ (slope * (before - last))), 0.0)
        nu = -_ratio((last - load) @ ahead, (last - load) @ (slope * (last - load)))
        nu = max(nu + mu * self._step / (1 - self._step), 0.0)
        whole = 1 + mu + nu
        target: Floats = (nearest + nu * last + mu * before) / whole
        return target


def _ratio(above: Any, below: Any) -> float:
    return float(above / below) if abs(below) > np.finfo(float).tiny else 0.0


def _least_along(latency: Latency, load: Floats, way: Floats) -> float:
    """The step, 0…1, at which the objective is least: where its derivative is 0."""
    moved = np.flatnonzero(way)
    part = Latency(*(v[moved] for v in vars(latency).values()))
    load, way = load[moved], way[moved]
    if way @ part.cost(np.maximum(load + way, 0)) <= 0:
        return 1.0
    low, high, step = 0.0, 1.0, 0.5
    for _ in range(_SEARCHES):
        here = np.maximum(load + step * way, 0)
        rise = float(way @ part.cost(here))
        low, high = (low, step) if rise > 0 else (step, high)
        curve = float(way**2 @ part.slope(here))
        newton = step - rise / curve if curve > 0 else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - step) <= 1e-12 * max(step, 1e-12):
            break
        step = following
    return step
