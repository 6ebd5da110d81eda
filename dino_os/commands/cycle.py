"""`dino cycle`: the configured cycle, past ones and their decisions, and what is handed out."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.cycle_run import load_configured, render_sent, run
from dino_os.commands.enriched import show_changes
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import DinoError, NotFound
from dino_os.workspace import Workspace
from engines.checks import from_epoch, rfc3339

_delivery = click.argument(
    "delivery",
    shell_complete=complete(lambda w: [d.id for d in (*w.outbox.waiting(), *w.outbox.given_up())]),
)


@click.group(
    epilog=options.example("dino cycle", "dino cycle run", "dino cycle show 3"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def cycle(ctx: click.Context, as_json: bool) -> None:
    """Planning cycles: run what is configured, past decisions, what is handed out."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(status, as_json=as_json)


cycle.add_command(run)


@cycle.command("status", epilog=options.example("dino cycle status --json"))
@options.as_json
@pass_workspace
def status(workspace: Workspace, as_json: bool) -> None:
    """What is configured, how the last run ended, what is waiting, and the last cycles."""
    configured = _configured(workspace)
    runs, waiting = workspace.cycle_runs, workspace.outbox.status()
    last = runs.open or runs.last
    if as_json:
        output.emit_json(
            {
                "cycles": [c.as_dict() for c in list(workspace.orchestrator().cycles)[::-1]],
                "configured": configured,
                "last_run": last.as_dict() if last else None,
                "outbox": waiting,
            }
        )
        return
    _list(workspace, show=15)
    if configured["error"]:
        output.say(f"\nconfigured: {configured['error']}")
    else:
        output.heading(f"\nSources of {configured['file']}")
        rows = [(s["source"], s["kind"], s["where"]) for s in configured["sources"]]
        output.table(("source", "kind", "from"), rows)
    if last:
        output.say(f"last run: {_last(last)}")
    if any(waiting.values()):
        output.say(
            "outbox: " + ", ".join(f"{n:,} {s.replace('_', ' ')}" for s, n in waiting.items())
        )


def _configured(workspace: Workspace) -> dict[str, Any]:
    file = workspace.config.settings.planning.cycle
    try:
        found = load_configured(workspace, None)
    except DinoError as error:
        missing = not (workspace.root / file).exists()
        why = f"none ({file} says what `dino cycle run` does)" if missing else error.message
        return {"file": file, "sources": [], "error": why}
    sources = [{"source": s.name, "kind": s.kind, "where": s.where} for s in found.sources]
    return {"file": file, "sources": sources, "error": None}


def _last(last: Any) -> str:
    when = rfc3339(from_epoch(last.ended or last.started))
    if last.ended is None:
        return f"began {when}, {last.stage}; under way, or the next run completes it"
    what = {"ok": f"cycle {last.cycle}", "ok_no_action": "nothing new"}.get(last.outcome, "undone")
    skipped = [s["source"] for s in last.sources if s["outcome"] == "skipped"]
    left = f", without {', '.join(skipped)}" if skipped else ""
    return f"{when}, {what}{left}"


@cycle.command("deliver", epilog=options.example("dino cycle deliver --json"))
@click.option(
    "--wait", type=options.DURATION, help="Wait so long for who is sending, for example 30s."
)
@options.as_json
@pass_workspace
def deliver(workspace: Workspace, wait: float | None, as_json: bool) -> None:
    """Send what is due in the outbox."""
    from dino_os.outbox import Sender  # noqa: PLC0415

    if any(delivery.to.keys for delivery in workspace.outbox.waiting()):
        open_vault(workspace)
    sent = Sender.of(workspace).send(wait_s=wait or 0.0, watch=output.watch)
    if as_json:
        output.emit_json(sent.as_dict())
    else:
        render_sent(sent)


@cycle.command("outbox", epilog=options.example("dino cycle outbox --json"))
@click.option("--all", "all_", is_flag=True, help="Also the last that were delivered.")
@options.show
@options.as_json
@pass_workspace
def outbox(workspace: Workspace, all_: bool, show: int, as_json: bool) -> None:
    """What waits to be delivered, and what was given up."""
    box = workspace.outbox
    found = [*box.waiting(), *box.given_up(), *(box.latest_delivered() if all_ else ())]
    if as_json:
        output.emit_json({**box.status(), "deliveries": [d.as_dict() for d in found]})
        return
    if not found:
        output.say("nothing waits, nothing was given up")
        return
    shown, left = output.first_of(found, show)
    rows = [(d.id, d.to, d.state.replace("_", " "), d.attempts, _when(d), d.reason) for d in shown]
    columns = ("delivery", "to", "state", "attempts", "next", "why")
    output.table(columns, rows, numbers=("attempts",))
    output.more(left, "delivery", "deliveries")


def _when(delivery: Any) -> str:
    if delivery.state != "queued":
        return ""
    return from_epoch(delivery.due).isoformat(timespec="seconds")


@cycle.command("resend", epilog=options.example("dino cycle resend cycle:7:C-1"))
@_delivery
@options.as_json
@pass_workspace
def resend(workspace: Workspace, delivery: str, as_json: bool) -> None:
    """Make a delivery due now, also one that was given up; `dino cycle deliver` sends it."""
    again = workspace.outbox.resend(delivery)
    text = f"{delivery} is due now" if again else f"{delivery} was delivered already"
    output.answer({"delivery": delivery, "queued": again}, text, as_json=as_json)


@cycle.command("list", epilog=options.example("dino cycle list --json"))
@options.show
@options.as_json
@pass_workspace
def list_cycles(workspace: Workspace, show: int, as_json: bool) -> None:
    """Every cycle, latest first."""
    if as_json:
        cycles = list(workspace.orchestrator().cycles)[::-1]
        output.emit_json({"cycles": [summary.as_dict() for summary in cycles]})
    else:
        _list(workspace, show)


def _list(workspace: Workspace, show: int) -> None:
    cycles = list(workspace.orchestrator().cycles)[::-1]
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
    changes = [
        {"signal": task["task_id"], **change}
        for task in tasks
        for change in task["metadata"].get("enriched", ())
    ]
    show_changes(changes, show)
