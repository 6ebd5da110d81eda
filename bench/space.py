"""
Sectors at size: equilibria known by their construction, bridges, forecasts, interventions.

    python bench/space.py [MOST_ARCS]        default: 100,000

Peers in the same run: networkx for bridges and cheapest paths (an equilibrium it does not have),
the plain Frank-Wolfe method for the equilibria, the last value for the forecasts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import networkx as nx
import numpy as np
from side_by_side import in_turns, timed, verdict

from engines.space import DynamicSpaceEngine
from engines.space import equilibrium as method
from engines.space.equilibrium import Equilibrium, equilibrium
from engines.space.forecast import forecast
from engines.space.network import Latency, RouteNetwork, Trips, bridges
from engines.space.ways import settled

SIZES = (100, 1_000, 10_000, 100_000)
ORIGINS, EACH = 10, 20
STEPS = 100


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    print(f"planted user equilibria: to a gap of 1e-4, at most {STEPS} steps (60 rounds by ways)")
    print("   arcs   trips   method        steps  seconds  relative gap  excess    bound below")
    for size in (size for size in SIZES if size <= most):
        show_equilibrium(size)
    show_graph(min(most, 10_000))
    show_forecasts()
    show_interventions()


def planted(arcs: int, seed: int = 1) -> tuple[RouteNetwork, Trips, Any]:
    """
    A grid with loads that are its equilibrium: costs are differences of potentials where they are
    used, and no less elsewhere; free costs are what makes them so under these loads.
    """
    rng = np.random.default_rng(seed)
    side = max(round((arcs / 4) ** 0.5), 2)
    number = np.arange(side * side).reshape(side, side)
    east = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    south = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    tail, head = np.concatenate([east, south, east[:, ::-1], south[:, ::-1]]).T
    high = np.add.outer(np.arange(side), np.arange(side)) * 10 + rng.uniform(0, 8, (side, side))
    rise = high.ravel()[head] - high.ravel()[tail]
    ways: list[list[int]] = [[] for _ in range(side * side)]
    for arc in np.flatnonzero(rise > 0):
        ways[tail[arc]].append(int(arc))
    load, told = np.zeros(len(tail)), []
    for origin in rng.choice(side * side, min(ORIGINS, side * side), replace=False):
        for _ in range(EACH):
            place, way = int(origin), []
            for _ in range(int(rng.integers(1, 2 * side))):
                if not ways[place]:
                    break
                way.append(int(rng.choice(ways[place])))
                place = int(head[way[-1]])
            if way:
                told.append((int(origin), place, float(rng.uniform(1, 10))))
                load[way] += told[-1][2]
    cost = np.where(load > 0, rise, np.maximum(rise, 0) + rng.uniform(1, 10, len(tail)))
    capacity = np.where(load > 0, load * rng.uniform(0.6, 2, len(tail)), 10.0)
    free = cost / (1 + 0.15 * (load / capacity) ** 4)
    alike = np.ones(len(tail))
    network = RouteNetwork(
        tuple(map(str, range(side * side))),
        tuple(map(str, range(len(tail)))),
        tail,
        head,
        Latency(free, capacity, 0.15 * alike, 4 * alike),
    )
    origin, destination, loads = map(np.array, zip(*told, strict=True))
    return network, Trips(origin, destination, loads), load


def show_equilibrium(size: int) -> None:
    network, trips, load = planted(size)
    known = network.latency.integral(load)
    conjugate = method._Targets.next  # noqa: SLF001
    results: dict[str, Equilibrium] = {}
    plain = ("Frank-Wolfe", lambda _self, _load, nearest, _slope: nearest)
    for name, rule in (("by ways", None), ("conjugate", conjugate), plain):
        method._Targets.next = rule or conjugate  # type: ignore[method-assign]  # noqa: SLF001
        began = time.perf_counter()
        if rule:
            found = equilibrium(network, trips, gap=1e-4, most=STEPS)
        else:
            found = settled(network, trips, gap=1e-4, most=0)
        results[name] = found
        taken = time.perf_counter() - began
        print(
            f"{len(load):>7,} {len(trips):>7,}   {name:<12}  {found.iterations:>5}  {taken:>7.2f}"
            f"  {found.relative_gap:>12.1e}  {found.objective / known - 1:>8.1e}"
            f"  {1 - found.bound / known:>8.1e}"
        )
    method._Targets.next = conjugate  # type: ignore[method-assign]  # noqa: SLF001
    ours = results["by ways"]
    print(
        "         excess",
        verdict(ours.objective / known - 1, 1e-3, at_least=False),
        "  bound over the planted",
        verdict(ours.bound / known - 1, 1e-9, at_least=False),
    )


def show_graph(size: int) -> None:
    network, _, _ = planted(size)
    half = len(network.tail) // 2  # each road once
    tail, head = network.tail[:half].tolist(), network.head[:half].tolist()
    graph = nx.Graph(zip(tail, head, strict=True))
    directed = nx.DiGraph()
    directed.add_weighted_edges_from(
        zip(network.tail.tolist(), network.head.tolist(), network.latency.free, strict=True)
    )
    places, origins = len(network.places), np.arange(5)
    network.arcs.distances(network.latency.free, origins)
    taken = in_turns(
        {
            "bridges": lambda: bridges(tail, head, places),
            "bridges networkx": lambda: list(nx.bridges(graph)),
            "5 trees": lambda: network.arcs.distances(network.latency.free, origins),
            "5 trees networkx": lambda: [
                nx.single_source_dijkstra_path_length(directed, n) for n in range(5)
            ],
        },
        3,
    )
    for name in ("bridges", "5 trees"):
        times = taken[f"{name} networkx"] / taken[name]
        print(
            f"{name} of {len(network.tail):,} arcs: {taken[name] * 1e3:.1f} ms, "
            f"networkx {taken[f'{name} networkx'] * 1e3:.1f} ms, {times:.1f} x   "
            f"{verdict(times, 1, at_least=True)}"
        )


def show_forecasts() -> None:
    noise = np.random.default_rng(0).normal(size=(1000, 261))
    series = np.zeros_like(noise)
    for now in range(1, noise.shape[1]):
        series[:, now] = 0.7 * series[:, now - 1] + noise[:, now]
    forecast(series[:2], 5)
    taken = timed(lambda: forecast(series[:, :-5], 5))
    found = forecast(series[:, :-5], 5)
    held = float((np.abs(series[:, -5:] - found.point) <= found.half_width).mean())
    ours, last = float(found.mase.mean()), float(found.naive_mase.mean())
    print(
        f"1,000 series of 256 points, 5 ahead, back-tested: {taken:.2f} s   "
        f"{verdict(taken, 10, at_least=False)}\n"
        f"  90 % intervals held {held:.1%} of what came, back-test {found.coverage.mean():.1%}   "
        f"{verdict(abs(held - 0.9), 0.03, at_least=False)} from 90 %\n"
        f"  MASE {ours:.3f}, the last value {last:.3f}   {verdict(ours / last, 1, at_least=False)}"
    )


def show_interventions() -> None:
    rng = np.random.default_rng(0)
    space = DynamicSpaceEngine(
        {
            "name": f"S{n:03}",
            "hazard_index": float(rng.uniform()),
            "metadata": {
                "interventions": [
                    {"name": f"w{k}", "hours": float(rng.integers(1, 9)), "hazard": rng.uniform()}
                    for k in range(2)
                ]
            },
        }
        for n in range(100)
    )
    began = time.perf_counter()
    plan = space.interventions(hours=40, target=0.9)
    taken = time.perf_counter() - began
    gap = plan.bound / plan.value - 1
    print(
        f"{plan.candidates} interventions, 40 h: {taken:.2f} s, at most {gap:.2%} below the best   "
        f"{verdict(gap, 0.05, at_least=False)}"
    )


if __name__ == "__main__":
    main()
