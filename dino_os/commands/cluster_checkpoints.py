"""`dino cluster trust`, and what `dino cluster status` says of leader and countersignatures."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace


@click.command(epilog=options.example("dino cluster trust north"))
@click.argument("node")
@options.as_json
@pass_workspace
def trust(workspace: Workspace, node: str, as_json: bool) -> None:
    """
    Rely on the keys with which NODE came last, which are not those it had before.

    Ask its operator first: who rewrites its journals would come with keys of their own.
    """
    from dino_os.cluster.countersigning import trust as trust_keys  # noqa: PLC0415

    keys = trust_keys(workspace, node)
    output.answer({"node": node, **keys.as_dict()}, f"{node}: {keys.log}", as_json=as_json)


COMMANDS = (trust,)


def show(found: dict[str, Any]) -> None:
    """The lines of `dino_os.cluster.standing.told`."""
    leader, signed = found["scheduler_leader"], found["checkpoints"]
    if leader:
        jobs = output.counted(leader["jobs"], "job")
        output.say(f"{jobs} led by {leader['node']} since {leader['since']}")
    if not signed["signs"]:
        output.say("nothing is countersigned: there is no signing key; `audit key new` makes one")
    elif signed["sealed"]:
        output.say("the signing key is sealed: it signs where its passphrase is in the environment")
    if signed["journals"]:
        lacking = [one["journal"] for one in signed["journals"] if not one["by"]]
        count = len(signed["journals"]) - len(lacking)
        told = f"; not yet: {', '.join(lacking)}" if lacking else ""
        output.say(f"countersigned: {output.counted(count, 'journal')}{told}")
    for one in signed["refused"]:
        by = "this node" if one["by_us"] else f"node {one['node']}"
        whose = f"node {one['node']}'s" if one["by_us"] else "our"
        output.say(f"REFUSED by {by}: {whose} journal {one['journal']}: {one['why']}")
    for node in signed["refused_keys_of"]:
        output.say(f"REFUSED: other keys of node {node}; `dino cluster trust {node}` takes them")
