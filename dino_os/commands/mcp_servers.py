"""`dino mcp add`, `list`, `refresh`, `remove`: other servers' tools as skills."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import Denied, InvalidInput
from dino_os.mcp.sdk import check_sdk
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.mcp.importing import Servers
    from dino_os.mcp.pins import Told
    from dino_os.mcp.skill_file import Server


def _servers(workspace: Workspace) -> Servers:
    from dino_os.mcp.importing import Servers  # noqa: PLC0415  on first use

    return Servers(workspace)


_name = click.argument(
    "name", shell_complete=complete(lambda workspace: _servers(workspace).names())
)
_grant = click.option(
    "--grant", "grants", is_flag=True, help="Grant each of the skills what it asks for."
)


@click.command(
    epilog=options.example(
        "dino mcp add --reads data --grant files -- mcp-server-files data",
        "dino mcp add notes https://notes.example/mcp --token-key notes",
    )
)
@click.argument("name")
@click.argument("command", nargs=-1, required=True, metavar="COMMAND... | URL")
@click.option("--reads", multiple=True, metavar="PATH", help="What its process may read.")
@click.option("--writes", multiple=True, metavar="PATH", help="What it may change.")
@click.option("--reaches", multiple=True, metavar="HOST", help="What it may talk to.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VARIABLE=KEY",
    help="A key of the vault it finds there.",
)
@click.option("--token-key", metavar="KEY", default="", help="The bearer token for a URL.")
@click.option("--timeout", default="60s", show_default=True, help="Of each call.")
@click.option("--memory", default="", metavar="SIZE", help="Of each call.")
@_grant
@options.as_json
@pass_workspace
def add(
    workspace: Workspace,
    name: str,
    command: tuple[str, ...],
    reads: tuple[str, ...],
    writes: tuple[str, ...],
    reaches: tuple[str, ...],
    keys: tuple[str, ...],
    token_key: str,
    timeout: str,
    memory: str,
    grants: bool,
    as_json: bool,
) -> None:
    """
    Import an MCP server's tools as skills named NAME__TOOL.

    It is asked once what it offers, in the sandbox, with what the options allow. From then on each
    call starts it anew, in the sandbox, as far as the skill was granted. A tool whose description
    or types change is refused until `dino mcp refresh` accepts it.
    """
    check_sdk()
    from dino_os.mcp import importing  # noqa: PLC0415  on first use
    from dino_os.mcp.skill_file import Server  # noqa: PLC0415  as above

    server = Server(
        name,
        keys=dict(map(_pair, keys)),
        token_key=token_key,
        reads=reads,
        writes=writes,
        reaches=reaches,
        timeout=timeout,
        memory=memory,
    )
    if len(command) == 1 and command[0].startswith(("http://", "https://")):
        if reads or writes or reaches or keys:
            raise InvalidInput("a URL reaches its host, and nothing else: it has no such option")
        reached = importing.at_url(command[0])
        server = replace(server, url=command[0], reaches=(reached,))
    else:
        if token_key:
            raise InvalidInput("--token-key goes with a URL", hint="for a command: --key VAR=KEY")
        server = replace(server, command=importing.found_program(command))
    if server.permissions.keys:
        open_vault(workspace)
    servers = _servers(workspace)
    tools = servers.add(server)
    _made(servers, server, tools, grants=grants, as_json=as_json)


def _pair(text: str) -> tuple[str, str]:
    variable, equals, key = text.partition("=")
    if not (equals and key and variable.isidentifier()):
        raise InvalidInput(f"--key {text!r}: expected VARIABLE=KEY")
    return variable, key


def _made(
    servers: Servers, server: Server, tools: list[Told], *, grants: bool, as_json: bool
) -> None:
    granted = servers.grant(server.name) if grants else []
    skills = servers.skills(server.name)
    if as_json:
        output.emit_json({**_document(server, tools), "granted": granted})
        return
    output.say(f"{server.name}: {output.counted(len(tools), 'tool')} imported, each may")
    for line in server.permissions.words() or ["nothing"]:
        output.say(f"  {line}")
    output.table(("skill", "what it does"), [(skill.name, skill.summary) for skill in skills])
    if not granted and server.permissions:
        output.say("what they ask for is not granted yet: dino grant SKILL, or --grant")


def _document(server: Server, tools: list[Told]) -> dict[str, Any]:
    from dino_os.mcp.pins import pin  # noqa: PLC0415  on first use
    from dino_os.mcp.skill_file import skill_name  # noqa: PLC0415  as above

    return {
        "name": server.name,
        "command": list(server.command) or None,
        "url": server.url or None,
        "permissions": server.permissions.as_dict(),
        "tools": [
            {"tool": tool["name"], "skill": skill_name(server.name, tool), "sha256": pin(tool)}
            for tool in tools
        ],
    }


@click.command("list", epilog=options.example("dino mcp list", "dino mcp list --json"))
@options.as_json
@pass_workspace
def list_servers(workspace: Workspace, as_json: bool) -> None:
    """Show the servers whose tools are skills; none is started."""
    show_servers(workspace, as_json=as_json)


def show_servers(workspace: Workspace, *, as_json: bool) -> None:
    found = list(_servers(workspace).all())
    if as_json:
        whole = [
            _document(server, tools) if server else {"name": name, "error": "changed by hand"}
            for name, server, tools in found
        ]
        output.emit_json({"servers": whole})
        return
    if not found:
        output.say("no MCP servers; `dino mcp add` imports one's tools")
        return
    rows = [_row(name, server, tools) for name, server, tools in found]
    output.table(("name", "where", "tools", "may"), rows, numbers=("tools",))


def _row(name: str, server: Server | None, tools: list[Told]) -> tuple[str, ...]:
    if server is None:
        return name, "its file is not as it was made", "", ""
    where = server.url or " ".join(server.command)
    return name, where, str(len(tools)), "; ".join(server.permissions.words())


@click.command(epilog=options.example("dino mcp refresh files", "dino mcp refresh files --accept"))
@_name
@click.option("--accept", is_flag=True, help="Take what has changed, without asking.")
@_grant
@options.as_json
@pass_workspace
def refresh(workspace: Workspace, name: str, accept: bool, grants: bool, as_json: bool) -> None:
    """
    Ask a server anew what it offers, show what has changed, and take it where that is accepted.

    What has changed needs another grant.
    """
    check_sdk()
    from dino_os.mcp.pins import difference  # noqa: PLC0415  on first use

    servers = _servers(workspace)
    server, before = servers.find(name)
    if server.permissions.keys:
        open_vault(workspace)
    tools = servers.ask(server)
    lines = difference(before, tools)
    if not lines:
        output.answer({"name": name, "changed": False}, f"{name}: as before", as_json=as_json)
        return
    click.echo("\n".join(map(output.printable, lines)), err=True)
    if not accept and not _is_accepted():
        raise Denied(f"{name}: what has changed was not accepted", hint="--accept takes it")
    servers.keep(server, tools)
    _made(servers, server, tools, grants=grants, as_json=as_json)


def _is_accepted() -> bool:
    there = sys.stdin.isatty() and sys.stderr.isatty()
    return there and click.confirm("Take it?", default=False, err=True)


@click.command(epilog=options.example("dino mcp remove files"))
@_name
@options.as_json
@pass_workspace
def remove(workspace: Workspace, name: str, as_json: bool) -> None:
    """Remove a server's skills, and what they were granted."""
    _servers(workspace).remove(name)
    output.answer({"name": name, "removed": True}, f"{name}: removed", as_json=as_json)


SERVER_COMMANDS = (add, list_servers, refresh, remove)
