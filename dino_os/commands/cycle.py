"""`dino cycle`: past planning cycles and their decisions."""

from __future__ import annotations

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import NotFound
from dino_os.workspace import Workspace


@click.group(epilog=options.example("dino cycle", "dino cycle show 3"), invoke_without_command=True)
@click.pass_context
@options.as_json
def cycle(ctx: click.Context, as_json: bool) -> None:
    """Past planning cycles and their decisions."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_cycles, as_json=as_json, show=15)


@cycle.command("list", epilog=options.example("dino cycle list --json"))
@options.show
@options.as_json
@pass_workspace
def list_cycles(workspace: Workspace, show: int, as_json: bool) -> None:
    """Every cycle, latest first."""
    cycles = list(workspace.orchestrator().cycles)[::-1]
    if as_json:
        output.emit_json({"cycles": [summary.as_dict() for summary in cycles]})
        return
    if not cycles:
        output.say("no cycles yet; `dino plan-cycle` makes one")
        return
    shown, left = output.first_of(cycles, show)
    rows = [
        (
            c.cycle,
            c.planned_at.isoformat(timespec="seconds"),
            c.tasks,
            c.assigned,
            c.unassigned,
            f"{c.average_stability:.2f}",
        )
        for c in shown
    ]
    columns = ("cycle", "planned at", "tasks", "assigned", "left over", "stability")
    output.table(columns, rows, numbers=(columns[0], *columns[2:]))
    output.more(left, "cycle")


@cycle.command("show", epilog=options.example("dino cycle show 3", "dino cycle show --json"))
@click.argument("number", type=click.IntRange(min=1), required=False)
@options.show
@options.as_json
@pass_workspace
def show_cycle(workspace: Workspace, number: int | None, show: int, as_json: bool) -> None:
    """The decisions of one cycle (the last, where no NUMBER is given) and why they fell so."""
    orchestrator = workspace.orchestrator()
    last = orchestrator.last_cycle
    number = number or (last.cycle if last else 1)
    tasks = orchestrator.recall(number)
    if tasks is None:
        raise NotFound(f"no cycle {number}", hint="`dino cycle list` shows those there were")
    if as_json:
        output.emit_json({"cycle": number, "tasks": tasks})
        return
    output.heading(f"cycle {number}")
    shown, left = output.first_of(tasks, show)
    rows = [
        (f"{t['severity']:.2f}", t.get("agent") or "nobody", t["summary"], t.get("rationale", ""))
        for t in shown
    ]
    output.table(("severity", "agent", "task", "why"), rows, numbers=("severity",))
    output.more(left, "task")
