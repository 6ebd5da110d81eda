"""Flows: the planted equilibrium is found, the bounds hold, and no way is better than what is said."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.space.equilibrium import equilibrium
from engines.space.network import Latency, RouteNetwork, Trips
from engines.space.ways import settled

RELATIVE_GAP = 1e-7


def network(
    routes: list[tuple[int, int, float, float]], *, places: int, both_ways: bool = False
) -> RouteNetwork:
    """Of routes (tail, head, free cost, capacity), with the usual growth."""
    tail, head, free, capacity = np.array(routes, dtype=float).reshape(-1, 4).T
    return RouteNetwork(
        tuple(f"p{n}" for n in range(places)),
        tuple(f"r{n}" for n in range(len(routes))),
        tail.astype(np.int64),
        head.astype(np.int64),
        Latency(free, capacity, np.full(len(routes), 0.15), np.full(len(routes), 4.0)),
        both_ways,
    )


def trips(*told: tuple[int, int, float]) -> Trips:
    origin, destination, load = np.array(told, dtype=float).reshape(-1, 3).T
    return Trips(origin.astype(np.int64), destination.astype(np.int64), load)


def planted(seed: int, side: int = 4, count: int = 6) -> tuple[RouteNetwork, Trips, Any]:
    """
    A grid whose user equilibrium is known, by its construction.

    Places have potentials; what travels does so along rising ones.  Routes in use cost just the
    difference, the others no less: so no way is cheaper than the one that is taken.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(side * side).reshape(side, side)
    pairs = [(a, b) for a, b in zip(number[:, :-1].flat, number[:, 1:].flat, strict=True)]
    pairs += [(a, b) for a, b in zip(number[:-1].flat, number[1:].flat, strict=True)]
    tail, head = np.array([*pairs, *((b, a) for a, b in pairs)]).T
    high = np.add.outer(np.arange(side), np.arange(side)).ravel() * 10 + rng.uniform(0, 8, side**2)
    load, told = np.zeros(len(tail)), []
    for _ in range(count):
        begin = place = int(rng.integers(side * side))
        way: list[int] = []
        while len(way) < 6:
            rising = np.flatnonzero((tail == place) & (high[head] > high[place]))
            if not rising.size:
                break
            way.append(int(rng.choice(rising)))
            place = int(head[way[-1]])
        if way:
            told.append((begin, place, float(rng.uniform(1, 9))))
            load[way] += told[-1][2]
    rise = high[head] - high[tail]
    cost = np.where(load > 0, rise, np.maximum(rise, 0) + rng.uniform(1, 5, len(tail)))
    capacity = np.where(load > 0, load * rng.uniform(0.6, 2, len(tail)), 7.0)
    free = cost / (1 + 0.15 * (load / capacity) ** 4)
    rows = list(zip(tail, head, free, capacity, strict=True))
    return network(rows, places=side**2), trips(*told), load


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("method", [equilibrium, settled])
def test_the_planted_equilibrium_is_found(method: Any, seed: int) -> None:
    """Objective and bound meet at the planted one, and the loads are its loads."""
    routes, travel, load = planted(seed)
    known = routes.latency.integral(load)
    found = method(routes, travel, gap=RELATIVE_GAP, most=1000)
    assert found.bound <= known * (1 + 1e-12)
    assert found.objective == pytest.approx(known, rel=1e-6)
    assert found.relative_gap <= (RELATIVE_GAP if method is settled else 1e-5)
    # The cost rises strictly wherever something travels: the loads are unique.
    near = 1e-3 if method is settled else 0.05
    assert found.load == pytest.approx(load, abs=near * load.max())


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.booleans())
def test_the_optimum_is_never_above_the_equilibrium(seed: int, both_ways: bool) -> None:
    """Also where both stop early; the bound is below both, and tolls make the one the other."""
    rng = np.random.default_rng(seed)
    places = int(rng.integers(2, 6))
    rows = [
        (*rng.integers(places, size=2), rng.uniform(0, 5), rng.choice([0, 0.5, 1, 3]))
        for _ in range(rng.integers(1, 10))
    ]
    routes = network(rows, places=places, both_ways=both_ways)
    travel = trips(*((*rng.integers(places, size=2), rng.uniform(0.1, 4)) for _ in range(4)))
    steps = int(rng.integers(0, 30))
    user = equilibrium(routes, travel, most=steps)
    best = equilibrium(routes, travel, optimum=True, start=user.load, most=steps)
    total = float(user.load @ routes.latency.cost(user.load))
    assert best.objective <= total + 1e-9
    assert best.bound <= best.objective + 1e-9
    assert user.bound <= user.objective + 1e-9
    assert user.load[routes.latency.capacity == 0] == pytest.approx(0)
    thorough = equilibrium(routes, travel, optimum=True, most=300)
    assert best.bound <= thorough.objective + 1e-9
    assert _balance(routes, best.load, travel, best.paid) or both_ways
    ours = settled(routes, travel, optimum=True, no_worse_than=user.load, most=steps)
    assert ours.objective <= total + 1e-9
    assert ours.bound <= thorough.objective + 1e-9
    assert thorough.bound <= ours.objective + 1e-9
    assert _balance(routes, ours.load, travel, ours.paid) or both_ways


def _balance(routes: RouteNetwork, load: Any, travel: Trips, paid: Any) -> bool:
    """Whether at each place as much leaves as comes and begins."""
    at = np.zeros(len(routes.places))
    np.add.at(at, routes.tail, load)
    np.subtract.at(at, routes.head, load)
    going = np.isfinite(paid)
    np.subtract.at(at, travel.origin[going], travel.load[going])
    np.add.at(at, travel.destination[going], travel.load[going])
    return bool(np.allclose(at, 0, atol=1e-6))


@settings(max_examples=15)
@given(st.integers(0, 10**6))
def test_cheapest_ways_are_those_of_an_exhaustive_search(seed: int) -> None:
    """Parallel routes, free ones and loops included; a trip without a way loads nothing."""
    rng = np.random.default_rng(seed)
    rows = [
        (*rng.integers(4, size=2), rng.choice([0, 1, 2, 5]), rng.choice([0, 1]))
        for _ in range(rng.integers(0, 9))
    ]
    routes = network(rows, places=4)
    travel = trips(*((a, b, 1.0) for a in range(4) for b in range(4)))
    load, paid = routes.arcs.all_or_nothing(routes.latency.free, travel)
    for trip in range(len(travel)):
        ends = (int(travel.origin[trip]), int(travel.destination[trip]))
        assert paid[trip] == _cheapest(rows, *ends)
    assert load @ routes.latency.free == pytest.approx(paid[np.isfinite(paid)].sum())


def _cheapest(rows: list[Any], origin: int, destination: int) -> float:
    best = 0.0 if origin == destination else np.inf
    usable = [row for row in rows if row[3] > 0]
    for size in range(1, 4):
        for way in itertools.permutations(usable, size):
            ends = [origin, *(row[1] for row in way)]
            if ends[-1] == destination and all(
                row[0] == end for row, end in zip(way, ends, strict=False)
            ):
                best = min(best, sum(row[2] for row in way))
    return best


def test_two_equal_routes_share_and_a_closed_one_carries_nothing() -> None:
    """Parallel routes of one pair of places are told apart."""
    routes = network([(0, 1, 1, 1), (0, 1, 1, 1), (0, 1, 0.1, 0)], places=2)
    for method in (equilibrium, settled):
        found = method(routes, trips((0, 1, 2)), gap=1e-9)
        assert found.load == pytest.approx([1, 1, 0], abs=1e-6)


def test_the_textbook_s_two_roads() -> None:
    """Pigou (1920): by themselves all take the road that fills; at best half of them."""
    routes = network([(0, 1, 1, 1), (0, 1, 1e-6, 1)], places=2)
    latency = Latency(routes.latency.free, np.ones(2), np.array([0.0, 1e6]), np.array([1.0, 1.0]))
    routes = RouteNetwork(routes.places, routes.routes, routes.tail, routes.head, latency)
    user = equilibrium(routes, trips((0, 1, 1)), gap=1e-9)
    best = equilibrium(routes, trips((0, 1, 1)), optimum=True, gap=1e-9)
    assert user.load == pytest.approx([0, 1], abs=1e-3)
    assert best.load == pytest.approx([0.5, 0.5], abs=1e-3)
    anarchy = user.load @ latency.cost(user.load) / best.objective
    assert anarchy == pytest.approx(4 / 3, abs=1e-3)


def test_nothing_to_carry_and_nothing_to_carry_it_on() -> None:
    """No routes, no trips, nobody reached: an answer, with a gap of 0."""
    for routes, travel in (
        (network([], places=0), trips()),
        (network([], places=2), trips((0, 1, 3))),
        (network([(0, 1, 1, 1)], places=2), trips()),
        (network([(0, 1, 0, 1)], places=2), trips((0, 1, 3))),
    ):
        for method in (equilibrium, settled):
            found = method(routes, travel)
            assert (found.relative_gap, found.objective) == (0, 0)


@pytest.mark.parametrize(
    ("row", "load"),
    [((0, 1, np.nan, 1), 1), ((0, 1, 1, -1), 1), ((0, 1, 1, 1e-12), 1), ((0, 1, 1, 1), np.inf)],
)
def test_numbers_that_cannot_be_are_refused(row: Any, load: float) -> None:
    """Before anything is computed."""
    with pytest.raises(InvalidInput):
        equilibrium(network([row], places=2), trips((0, 1, load)))


extreme = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from([0.0, 1e-300, 1.0, 1e12]),
    st.sampled_from([0.0, 1e-9, 1.0, 1e12]),
)
demand = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 1e-300, 1.0, 1e12]))


@settings(max_examples=24)
@given(
    rows=st.lists(extreme, max_size=8),
    travel=st.lists(demand, max_size=4),
    alpha=st.sampled_from([0.0, 0.15, 1e6]),
    power=st.sampled_from([1.0, 4.0, 10.0]),
    both_ways=st.booleans(),
    optimum=st.booleans(),
    method=st.sampled_from([equilibrium, settled]),
)
def test_the_ends_of_what_is_allowed_still_give_numbers(
    *,
    rows: Any,
    travel: Any,
    alpha: float,
    power: float,
    both_ways: bool,
    optimum: bool,
    method: Any,
) -> None:
    """Loads are finite and none is negative; the bound is not above the objective."""
    routes = network(rows, places=4, both_ways=both_ways)
    count = len(rows)
    latency = Latency(
        routes.latency.free,
        routes.latency.capacity,
        np.full(count, alpha),
        np.full(count, power),
    )
    routes = RouteNetwork(
        routes.places, routes.routes, routes.tail, routes.head, latency, both_ways
    )
    found = method(routes, trips(*travel), optimum=optimum, most=40)
    assert np.isfinite(found.load).all()
    assert (found.load >= 0).all()
    assert found.bound <= found.objective <= np.finfo(float).max
    assert 0 <= found.relative_gap <= 1
