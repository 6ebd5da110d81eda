"""`dino provenance`: what happened, and why."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace


@click.group(
    epilog=options.example("dino provenance", "dino provenance status --json"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def provenance(ctx: click.Context, as_json: bool) -> None:
    """What happened, what led to it, and what came of it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


@provenance.command(epilog=options.example("dino provenance status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """How much is recorded."""
    found: dict[str, Any] = {"events": workspace.own_journal("provenance_log").length()}
    output.answer(found, output.counted(found["events"], "event"), as_json=as_json)


# Each in a file of its own: `provenance.add_command(redact)`, `provenance.add_command(anomalies)`.
