"""`dino cluster`: this node among others."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from dino_os.commands import cluster_checkpoints, options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

_NOT_YET = 75
_LOOK_S = 0.5


@click.group(
    epilog=options.example("dino cluster", "dino cluster join", "dino cluster nodes --json"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def cluster(ctx: click.Context, as_json: bool) -> None:
    """This node among others: who is there, what waits, joining and leaving."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_status, as_json=as_json)


@cluster.command("status", epilog=options.example("dino cluster status --json"))
@options.as_json
@pass_workspace
def show_status(workspace: Workspace, as_json: bool) -> None:
    """
    Whether this node reaches the cluster, who carries its messages, what waits, what is missing.

    Exits 4 where no server can be reached, 3 where one is not trusted, or does not trust us.
    """
    from dino_os.cluster.membership import status_of  # noqa: PLC0415
    from dino_os.cluster.standing import told  # noqa: PLC0415

    found = status_of(workspace) | told(workspace)
    if as_json:
        output.emit_json(found)
    else:
        _show(found)
    if found["exit_code"]:
        sys.exit(found["exit_code"])


def _show(found: dict[str, Any]) -> None:
    output.heading(f"node {found['node']} of {found['namespace']}")
    if found["connected"]:
        output.say(f"connected: {found['url']}, nats-server {found['server_version']}")
        output.say(f"nodes: {found['nodes']}, of which {found['alive']} are there")
    else:
        output.say(f"not connected: {found['error']}")
    if not found["joined"]:
        output.say("it has not joined: `dino cluster join`, or any service, does that")
    if found["draining"]:
        output.say("draining: it takes no more work of the cluster")
    carried = found["carried_by"] or "nobody; `dino scheduler start` does, and who listens"
    output.say(f"messages are carried by {carried}")
    output.say(f"to be sent: {output.counted(found['messages_to_send'], 'message')}")
    if found["waits_for"]:
        output.say(f"  {found['waits_for']}")
    if found["too_large"]:
        output.say(f"too large for the servers: {output.counted(found['too_large'], 'message')}")
    for gap in found["missed"]:
        output.say(f"missed of {gap['node']}: behind line {gap['after']}, up to {gap['upto']}")
    if found["tasks_error"]:
        output.say(f"tasks are not shared now: {found['tasks_error']}")
    cluster_checkpoints.show(found)


@cluster.command(epilog=options.example("dino cluster nodes --json"))
@options.as_json
@pass_workspace
def nodes(workspace: Workspace, as_json: bool) -> None:
    """The nodes of the cluster, which of them are there, and how far each is."""
    from dataclasses import asdict  # noqa: PLC0415

    from dino_os.cluster.membership import nodes_of  # noqa: PLC0415

    found = nodes_of(workspace)
    if as_json:
        output.emit_json([asdict(node) for node in found])
        return
    columns = ("node", "workspace", "is", "has of the stream")
    output.table(
        columns,
        [(n.name, n.workspace[:8], _word(n.alive, n.draining), f"{n.settled:,}") for n in found],
        numbers=columns[3:],
    )


def _word(alive: bool, draining: bool) -> str:
    return ("draining" if draining else "there") if alive else "away"


@cluster.command(epilog=options.example("dino cluster join"))
@options.as_json
@pass_workspace
def join(workspace: Workspace, as_json: bool) -> None:
    """
    Make this workspace a node: check the servers and the name, and make what is missing there.

    What was said here before is not sent.  A service joins by itself.
    """
    from dino_os.cluster.membership import cluster_of, join  # noqa: PLC0415

    new, node = join(workspace), cluster_of(workspace).node
    text = f"{node} {'has joined' if new else 'is in the cluster already'}"
    output.answer({"node": node, "joined": new}, text, as_json=as_json)


@cluster.command(epilog=options.example("dino cluster leave", "dino cluster leave old-north"))
@click.argument("node", required=False)
@options.as_json
@pass_workspace
def leave(workspace: Workspace, node: str | None, as_json: bool) -> None:
    """
    Take this node out of the cluster, or NODE, which is gone for good.

    Its journals stay as they are.
    """
    from dino_os.cluster.membership import cluster_of, leave  # noqa: PLC0415

    left, name = leave(workspace, node), node or cluster_of(workspace).node
    text = f"{name} {'has left' if left else 'was not in the cluster'}"
    output.answer({"node": name, "left": left}, text, as_json=as_json)


@cluster.command(epilog=options.example("dino cluster drain --wait 60", "dino cluster drain --off"))
@click.option("--off", is_flag=True, help="Take work again.")
@click.option("--wait", metavar="SECONDS", type=float, default=0.0, help="Until nothing is left.")
@options.as_json
@pass_workspace
def drain(workspace: Workspace, off: bool, wait: float, as_json: bool) -> None:
    """
    Take no more work of the cluster, and say what is left to do.

    Exits 75 while there is something.
    """
    from dino_os.cluster.membership import drain  # noqa: PLC0415

    until = time.monotonic() + wait
    while (left := drain(workspace, off=off)) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    told = ", ".join(f"{what}: {count:,}" for what, count in left.items())
    text = "takes work again" if off else f"left: {told}" if left else "nothing is left"
    output.answer({"draining": not off, "left": left}, text, as_json=as_json)
    if left:
        sys.exit(_NOT_YET)


@cluster.command(epilog=options.example("dino cluster key north"))
@click.argument("name")
@options.as_json
@pass_workspace
def key(workspace: Workspace, name: str, as_json: bool) -> None:
    """
    Make the key NAME by which servers know this node; the secret goes into the vault.

    Prints its public half, for `users` in the servers' configuration.
    """
    from dino_os.cluster.trust import new_key  # noqa: PLC0415

    seed, public = new_key()
    workspace.security.set_key(name, seed)
    output.answer({"key": name, "public": public}, public, as_json=as_json)


@cluster.command(
    epilog=options.example(
        "dino cluster leaf leaf.conf --hub tls://hub.example:7422 --sign-in hub --ca ca.pem"
    )
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--hub", metavar="URL", required=True, help="Where the hub listens for leaves.")
@click.option("--sign-in", metavar="KEY", help="Key in the vault: user:password at the hub.")
@click.option("--listen", metavar="ADDRESS:PORT", default="127.0.0.1:4222", show_default=True)
@click.option("--ca", metavar="FILE", default="", help="Who signed the hub's certificate.")
@click.option("--cert", metavar="FILE", default="", help="The leaf's own certificate.")
@click.option("--key", metavar="FILE", default="", help="Its key.")
@click.option("--nkey", metavar="PUBLIC", multiple=True, help="A node that may connect.")
@options.as_json
@pass_workspace
def leaf(
    workspace: Workspace,
    file: Path,
    hub: str,
    sign_in: str | None,
    listen: str,
    ca: str,
    cert: str,
    key: str,
    nkey: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Write FILE, the configuration of a nats-server for a site that is often offline.

    It may hold a password: only you can read it.
    """
    from dino_os.cluster.leaf import Leaf  # noqa: PLC0415
    from engines.durable import replace_file  # noqa: PLC0415

    secret = workspace.key(sign_in) if sign_in else ""
    text = Leaf(hub, secret, listen, ca, cert, key, nkey).text()
    replace_file(file, text.encode(), mode=0o600)
    output.answer({"file": str(file)}, f"`nats-server -c {file}` runs it", as_json=as_json)


for command in cluster_checkpoints.COMMANDS:
    cluster.add_command(command)
