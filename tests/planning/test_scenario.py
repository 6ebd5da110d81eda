"""Scenarios: parts in files or lists, where files are looked for, and which option counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Dino
from tests.desk import AGENTS, SECTORS, SIGNAL, ZONES, write_desk
from tests.planning.conftest import Plan

FIRES = [{**SIGNAL, "summary": f"fire {n}", "task_identifier": f"F-{n}"} for n in range(3)]


def plan_parts(report: Any) -> dict[str, Any]:
    """What does not differ from run to run."""
    timeless = [{**a, "issued_at": None} for a in report["assignments"]]
    return {"counts": report["counts"], "tasks": report["tasks"], "assignments": timeless}


def test_a_part_may_be_a_list_or_a_file(desk: Path, plan: Plan) -> None:
    """Said in the scenario itself, the same plan comes out."""
    (desk / "fires.yaml").write_text(json.dumps({"signals": FIRES}))
    (desk / "fires.jsonl").write_text("\n".join(map(json.dumps, FIRES)))
    (desk / "bare.yaml").write_text(json.dumps(FIRES))
    write_desk(desk, zones=ZONES, sectors=SECTORS, agents=AGENTS, signals=FIRES)
    in_place = plan_parts(plan().json)
    assert in_place["counts"]["signals"] == 3
    for name in ("fires.yaml", "fires.jsonl", "bare.yaml"):
        write_desk(desk, signals=name)
        assert plan_parts(plan().json) == in_place


def test_files_are_looked_for_beside_the_scenario(desk: Path, plan: Plan, dino: Dino) -> None:
    """Whatever the current folder is; options are taken from where one stands."""
    inner = desk / "desk"
    inner.mkdir()
    (inner / "calls").mkdir()
    write_desk(inner, signals={"file": "calls/of-today.csv", "map": "../map.yaml"})
    (inner / "calls.csv").rename(inner / "calls" / "of-today.csv")
    for name in ("zones", "sectors", "agents", "scenario"):
        (desk / f"{name}.yaml").unlink()
    assert plan(scenario="desk/scenario.yaml").json["counts"]["signals"] == 2
    (desk / "here").mkdir()
    (desk / "here" / "mine.yaml").write_text(json.dumps(FIRES))
    command = ("plan-cycle", "../desk/scenario.yaml", "--dry-run", "--json")
    outcome = dino(*command, "--signals", "mine.yaml", cwd=desk / "here")
    assert outcome.json["counts"]["signals"] == 3


def test_an_option_comes_before_the_scenarios_part(desk: Path, plan: Plan) -> None:
    """Each file by its own option; the other parts stay."""
    (desk / "fires.yaml").write_text(json.dumps(FIRES))
    (desk / "carl.yaml").write_text(
        json.dumps([{"name": "Carl", "skills": ["pump"], "available_hours": 2}])
    )
    report = plan("--signals", "fires.yaml", "--agents", "carl.yaml").json
    assert report["counts"] == {
        "signals": 3,
        "rejected": 0,
        "escalated": 0,
        "tasks": 3,
        "assigned": 1,
        "unassigned": 2,
    }
    assert [a["agent"] for a in report["assignments"]] == ["Carl"]
    (desk / "west.yaml").write_text(json.dumps([{"name": "West"}]))
    message = plan("--sectors", "west.yaml", "--signals", "fires.yaml", code=2).error["message"]
    assert message == "signal 'fire 0': no sector named 'North'"


def test_without_a_scenario_the_files_are_one(desk: Path, dino: Dino) -> None:
    """Named after its records."""
    files = [f for name in ("zones", "sectors", "agents") for f in (f"--{name}", f"{name}.yaml")]
    records = ("--signals", "calls.csv", "--map", "map.yaml")
    report = dino("plan-cycle", *records, *files, "--dry-run", "--json").json
    assert (report["scenario"], report["counts"]["signals"]) == ("calls", 2)


def test_what_the_workspace_knows_need_not_be_named(desk: Path, dino: Dino) -> None:
    """Zones and sectors that were registered before."""
    dino("zone", "import", "zones.yaml")
    dino("sector", "import", "sectors.yaml")
    records = ("--signals", "calls.csv", "--map", "map.yaml", "--agents", "agents.yaml")
    assert dino("plan-cycle", *records, "--json").json["counts"]["assigned"] == 2


@pytest.mark.parametrize(
    ("scenario", "options", "assigned"),
    [
        ({}, (), 3),
        ({"limit": 2}, (), 2),
        ({"limit": 2}, ("--limit", 1), 1),
        ({"limit": 2}, ("--limit", 0), 0),
        ({"limit": 0}, (), 0),
        ({"limit": None}, (), 3),
    ],
)
def test_the_limit_is_the_options_then_the_scenarios(
    desk: Path, plan: Plan, scenario: dict[str, Any], options: tuple[Any, ...], assigned: int
) -> None:
    """What is left over says that the limit was the cause."""
    write_desk(desk, signals=FIRES, options=scenario)
    report = plan(*options).json
    assert report["counts"]["assigned"] == assigned
    assert {task["cause"] for task in report["unassigned"]} <= {"limit"}


@pytest.mark.parametrize(
    ("config", "scenario", "options", "assigned"),
    [
        (None, None, (), 3),
        (0.8, None, (), 0),
        (0.8, 0.5, (), 3),
        (None, 0.8, (), 0),
        (0.0, 0.8, ("--min-skill-match", 0.5), 3),
        (None, 0.0, ("--min-skill-match", 1), 0),
    ],
)
def test_the_skill_match_is_the_options_the_scenarios_then_the_workspaces(
    desk: Path,
    plan: Plan,
    config: float | None,
    scenario: float | None,
    options: tuple[Any, ...],
    *,
    assigned: int,
) -> None:
    """Ada has one of the two skills that the fires ask for."""
    if config is not None:
        (desk / "config.yaml").write_text(f"planning: {{min_skill_match: {config}}}\n")
    fires = [{**fire, "required_skills": ["pump", "boat"]} for fire in FIRES]
    write_desk(desk, signals=fires, options={"min_skill_match": scenario})
    assert plan(*options).json["counts"]["assigned"] == assigned


def test_the_horizon_is_the_options_the_scenarios_then_the_workspaces(
    desk: Path, plan: Plan
) -> None:
    """Over no event a sector is as calm as it ever was."""

    def stability(*options: object) -> float:
        value: float = plan(*options).json["space_overview"]["stability"]["North"]
        return value

    write_desk(desk, signals=FIRES)
    shaken = stability()
    write_desk(desk, signals=FIRES, options={"horizon": 0})
    calm = stability()
    assert calm > shaken
    assert stability("--horizon", 5) == shaken
    write_desk(desk, signals=FIRES)
    (desk / "config.yaml").write_text("planning: {horizon: 0}\n")
    assert stability() == calm
    assert stability("--horizon", 5) == shaken


@pytest.mark.parametrize(
    ("options", "escalated", "occupied"),
    [
        ({}, 0, 3),
        ({"critical_threshold": 0.8}, 3, 3),
        ({"alert_threshold": 0.95, "critical_threshold": 0.1}, 0, 0),
    ],
)
def test_the_thresholds_are_the_scenarios(
    desk: Path, plan: Plan, options: dict[str, float], escalated: int, occupied: int
) -> None:
    """The critical one is never below the other."""
    write_desk(desk, signals=FIRES, options=options)
    report = plan().json
    assert report["counts"]["escalated"] == escalated
    assert report["zone_snapshots"]["Mole"]["occupancy"] == occupied


@pytest.mark.parametrize(
    ("options", "code"),
    [(None, 2), ({"allow_unassigned": False}, 2), ({"allow_unassigned": True}, 0)],
)
def test_a_plan_without_agents_is_a_wish_that_must_be_said(
    desk: Path, plan: Plan, options: dict[str, bool] | None, code: int
) -> None:
    """In the scenario, or on the command line."""
    write_desk(desk, agents=[], signals=FIRES, options=options or {})
    outcome = plan(code=code)
    if code:
        assert "--allow-unassigned" in outcome.error["hint"]
    else:
        assert outcome.json["counts"]["unassigned"] == 3
    assert plan("--allow-unassigned").json["counts"]["unassigned"] == 3


def test_metadata_becomes_what_a_journal_can_hold(desk: Path, dino: Dino) -> None:
    """YAML has dates, numbers as names and raw bytes; JSON has none of them."""
    wild = "{since: 2027-01-15, 7: {8: x}, seen: 2027-01-15T10:00:00Z, raw: !!binary aGk=}"
    (desk / "zones.yaml").write_text(
        "- name: Mole\n  boundary: {min_x: 0, max_x: 1, min_y: 0, max_y: 1}\n"
        f"  metadata: {wild}\n"
    )
    (desk / "fires.yaml").write_text(
        "- {summary: fire, zone: Mole, sector: North, severity: 0.5, "
        f"required_skills: [pump], metadata: {wild}}}\n"
    )
    outcome = dino(
        *("plan-cycle", "--signals", "fires.yaml", "--zones", "zones.yaml"),
        *("--sectors", "sectors.yaml", "--agents", "agents.yaml", "--json"),
    )
    metadata = outcome.json["tasks"][0]["metadata"]
    assert metadata["since"] == "2027-01-15"
    assert metadata["7"] == {"8": "x"}
    assert dino("hashchain", "--json").json["ok"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"zones": None}, "scenario.yaml:1: $.zones: expected str | array, found None"),
        ({"zones": "no.yaml"}, "no.yaml: no such file"),
        ({"agents": ["Ada"]}, "scenario.yaml:1: $.agents[0]: expected object, found 'Ada'"),
        ({"options": {"limt": 3}}, "$.options.limt: no such setting (did you mean 'limit'?)"),
        ({"signals": {"file": "calls.csv"}}, "calls.csv: records need a map"),
        ({"signals": {"map": "map.yaml"}}, "$.signals: "),
        ({"signal": []}, "$.signal: no such setting (did you mean 'signals'?)"),
        ({"signals": [{**SIGNAL, "severity": 1.5}]}, "$.signals[0].severity: expected float <= 1"),
    ],
)
def test_a_bad_scenario_is_refused_where_it_is_bad(
    desk: Path, plan: Plan, parts: dict[str, Any], message: str
) -> None:
    """File, line and path, and what would do."""
    write_desk(desk, **parts)
    assert message in plan(code=2).error["message"]
