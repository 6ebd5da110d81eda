"""`dino mcp`: skills for clients of the Model Context Protocol; its servers' tools as skills."""

from __future__ import annotations

import sys

import click

from dino_os.commands import options, output
from dino_os.commands.mcp_servers import SERVER_COMMANDS, show_servers
from dino_os.commands.workspace import complete, open_workspace, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.mcp.sdk import check_sdk
from dino_os.workspace import Workspace

_complete_skills = complete(lambda workspace: [s.name for s in workspace.plugins.skills()])


@click.group(
    epilog=options.example(
        "dino mcp", "dino mcp serve", "dino mcp add --reads data files -- mcp-server-files data"
    ),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def mcp(ctx: click.Context, as_json: bool) -> None:
    """
    Skills for clients of the Model Context Protocol, and its servers' tools as skills.

    Alone it shows the servers whose tools are skills; none is started.
    """
    if ctx.invoked_subcommand is None:
        show_servers(open_workspace(ctx), as_json=as_json)


@mcp.command(
    epilog=options.example(
        "dino mcp serve",
        "dino mcp serve --skills hello,summarise_file --no-resources",
        "dino mcp serve --http --key mcp-token",
    )
)
@click.option(
    "--http",
    "over_http",
    is_flag=True,
    help="Over HTTP on loopback, not standard input and output.",
)
@options.listening(8383)
@click.option("--key", metavar="NAME", help="The token is this key of the vault.")
@click.option(
    "--skills",
    metavar="A,B",
    default="",
    help="Only these, and plan-cycle where it is named.  [default: all that may be]",
    shell_complete=_complete_skills,
)
@click.option(
    "--allow",
    metavar="A,B",
    default="",
    help="Offer these also where they write, reach a host or use a key; plan-cycle may record.",
    shell_complete=_complete_skills,
)
@click.option("--resources/--no-resources", default=True, help="Whether journals and memory are.")
@click.option("--json", "as_json", is_flag=True, help="Say where it is as a JSON document.")
@pass_workspace
def serve(
    workspace: Workspace,
    over_http: bool,
    host: str,
    port: int,
    names: tuple[str, ...],
    key: str | None,
    skills: str,
    allow: str,
    resources: bool,
    as_json: bool,
) -> None:
    """
    Offer skills, journals, memory and planning to a client until it leaves.

    A client starts it and speaks over its standard input and output; --http waits for clients on
    loopback, which need the token: a key of the vault, or one drawn anew and shown once.
    """
    check_sdk()
    from dino_os.mcp.offer import Offer  # noqa: PLC0415  where something is served
    from dino_os.mcp.serving import (  # noqa: PLC0415  as above
        Options,
        prepare,
        serve_http,
        serve_stdio,
    )

    prepare(workspace)
    offer = Offer(workspace, _names(skills), _names(allow))
    if not offer.skills():
        # A client starts it in a folder of its own.
        click.echo(f"dino: no skill is offered in {workspace.root}: --home names another", err=True)
    for name in offer.left_out:
        click.echo(f"dino: {name} acts and is not granted: --allow {name} offers it", err=True)
    if not over_http:
        if key or names:
            raise InvalidInput("--key and --name go with --http")
        serve_stdio(workspace, offer, with_resources=resources)
        return

    def begun(url: str, token: str) -> None:
        shown = f"its token is the key {key}" if key else f"token {token}"
        document = {"url": url, "key": key} if key else {"url": url, "token": token}
        output.answer(document, f"MCP is at {url}, {shown}", as_json=as_json)
        sys.stdout.flush()

    asked = Options(host, port, names, workspace.key(key) if key else None)
    serve_http(workspace, offer, asked, begun, with_resources=resources)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


for _command in SERVER_COMMANDS:
    mcp.add_command(_command)
