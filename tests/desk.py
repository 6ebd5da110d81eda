"""A small duty desk: the files of a scenario with two zones, two sectors and two agents."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ZONES = [
    {"name": "Mole", "boundary": {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}, "capacity": 2},
    {"name": "Quay", "boundary": {"min_x": 1, "max_x": 2, "min_y": 0, "max_y": 1}, "capacity": 2},
]
SECTORS = [{"name": "North"}, {"name": "South"}]
AGENTS = [
    {"name": "Ada", "skills": ["pump", "check"], "available_hours": 8},
    {"name": "Bo", "skills": ["check"], "available_hours": 8},
]
# Field of the map → its YAML; the line of a field is its place here.
MAP = {
    "summary": '"{kind} at {place}"',
    "identifier": "id",
    "zone": "place",
    "sector": "net",
    "severity": "{column: kind, table: {fire: 0.9, alarm: 0.4}}",
    "skills": "{column: kind, table: {fire: [pump], alarm: [check]}}",
    "effort_hours": "hours",
    "time": "seen",
    "position": "{x: lon, y: lat}",
}
COLUMNS = ("id", "place", "net", "kind", "hours", "seen", "lon", "lat")
CALL = {
    "id": "C-1",
    "place": "Mole",
    "net": "North",
    "kind": "fire",
    "hours": "2",
    "seen": "2027-01-15T10:00:00Z",
    "lon": "0.5",
    "lat": "0.5",
}
SIGNAL = {
    "summary": "smoke",
    "zone": "Mole",
    "sector": "North",
    "severity": 0.8,
    "required_skills": ["pump"],
    "estimated_effort_hours": 2,
}


def map_text(**changes: str | None) -> str:
    """The map with some fields changed; None leaves a field out."""
    fields = {**MAP, **changes}
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)


def line_of(field: str) -> int:
    """The line of the map on which *field* stands."""
    return list(MAP).index(field) + 1


def calls_text(calls: Iterable[Mapping[str, str]]) -> str:
    """CSV text of records, each like CALL but for what it says."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**CALL, **call} for call in calls)
    return text.getvalue()


def write_desk(folder: Path, **parts: Any) -> Path:
    """Write the desk's files and a scenario that names them; *parts* replace some of its parts."""
    (folder / "zones.yaml").write_text(json.dumps({"zones": ZONES}))
    (folder / "sectors.yaml").write_text(json.dumps({"sectors": SECTORS}))
    (folder / "agents.yaml").write_text(json.dumps({"agents": AGENTS}))
    (folder / "map.yaml").write_text(map_text())
    (folder / "calls.csv").write_text(
        calls_text([{}, {"id": "C-2", "kind": "alarm", "place": "Quay", "net": "South"}])
    )
    named = {name: f"{name}.yaml" for name in ("zones", "sectors", "agents")}
    signals = {"file": "calls.csv", "map": "map.yaml"}
    scenario = folder / "scenario.yaml"
    scenario.write_text(json.dumps({"name": "desk", **named, "signals": signals, **parts}))
    return scenario


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below *folder* and its bytes; nothing where there is no such folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
