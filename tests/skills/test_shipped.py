"""The skills that come with Dino do their work in a workspace just made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Dino


@pytest.fixture
def fresh(dino: Dino, tmp_path: Path) -> Path:
    """What `dino init` makes."""
    folder = tmp_path / "station-7"
    dino("init", folder)
    return folder


def test_a_new_workspace_lists_its_skills(dino: Dino, fresh: Path) -> None:
    names = [s["name"] for s in dino("list", "--json", cwd=fresh).json["skills"]]
    assert names == ["duty_brief", "hello", "summarise_file"]


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
