"""`dino state`: named states, blended from noisy signals."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

_state_name = click.argument(
    "name", shell_complete=complete(lambda workspace: list(workspace.states.overview()))
)
_SIGNED = options.Within(-1, 1)


@click.group(
    epilog=options.example("dino state", "dino state capture morale 0.4 --confidence 0.8"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def state(ctx: click.Context, as_json: bool) -> None:
    """Named states, blended from noisy signals."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_states, as_json=as_json)


@state.command("list", epilog=options.example("dino state list --json"))
@options.as_json
@pass_workspace
def list_states(workspace: Workspace, as_json: bool) -> None:
    """Every state, by name."""
    snapshots = list(workspace.states.overview().values())
    if as_json:
        output.emit_json({"states": [snapshot.as_dict() for snapshot in snapshots]})
    elif not snapshots:
        output.say("no states yet; `dino state register` or `dino state capture` makes one")
    else:
        rows = [
            (s.state, f"{s.value:+.2f}", f"{s.trend:+.2f}", "ready" if s.ready else "warming")
            for s in snapshots
        ]
        output.table(("state", "value", "trend", "status"), rows, numbers=("value", "trend"))


@state.command(epilog=options.example("dino state show morale"))
@_state_name
@options.as_json
@pass_workspace
def show(workspace: Workspace, name: str, as_json: bool) -> None:
    """One state, in a sentence."""
    snapshot = workspace.states.snapshot(name)
    if as_json:
        output.emit_json(snapshot.as_dict())
        return
    output.say(snapshot.summary)
    count = output.counted(snapshot.metadata["signal_count"], "signal")
    tags = f"; tags {', '.join(snapshot.tags)}" if snapshot.tags else ""
    output.say(f"{count}{tags}")


@state.command(
    epilog=options.example("dino state register morale --baseline 0.2 --warmup 5"),
    context_settings={"ignore_unknown_options": True},
)
@click.argument("name")
@click.option("--description", default="")
@click.option("--baseline", type=float, default=0.0, show_default=True)
@click.option("--floor", type=float, default=-1.0, show_default=True)
@click.option("--ceiling", type=float, default=1.0, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=3, show_default=True)
@options.as_json
@pass_workspace
def register(workspace: Workspace, name: str, as_json: bool, **given: Any) -> None:
    """Define a state, or change its definition."""
    from engines.state import StateDefinition  # noqa: PLC0415

    workspace.states.register(StateDefinition(name, **given))
    snapshot = workspace.states.snapshot(name)
    output.answer(snapshot.as_dict(), snapshot.summary, as_json=as_json)


@state.command(
    epilog=options.example("dino state capture morale -0.3 --confidence 0.8 --tag weather"),
    # A low reading is not an option.
    context_settings={"ignore_unknown_options": True},
)
@_state_name
@click.argument("intensity", type=_SIGNED)
@click.option("--confidence", type=options.SHARE, default=0.5, show_default=True)
@click.option("--momentum", type=_SIGNED, default=0.0, show_default=True)
@click.option("--weight", type=options.Within(min=0), default=1.0, show_default=True)
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@options.as_json
@pass_workspace
def capture(workspace: Workspace, name: str, as_json: bool, **given: Any) -> None:
    """Take in a signal: where an observer sees the state, -1 to 1."""
    workspace.states.capture({"state": name, **given})
    snapshot = workspace.states.snapshot(name)
    output.answer(snapshot.as_dict(), snapshot.summary, as_json=as_json)
