"""What every client does to the bundled skills, whatever it came by."""

from __future__ import annotations

from typing import Any

from mcp import Client

SCENARIO = {"scenario": "examples/fire-duty/scenario.yaml"}
# Tool → arguments, and what is in the answer.
CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "hello": ({"name": "Ada"}, "Hello, Ada."),
    "summarise_file": ({"path": "config.yaml"}, '"kind": "text"'),
    "duty_brief": (SCENARIO, "tasks have somebody"),
    "plan_cycle": (SCENARIO, "nothing was recorded"),
}


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
