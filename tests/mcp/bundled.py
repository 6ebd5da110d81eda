"""What every client does to the bundled skills, whatever it came by."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mcp import Client

from tests.conftest import REPOSITORY

SCENARIO = {"scenario": "examples/fire-duty/scenario.yaml"}
# Tool → arguments, and what is in the answer.
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "hello": ({"name": "Ada"}, "Hello, Ada."),
    "summarise_file": ({"path": "config.yaml"}, '"kind": "text"'),
    "duty_brief": (SCENARIO, "tasks have somebody"),
    "duty_summary": ({"model": False}, "cycle"),
    "csv_analyst": ({"path": "data/small.csv", "model": False}, '"depth"'),
    "log_triage": ({"path": "logs/small.log", "model": False}, "pump failed"),
    "plan_cycle": (SCENARIO, "nothing was recorded"),
}


def furnish(folder: Path) -> None:
    """Put into a workspace what they are called with."""
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    files = {"data/small.csv": "depth,name\n1.5,a\n2.5,b\n"}
    files["logs/small.log"] = "2026-11-22T05:00:00Z ERROR pump failed\n"
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


async def list_and_call(client: Client) -> None:
    """List all there is, call each skill, read, and be prompted."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert tools.keys() == CALLS.keys(), "each bundled skill is called here: say above how"
    for name, (arguments, said) in CALLS.items():
        answer = await client.call_tool(name, arguments)
        assert not answer.is_error, answer
        assert said in answer.content[0].text  # type: ignore[union-attr]
        assert answer.structured_content is not None
    for resource in (await client.list_resources()).resources:
        assert (await client.read_resource(resource.uri)).contents
    prompt = await client.get_prompt("plan-cycle", SCENARIO)
    assert prompt.messages
