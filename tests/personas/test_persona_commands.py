"""`dino persona`, and cycles whose signals a model had a part in; real HTTP to a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dino_os.workspace import Workspace
from tests.conftest import Dino
from tests.cycles.duty import ADA, CALLS, write_duty
from tests.desk import calls_text, contents, map_text, write_desk
from tests.models.scripted import ScriptedServer, Text

TOKEN = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0xR2uLk"
SAID = {
    "summary": "smoke on the quay",
    "skills": ["check", "root"],
    "severity": 1.0,
    "argument": "it is a fire",
    "evidence": "fire",
}


def says(body: dict[str, Any]) -> Text:
    """The same of each record, but that it knows which one it is."""
    (record,) = (m["content"] for m in body["messages"] if m["role"] == "user")
    assert record.startswith("<data-")
    name = "C-1" if '"column id": "C-1"' in record else "another"
    return Text(json.dumps({**SAID, "summary": f"seen of {name}"}))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(always=says) as server:
        yield server


Settle = Callable[..., Path]


@pytest.fixture
def settle(workspace: Path, server: ScriptedServer) -> Settle:
    """Write a desk whose first call names no skills, and settings with the server as a model."""

    def settle(url: str = "", **personas: Any) -> Path:
        scenario = write_desk(workspace)
        (workspace / "map.yaml").write_text(
            map_text(skills="{column: kind, table: {fire: [], alarm: [check]}}")
        )
        calls = [{}, {"id": "C-2", "kind": "alarm", "place": "Quay", "net": "South"}]
        head, *rows = calls_text(calls).splitlines()
        text = "\n".join([f"{head},note", *(f"{row},token {TOKEN}" for row in rows)])
        (workspace / "calls.csv").write_text(text)
        provider = {"name": "near", "base_url": url or server.url, "model": "scripted-1"}
        settings = {"llm": {"providers": [provider]}, "personas": personas}
        (workspace / "config.yaml").write_text(json.dumps(settings))
        return scenario

    return settle


ON = {"research": {"model": True}, "execution": {"model": True}, "risk": {"model": True}}


def test_a_cycle_says_what_a_model_changed(
    dino: Dino, workspace: Path, settle: Settle, server: ScriptedServer
) -> None:
    """In its report, in its record and in the agent log, field by field."""
    risk = {"model": True, "severity_band": 0.05}
    scenario = settle(**{**ON, "risk": risk})
    report = dino("plan-cycle", scenario, "--json").json
    told = report["enrichment"]
    assert told["asked"] == 2
    assert told["fallbacks"] == []
    changes = [
        (c["signal"], c["persona"], c["field"], c["before"], c["after"]) for c in told["changes"]
    ]
    assert changes == [
        ("C-1", "research", "summary", "fire at Mole", "fire at Mole; seen of C-1"),
        ("C-1", "execution", "required_skills", [], ["check"]),
        ("C-1", "risk", "argument", None, "it is a fire"),
        ("C-1", "risk", "severity", pytest.approx(0.9, abs=0.02), pytest.approx(0.95, abs=0.02)),
        ("C-2", "research", "summary", "alarm at Quay", "alarm at Quay; seen of another"),
        ("C-2", "risk", "argument", None, "it is a fire"),
    ]
    assert {(c["provider"], c["model"], c["run"]) for c in told["changes"]} == {
        ("near", "scripted-1", told["run"])
    }
    assert {row["reason"] for row in told["refused"]} == {
        "skills: some are no agent's",
        f"severity: it ends with the band, at {told['changes'][3]['after']:g}",
        "severity: its evidence is not in the record",
    }
    (first, second) = dino("cycle", "show", "--json").json["tasks"]
    assert [c["field"] for c in first["metadata"]["enriched"]] == [
        *("summary", "required_skills", "argument", "severity")
    ]
    assert second["summary"] == "alarm at Quay; seen of another"
    assert "What a model changed" in dino("cycle", "show").out
    run = Workspace(workspace).agent_log.run(told["run"])
    assert (run.kind, run.outcome, run.spent.calls) == ("persona", "ok", 2)
    assert len(server.bodies) == 2
    assert server.bodies[0]["response_format"]["type"] == "json_schema"
    assert b"column note" in server.sent
    assert TOKEN.encode() not in server.sent


def test_a_configured_cycle_says_so_too(
    dino: Dino, workspace: Path, settle: Settle, server: ScriptedServer
) -> None:
    settle(research={"model": True})
    alone = {"agents": [ADA]}
    write_duty(workspace, **alone)
    report = dino("cycle", "run", "--json").json
    assert report["enrichment"]["asked"] == len(server.bodies) == 2
    first = dino("cycle", "show", "--json").json["tasks"][0]["metadata"]
    assert first["feed"] == "calls"
    assert [change["persona"] for change in first["enriched"]] == ["research"]


def test_records_of_earlier_cycles_take_no_place_among_the_gravest(
    dino: Dino, workspace: Path, settle: Settle, server: ScriptedServer
) -> None:
    """A file that grows: what was planned before is read again, and shown to no model."""
    settle(research={"model": True}, most=1)
    write_duty(workspace, agents=[ADA], sources=[{**CALLS, "done": "remember-records"}])
    assert dino("cycle", "run", "--json").json["enrichment"]["asked"] == 1
    milder = calls_text([{}, {"id": "C-9", "kind": "alarm"}])
    (workspace / "calls.csv").write_text(milder)
    told = dino("cycle", "run", "--json").json["enrichment"]
    assert [change["signal"] for change in told["changes"]] == ["C-9"]
    assert len(server.bodies) == 2


def test_unasked_no_model_is(dino: Dino, settle: Settle, server: ScriptedServer) -> None:
    """By default, in a rehearsal, and where it was said."""
    scenario = settle()
    assert dino("plan-cycle", scenario, "--json").json["enrichment"] is None
    settle(**ON)
    assert dino("plan-cycle", scenario, "--dry-run", "--json").json["enrichment"] is None
    shown = dino("persona", "run", scenario, "--no-model", "--json").json
    assert shown["enrichment"] is None
    assert all(pair["deterministic"] == pair["enriched"] for pair in shown["signals"])
    assert server.requests == []


def test_both_results_stand_side_by_side_and_nothing_is_planned(
    dino: Dino, workspace: Path, settle: Settle
) -> None:
    scenario = settle()
    found = dino("persona", "run", scenario, "--persona", "execution", "--json").json
    pairs = [(pair["deterministic"], pair["enriched"]) for pair in found["signals"]]
    assert [a["task_id"] for a, _ in pairs] == ["C-1", "C-2"]
    assert (pairs[0][0]["required_skills"], pairs[0][1]["required_skills"]) == ([], ["check"])
    assert pairs[1][0] == pairs[1][1]
    assert {c["persona"] for c in found["enrichment"]["changes"]} == {"execution"}
    assert not (workspace / "memory" / "cycles.jsonl").exists()
    text = dino("persona", "run", scenario).out
    assert "seen of C-1; because it is a fire" in text
    assert "execution  required_skills  none" in text


def test_a_model_that_is_gone_leaves_the_plan_as_it_would_be(
    dino: Dino, workspace: Path, settle: Settle
) -> None:
    """Asked once; the reason is told, and the record holds nothing of a model."""
    scenario = settle()
    plain = dino("plan-cycle", scenario, "--dry-run", "--json").json
    settle("http://127.0.0.1:9/v1", **ON)
    report = dino("plan-cycle", scenario, "--json").json
    for part in ("assignments", "unassigned", "tasks", "escalations"):
        for one, other in zip(report[part], plain[part], strict=True):
            assert {**one, "issued_at": ""} == {**other, "issued_at": ""}
    told = report["enrichment"]
    assert (told["asked"], told["changes"]) == (1, [])
    reasons = [one["reason"] for one in told["fallbacks"]]
    assert len(reasons) == 2
    assert reasons[1] == f"not asked: {reasons[0]}"
    (run,) = Workspace(workspace).agent_log.runs()
    assert (run.outcome, run.error) == ("error", reasons[0])


def test_personas_are_listed_shown_and_configured(dino: Dino, workspace: Path) -> None:
    before = contents(workspace)
    listed = dino("persona", "--json").json["personas"]
    assert [(p["persona"], p["model"]) for p in listed] == [
        *(("research", False), ("execution", False), ("risk", False))
    ]
    assert contents(workspace) == before
    dino("persona", "configure", "risk", "--model", "on", "--severity-band", "0.2")
    shown = dino("persona", "show", "risk", "--json").json
    assert (shown["model"], shown["severity_band"]) == (True, 0.2)
    dino("persona", "configure", "risk", "--model", "off")
    assert "a model is not asked" in dino("persona", "show", "risk").out
    dino("persona", "configure", "research", "--severity-band", "0.2", code=2)
    dino("persona", "configure", "research", code=2)
    dino("persona", "run", code=2)
