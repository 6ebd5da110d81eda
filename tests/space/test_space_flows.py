"""What is said of a sector's routes: bridges, flows, relief, losses; and what is recorded of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.space import DynamicSpaceEngine, SectorNotFoundError, SpaceSector
from engines.space.network import bridges

NOW = 1_800_000_000.0


def route(name: str, ends: str, congestion: float = 0.0, cost: float = 1.0) -> dict[str, Any]:
    origin, destination = ends
    return {
        "identifier": name,
        "origin": origin,
        "destination": destination,
        "delta_v_kms": cost,
        "congestion": congestion,
    }


# A crowded straight way from A to B, a free detour by C, and a tail to D.
SQUARE = [
    route("straight", "AB", 0.95),
    route("out", "AC", 0.05, cost=0.5),
    route("back", "CB", 0.05, cost=0.5),
    route("tail", "BD", 0.3),
]
# Braess (1968): each of ten pays 83 without the short cut, and 92 with it.
BRAESS = {
    "name": "Braess",
    "routes": [
        route("1-2", ("1", "2"), cost=1e-6),
        route("1-3", ("1", "3"), cost=50),
        route("2-4", ("2", "4"), cost=50),
        route("3-4", ("3", "4"), cost=1e-6),
        route("2-3", ("2", "3"), cost=10),
    ],
    "metadata": {
        "network": {
            "one_way": True,
            "power": 1,
            "alpha": {"1-2": 1e6, "3-4": 1e6, "1-3": 0.02, "2-4": 0.02, "2-3": 0.1},
            "capacity": {"1-2": 0.1, "3-4": 0.1},
            "trips": [{"origin": "1", "destination": "4", "load": 6}],
        }
    },
}


def engine(*sectors: Any, path: Path | None = None) -> DynamicSpaceEngine:
    journal = Journal(path, clock=lambda: NOW) if path else None
    return DynamicSpaceEngine(sectors, journal=journal, clock=lambda: NOW)


def square(**metadata: Any) -> dict[str, Any]:
    return {"name": "Square", "routes": SQUARE, "metadata": metadata}


ends = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(st.lists(ends, max_size=10))
def test_bridges_are_those_whose_removal_parts_something(routes: list[tuple[int, int]]) -> None:
    """Against removing each in turn; parallel routes and loops are none."""

    def pieces(left: list[tuple[int, int]]) -> int:
        group = list(range(6))
        for a, b in left:
            old, new = group[a], group[b]
            group = [new if g == old else g for g in group]
        return len(set(group))

    whole = pieces(routes)
    expected = [n for n in range(len(routes)) if pieces(routes[:n] + routes[n + 1 :]) > whole]
    assert bridges([a for a, _ in routes], [b for _, b in routes], 6) == expected


def test_a_chain_of_many_routes_needs_no_recursion() -> None:
    """Each link of a long chain is a bridge."""
    assert bridges(range(20_000), range(1, 20_001), 20_001) == list(range(20_000))


def test_relief_moves_load_to_the_free_detour(tmp_path: Path) -> None:
    """Less is paid in all, the routes' congestion is recorded, and a second time nothing moves."""
    space = engine(square(), path=tmp_path / "sectors.jsonl")
    told = space.relief("Square")
    done = space.relieve("Square")
    assert done == told
    assert done.before.principle == "recorded"
    assert done.after.total_cost < done.before.total_cost
    assert done.saving == pytest.approx(1 - done.after.total_cost / done.before.total_cost)
    assert done.moved == ("straight", "out", "back")
    now = {r.identifier: r.congestion for r in space.space.get_sector("Square").routes}
    assert now["straight"] < 0.95
    assert now["out"] == pytest.approx(now["back"])
    assert now["straight"] + now["out"] == pytest.approx(1.0)
    assert now["tail"] == 0.3
    events = (tmp_path / "sectors.jsonl").read_bytes()
    assert space.relieve("Square").moved == ()
    assert (tmp_path / "sectors.jsonl").read_bytes() == events
    again = engine(path=tmp_path / "sectors.jsonl")
    assert again.sectors == space.sectors
    assert verify(tmp_path / "sectors.jsonl").ok


def test_relief_keeps_what_wants_to_travel() -> None:
    """The trips are noted in the metadata, beside what stood there."""
    space = engine(square(kept=1, network={"power": 3}))
    space.relieve("Square")
    metadata = space.space.get_sector("Square").metadata
    assert metadata is not None
    assert metadata["kept"] == 1
    assert metadata["network"]["power"] == 3
    assert {"origin": "A", "destination": "B", "load": 0.95} in metadata["network"]["trips"]
    assert space.flows("Square").trips_told


def test_the_optimum_costs_no_more_than_the_equilibrium() -> None:
    """Reported with bounds; tolls are what the others pay for one more."""
    report = engine(square()).flows("Square")
    user, best = report.equilibrium, report.optimum
    assert best.total_cost <= user.total_cost
    assert report.price_of_anarchy == pytest.approx(user.total_cost / best.total_cost)
    assert best.bound is not None
    assert best.bound <= best.total_cost
    assert best.objective == pytest.approx(best.total_cost)
    assert all(
        r.toll == pytest.approx(4 * (r.cost - free))
        for r, free in zip(best.routes, (1, 0.5, 0.5, 1), strict=True)
    )
    assert json.dumps(report.as_dict())


def test_what_a_unit_of_capacity_is_worth_is_what_it_saves() -> None:
    """Against adding a little; loads settle anew, which to first order changes nothing."""
    told = {"trips": [{"origin": "A", "destination": "B", "load": 2}]}
    before = engine(square(network=told)).flows("Square").optimum
    worth = {r.identifier: r.capacity_value for r in before.routes}["straight"]
    more = {**told, "capacity": {"straight": 1.001}}
    after = engine(square(network=more)).flows("Square").optimum
    assert (before.total_cost - after.total_cost) / 0.001 == pytest.approx(worth, rel=0.02)


def test_braess_s_short_cut_is_found_out() -> None:
    """Its loss is a gain; that of another route is not."""
    space = engine(BRAESS)
    loss = space.without_routes("Braess", ["2-3"])
    assert loss.braess
    assert loss.extra_cost == pytest.approx(6 * (83 - 92), rel=0.01)
    worst = space.critical_routes("Braess")
    assert [found.without for found in worst.losses if found.braess] == [("2-3",)]
    assert worst.losses[0].extra_cost == max(found.extra_cost for found in worst.losses)
    report = space.flows("Braess")
    assert report.price_of_anarchy == pytest.approx(92 / 83, rel=0.01)


def test_the_loss_of_a_bridge_cuts_off_what_passed() -> None:
    """Its trips are named; the others are no worse off."""
    space = engine(square())
    loss = space.without_routes("Square", ["tail"])
    assert (loss.bridge, loss.cut_off) == (True, (("B", "D", 0.3),))
    assert loss.extra_cost == pytest.approx(0, abs=1e-4)
    worst = space.critical_routes("Square")
    assert worst.bridges == ("tail",)
    assert worst.losses[0].without == ("tail",)
    assert space.critical_routes("Square", measure=1).unmeasured == 3
    both = space.without_routes("Square", ["straight", "out"])
    assert both.bridge
    assert {trip[:2] for trip in both.cut_off} == {("A", "B"), ("A", "C")}


def test_closed_routes_and_empty_sectors_have_answers() -> None:
    """Capacity 0, no route at all, a place that nothing reaches."""
    closed = square(network={"capacity": 0})
    lone = {
        "name": "Lone",
        "bodies": [{"name": "X", "kind": "moon", "mass_kg": 1, "velocity_kms": 1}],
    }
    space = engine(closed, lone)
    for name in ("Square", "Lone"):
        report = space.flows(name)
        assert (report.price_of_anarchy, report.optimum.total_cost) == (1, 0)
        assert space.critical_routes(name).losses == ()
        assert space.relief(name).saving == 0
    assert {r.use for r in space.flows("Square").optimum.routes} == {None}
    told = {"trips": [{"origin": "A", "destination": "D", "load": 1}], "capacity": {"tail": 0}}
    cut = engine(square(network=told)).flows("Square").optimum
    assert cut.cut_off == (("A", "D", 1.0),)


def test_what_goes_round_stays_where_it_is() -> None:
    """A route that leads back to its own place is no way for anybody else."""
    loop = {"name": "Loop", "routes": [*SQUARE, route("round", "AA", 0.8)]}
    space = engine(loop)
    assert "round" not in space.relieve("Loop").moved
    assert space.space.get_sector("Loop").routes[-1].congestion == 0.8
    assert "round" not in space.critical_routes("Loop").bridges


def test_a_state_kept_by_an_earlier_version_still_opens() -> None:
    """Snapshots name their types by module: what moved is found where it was."""
    from engines.space import Space
    from engines.space.engine import Space as Earlier

    assert Earlier is Space


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (7, "must be a mapping"),
        ({"capacty": 1}, "did you mean 'capacity'"),
        ({"capacity": {"strait": 1}}, "no route 'strait' .did you mean 'straight'"),
        ({"capacity": -1}, "at least 0"),
        ({"capacity": "big"}, "must be a number"),
        ({"power": 0.5}, "power must be 1 to 10"),
        ({"one_way": 1}, "one_way must be true or false"),
        ({"trips": "x"}, "must be a list of trips"),
        ({"trips": [{"origin": "A"}]}, "needs origin, destination and load"),
        ({"trips": [{"origin": "A", "destination": "E", "load": 1}]}, "no place 'E'"),
        ({"trips": [{"origin": "A", "destination": ["B"], "load": 1}]}, "no place"),
        ({"trips": [{"origin": "A", "destination": "B", "load": -1}]}, "at least 0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(network: Any, message: str) -> None:
    """With the path of what is wrong; nothing is recorded."""
    space = engine(square(network=network))
    before = space.sectors
    with pytest.raises(InvalidInput, match=message):
        space.relieve("Square")
    assert space.sectors == before


def test_what_is_not_there_is_named() -> None:
    """Sectors and routes, with the one that was meant."""
    space = engine(square())
    with pytest.raises(InvalidInput, match=r"no route 'tial' .did you mean 'tail'"):
        space.without_routes("Square", ["tial"])
    with pytest.raises(InvalidInput, match="at least one route"):
        space.without_routes("Square", [])
    for ask in (space.flows, space.relieve, space.relief, space.critical_routes, space.forecast):
        with pytest.raises(SectorNotFoundError):
            ask("Sqare")


@settings(max_examples=20)
@given(st.permutations(range(4)))
def test_the_order_in_which_routes_are_told_does_not_matter(order: list[int]) -> None:
    """Not to the last bit."""
    shuffled = SpaceSector("Square", routes=tuple(SQUARE[n] for n in order))
    expected = engine(square()).flows("Square").as_dict()
    found = engine(shuffled).flows("Square").as_dict()

    def by_name(flows: Any) -> Any:
        return sorted((r["identifier"], r["load"], r["toll"]) for r in flows["routes"])

    assert by_name(found["optimum"]) == by_name(expected["optimum"])


def test_every_process_says_the_same() -> None:
    """Whatever the seed of its hashes."""
    program = (
        "import json, sys; from engines.space import DynamicSpaceEngine as E\n"
        "sectors = json.loads(sys.argv[1]); e = E(sectors)\n"
        "e.ingest_events({'sector_name': s['name'], 'description': 'x', 'impact_score': n / 9,"
        " 'severity': 'alert'} for n in range(9) for s in sectors)\n"
        "print([x.as_dict() for s in sectors for x in (e.flows(s['name']),"
        " e.critical_routes(s['name']), e.forecast(s['name']))],"
        " e.interventions(limit=3, target=0.9).as_dict())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program, json.dumps([square(), BRAESS])],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
