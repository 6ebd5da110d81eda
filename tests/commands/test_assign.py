"""`dino assign`, as people and programs meet it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Dino

DUTY = """
tasks:
  - {identifier: T-1, description: pump out, priority: 0.9, required_skills: [pump]}
  - {identifier: T-2, description: look after, priority: 0.5, required_skills: [check]}
  - {identifier: T-3, description: dig, priority: 0.4, required_skills: [dig]}
  - {identifier: T-4, description: check again, priority: 0.1, required_skills: [check],
     estimated_effort_hours: 6}
agents:
  - {name: Ada, skills: [pump, check], available_hours: 8, confidence: 0.9}
  - {name: Bo, skills: [check], available_hours: 8, confidence: 0.95}
rules:
  forbidden: [{task: T-4, agent: Bo}]
"""


@pytest.fixture
def planned(workspace: Path, dino: Dino) -> Path:
    (workspace / "duty.yaml").write_text(DUTY)
    dino("assign", "plan", "duty.yaml")
    return workspace


def test_a_plan_says_how_good_it_is(planned: Path, dino: Dino) -> None:
    """And is there for the next process; greedy stays available."""
    plan = dino("assign", "--json").json
    assert {a["task_id"]: a["agent"] for a in plan["assignments"]} == {"T-1": "Ada", "T-2": "Bo"}
    assert {t["task_id"]: t["cause"] for t in plan["unassigned"]} == {
        "T-3": "no_skill",
        "T-4": "hours",
    }
    assert plan["optimal"]
    assert plan["bound"] == pytest.approx(plan["value"])
    assert "proven best" in dino("assign").out
    (planned / "plain.yaml").write_text(DUTY.partition("rules:")[0])
    greedy = dino("assign", "plan", "plain.yaml", "--method", "greedy", "--json").json
    assert (greedy["method"], greedy["gap"] >= 0) == ("greedy", True)


def test_a_choice_is_explained(planned: Path, dino: Dino) -> None:
    """Who else could, at what cost; what is in the way of a task left over."""
    found = dino("assign", "explain", "T-2", "--json").json
    assert found["agents"] == ["Bo"]
    assert [(a["agent"], a["exact"]) for a in found["alternatives"]] == [("Ada", True)]
    assert found["alternatives"][0]["cost"] >= 0
    assert sum(found["parts"].values()) == pytest.approx(found["score"])
    left = dino("assign", "explain", "T-4", "--json").json
    assert {o["agent"]: o["cause"] for o in left["obstacles"]} == {
        "Ada": "hours",
        "Bo": "forbidden",
    }
    assert left["smallest"] == "Ada has 2 h more"
    assert "smallest change: Ada learns one of dig" in dino("assign", "explain", "T-3").out
    assert dino("assign", "explain", "T-9", code=2).err.startswith("dino: no task 'T-9'")


def test_the_smallest_change_places_the_task(planned: Path, dino: Dino) -> None:
    """What explain proposes, what-if confirms; nothing of it is recorded."""
    before = (planned / "memory" / "assignments.jsonl").read_bytes()
    found = dino("assign", "whatif", "--hours", "Ada=10", "--json").json
    assert found["moved"] == {"T-4": {"before": [], "after": ["Ada"]}}
    assert found["gain"] > 0
    more = dino("assign", "whatif", "--add-agent", "Cy:dig,check:12", "--json").json
    assert more["moved"]["T-3"]["after"] == ["Cy"]
    fewer = dino("assign", "whatif", "--remove-agent", "Ada", "--json").json
    assert (fewer["moved"]["T-1"]["after"], fewer["gain"] < 0) == ([], True)
    pinned = dino("assign", "whatif", "--pin", "T-2=Ada", "--forbid", "T-1=Ada", "--json").json
    assert pinned["moved"]["T-2"]["after"] == ["Ada"]
    assert "nobody" in dino("assign", "whatif", "--remove-agent", "Ada").out
    assert (planned / "memory" / "assignments.jsonl").read_bytes() == before
    for wrong in (["--hours", "Ada"], ["--hours", "Eve=3"], ["--pin", "T-2"], ["--add-agent", "x"]):
        dino("assign", "whatif", *wrong, code=2)


def test_weights_are_learned_shown_and_reverted(planned: Path, dino: Dino) -> None:
    """From what people said; the old ones are kept."""
    dino("assign", "weights", "--learn", code=2)
    dino("assign", "feedback", "accept", "T-2")
    dino("assign", "feedback", "reject", "T-1", "--reason", "too far away")
    dino("assign", "feedback", "reject", "T-3", code=2)
    learned = dino("assign", "weights", "--learn", "--json").json
    lesson = learned["lesson"]
    assert (lesson["observations"], learned["feedback"]) == (2, 2)
    assert lesson["loss_after"] <= lesson["loss_before"]
    assert sum(learned["weights"].values()) == pytest.approx(1)
    assert learned["before"] == [{"skill": 0.6, "free": 0.3, "confidence": 0.1, "focus": 0.0}]
    assert dino("assign", "weights", "--json").json["weights"] == learned["weights"]
    assert "1 before" in dino("assign", "weights").out
    reverted = dino("assign", "weights", "--revert", "--json").json
    assert (reverted["weights"], reverted["before"]) == (learned["before"][0], [])
    dino("assign", "weights", "--revert", code=2)


def test_a_past_cycle_is_planned_again(workspace: Path, dino: Dino) -> None:
    """So that it can be explained."""
    (workspace / "s.yaml").write_text(
        "zones: [{name: Mole, boundary: {min_x: 0, max_x: 1, min_y: 0, max_y: 1}}]\n"
        "sectors: [{name: North}]\n"
        "agents: [{name: Ada, skills: [pump], available_hours: 8, focus_areas: [Mole]}]\n"
        "signals: [{summary: leak, zone: Mole, sector: North, severity: 0.8,\n"
        "           required_skills: [pump], task_identifier: C-1}]\n"
    )
    dino("plan-cycle", "s.yaml")
    plan = dino("assign", "plan", "--cycle", "1", "--json").json
    assert [a["agent"] for a in plan["assignments"]] == ["Ada"]
    assert dino("assign", "explain", "C-1", "--json").json["parts"]["focus"] == 0
    dino("assign", "plan", "--cycle", "2", code=2)
    dino("assign", "plan", code=2)
    assert "nothing is planned" not in dino("assign").out


def test_a_wrong_file_is_named_with_its_line(workspace: Path, dino: Dino) -> None:
    (workspace / "duty.yaml").write_text(DUTY.replace("priority: 0.9", "priority: 9"))
    error = dino("assign", "plan", "duty.yaml", code=2).err
    assert "duty.yaml:3: $.tasks[0].priority" in error
