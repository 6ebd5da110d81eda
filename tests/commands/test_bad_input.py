"""Bad input to `dino plan-cycle`: a line or two that say where, exit 2, and nothing recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dino_os.workspace import Workspace
from tests.conftest import Dino
from tests.desk import AGENTS, CALL, SECTORS, SIGNAL, ZONES, calls_text, contents, map_text

COMMAND = ("plan-cycle", "scenario.yaml")
EDGES = ZONES[0]["boundary"]
INF, NAN = float("inf"), float("nan")


def yaml(part: str, *items: dict[str, Any]) -> str:
    """A file with one item on each line: the items begin on line 2."""
    return f"{part}:\n" + "".join(f"- {_flow(item)}\n" for item in items)


def _flow(item: dict[str, Any]) -> str:
    text = json.dumps(item)
    return text.replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")


def zone(**changes: Any) -> str:
    return yaml("zones", ZONES[0], {**ZONES[1], **changes})


def sector(**changes: Any) -> str:
    return yaml("sectors", SECTORS[0], {**SECTORS[1], **changes})


def agent(**changes: Any) -> str:
    return yaml("agents", AGENTS[0], {**AGENTS[1], **changes})


def ready(**changes: Any) -> str:
    return yaml("signals", SIGNAL, {**SIGNAL, **changes})


def route(**changes: Any) -> list[dict[str, Any]]:
    return [{"identifier": "r", "origin": "a", "destination": "b", **changes}]


def nested(depth: int) -> dict[str, Any]:
    return {"in": nested(depth - 1)} if depth else {}


FILES = [
    # file, what it holds (None: it is not there), what is said
    ("scenario.yaml", None, "scenario.yaml: no such file"),
    ("zones.yaml", None, "zones.yaml: no such file"),
    ("map.yaml", None, "map.yaml: no such file"),
    ("calls.csv", None, "calls.csv: no such file"),
    ("scenario.yaml", "", "scenario.yaml: the file is empty"),
    ("zones.yaml", "", "zones.yaml: the file is empty"),
    ("zones.yaml", b"zones:\n- {name: K\xf6ln}\n", "zones.yaml:2: not UTF-8 (byte 0xf6)"),
    ("scenario.yaml", "name: 'x\n", "scenario.yaml:2: not YAML: "),
    ("zones.yaml", "zones:\n  - {name: [}\n", "zones.yaml:2: not YAML: "),
    ("sectors.yaml", "sectors:\n\t- x\n", "sectors.yaml:2: not YAML: "),
    ("agents.yaml", "- {name: A}\nname: B\n", "agents.yaml:2: not YAML: "),
    ("map.yaml", "!!python/object/apply:os.system [ls]", "map.yaml:1: not YAML: "),
    ("calls.csv", 'id\n"', "calls.csv:2: not CSV: unexpected end of data"),
    ("calls.csv", "id\n1,2\n", "calls.csv:2: 2 fields, but the header names 1"),
    ("map.yaml", map_text(sector="nett"), "no column 'nett' (did you mean 'net'?)"),
    ("map.yaml", map_text(summary='"{Kind}"'), "$.summary: calls.csv has no column 'Kind'"),
    ("map.yaml", map_text(sektor="net"), "$.sektor: no such setting (did you mean 'sector'?)"),
    ("zones.yaml", zone(capacity=-1), "zones.yaml:3: $.zones[1].capacity: expected int >= 0"),
    ("zones.yaml", zone(capacity=1.5), "zones.yaml:3: $.zones[1].capacity: expected int"),
    ("zones.yaml", zone(sensitivity=NAN), "$.zones[1].sensitivity: must be a finite number"),
    ("zones.yaml", zone(sensitivity=1.01), "$.zones[1].sensitivity: expected float <= 1.0"),
    ("zones.yaml", zone(name=""), "zones.yaml:3: $.zones[1].name: expected str of length >= 1"),
    ("zones.yaml", zone(name=" "), "zones.yaml:3: $.zones[1].name: expected str matching"),
    ("zones.yaml", zone(name="Mole"), "$.zones[1].name: 'Mole' is taken already, by line 2"),
    ("zones.yaml", zone(name=" Mole "), "$.zones[1].name: 'Mole' is taken already, by line 2"),
    (
        "zones.yaml",
        zone(boundary={**EDGES, "max_x": -1}),
        "$.zones[1]: boundary upside down: min_x",
    ),
    ("zones.yaml", zone(boundary={**EDGES, "max_z": -1}), "boundary upside down: min_z 0 > max_z"),
    ("zones.yaml", zone(boundary={**EDGES, "max_x": INF}), "$.zones[1].boundary.max_x: must be a"),
    (
        "zones.yaml",
        zone(boundary={"min_x": 0}),
        "zones.yaml:3: $.zones[1].boundary: object missing",
    ),
    ("sectors.yaml", sector(hazard_index=-0.1), "$.sectors[1].hazard_index: expected float >= 0"),
    ("sectors.yaml", sector(energy_output_gw=INF), "$.sectors[1].energy_output_gw: must be a fin"),
    (
        "sectors.yaml",
        sector(name="North"),
        "$.sectors[1].name: 'North' is taken already, by line 2",
    ),
    ("sectors.yaml", sector(routes=route(stability=2)), "$.sectors[1].routes[0].stability: expec"),
    ("sectors.yaml", sector(bodies=[{"name": "a", "kind": "pier"}]), "'pier' is none of planet"),
    (
        "agents.yaml",
        agent(skills=[]),
        "agents.yaml:3: $.agents[1].skills: expected array of length",
    ),
    ("agents.yaml", agent(skills="pump"), "agents.yaml:3: $.agents[1].skills: expected array"),
    ("agents.yaml", agent(skills=[" "]), "agents.yaml:3: $.agents[1].skills[0]: expected str"),
    ("agents.yaml", agent(available_hours=NAN), "$.agents[1].available_hours: must be a finite"),
    ("agents.yaml", agent(available_hours=-1), "$.agents[1].available_hours: expected float >= 0"),
    ("agents.yaml", agent(available_hours="8"), "$.agents[1].available_hours: expected float, fou"),
    ("agents.yaml", agent(name="Ada"), "$.agents[1].name: 'Ada' is taken already, by line 2"),
    (
        "agents.yaml",
        agent(skils=["x"]),
        "$.agents[1].skils: no such setting (did you mean 'skills'",
    ),
    ("agents.yaml", "agents: []\n", "there are signals but no agents to answer them"),
    ("zones.yaml", zone(metadata=nested(300)), "$.zones[1].metadata: nested more than 254 deep"),
    ("zones.yaml", yaml("zone", ZONES[0]), "$.zone: no such setting (did you mean 'zones'?)"),
]
SIGNALS = [
    (ready(severity=NAN), "signals.yaml:3: $.signals[1].severity: must be a finite number"),
    (ready(severity=-0.1), "signals.yaml:3: $.signals[1].severity: expected float >= 0.0"),
    (ready(severity=True), "signals.yaml:3: $.signals[1].severity: expected float, found True"),
    (ready(summary=""), "signals.yaml:3: $.signals[1].summary: expected str of length >= 1"),
    (ready(estimated_effort_hours=0), "$.signals[1].estimated_effort_hours: expected float > 0"),
    (ready(timestamp="noon"), "signals.yaml:3: $.signals[1].timestamp: invalid RFC3339"),
    (ready(timestamp="0001-01-01T00:00:00+14:00"), "signals.yaml:3: $.signals[1]: a time out of"),
    (ready(metadata={"a": [INF]}), "signals.yaml:3: $.signals[1].metadata.a[0]: must be a finite"),
    (ready(metadata=nested(300)), "signals.yaml:3: $.signals[1].metadata: nested more than"),
    (ready(zone="Mola"), "signal 'smoke': no zone named 'Mola' (did you mean 'Mole'?)"),
    (ready(sector="West"), "signal 'smoke': no sector named 'West'"),
    (yaml("signals", *[{**SIGNAL, "task_identifier": "T"}] * 2), "the identifier 'T' is taken"),
]
LINES = [
    ({"severity": 2}, "signals.jsonl:2: $.severity: expected float <= 1.0, found 2"),
    ({"summry": "x"}, "signals.jsonl:2: $.summry: no such setting (did you mean 'summary'?)"),
    ({"estimated_effort_hours": INF}, "signals.jsonl:2: not JSON: Infinity is not a finite number"),
    ({"summary": "\ud83d"}, "signals.jsonl:2: not JSON: half a surrogate pair"),
    ({"timestamp": "9999-12-31T23:59:59-14:00"}, "signals.jsonl:2: $: a time out of range"),
]
OPTIONS = [
    ((), "name a SCENARIO file, or records with --signals"),
    (("--signals", "calls.csv"), "calls.csv: records need a map"),
    (("--map", "map.yaml"), "name a SCENARIO file"),
    ((*COMMAND[1:], "--map", "map.yaml"), "--map says what the columns of --signals mean"),
    ((*COMMAND[1:], "--limit", "-1"), "-1 is not in the range x>=0"),
    ((*COMMAND[1:], "--limit", "1.5"), "'1.5' is not a valid integer"),
    ((*COMMAND[1:], "--horizon", "-1"), "-1 is not in the range x>=0"),
    ((*COMMAND[1:], "--min-skill-match", "2"), "is not in the range 0<=x<=1"),
    ((*COMMAND[1:], "--min-skill-match", "nan"), "nan is not in the range 0<=x<=1"),
    ((*COMMAND[1:], "--limt", "1"), "No such option"),
    (("one.yaml", "two.yaml"), "unexpected extra argument"),
]


def refused(desk: Path, dino: Dino, arguments: tuple[str, ...], said: str) -> None:
    """The command exits 2 with a line or two on standard error and leaves everything as it was."""
    before = contents(desk)
    outcome = dino("plan-cycle", *arguments, code=2)
    assert outcome.out == ""
    assert said in outcome.err
    assert len(outcome.err.splitlines()) <= 2
    assert outcome.err.startswith("dino: ")
    assert contents(desk) == before


@pytest.mark.parametrize(("name", "holds", "said"), FILES)
def test_a_bad_file_is_told_by_its_place(
    desk: Path, dino: Dino, name: str, holds: str | bytes | None, said: str
) -> None:
    """Whatever is wrong with it; what was recorded before stays as it was."""
    Workspace(desk).zones.register_zone({"name": "Known", "boundary": EDGES})
    if holds is None:
        (desk / name).unlink()
    else:
        (desk / name).write_bytes(holds.encode() if isinstance(holds, str) else holds)
    refused(desk, dino, COMMAND[1:], said)


@pytest.mark.parametrize(("holds", "said"), SIGNALS)
def test_a_bad_signal_is_told_by_its_place(desk: Path, dino: Dino, holds: str, said: str) -> None:
    """Signals that are ready are held to their scales; what names no place names itself."""
    (desk / "signals.yaml").write_text(holds)
    refused(desk, dino, (*COMMAND[1:], "--signals", "signals.yaml"), said)


@pytest.mark.parametrize(("changes", "said"), LINES)
def test_a_bad_line_of_signals_is_told_by_its_place(
    desk: Path, dino: Dino, changes: dict[str, Any], said: str
) -> None:
    """One object on each line."""
    lines = (SIGNAL, {**SIGNAL, **changes})
    (desk / "signals.jsonl").write_text("\n".join(map(json.dumps, lines)))
    refused(desk, dino, (*COMMAND[1:], "--signals", "signals.jsonl"), said)


@pytest.mark.parametrize(("arguments", "said"), OPTIONS)
def test_a_bad_option_is_told_by_its_name(
    desk: Path, dino: Dino, arguments: tuple[str, ...], said: str
) -> None:
    """And the hint is where to read on."""
    refused(desk, dino, arguments, said)


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("no.yaml",), "invalid_input", None),
        ((), "usage", "`dino plan-cycle --help` shows how it is used"),
    ],
)
def test_a_program_is_told_in_json(
    dino: Dino, arguments: tuple[str, ...], code: str, hint: str | None
) -> None:
    """The kind of the error, the message that people read, and the hint."""
    told = dino("plan-cycle", *arguments, code=2).err
    error = dino("plan-cycle", *arguments, "--json", code=2).error
    assert (error["code"], error["hint"]) == (code, hint)
    assert told.startswith(f"dino: {error['message']}\n")
    assert set(error) == {"code", "message", "hint"}


def test_what_would_move_the_cursor_is_not_printed(desk: Path, dino: Dino) -> None:
    """A file's text is text, even where it is a terminal's command."""
    evil = "\x1b[2J\u202e\x07"
    (desk / "calls.csv").write_text(calls_text([{"kind": evil}, {"id": evil}]))
    out = dino("plan-cycle", "scenario.yaml", "--dry-run").out
    assert "␛[2J" in out or "\\x1b[2J" in out
    assert not set("\x1b\u202e\x07") & set(out)
    (desk / "map.yaml").write_text(map_text(severity=f"{{column: {json.dumps(evil)}}}"))
    error = dino("plan-cycle", "scenario.yaml", code=2).err
    assert not set("\x1b\u202e\x07") & set(error)


def test_the_record_in_the_example_is_good(desk: Path, dino: Dino) -> None:
    """What the table above changes is all that is wrong in it."""
    (desk / "signals.yaml").write_text(ready())
    for part, text in (("zones", zone()), ("sectors", sector()), ("agents", agent())):
        (desk / f"{part}.yaml").write_text(text)
    assert dino(*COMMAND, "--json").json["counts"]["signals"] == 2
    assert dino(*COMMAND, "--signals", "signals.yaml", "--json").json["counts"]["signals"] == 2
    assert list(CALL) == (desk / "calls.csv").read_text().splitlines()[0].split(",")
