"""`dino trajectory`: each call is a process of its own, and sees what the ones before it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import Dino
from tests.trajectory.test_pddl import written

RULES = """\
facts: [dock, {symbol: fog, value: false}]
rules:
  - {id: sail, premises: [dock], conclusion: sea, cost: 4, bearers: [Ada]}
  - {id: row, premises: [dock], conclusion: sea, cost: 5, bearers: {Ada: 1, Ben: 1}}
  - {id: cast, premises: [sea], conclusion: fish, cost: 1, bearers: [Ben], beneficiaries: {Ada: 2}}
  - {id: deep, premises: [sea, sonar], conclusion: wreck}
"""


@pytest.fixture
def rules(workspace: Path, dino: Dino) -> Path:
    file = workspace / "rules.yaml"
    file.write_text(RULES)
    assert dino("trajectory", "rules", "import", "rules.yaml").out == "4 rules and 2 facts added\n"
    return workspace


def test_facts_and_rules_are_kept_and_change(workspace: Path, dino: Dino) -> None:
    assert dino("trajectory").out == "0 facts stated, 0 rules; 0 of 0 symbols hold\n"
    assert dino("trajectory", "facts").out.startswith("no facts yet")
    assert dino("trajectory", "rules").out.startswith("no rules yet")
    assert dino("trajectory", "facts", "add", "dock").out == "dock: true\n"
    assert dino("trajectory", "facts", "add", "tide", "2.5", "--json").json["value"] == 2.5
    assert dino("trajectory", "facts", "add", "wind", "north").out == "wind: north\n"
    add = ("trajectory", "rules", "add", "sail", "sea", "--if", "dock", "--if", "tide")
    made = dino(
        *add, "--cost", 2, "--bearer", "Ada=3", "--bearer", "Ben", "--gains", "Cy", "--json"
    )
    assert made.json == {
        "rule_id": "sail",
        "premises": ["dock", "tide"],
        "conclusion": "sea",
        "cost": 2,
        "bearers": {"Ada": 0.75, "Ben": 0.25},
        "beneficiaries": {"Cy": 1},
    }
    assert dino("trajectory", "rules", "list", "--json").json == {"rules": [made.json]}
    status = dino("trajectory", "--json").json
    assert (status["facts"], status["rules"], status["holding"]) == (3, 1, 4)
    assert dino("trajectory", "facts", "remove", "tide", "--json").json == {"removed": "tide"}
    assert dino("trajectory", "explain", "sea", "--json", code=1).json == {
        "symbol": "sea",
        "holds": False,
    }
    assert dino("trajectory", "rules", "remove", "sail").out == "rule 'sail' removed\n"
    assert dino("hashchain", "--json").json["ok"]


def test_a_plan_is_shown_with_its_proof_and_recorded(rules: Path, dino: Dino) -> None:
    out = dino("trajectory", "plan", "--goal", "fish", "--svg", "plan.svg").out
    assert out.startswith("fish: cost 5, proven least\n")
    assert "burdens: Ada 4, Ben 1; at most 4, Jain's index 0.74" in out
    assert "in every plan: cast" in out
    plan = dino("trajectory", "plan", "--goal", "fish", "--max-burden", 3.5, "--json").json
    assert (plan["cost"], plan["bound"], plan["gap"], plan["optimal"]) == (6, 6, 0, True)
    assert [step["rule_id"] for step in plan["steps"]] == ["row", "cast"]
    told = dino("trajectory", "plans", "--json").json["plans"]
    assert [(p["goals"], p["cost"]) for p in told] == [(["fish"], 6), (["fish"], 5)]
    assert plan["fold"].startswith(told[0]["path_id"])
    assert (
        dino("trajectory", "plans", "--show", 1).out.splitlines()[1].startswith(told[0]["path_id"])
    )
    root = ET.fromstring((rules / "plan.svg").read_text())
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["fish: cost 5", "dock", "sea", "fish", "sail · 4", "cast · 1"]


def test_the_front_says_what_fairness_costs(rules: Path, dino: Dino) -> None:
    front = dino("trajectory", "plan", "--goal", "fish", "--front", "--json").json
    points = [(p["cost"], p["fairness"]["max_burden"]) for p in front["plans"]]
    assert (points, front["exact"], front["knee"]) == ([(5, 4), (6, 3.5)], True, 0)
    shown = dino("trajectory", "plan", "--goal", "fish", "--front").out
    assert "all there is" in shown
    assert "no plan costs less than 5" in shown
    assert dino("trajectory", "plan", "--goal", "fish", "--front", "--max-burden", 1, code=2)


def test_why_and_why_not(rules: Path, dino: Dino) -> None:
    why = dino("trajectory", "explain", "fish", "--svg", "why.svg").out.splitlines()
    assert why == ["fish  by cast, cost 1", "└─ sea  by sail, cost 4", "   └─ dock  stated"]
    assert (rules / "why.svg").read_text().startswith("<svg")
    found = dino("trajectory", "why-not", "wreck", "--json").json
    assert (found["missing"], found["fewest"]) == (["sonar"], True)
    assert [step["rule_id"] for step in found["steps"]] == ["sail", "deep"]
    assert "missing: sonar" in dino("trajectory", "why-not", "wreck").out
    assert "why-not wreck" in dino("trajectory", "explain", "wreck", code=1).out
    assert dino("trajectory", "why-not", "fish", code=1).out == "fish holds\n"
    assert "sonar" not in dino("trajectory", "plan", "--goal", "wreck", code=1).out


def test_a_planning_task_is_imported(workspace: Path, dino: Dino) -> None:
    written(workspace)
    dino("trajectory", "rules", "import", "domain.pddl", "problem.pddl")
    assert dino("trajectory", "plan", "--goal", "goal", "--json").json["cost"] == 5.5


def test_only_the_facts_of_a_file_are_imported_where_told(workspace: Path, dino: Dino) -> None:
    (workspace / "rules.yaml").write_text(RULES)
    assert dino("trajectory", "facts", "import", "rules.yaml", "--json").json == {"facts": 2}
    assert dino("trajectory", "facts", "--json").json == {
        "facts": [{"symbol": "dock", "value": True}, {"symbol": "fog", "value": False}]
    }
    assert dino("trajectory", "rules", "--json").json == {"rules": []}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "rules:\n  - {id: a, conclusion: b}\n  - {id: a, conclusion: c}\n",
            ":3: $.rules[1]: 'a' stands twice",
        ),
        ("rules:\n  - {id: a}\n", ":2: $.rules[0]: "),
        ("rules:\n  - {id: a, conclusion: b, cost: -1}\n", ":2: $.rules[0].cost: "),
        (
            "rules:\n  - {id: a, conclusion: b, bearers: {Ada: 0}}\n",
            ":2: $.rules[0]: rule 'a': the bearers",
        ),
        ("facts: [a, a]\n", ":1: $.facts[1]: 'a' stands twice"),
        ("facts: [{symbol: a, value: [1]}]\n", "value"),
        ("rulez: []\n", "did you mean 'rules'?"),
    ],
)
def test_a_file_that_is_wrong_is_refused_whole(
    workspace: Path, dino: Dino, text: str, what: str
) -> None:
    (workspace / "wrong.yaml").write_text(text)
    assert what in dino("trajectory", "rules", "import", "wrong.yaml", code=2).err
    assert dino("trajectory", "--json").json["rules"] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan",),
        ("plan", "--goal", "fihs"),
        ("plan", "--goal", "fish", "--gap", -1),
        ("plan", "--goal", "fish", "--time-limit", "soon"),
        ("plan", "--goal", "fish", "--svg", "none/there.svg"),
        ("explain", "fihs"),
        ("facts", "remove", "fihs"),
        ("rules", "remove", "sial"),
        ("rules", "add", "r", "x", "--cost", "nan"),
        ("rules", "add", "r", "x", "--bearer", "Ada=much"),
        ("rules", "import", "rules.yaml", "rules.yaml"),
        ("rules", "import", "none.yaml"),
        ("facts", "add", " "),
    ],
)
def test_what_cannot_be_is_refused(rules: Path, dino: Dino, arguments: tuple[Any, ...]) -> None:
    before = dino("trajectory", "rules", "--json").json
    outcome = dino("trajectory", *arguments, code=2)
    assert outcome.out == ""
    assert dino("trajectory", "rules", "--json").json == before
