"""
The routes of a sector as a graph: places, routes, what wants to travel, and cheapest paths.

Loads and capacities are in one unit, whatever it is; a route's cost is in that of `delta_v_kms`.
Places and routes are numbered, and ties go to the lower number.  A route of capacity 0 is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import InvalidInput

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

_AT_ONCE = 4_000_000
"""Distances that are held at a time, of one chunk of origins."""


@dataclass(frozen=True)
class Latency:
    """
    Cost of a route under a load: t(x) = t0 (1 + alpha (x / c)^power).

    Source: Bureau of Public Roads, Traffic Assignment Manual (1964).
    """

    free: Floats
    capacity: Floats
    alpha: Floats
    power: Floats

    def cost(self, load: Floats) -> Floats:
        return self.free * (1 + self.alpha * self._use(load) ** self.power)

    def integral(self, load: Floats) -> float:
        """Beckmann's objective: the sum of the integrals of cost from 0 to *load*."""
        grown = self.alpha / (self.power + 1) * self._use(load) ** self.power
        return float(np.sum(self.free * load * (1 + grown)))

    def slope(self, load: Floats) -> Floats:
        """By how much cost rises with the load."""
        with np.errstate(divide="ignore", invalid="ignore"):
            steep = self.alpha * self.power * self._use(load) ** (self.power - 1) / self.capacity
            return np.where(self.capacity > 0, self.free * steep, 0.0)

    def marginal(self) -> Latency:
        """Cost and what it does to the others, t + x t'; its integral is the total cost."""
        return replace(self, alpha=self.alpha * (self.power + 1))

    def capacity_value(self, load: Floats) -> Floats:
        """By how much one more unit of capacity would lower the total cost, at this load."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.power * (self.cost(load) - self.free) * load / self.capacity
        return np.where(self.capacity > 0, value, 0.0)

    def _use(self, load: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            use = load / self.capacity
        return np.where(self.capacity > 0, use, 0.0)


@dataclass(frozen=True)
class Trips:
    """What wants to travel: from which place to which, shape (k,) each, and how much."""

    origin: Whole
    destination: Whole
    load: Floats

    def __len__(self) -> int:
        return len(self.load)

    def only(self, chosen: NDArray[np.bool_]) -> Trips:
        return Trips(self.origin[chosen], self.destination[chosen], self.load[chosen])


@dataclass(frozen=True)
class RouteNetwork:
    """
    Places joined by routes.

    Attributes:
        places, routes: Their names; a place's or route's number is its index here.
        tail, head: Place numbers of each route's two ends, shape (m,).
        both_ways: Routes are travelled in both directions, which share one capacity.
    """

    places: tuple[str, ...]
    routes: tuple[str, ...]
    tail: Whole
    head: Whole
    latency: Latency
    both_ways: bool = False

    def without(self, lost: Iterable[int]) -> RouteNetwork:
        """The same with the routes of these numbers closed."""
        capacity = self.latency.capacity.copy()
        capacity[list(lost)] = 0
        return replace(self, latency=replace(self.latency, capacity=capacity))

    @cached_property
    def arcs(self) -> Arcs:
        return Arcs(self)


class Arcs:
    """The open routes as a sparse matrix, on which cheapest paths are found."""

    def __init__(self, network: RouteNetwork) -> None:
        self.places = len(network.places)
        self.routes = len(network.routes)
        open_ = np.flatnonzero((network.latency.capacity > 0) & (network.tail != network.head))
        tail, head, route = network.tail[open_], network.head[open_], open_
        if network.both_ways:
            tail, head = np.concatenate([tail, head]), np.concatenate([head, tail])
            route = np.concatenate([route, route])
        key = tail * self.places + head
        order = np.lexsort((route, key))
        self._route = route[order]
        # Parallel routes share one entry of the matrix: that of the cheapest.
        self._key, self._first = np.unique(key[order], return_index=True)
        self._indices = (self._key % max(self.places, 1)).astype(np.int32)
        rows = self._key // max(self.places, 1)
        self._indptr = np.searchsorted(rows, np.arange(self.places + 1)).astype(np.int32)

    def distances(self, cost: Floats, origins: Whole) -> tuple[Floats, Whole]:
        """Cost from each of *origins* to every place, and the place before each on the way."""
        from scipy.sparse import csr_array  # noqa: PLC0415  slow to import
        from scipy.sparse.csgraph import dijkstra  # noqa: PLC0415

        weight, _ = self._cheapest(cost)
        shape = (self.places, self.places)
        matrix = csr_array((weight, self._indices, self._indptr), shape=shape)
        found: tuple[Floats, Whole] = dijkstra(matrix, indices=origins, return_predecessors=True)
        return found

    def all_or_nothing(self, cost: Floats, trips: Trips) -> tuple[Floats, Floats]:
        """
        Send every trip the cheapest way at these costs.

        Returns:
            The load of each route, shape (m,), and what each trip pays per unit, shape (k,):
            infinite where no path joins its ends; such a trip loads nothing.
        """
        trip, taken, paid = self._steps(cost, trips)
        loaded = np.bincount(taken, trips.load[trip], minlength=self.routes)
        return loaded.astype(np.float64), paid

    def ways(self, cost: Floats, trips: Trips) -> tuple[list[Whole], Floats]:
        """The cheapest way of each trip, as route numbers, and what it pays; see above."""
        trip, taken, paid = self._steps(cost, trips)
        order = np.argsort(trip, kind="stable")
        ends = np.searchsorted(trip[order], np.arange(1, len(trips)))
        return np.split(taken[order], ends) if len(trips) else [], paid

    def _steps(self, cost: Floats, trips: Trips) -> tuple[Whole, Whole, Floats]:
        """All steps of all trips: whose, and on which route; and what each trip pays."""
        paid = np.zeros(len(trips))
        none = np.zeros(0, dtype=np.int64)
        arcs, whose = [none], [none]
        _, choice = self._cheapest(cost)
        starts, row_of = np.unique(trips.origin, return_inverse=True)
        step = max(_AT_ONCE // max(self.places, 1), 1)
        for begin in range(0, len(starts), step):
            trip = np.flatnonzero((row_of >= begin) & (row_of < begin + step))
            distance, before = self.distances(cost, starts[begin : begin + step])
            place = trips.destination[trip]
            paid[trip] = distance[row_of[trip] - begin, place]
            walking = np.isfinite(paid[trip]) & (place != trips.origin[trip])
            while walking.any():
                trip, place = trip[walking], place[walking]
                previous = before[row_of[trip] - begin, place].astype(np.int64)
                arcs.append(np.searchsorted(self._key, previous * self.places + place))
                whose.append(trip)
                place = previous
                walking = place != trips.origin[trip]
        return np.concatenate(whose), choice[np.concatenate(arcs)], paid

    def _cheapest(self, cost: Floats) -> tuple[Floats, Whole]:
        """Of each pair of places the cost of the cheapest route, and which it is."""
        each = cost[self._route]
        if len(self._first) == len(self._route):
            return each, self._route
        least = np.minimum.reduceat(each, self._first)
        sizes = np.diff(np.append(self._first, len(each)))
        place = np.arange(len(each))
        candidates = np.where(each == np.repeat(least, sizes), place, len(each))
        return least, self._route[np.minimum.reduceat(candidates, self._first)]


def bridges(tail: Sequence[int], head: Sequence[int], places: int) -> list[int]:
    """
    Numbers of the routes whose loss parts what was joined, directions apart, in time O(n + m).

    Source: Tarjan (1974), A note on finding the bridges of a graph.
    """
    beside: list[list[tuple[int, int]]] = [[] for _ in range(places)]
    for route, (one, other) in enumerate(zip(tail, head, strict=True)):
        beside[one].append((other, route))
        beside[other].append((one, route))
    entered = [-1] * places
    low = [0] * places
    found, clock = [], 0
    for root in range(places):
        if entered[root] >= 0:
            continue
        entered[root] = low[root] = clock
        clock += 1
        stack: list[tuple[int, int, Any]] = [(root, -1, iter(beside[root]))]
        while stack:
            place, came_by, rest = stack[-1]
            for other, route in rest:
                if route == came_by:
                    continue
                if entered[other] >= 0:
                    low[place] = min(low[place], entered[other])
                    continue
                entered[other] = low[other] = clock
                clock += 1
                stack.append((other, route, iter(beside[other])))
                break
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[place])
                    if low[place] > entered[above]:
                        found.append(came_by)
    return sorted(found)


def checked(network: RouteNetwork, trips: Trips) -> None:
    """
    Refuse what no cost can be computed for.

    Raises:
        InvalidInput: A number is negative, not finite, or too large or small to be computed with.
    """
    limits: tuple[tuple[str, Floats, float, float], ...] = (
        ("a route's free cost", network.latency.free, 0, 1e12),
        ("alpha", network.latency.alpha, 0, 1e6),
        ("power", network.latency.power, 1, 10),
        ("capacity", network.latency.capacity, 0, 1e12),
        ("a trip's load", trips.load, 0, 1e12),
    )
    for what, values, low, high in limits:
        if not np.all((values >= low) & (values <= high)):
            wrong = values[~((values >= low) & (values <= high))][0]
            raise InvalidInput(f"{what} must be {low:g} to {high:g}, found {wrong:g}")
    tight = network.latency.capacity[(network.latency.capacity > 0)]
    if np.any(tight < 1e-9):  # noqa: PLR2004
        raise InvalidInput(f"capacity must be 0, or at least 1e-09, found {tight.min():g}")
