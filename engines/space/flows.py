"""What a sector's routes carry, what would be best, and what the loss of a route would mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engines import checks
from engines.errors import InvalidInput
from engines.space.equilibrium import Equilibrium
from engines.space.model import SpaceSector
from engines.space.network import Floats, RouteNetwork, bridges
from engines.space.reading import KEY, Reading, read
from engines.space.results import (
    CriticalRoutes,
    FlowReport,
    NetworkFlows,
    Relief,
    RouteFlow,
    RouteLoss,
)
from engines.space.ways import settled

_GAP = 1e-6
_STEPS = 500
_NOTHING = 1e-9
_MOVED = 1e-4  # of congestion: finer than this no optimum is known


def flows(sector: SpaceSector, *, gap: float = _GAP, most: int = _STEPS) -> FlowReport:
    """User equilibrium, system optimum, and the price of doing without a plan."""
    known = read(sector)
    user = settled(known.network, known.trips, gap=gap, most=most)
    best = settled(
        known.network, known.trips, optimum=True, no_worse_than=user.load, gap=gap, most=most
    )
    ours = _described(sector, known, "equilibrium", user.load, user)
    theirs = _described(sector, known, "optimum", best.load, best)
    anarchy = ours.total_cost / theirs.total_cost if theirs.total_cost > 0 else 1.0
    return FlowReport(ours, theirs, known.told, anarchy)


def relief(sector: SpaceSector, *, gap: float = _GAP, most: int = _STEPS) -> Relief:
    """Before and after moving the load to where the total cost is least."""
    known = read(sector)
    user = settled(known.network, known.trips, gap=gap, most=most) if known.told else None
    start = user.load if user else known.load
    best = settled(
        known.network, known.trips, optimum=True, no_worse_than=start, gap=gap, most=most
    )
    before = _described(sector, known, "equilibrium" if user else "recorded", start, user)
    after = _described(sector, known, "optimum", best.load, best)
    saved = 1 - after.total_cost / before.total_cost if before.total_cost > 0 else 0.0
    now = {route.identifier: route.congestion for route in sector.routes}
    moved = tuple(
        new.identifier
        for new in after.routes
        if new.origin != new.destination and abs(congestion(new) - now[new.identifier]) > _MOVED
    )
    return Relief(sector.name, before, after, max(saved, 0.0), moved)


def congestion(route: RouteFlow) -> float:
    """The congestion, 0…1, that a load stands for."""
    return min(route.use or 0.0, 1.0)


def with_congestion(sector: SpaceSector, congestion: Mapping[str, float]) -> SpaceSector:
    routes = (
        replace(route, congestion=congestion.get(route.identifier, route.congestion))
        for route in sector.routes
    )
    return replace(sector, routes=tuple(routes))


def relieved(sector: SpaceSector, result: Relief) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """
    What a relief changes: the new congestion of its routes, and the metadata.

    The trips are noted in it, for what a route carries no longer says what wanted to travel.
    """
    routes = [
        {"identifier": route.identifier, "congestion": congestion(route)}
        for route in result.after.routes
        if route.identifier in set(result.moved)
    ]
    metadata = dict(sector.metadata or {})
    metadata[KEY] = {**metadata.get(KEY, {}), "trips": read(sector).trips_told()}
    return routes, metadata


def without(
    sector: SpaceSector, lost: Iterable[str], *, gap: float = _GAP, most: int = _STEPS
) -> RouteLoss:
    """
    What the sector is without the routes *lost*.

    Raises:
        InvalidInput: It has no such route, or none was named.
    """
    known = read(sector)
    names = known.network.routes
    numbers = []
    for name in dict.fromkeys(lost):
        if name not in names:
            meant = checks.did_you_mean(name, names)
            raise InvalidInput(f"sector {sector.name!r} has no route {name!r}{meant}")
        numbers.append(names.index(name))
    if not numbers:
        raise InvalidInput("name at least one route to do without")
    user = settled(known.network, known.trips, gap=gap, most=most)
    return _loss(sector, known, user, numbers, gap=gap, most=most)


def critical(
    sector: SpaceSector, *, measure: int = 50, gap: float = 10 * _GAP, most: int = _STEPS
) -> CriticalRoutes:
    """
    The routes whose loss matters.

    Each is closed by itself and everybody finds a new way; of more than *measure* routes only
    bridges that carry load and those on which most is paid are tried.
    """
    known = read(sector)
    network = known.network
    user = settled(network, known.trips, gap=gap, most=most)
    cut = set(_bridges(network))
    paid = user.load * network.latency.cost(user.load)
    used = [route for route in range(len(network.routes)) if user.load[route] > 0]
    used.sort(key=lambda route: (route not in cut, -paid[route], route))
    losses = [_loss(sector, known, user, [route], gap=gap, most=most) for route in used[:measure]]
    losses.sort(key=lambda loss: (-loss.cut_load, -loss.extra_cost, loss.without))
    return CriticalRoutes(
        sector.name,
        tuple(losses),
        tuple(network.routes[route] for route in sorted(cut)),
        max(len(used) - measure, 0),
    )


def bridges_of(sector: SpaceSector) -> tuple[str, ...]:
    """Routes whose loss parts what was joined."""
    network = read(sector).network
    return tuple(network.routes[route] for route in _bridges(network))


def _bridges(network: RouteNetwork) -> list[int]:
    open_ = np.flatnonzero(network.latency.capacity > 0)
    tail, head = network.tail[open_].tolist(), network.head[open_].tolist()
    return [int(open_[found]) for found in bridges(tail, head, len(network.places))]


def _loss(
    sector: SpaceSector,
    known: Reading,
    user: Equilibrium,
    numbers: list[int],
    *,
    gap: float,
    most: int,
) -> RouteLoss:
    less = known.network.without(numbers)
    after = settled(less, known.trips, gap=gap, most=most)
    could, can = np.isfinite(user.paid), np.isfinite(after.paid)
    before = float(user.load @ known.network.latency.cost(user.load))
    # What was cut off pays no more: it is left out on both sides, at what it paid.
    before -= float((user.paid * known.trips.load)[could & ~can].sum())
    total = float(after.load @ less.latency.cost(after.load))
    lost = np.flatnonzero(could & ~can)
    extra = total - before
    # Neither total is known better than its gap.
    doubt = user.relative_gap * before + after.relative_gap * total
    use = _use(less, after.load)
    busiest = int(np.argmax(use)) if use.size and use.max() > 0 else None
    return RouteLoss(
        sector=sector.name,
        without=tuple(known.network.routes[number] for number in numbers),
        bridge=_parts(less) > _parts(known.network),
        cut_off=tuple((*known.trip_names(t), float(known.trips.load[t])) for t in lost),
        cut_load=float(known.trips.load[lost].sum()),
        extra_cost=extra,
        braess=not lost.size and extra < -max(2 * doubt, _NOTHING * before),
        relative_gap=after.relative_gap,
        most_used=None if busiest is None else known.network.routes[busiest],
        highest_use=0.0 if busiest is None else float(use[busiest]),
    )


def _parts(network: RouteNetwork) -> int:
    """Into how many pieces the places fall, directions apart."""
    from scipy.sparse import coo_array  # noqa: PLC0415  slow to import
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    open_ = network.latency.capacity > 0
    shape = (len(network.places), len(network.places))
    ends = (network.tail[open_], network.head[open_])
    joined = coo_array((np.ones(int(open_.sum())), ends), shape=shape)
    return int(connected_components(joined, directed=False, return_labels=False))


def _use(network: RouteNetwork, load: Floats) -> Floats:
    open_ = network.latency.capacity > 0
    return np.divide(load, network.latency.capacity, out=np.zeros(len(load)), where=open_)


def _described(
    sector: SpaceSector, known: Reading, principle: str, load: Floats, found: Equilibrium | None
) -> NetworkFlows:
    latency, use = known.network.latency, _use(known.network, load)
    cost = latency.cost(load)
    toll = load * latency.slope(load)
    value = latency.capacity_value(load)
    index = {name: number for number, name in enumerate(known.network.routes)}
    routes = []
    for route in sector.routes:
        n = index[route.identifier]
        capacity = float(latency.capacity[n])
        routes.append(
            RouteFlow(
                identifier=route.identifier,
                origin=route.origin,
                destination=route.destination,
                capacity=capacity,
                load=float(load[n]),
                use=float(use[n]) if capacity > 0 else None,
                cost=float(cost[n]),
                toll=float(toll[n]),
                capacity_value=float(value[n]),
            )
        )
    flows = NetworkFlows(
        sector.name, principle, tuple(routes), float(cost @ load), None, None, None, 0, ()
    )
    if found is None:
        return flows
    cut = np.flatnonzero(~np.isfinite(found.paid))
    return replace(
        flows,
        relative_gap=found.relative_gap,
        objective=found.objective,
        bound=found.bound,
        iterations=found.iterations,
        cut_off=tuple((*known.trip_names(t), float(known.trips.load[t])) for t in cut),
    )
