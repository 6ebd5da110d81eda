"""`dino plan-cycle`: from files to a plan, recorded once, and going on from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Dino
from tests.desk import SIGNAL, calls_text, contents, write_desk

REAL_CALLS = REPOSITORY.parent / "shared" / "data" / "sf-fire-calls.csv"
JOURNALS = {"cycles", "sectors", "zones"}
OF_THE_CLOCK = {"planned_at", "issued_at", "generated_at", "duration_s", "recorded"}
REPORT = {
    "scenario": str,
    "cycle": int,
    "planned_at": str,
    "recorded": bool,
    "duration_s": float,
    "source": str,
    "counts": dict,
    "quality": dict,
    "assignments": list,
    "unassigned": list,
    "tasks": list,
    "zone_snapshots": dict,
    "space_overview": dict,
    "escalations": list,
    "rejected": list,
    "enrichment": type(None),
}
PARTS = {
    "assignments": "task_id agent rationale confidence skill_match load_factor issued_at",
    "unassigned": "task_id cause reason",
    "tasks": "identifier description priority required_skills estimated_effort_hours metadata",
    "escalations": "summary zone sector severity reason",
    "rejected": "line reason",
}


def sound(dino: Dino) -> None:
    """All journals of a cycle are there and verify."""
    audit = dino("hashchain", "--json").json
    assert audit["ok"]
    assert {journal["journal"] for journal in audit["journals"]} == JOURNALS


def timeless(report: Any) -> Any:
    """A plan without what the clock says."""

    def without(item: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in item.items() if key not in OF_THE_CLOCK}

    return json.loads(json.dumps(report), object_hook=without)


def test_the_example_runs_end_to_end(duty: Path, dino: Dino) -> None:
    """Every record is a task or is reported, every task has somebody or a reason."""
    report = dino("plan-cycle", duty, "--json").json
    records = (duty.parent / "calls.csv").read_text().count("\n") - 1
    counts = report["counts"]
    assert counts["signals"] + counts["rejected"] == records == 43
    assert counts["tasks"] == counts["signals"]
    assert counts["assigned"] + counts["unassigned"] == counts["tasks"]
    assert [row["line"] for row in report["rejected"]] == [35, 40, 41, 42]
    assert all(row["reason"] for row in report["rejected"])
    assert report["recorded"]
    sound(dino)
    recalled = dino("cycle", "show", "--json").json["tasks"]
    assert {task["task_id"]: task["agent"] for task in recalled} == {
        a["task_id"]: a["agent"] for a in report["assignments"]
    }


def test_nobody_is_given_what_they_cannot_do(duty: Path, dino: Dino) -> None:
    """Within the hours of each, and with at least the share of the skills that is asked for."""
    agents = {}
    for line in (duty.parent / "agents.yaml").read_text().split("- {name: ")[1:]:
        name, _, rest = line.partition(",")
        agents[name] = float(rest.split("available_hours: ")[1].split(",")[0])
    report = dino("plan-cycle", duty, "--json", "--dry-run").json
    tasks = {task["identifier"]: task for task in report["tasks"]}
    used: dict[str, float] = {}
    for given in report["assignments"]:
        hours = tasks[given["task_id"]]["estimated_effort_hours"]
        used[given["agent"]] = used.get(given["agent"], 0) + hours
        assert given["skill_match"] >= 0.5
    assert len(used) > 10
    assert all(hours <= agents[name] + 1e-9 for name, hours in used.items())


def test_the_report_has_the_promised_keys(duty: Path, dino: Dino) -> None:
    """Programs read them; a new one may come, none may go."""
    report = dino("plan-cycle", duty, "--json", "--limit", 5).json
    assert report["quality"]["value"] <= report["quality"]["bound"]
    assert {key: type(value) for key, value in report.items()} == REPORT
    assert list(report["counts"]) == [
        *("signals", "rejected", "escalated", "tasks", "assigned", "unassigned")
    ]
    for part, keys in PARTS.items():
        assert report[part]
        assert {key for item in report[part] for key in item} == set(keys.split())
    assert set(report["space_overview"]) == {
        *("average_stability", "total_energy_output_gw"),
        *("sectors_requiring_attention", "stability"),
    }
    assert set(report["zone_snapshots"]["Mission"]) == {
        *("zone", "generated_at", "occupancy", "capacity", "utilisation", "status", "metric"),
        "tags",
    }
    assert report["planned_at"].endswith("Z")


def test_a_second_run_goes_on_from_the_first(duty: Path, dino: Dino) -> None:
    """Zones fill up and sectors are shaken further; both cycles are remembered."""
    first, second = (dino("plan-cycle", duty, "--json").json for _ in range(2))
    assert (first["cycle"], second["cycle"]) == (1, 2)
    zones = first["zone_snapshots"]
    assert any(zone["occupancy"] for zone in zones.values())
    assert {n: z["occupancy"] for n, z in second["zone_snapshots"].items()} == {
        name: 2 * zone["occupancy"] for name, zone in zones.items()
    }
    told = dino("cycle", "list", "--json").json["cycles"]
    assert [(cycle["cycle"], cycle["tasks"]) for cycle in told] == [(2, 39), (1, 39)]
    assert (
        dino("zone", "show", "Mission", "--json").json["occupancy"]
        == (second["zone_snapshots"]["Mission"]["occupancy"])
    )
    sound(dino)


def test_a_limit_leaves_the_rest_over(duty: Path, dino: Dino) -> None:
    """The most urgent are served, and the others say why they are not."""
    report = dino("plan-cycle", duty, "--limit", 5, "--dry-run", "--json").json
    assert report["counts"]["assigned"] == 5
    assert {task["cause"] for task in report["unassigned"]} == {"limit"}
    urgency = {task["identifier"]: task["priority"] for task in report["tasks"]}
    served = min(urgency[a["task_id"]] for a in report["assignments"])
    assert served >= max(urgency[task["task_id"]] for task in report["unassigned"])
    text = dino("plan-cycle", duty, "--limit", 5, "--dry-run", "--show", 3).out
    assert "Left over (34 limit)" in text
    assert "… and 2 assignments (--show 0 shows all)" in text
    assert "… and 31 left over (--show 0 shows all)" in text


def test_without_agents_a_plan_must_be_allowed(duty: Path, dino: Dino) -> None:
    """The signals are taken in all the same, and nobody is sent."""
    (duty.parent / "agents.yaml").write_text("agents: []\n")
    before = contents(duty.parents[2])
    assert "no agents" in dino("plan-cycle", duty, code=2).err
    assert contents(duty.parents[2]) == before
    report = dino("plan-cycle", duty, "--allow-unassigned", "--json").json
    assert report["counts"]["unassigned"] == 39
    assert {task["cause"] for task in report["unassigned"]} == {"no_agents"}
    sound(dino)


def test_the_horizon_decides_how_far_a_sector_looks_back(duty: Path, dino: Dino) -> None:
    """No event, no unrest."""
    calm, shaken = (
        dino("plan-cycle", duty, "--horizon", n, "--dry-run", "--json").json["space_overview"]
        for n in (0, 50)
    )
    assert calm["average_stability"] > shaken["average_stability"]
    assert all(shaken["stability"][name] <= calm["stability"][name] for name in calm["stability"])


@pytest.mark.parametrize("history", [0, 1], ids=["new-workspace", "with-history"])
def test_a_dry_run_changes_nothing(duty: Path, dino: Dino, history: int) -> None:
    """Not a byte, not a file; and it plans what the real run then plans."""
    workspace = duty.parents[2]
    for _ in range(history):
        dino("plan-cycle", duty)
    before = contents(workspace)
    rehearsed = dino("plan-cycle", duty, "--dry-run", "--json").json
    assert "dry run: nothing was recorded" in dino("plan-cycle", duty, "--dry-run").out
    assert contents(workspace) == before
    assert (workspace / "memory").exists() == bool(history)
    assert not rehearsed["recorded"]
    assert timeless(dino("plan-cycle", duty, "--json").json) == timeless(rehearsed)


def test_the_counts_are_in_good_english(desk: Path, dino: Dino) -> None:
    """One record, two records."""

    def told(*calls: dict[str, str]) -> str:
        (desk / "calls.csv").write_text(calls_text(calls))
        return dino("plan-cycle", "scenario.yaml", "--dry-run").out.splitlines()[1]

    flood = {"kind": "flood"}
    assert told({}, flood).startswith("1 signal from calls.csv, 1 record rejected, 1 assigned")
    assert told({}, {"id": "C-2"}, flood, flood).startswith(
        "2 signals from calls.csv, 2 records rejected, 2 assigned"
    )
    assert told({}) == "1 signal from calls.csv, 1 assigned, 0 left over, 1 escalated"


def test_two_runs_at_once_are_one_after_the_other(
    desk: Path, dino: Dino, started: Callable[..., Popen[str]]
) -> None:
    """Neither is lost, neither shares a number."""
    write_desk(desk, signals=[SIGNAL] * 5)
    running = [started("plan-cycle", "scenario.yaml", "--json") for _ in range(4)]
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert sorted(report["cycle"] for report in reports) == [1, 2, 3, 4]
    assert dino("zone", "show", "Mole", "--json").json["occupancy"] == 20
    sound(dino)


@pytest.mark.skipif(not REAL_CALLS.exists(), reason="the real records are not part of the project")
def test_every_real_record_is_a_signal_or_is_reported(duty: Path, dino: Dino) -> None:
    """A thousand calls of the San Francisco Fire Department, through the example's map."""
    here = duty.parent
    report = dino(
        *("plan-cycle", "--signals", REAL_CALLS, "--map", here / "map.yaml"),
        *("--zones", here / "zones.yaml", "--sectors", here / "sectors.yaml"),
        *("--agents", here / "agents.yaml", "--json"),
    ).json
    records = REAL_CALLS.read_text().count("\n") - 1
    read = {task["metadata"]["line"] for task in report["tasks"]}
    rejected = {row["line"]: row["reason"] for row in report["rejected"]}
    assert report["counts"]["signals"] + report["counts"]["rejected"] == records == 1000
    assert read | set(rejected) == set(range(2, records + 2))
    assert not read & set(rejected)
    assert all(rejected.values())
    assert report["counts"]["assigned"] + report["counts"]["unassigned"] == len(read)
    sound(dino)
    assert len(dino("cycle", "show", "1", "--json").json["tasks"]) == len(read)


def test_every_record_of_a_messy_file_is_accounted_for(desk: Path, dino: Dino) -> None:
    """Whatever is in it, each line is a signal or has a reason."""
    odd = ["", "-", "NaN", "fire", "1e5", "1_0", "Mole", "🚒", "'; drop", "2", "0.5", "\x07", " "]
    calls = [
        {"id": f"C-{n // 2}", field: odd[(n * 7 + place) % len(odd)]}
        for n in range(120)
        for place, field in enumerate(("place", "net", "kind", "hours", "seen", "lon", "lat"))
        if n % 7 == place
    ]
    (desk / "calls.csv").write_text(calls_text(calls))
    report = dino("plan-cycle", "scenario.yaml", "--json").json
    read = [task["metadata"]["line"] for task in report["tasks"]]
    rejected = [row["line"] for row in report["rejected"]]
    assert sorted(read + rejected) == list(range(2, len(calls) + 2))
    assert read
    assert rejected == sorted(rejected)
    assert all(row["reason"] for row in report["rejected"])
    sound(dino)
