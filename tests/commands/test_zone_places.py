"""`dino zone` on maps: GeoJSON in and out, points and positions from files, pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Dino

CITY = [[0, 0], [10, 0], [10, 6], [5, 8], [0, 6], [0, 0]]
WARD = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]


def feature(name: str, ring: Any, **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "geometry": geometry, "properties": {"name": name, **properties}}


@pytest.fixture
def town(workspace: Path, dino: Dino) -> Path:
    """A workspace with two zones, one in the other."""
    found = [feature("City", CITY, capacity=9), feature("Ward", WARD, capacity=2, parent="City")]
    document = {"type": "FeatureCollection", "features": found}
    (workspace / "town.geojson").write_text(json.dumps(document))
    assert dino("zone", "import", "town.geojson").out == "2 zones registered\n"
    return workspace


def test_zones_come_and_go_as_geojson(town: Path, dino: Dino) -> None:
    """What was imported is exported, with what the zones are parts of."""
    out = dino("zone", "export").json
    assert [f["properties"]["name"] for f in out["features"]] == ["City", "Ward"]
    assert out["features"][0]["geometry"]["coordinates"] == [CITY]
    assert out["features"][1]["properties"]["parent"] == "City"
    dino("zone", "export", "Ward", "--out", "ward.geojson")
    assert dino("zone", "import", "ward.geojson", "--json").json == {"zones": ["Ward"]}
    assert "part of    City\n" in dino("zone", "show", "Ward").out
    assert "1 polygon within x 0 … 10" in dino("zone", "show", "City").out
    assert dino("zone", "nest", "Ward", "--alone").out == "zone 'Ward' is a part of none\n"
    assert "part of" in dino("zone", "nest", "City", "--in", "City", code=2).err
    (town / "bad.geojson").write_text(json.dumps(feature("Bow", [[0, 0], [2, 2], [2, 0], [0, 1]])))
    refused = dino("zone", "import", "bad.geojson", code=2).err
    assert "bad.geojson: feature 0: geometry" in refused or "feature 0: a ring meets" in refused
    (town / "bad.geojson").write_text("[" * 50_000)
    assert "nested too deeply" in dino("zone", "import", "bad.geojson", code=2).err


def test_a_file_of_points_is_located(town: Path, dino: Dino) -> None:
    """A zone for each line; JSON has the points too."""
    (town / "stops.csv").write_text("lon,lat\n3,3\n5,5\n20,20\n")
    told = ("zone", "locate", "--file", "stops.csv", "--column", "x=lon", "--column", "y=lat")
    assert dino(*told).out == "Ward\nCity\n-\n"
    found = dino(*told, "--json").json
    assert found["points"][0] == {"x": 3, "y": 3, "z": 0, "zone": "Ward"}
    assert found["nowhere"] == 1
    assert "stops.csv:2: nothing in column 'x'" in dino(*told[:4], code=2).err
    assert "either X and Y" in dino("zone", "locate", 3, code=2).err


def test_positions_become_entries_and_exits(town: Path, dino: Dino) -> None:
    """And are passed over when they come again."""
    lines = [
        {"object": "a", "time": "2026-01-01T10:00:00Z", "x": 3, "y": 3},
        {"object": "a", "time": "2026-01-01T10:01:00Z", "x": 5, "y": 5},
        {"object": "b", "time": 1767261600, "x": 5, "y": 5},
    ]
    (town / "fixes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = dino("zone", "track", "fixes.jsonl", "--dwell", "1m", "--json").json
    assert (done["accepted"], done["duplicates"], done["waiting"]) == (3, 0, 0)
    assert [(m["object"], m["kind"], m["zone"]) for m in done["moves"]] == [
        ("a", "enter", "City"),
        ("a", "enter", "Ward"),
        ("b", "enter", "City"),
        ("a", "dwell", "City"),
        ("a", "exit", "Ward"),
    ]
    again = dino("zone", "track", "fixes.jsonl").out
    assert again == "positions: 2 duplicates, 1 late\n"
    listed = dino("zone", "list", "--json").json["zones"]
    assert {zone["zone"]: zone["occupancy"] for zone in listed} == {"City": 2, "Ward": 0}
    asked = ("zone", "forecast", "City", "--hours", 3, "--at", "2026-01-03T00:00:00Z")
    ahead = dino(*asked, "--json").json
    assert [step["expected"] for step in ahead["steps"]] == [2.0] * 3
    assert "City: capacity 9" in dino(*asked).out
    assert "need" in dino(*asked[:-1], "2026-01-01T12:00:00Z", code=2).err
    (town / "bad.csv").write_text("object,time,x,y\na,noon,1,2\n")
    assert "bad.csv:2: not a time: 'noon'" in dino("zone", "track", "bad.csv", code=2).err


def test_zones_are_drawn(town: Path, dino: Dino) -> None:
    """With characters, north above; and as a picture."""
    drawn = dino("zone", "map", "--columns", 20, "--json").json
    assert drawn["signs"] == {"A": "City", "B": "Ward"}
    assert drawn["lines"][0].startswith("·")
    assert drawn["lines"][-1] == "A" * 20
    assert any("AABB" in line for line in drawn["lines"])
    dino("zone", "add", "Kiosk", "--boundary", 30, 30.001, 0, 0.001)
    assert "C" in "".join(dino("zone", "map", "--columns", 20, "--json").json["lines"])
    dino("zone", "remove", "Kiosk")
    assert "B  Ward       0/2    0%" in dino("zone", "map").out
    dino("zone", "map", "--svg", "town.svg")
    picture = (town / "town.svg").read_text()
    assert picture.count("<path ") == 2
    assert "City: 0 of 9" in picture
    assert "no zone named" in dino("zone", "map", "Wrad", code=2).err
