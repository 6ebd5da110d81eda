"""The skills that come with Dino do their work in a workspace just made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dino_os.errors import NotFound
from skills.duty_summary import duty_summary
from tests.conftest import REPOSITORY, Dino
from tests.desk import calls_text, write_desk
from tests.models.scripted import ScriptedServer, Text


@pytest.fixture
def fresh(dino: Dino, tmp_path: Path) -> Path:
    """What `dino init` makes."""
    folder = tmp_path / "station-7"
    dino("init", folder)
    return folder


def test_a_new_workspace_lists_its_skills(dino: Dino, fresh: Path) -> None:
    names = [s["name"] for s in dino("list", "--json", cwd=fresh).json["skills"]]
    assert names == [
        *("csv_analyst", "duty_brief", "duty_summary", "hello", "log_triage", "summarise_file")
    ]


def test_hello_greets(dino: Dino, fresh: Path) -> None:
    said = dino("run", "hello", "--name", "Ada", "--tone", "warm", cwd=fresh).out
    assert said.startswith("Hello, Ada. It is ")
    assert said.endswith("Good to have you here.\n")


@pytest.mark.parametrize(
    ("name", "content", "facts"),
    [
        ("a.csv", b"x,y\n1,\n1,b\n", {"kind": "csv", "records": 2}),
        ("a.json", b'{"b": 1, "a": 2}', {"shape": "object", "keys": ["a", "b"]}),
        ("a.md", b"# Title\nwords words\n", {"headings": ["Title"], "lines": 2}),
        ("a.txt", "größe größe klein\n".encode(), {"frequent_words": {"größe": 2, "klein": 1}}),
        ("a.bin", b"\x00\xff\x01", {"kind": "binary", "begins_with_hex": "00 ff 01"}),
    ],
)
def test_a_file_is_summarised_by_its_kind(
    dino: Dino, fresh: Path, name: str, content: bytes, facts: dict
) -> None:
    (fresh / name).write_bytes(content)
    dino("grant", "summarise_file", cwd=fresh)
    found = json.loads(dino("run", "summarise_file", "--path", name, cwd=fresh).out)
    assert {key: found[key] for key in facts} == facts
    assert found["bytes"] == len(content)


def test_the_duty_brief_rehearses_from_data(dino: Dino, fresh: Path) -> None:
    """It begins where the record is, leaves no trace in it, and needs leave to read it."""
    shutil.copytree(REPOSITORY / "examples", fresh / "examples")
    scenario = "examples/fire-duty/scenario.yaml"
    dino("plan-cycle", scenario, cwd=fresh)
    recorded = (fresh / "memory" / "cycles.jsonl").read_bytes()
    refused = dino("run", "duty_brief", "--scenario", scenario, cwd=fresh, code=3)
    assert "dino grant duty_brief" in refused.err
    dino("grant", "duty_brief", cwd=fresh)
    said = dino("run", "duty_brief", "--scenario", scenario, "--limit", "2", cwd=fresh).out
    assert "cycle 2: 2 of " in said
    assert (fresh / "memory" / "cycles.jsonl").read_bytes() == recorded


def test_the_duty_summary_is_of_the_record(dino: Dino, fresh: Path) -> None:
    """Of the last cycle and the one before; it does without a model that it may not ask."""
    dino("grant", "duty_summary", cwd=fresh)
    scenario = write_desk(fresh)
    dino("plan-cycle", scenario, cwd=fresh)
    calls = [{"kind": "alarm"}, {"id": "C-3", "hours": "9"}]
    (fresh / "calls.csv").write_text(calls_text(calls))
    plan = dino("plan-cycle", scenario, "--json", cwd=fresh).json
    found = dino("run", "duty_summary", "--json", cwd=fresh).json["result"]
    assert (found["cycle"], found["tasks"]) == (2, 2)
    assert found["plan"]["value"] == plan["quality"]["value"]
    assert {name: own["tasks"] for name, own in found["who"].items()} == {
        one["agent"]: 1 for one in plan["assignments"]
    }
    assert [task["task"] for task in found["left"]["gravest"]] == ["C-3"]
    change = found["since_the_cycle_before"]
    counts = {name: part["count"] for name, part in change.items()}
    assert counts["new"] == counts["gone"] == 1
    assert (counts["graver"], counts["less_grave"]) == (0, 1)
    assert "1 of 2 tasks have somebody" in found["report"]
    assert not found["model"]["used"]
    assert "api_call" in found["model"]["why"]


def test_people_are_shown_a_report_and_programs_all(dino: Dino, fresh: Path) -> None:
    (fresh / "logs").mkdir()
    (fresh / "data").mkdir()
    (fresh / "logs" / "app.log").write_text("2026-11-20T06:00:00Z ERROR disk \x1b[2Jfull\n" * 9)
    shutil.copy(REPOSITORY / "examples" / "fire-duty" / "calls.csv", fresh / "data")
    for name in ("csv_analyst", "log_triage", "duty_summary"):
        dino("grant", name, cwd=fresh)
    said = dino("run", "log_triage", "--path", "logs/app.log", cwd=fresh).out.splitlines()
    assert said[0] == "logs/app.log: 9 lines; 9 error"
    assert said[2].startswith("error          9 x  ERROR disk ")
    assert "\x1b" not in said[2]
    asked = ("csv_analyst", "--path", "data/calls.csv", "--question", "highest Delay")
    said = dino("run", *asked, cwd=fresh).out.splitlines()
    assert said[0] == "data/calls.csv: 43 records; 28 columns"
    assert said[-1] == "Answer: most of Delay: 8.75"
    assert "number  1.35 to 8.75, mean 2.92791; quartiles 2.075, 2.45, 3.15; 5 outliers" in said[28]
    found = dino("run", *asked, "--json", cwd=fresh).json["result"]
    assert found["report"].splitlines() == said
    assert found["records"] == 43


def test_there_is_nothing_to_sum_up_where_nothing_was_planned(home: Path) -> None:
    with pytest.raises(NotFound, match="no cycle is on record"):
        duty_summary()


def test_the_log_triager_asks_the_model_that_it_may_ask(dino: Dino, fresh: Path) -> None:
    (fresh / "logs").mkdir()
    (fresh / "logs" / "app.log").write_text("WARNING disk full\nERROR cannot write <facts>\n")
    with ScriptedServer(Text("Look at the disk.")) as server:
        provider = {"name": "near", "base_url": server.url, "model": "scripted-1"}
        config = fresh / "config.yaml"
        text = json.dumps({"providers": [provider]})
        config.write_text(f"{config.read_text()}\nllm: {text}\n")
        dino("grant", "log_triage", cwd=fresh)
        dino("grant", "log_triage", "--permission", "api_call", cwd=fresh)
        found = dino("run", "log_triage", "--path", "logs/app.log", "--json", cwd=fresh).json
        (asked,) = [body["messages"][-1]["content"] for body in server.bodies]
    assert found["result"]["model"] == {"used": True, "says": "Look at the disk."}
    assert found["result"]["causes"][0]["candidate"] == "WARNING disk full"
    assert "disk full" in asked
    assert asked.count("<facts>") == 1
