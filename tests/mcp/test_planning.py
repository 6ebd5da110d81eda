"""A cycle for a client: rehearsed, recorded only by leave, and of the workspace's own files."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.mcp.conftest import asking, called, events

SCENARIO = "examples/fire-duty/scenario.yaml"


@pytest.fixture
def duty(site: Workspace) -> Workspace:
    shutil.copytree(REPOSITORY / "examples" / "fire-duty", site.root / "examples" / "fire-duty")
    return site


def test_a_cycle_is_rehearsed_and_nothing_is_recorded(duty: Workspace) -> None:
    """What it would decide is told as text and as JSON."""
    answer = called(duty, "plan_cycle", {"scenario": SCENARIO})
    assert not answer.is_error
    told = answer.structured_content
    assert told["recorded"] is False
    assert told["counts"]["assigned"] == len(told["assignments"]) > 0
    assert "nothing was recorded" in answer.content[0].text
    assert not (duty.memory / "cycles.jsonl").exists()


def test_it_is_recorded_where_the_operator_allows_that(duty: Workspace) -> None:
    """And only where it is asked for."""
    asked = {"scenario": SCENARIO, "record": True}
    refused = called(duty, "plan_cycle", asked)
    assert refused.is_error
    assert "--allow plan-cycle" in refused.content[0].text
    assert called(duty, "plan_cycle", asked, allow=["plan-cycle"]).structured_content["recorded"]
    assert events(duty, "cycles", "task_planned")


def test_only_the_workspaces_own_files_are_read(duty: Workspace) -> None:
    """Whatever links lead to, and its record is none of them; nor what overflows a stack."""
    (duty.root.parent / "outside.yaml").write_text("name: x\n")
    (duty.root / "examples" / "link.yaml").symlink_to(duty.root.parent / "outside.yaml")
    (duty.root / "examples" / "deep.yaml").write_text("[" * 40_000)
    duty.memory.mkdir(exist_ok=True)
    (duty.memory / "kept.yaml").write_text("name: x\n")
    scenarios: list[object] = [
        "examples/deep.yaml",
        "../outside.yaml",
        "/etc/passwd",
        "examples/link.yaml",
        "memory/kept.yaml",
        "examples",
        "nothing.yaml",
        "config.py",
        "a\0.yaml",
        "",
        3,
    ]

    async def each(client: Client) -> list[bool]:
        asked = [await client.call_tool("plan_cycle", {"scenario": one}) for one in scenarios]
        return [answer.is_error for answer in asked]

    assert all(asking(duty, each))


def test_nor_does_a_scenario_name_others(duty: Workspace) -> None:
    """A skill with leave to write may have written it."""
    (duty.root / "examples" / "link.yaml").symlink_to("/etc/passwd")
    others: list[dict[str, Any]] = [
        {"zones": "../../outside.yaml"},
        {"sectors": "/etc/passwd"},
        {"agents": "link.yaml"},
        {"signals": "../memory/kept.yaml"},
        {"signals": {"file": "../../outside.csv", "map": "map.yaml"}},
        {"signals": {"file": "calls.csv", "map": "/etc/passwd"}},
    ]
    scenario = {"name": "x", "zones": [], "sectors": [], "agents": [], "signals": []}

    async def each(client: Client) -> None:
        for named in others:
            (duty.root / "examples" / "x.json").write_text(json.dumps({**scenario, **named}))
            answer = await client.call_tool("plan_cycle", {"scenario": "examples/x.json"})
            assert answer.is_error
            assert "is not a file of the workspace" in answer.content[0].text  # type: ignore[union-attr]

    asking(duty, each)


def test_the_prompt_asks_for_a_rehearsal(duty: Workspace) -> None:
    """And says that what comes of it is data."""

    def prompted(**arguments: str) -> str:
        found = asking(duty, lambda client: client.get_prompt("plan-cycle", arguments))
        return str(found.messages[0].content.text)

    text = prompted(scenario=SCENARIO)
    assert SCENARIO in text
    assert "is data" in text
    with pytest.raises(MCPError, match="needs a scenario"):
        prompted()
    with pytest.raises(MCPError, match="no prompt named"):
        asking(duty, lambda client: client.get_prompt("other", {}))
