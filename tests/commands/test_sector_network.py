"""`dino sector` about routes: what is shown, what is recorded, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Dino


def route(name: str, origin: str, destination: str, congestion: float) -> dict[str, Any]:
    ends = {"origin": origin, "destination": destination, "delta_v_kms": 1}
    return {"identifier": name, **ends, "congestion": congestion}


@pytest.fixture
def west(workspace: Path, dino: Dino) -> str:
    """A sector of two equal ways, one of them crowded, and a bridge."""
    bodies = [{"name": name, "kind": "station"} for name in "abc"]
    routes = [
        route("new", "a", "b", 0.1),
        route("old", "a", "b", 0.9),
        route("pier", "b", "c", 0.2),
    ]
    todo = [{"name": "sweep", "hours": 4, "hazard": 0.2}]
    known = {
        "name": "West",
        "bodies": bodies,
        "routes": routes,
        "metadata": {"interventions": todo},
    }
    (workspace / "west.yaml").write_text(json.dumps([known]))
    dino("sector", "import", "west.yaml")
    return "West"


def test_load_is_relieved_by_its_measured_effect(dino: Dino, west: str) -> None:
    """A dry run records nothing; done, it is in the record; done again, nothing moves."""
    report = dino("sector", "flows", west, "--json").json
    assert report["price_of_anarchy"] == pytest.approx(1)
    assert "price of anarchy 1.0000" in dino("sector", "flows", west).out
    told = dino("sector", "relieve", west, "--dry-run", "--json").json
    assert not told["recorded"]
    assert "total cost would fall by" in dino("sector", "relieve", west, "--dry-run").out
    done = dino("sector", "relieve", west, "--json").json
    assert done == told | {"recorded": True}
    assert done["after"]["total_cost"] < done["before"]["total_cost"]
    routes = dino("sector", "show", west, "--json").json["sector"]["routes"]
    assert [r["congestion"] for r in routes] == pytest.approx([0.5, 0.5, 0.2])
    assert dino("sector", "relieve", west).out == "West: nothing to move; no way is better\n"
    assert dino("audit", "hashchain", "sectors").code == 0


def test_what_the_loss_of_a_route_does(dino: Dino, west: str) -> None:
    """One by one, and as asked."""
    found = dino("sector", "critical", west, "--json").json
    assert found["bridges"] == ["pier"]
    assert found["losses"][0]["without"] == ["pier"]
    assert "bridges: pier" in dino("sector", "critical", west, "--measure", 1).out
    loss = dino("sector", "whatif", west, "--without", "pier", "--without", "new", "--json").json
    assert loss["cut_off"] == [["b", "c", 0.2]]
    assert "cut off: b → c" in dino("sector", "whatif", west, "--without", "pier").out
    wrong = dino("sector", "whatif", west, "--without", "peer", code=2)
    assert "did you mean 'pier'" in wrong.err


def test_what_comes_and_what_to_do(dino: Dino, west: str) -> None:
    """With what is known, and with too little."""
    assert "too little history to test (0 points)" in dino("sector", "forecast").out
    told = dino("sector", "forecast", west, "--ahead", 2, "--every", "1h", "--json").json
    assert [step["ahead"] for step in told["forecasts"][0]["steps"]] == [1, 2]
    plan = dino("sector", "interventions", "--target", 0.95, "--json").json
    assert plan["optimal"]
    assert {item["name"] for item in plan["chosen"]} == {"stabilise", "sweep"}
    assert "no choice is better" in dino("sector", "interventions", "--hours", 4).out
    assert dino("sector", "forecast", west, "--level", 1, code=2).err
