"""
A server of others, spoken to from inside the sandbox by the skills that `dino mcp add` makes.

A command's process is a child of the skill's and held by the same walls; an address is reached
through the skill's proxy, which lets through what the skill declares.  A server lives as long as
one call.  Nothing here can be believed more than the server itself.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from dino_os.errors import Denied, DinoError, InvalidInput, SkillFailed
from dino_os.mcp.pins import PINNED, pin
from dino_os.mcp.sdk import check_sdk, innermost

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult

_STARTED = "it has what `dino mcp add` was told, and no more: --reads, --writes, --reaches, --key"
_FOUND = "is it there, and does it want a token (--token-key)?"
_MOST_TOOLS, _MOST_PAGES, _MOST_BYTES = 256, 64, 2**20


def tools(server: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What *server* says of its tools, as far as it is pinned."""
    found: list[dict[str, Any]] = _asked(server, _tools)
    return found


def call(server: Mapping[str, Any], tool: str, pinned: str, arguments: Mapping[str, Any]) -> Any:
    """
    What *tool* of *server* answers: its structured content, else its text, else what it is.

    Raises:
        Denied: The server no longer says of it what was pinned.
        SkillFailed: It answers with an error, or not at all.
    """

    async def ask(client: Client) -> Any:
        told = next((one for one in await _tools(client) if one["name"] == tool), None)
        if told is None or pin(told) != pinned:
            what = "is gone" if told is None else "is not what it was when it was imported"
            raise Denied(
                f"the tool {tool!r} of the MCP server {server['name']!r} {what}",
                hint=f"`dino mcp refresh {server['name']}` shows the difference",
            )
        return _result(await client.call_tool(tool, dict(arguments)))

    return _asked(server, ask)


def given(**arguments: Any) -> dict[str, Any]:
    """Those that are not None: the others are left to the server."""
    return {name: value for name, value in arguments.items() if value is not None}


def _asked(server: Mapping[str, Any], ask: Callable[[Client], Awaitable[Any]]) -> Any:
    check_sdk()
    import anyio  # noqa: PLC0415  where a server is asked
    from mcp.shared.exceptions import MCPError  # noqa: PLC0415  as above

    async def run() -> Any:
        async with _connected(server) as client:
            return await ask(client)

    _quiet()
    try:
        return anyio.run(run)
    except BaseException as error:  # noqa: BLE001  it is told as one of ours
        first = innermost(error)
        if isinstance(first, DinoError):
            raise first from None
        said = first.message if isinstance(first, MCPError) else _kind(first)
        text = f"the MCP server {server['name']!r} gives no answer: {said[:1000]}"
        raise SkillFailed(text, hint=_FOUND if server["url"] else _STARTED) from None


def _kind(error: BaseException) -> str:
    first, _, _ = str(error).partition("\n")
    return f"{type(error).__name__}: {first}"


def _quiet() -> None:
    """What the library logs of a server goes to standard error without its tracebacks."""

    def plain(record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True

    shown = logging.StreamHandler()
    shown.addFilter(plain)
    logging.getLogger("mcp").handlers[:] = [shown]


@contextlib.asynccontextmanager
async def _connected(server: Mapping[str, Any]) -> AsyncIterator[Client]:
    from mcp import Client  # noqa: PLC0415  the library, where a server is asked

    async with contextlib.AsyncExitStack() as stack:
        if server["url"]:
            transport = await _address(server, stack)
        else:
            transport = _process(server)
        yield await stack.enter_async_context(Client(transport))


def _process(server: Mapping[str, Any]) -> Any:
    from mcp.client.stdio import StdioServerParameters, stdio_client  # noqa: PLC0415  as above

    keys = {variable: _key(name) for variable, name in server["keys"].items()}
    command, *arguments = server["command"]
    # Its environment is what the sandbox leaves of one, the way to the proxy included.
    environment = {**os.environ, **keys}
    return stdio_client(StdioServerParameters(command=command, args=arguments, env=environment))


async def _address(server: Mapping[str, Any], stack: contextlib.AsyncExitStack) -> Any:
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415  as above
    from mcp.shared._httpx_utils import create_mcp_http_client  # noqa: PLC0415  as above

    token = server["token_key"]
    headers = {"Authorization": f"Bearer {_key(token)}"} if token else {}
    client = await stack.enter_async_context(create_mcp_http_client(headers=headers))
    return streamable_http_client(server["url"], http_client=client)


def _key(name: str) -> str:
    from dino_os.security_gateway import SecurityGateway  # noqa: PLC0415  where a key is used

    if value := SecurityGateway().get_key(name):
        return value
    raise InvalidInput(
        f"no key {name!r} in the vault", hint=f"`dino keys set {name}` puts it there"
    )


async def _tools(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        told = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools
        ]
        found += [{name: one[name] for name in PINNED if name in one} for one in told]
        cursor = page.next_cursor
        if len(found) > _MOST_TOOLS or len(json.dumps(found)) > _MOST_BYTES:
            break
        if cursor is None:
            return found
    most = f"{_MOST_TOOLS} tools, {_MOST_BYTES // 2**20} MiB or {_MOST_PAGES} pages"
    raise SkillFailed(f"what it says of its tools is more than {most}")


def _result(result: CallToolResult) -> Any:
    blocks = [
        block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content
    ]
    texts = [block["text"] for block in blocks if block.get("type") == "text"]
    if result.is_error:
        raise SkillFailed("\n".join(texts)[:10_000] or "the tool says that it failed")
    if result.structured_content is not None:
        return result.structured_content
    return "\n".join(texts) if len(texts) == len(blocks) else blocks
