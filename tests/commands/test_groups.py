"""The groups: each call is a process of its own, and sees what the ones before it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dino_os import __version__
from dino_os.workspace import Workspace
from tests.conftest import Dino
from tests.desk import SECTORS, ZONES

EDGES = ("--boundary", -1, 1, -1, 1)


def test_zones_are_kept_and_change(desk: Path, dino: Dino) -> None:
    """Registered, entered, left, read, found and removed."""
    assert dino("zone").out.startswith("no zones yet")
    assert dino("zone", "add", "Pier", *EDGES, "--capacity", 2, "--tag", "wet").out == (
        "zone 'Pier' registered\n"
    )
    assert dino("zone", "event", "Pier", "enter").out == "Pier: 1 of 2, active\n"
    full = dino("zone", "event", "Pier", "ENTER", "--change", 2, "--note", "drill", "--json").json
    assert (full["occupancy"], full["utilisation"], full["status"]) == (3, 1.5, "overloaded")
    assert dino("zone", "event", "Pier", "exit").out == "Pier: 2 of 2, active\n"
    assert dino("zone", "event", "Pier", "sample", "--value", -2.5, "--json").json["metric"] == -2.5
    (listed,) = dino("zone", "list", "--json").json["zones"]
    assert (listed["zone"], listed["occupancy"], listed["tags"]) == ("Pier", 2, ["wet"])
    shown = dino("zone", "show", "Pier", "--json").json
    assert [(e["kind"], e["change"], e["note"]) for e in shown["recent_events"]] == [
        ("sample", 0, None),
        ("exit", -1, None),
        ("enter", 2, "drill"),
        ("enter", 1, None),
    ]
    assert "… and 3 events" in dino("zone", "show", "Pier", "--show", 1).out
    assert "… and 1 event " in dino("zone", "show", "Pier", "--show", 3).out
    assert dino("zone", "locate", -0.5, 0.5).out == "Pier\n"
    nowhere = dino("zone", "locate", -9, 0.5, "--json", code=1)
    assert nowhere.json == {"zone": None, "x": -9, "y": 0.5}
    assert dino("zone", "remove", "Pier", "--json").json == {"removed": "Pier"}
    assert dino("zone", "list", "--json").json == {"zones": []}


def test_sectors_are_kept_and_change(desk: Path, dino: Dino) -> None:
    """Registered, shaken, relieved; the worst come first."""
    assert dino("sector").out.startswith("no sectors yet")
    assert dino("sector", "import", "sectors.yaml", "--json").json == {
        "sectors": ["North", "South"]
    }
    event = ("sector", "event", "South", "bridge closed")
    shaken = dino(*event, "--impact", 0.9, "--severity", "Critical", "--json").json
    assert shaken["recent_events"][-1]["description"] == "bridge closed"
    listed = dino("sector", "list", "--json").json
    assert [sector["sector_name"] for sector in listed["sectors"]] == ["South", "North"]
    worst = dino("sector", "priorities", "--limit", 1, "--json").json["sectors"]
    assert [sector["sector_name"] for sector in worst] == ["South"]
    shown = dino("sector", "show", "South", "--json").json
    assert shown["stability_score"] == shaken["stability_score"]
    assert "bridge closed" in dino("sector", "show", "South").out
    calm = dino("sector", "show", "South", "--horizon", 0, "--json").json["stability_score"]
    assert calm > shown["stability_score"]


def test_a_sector_that_is_changed_keeps_the_rest(desk: Path, dino: Dino) -> None:
    """Its routes, and each number that is not named; also where its name is typed with a space."""
    bodies = [{"name": name, "kind": "station"} for name in "ab"]
    route = {"identifier": "r", "origin": "a", "destination": "b", "congestion": 0.9}
    known = {"name": "West", "supply_level": 0.9, "bodies": bodies, "routes": [route]}
    (desk / "west.yaml").write_text(json.dumps([known]))
    assert dino("sector", "import", "west.yaml").out == "1 sector registered\n"
    assert dino("sector", "add", " West ", "--hazard", 0.5).out == "sector 'West' changed\n"
    west = dino("sector", "show", "West", "--json").json["sector"]
    assert (west["hazard_index"], west["supply_level"]) == (0.5, 0.9)
    assert [route["identifier"] for route in west["routes"]] == ["r"]
    relieved = dino("sector", "stabilise", "West", "--json").json
    assert relieved["relieved"] == 1
    after = dino("sector", "show", "West", "--json").json["sector"]
    assert after == relieved["after"] != relieved["before"] == west
    new = dino("sector", "add", "East", "--json").json
    assert (new["hazard_index"], new["supply_level"], new["energy_output_gw"]) == (0.25, 0.6, 0)


def test_states_are_kept_and_change(desk: Path, dino: Dino) -> None:
    """Defined, seen, told in a sentence."""
    assert dino("state").out.startswith("no states yet")
    registered = dino(
        "state", "register", "morale", "--baseline", -0.5, "--warmup", 1, "--json"
    ).json
    assert (registered["state"], registered["value"], registered["ready"]) == (
        "morale",
        -0.5,
        False,
    )
    seen = dino("state", "capture", "morale", -1, "--tag", "rain", "--json").json
    assert seen["value"] < -0.5
    assert (seen["ready"], seen["tags"]) == (True, ["rain"])
    assert dino("state", "list", "--json").json["states"][0]["value"] == seen["value"]
    assert dino("state", "show", "morale").out.splitlines()[1] == "1 signal; tags rain"
    dino("state", "capture", "morale", 0.5)
    assert dino("state", "show", "morale").out.splitlines()[1].startswith("2 signals")


def test_cycles_are_remembered_with_their_reasons(desk: Path, dino: Dino) -> None:
    """The last one where none is named."""
    assert dino("cycle").out.startswith("no cycles yet")
    assert "no cycle 1" in dino("cycle", "show", code=2).err
    for limit in (1, 2):
        dino("plan-cycle", "scenario.yaml", "--limit", limit)
    assert [c["assigned"] for c in dino("cycle", "--json").json["cycles"]] == [2, 1]
    assert "… and 1 cycle (--show 0 shows all)" in dino("cycle", "list", "--show", 1).out
    last = dino("cycle", "show", "--json").json
    assert last["cycle"] == 2
    assert all(task["agent"] for task in last["tasks"])
    first = dino("cycle", "show", 1, "--json").json["tasks"]
    assert [(task["task_id"], task["agent"]) for task in first] == [("C-1", "Ada"), ("C-2", None)]
    assert all(task["rationale"] for task in first)
    assert "nobody" in dino("cycle", "show", 1).out


@pytest.mark.parametrize("door", ["dino", "execute"])
def test_status_tells_what_there_is(desk: Path, dino: Dino, door: str) -> None:
    """Looking leaves no trace, not even in a workspace that is new."""
    assert dino("status", door=door).out.startswith(f"{desk}: healthy\n")
    assert not (desk / "memory").exists()
    dino("plan-cycle", "scenario.yaml")
    status = dino("status", "--json", door=door).json
    assert status["healthy"]
    assert (status["zones"]["known"], status["sectors"]["known"]) == (2, 2)
    assert status["cycles"] | {"last_at": ""} == {
        "planned": 1,
        "last_at": "",
        "last_assigned": 2,
        "last_left_over": 0,
    }
    assert status["journals"]["sound"] == 3


@pytest.mark.parametrize("door", ["dino", "audit"])
@pytest.mark.parametrize("name", ["cycles", "sectors", "zones"])
def test_audit_finds_a_tampered_byte(desk: Path, dino: Dino, door: str, name: str) -> None:
    """Its file, its line, its kind, how much before it stands; and exits 1."""
    dino("plan-cycle", "scenario.yaml")
    sound = dino("hashchain", "--json", door=door).json
    assert sound["ok"]
    assert [j["journal"] for j in sound["journals"]] == ["cycles", "sectors", "zones"]
    journal = desk / "memory" / f"{name}.jsonl"
    data = bytearray(journal.read_bytes())
    third_line = data.index(b"\n", data.index(b"\n") + 1) + 1
    place = data.index(b'"by":"tester', third_line) + 8
    data[place : place + 1] = b"T"
    journal.write_bytes(data)
    audit = dino("hashchain", "--json", door=door, code=1).json
    assert not audit["ok"]
    (broken,) = [report for report in audit["journals"] if not report["ok"]]
    assert (broken["journal"], broken["file"]) == (name, str(journal))
    assert (broken["fault"]["kind"], broken["fault"]["line"]) == ("edited", 3)
    assert broken["fault"]["good_lines"] == 2
    text = dino("hashchain", door=door, code=1).out
    assert f"BROKEN  {name}: 2 lines, edited" in text
    assert f"{journal}:3; 2 lines before it stand" in text
    other = next(iter({"cycles", "zones"} - {name}))
    assert dino("hashchain", other, door=door).out.startswith(f"ok      {other}: ")
    elsewhere = dino("hashchain", journal, door=door, cwd=Path("/"), code=1)
    assert "edited" in elsewhere.out


def test_a_journal_that_is_not_there_is_not_sound(desk: Path, dino: Dino) -> None:
    """A name that is misspelt is bad input, not a broken record."""
    dino("zone", "add", "Pier", *EDGES)
    assert (
        "no journal named 'zone' (did you mean 'zones'?)" in dino("hashchain", "zone", code=2).err
    )
    assert "no.jsonl: no such file" in dino("hashchain", "no.jsonl", code=2).err


def test_version_is_said_by_every_door(dino: Dino) -> None:
    """In a line, or as JSON."""
    for door in ("dino", "execute", "audit"):
        assert dino("version", door=door).out == f"dino {__version__}\n"
        assert dino("--version", door=door).out == f"dino {__version__}\n"
        told = dino("version", "--json", door=door).json
        assert (told["version"], told["journal_format"]) == (__version__, 1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(dino: Dino, shell: str) -> None:
    """Which asks dino itself."""
    assert "_DINO_COMPLETE" in dino("completion", shell).out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dino z", {"zone"}),
        ("dino zone sho", {"show"}),
        ("dino zone show P", {"Pier"}),
        ("dino zone event Pier e", {"enter", "exit"}),
        ("dino hashchain z", {"zones"}),
        ("dino sector show ", set()),
        ("dino plan-cycle --dry", {"--dry-run"}),
    ],
)
def test_a_shell_is_told_what_can_follow(
    desk: Path, dino: Dino, words: str, expected: set[str]
) -> None:
    """Commands, options, and the names that the workspace holds."""
    Workspace(desk).zones.register_zone({**ZONES[0], "name": "Pier"})
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    outcome = dino(env={"_DINO_COMPLETE": "bash_complete", **asked})
    assert {line.split(",")[1] for line in outcome.out.split()} == expected
    assert outcome.err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("zone", "show", "Moel"),
        ("zone", "event", "Moel", "enter"),
        ("zone", "event", "Mole", "entre"),
        ("zone", "event", "Mole", "enter", "--value", "nan"),
        ("zone", "remove", "Moel"),
        ("zone", "add", " ", *EDGES),
        ("zone", "add", "A", "--boundary", 1, 0, 0, 1),
        ("zone", "add", "A", "--boundary", "nan", 1, 0, 1),
        ("zone", "add", "A", *EDGES, "--sensitivity", "nan"),
        ("zone", "add", "A", *EDGES, "--capacity", -1),
        ("zone", "import", "nothing.yaml"),
        ("zone", "locate", "inf", 0),
        ("sector", "show", "Nord"),
        ("sector", "event", "Nord", "storm", "--impact", 0.5),
        ("sector", "event", "North", " ", "--impact", 0.5),
        ("sector", "event", "North", "storm", "--impact", "nan"),
        ("sector", "add", "A", "--hazard", 1.5),
        ("sector", "add", "A", "--energy-gw", "inf"),
        ("sector", "add", " "),
        ("sector", "import", "zones.yaml"),
        ("sector", "stabilise", "North", "--damping-factor", "nan"),
        ("state", "show", "moral"),
        ("state", "capture", "morale", "nan"),
        ("state", "capture", "morale", 2),
        ("state", "capture", " ", 0),
        ("state", "capture", "morale", 0, "--weight", "inf"),
        ("state", "register", "morale", "--floor", 1, "--ceiling", 0),
        ("cycle", "show", 7),
        ("cycle", "show", 0),
        ("completion", "tcsh"),
    ],
)
def test_what_a_group_refuses_changes_nothing(
    desk: Path, dino: Dino, arguments: tuple[Any, ...]
) -> None:
    """Exit 2, a line or two, and the journals as they were."""
    workspace = Workspace(desk)
    workspace.zones.register_zones(ZONES)
    for sector in SECTORS:
        workspace.sectors.upsert_sector(sector)
    before = {path.name: path.read_bytes() for path in (desk / "memory").glob("*.jsonl")}
    outcome = dino(*arguments, code=2)
    assert outcome.out == ""
    assert 1 <= len(outcome.err.splitlines()) <= 2
    assert outcome.err.startswith("dino: ")
    after = {path.name: path.read_bytes() for path in (desk / "memory").glob("*.jsonl")}
    assert after == before
