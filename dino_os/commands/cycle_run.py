"""`dino cycle run`: what is configured, from its sources to those who get the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.enriched import open_for_models, show_enrichment
from dino_os.commands.plan_cycle import show_assignments
from dino_os.commands.vault import open_vault
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.outbox import Sent
    from dino_os.planning.cycle_file import Cycle
    from dino_os.planning.cycle_report import CycleReport

_MOST_PAYLOAD = 16 * 2**20


@click.command(
    "run",
    epilog=options.example(
        "dino cycle run",
        "dino cycle run duty.yaml --wait 30s --json",
        "dino cycle run --alertmanager - < payload.json",
    ),
)
@options.file_argument("file", required=False, metavar="[CYCLE.yaml]")
@click.option(
    "--alertmanager",
    "payload",
    type=click.File("rb"),
    metavar="FILE",
    help="A webhook's payload to read besides; - is standard input.",
)
@click.option(
    "--wait", type=options.DURATION, help="Wait so long for a run under way, for example 30s."
)
@click.option("--dry-run", is_flag=True, help="Read and plan; record and hand over nothing.")
@options.show
@options.as_json
@pass_workspace
def run(
    workspace: Workspace,
    file: Path | None,
    payload: Any,
    wait: float | None,
    dry_run: bool,
    show: int,
    as_json: bool,
) -> None:
    """
    Read the sources configured, plan, and hand over what is assigned.

    CYCLE.yaml says what is read and who gets the work; without it, the file that the setting
    planning.cycle names.  One run at a time: a second one exits 4.  A run that crashed is
    completed first, or undone.
    """
    from dino_os.planning.configured import ConfiguredCycle  # noqa: PLC0415  engines, on first use

    if dry_run:
        workspace = Workspace(workspace.root, rehearsal=True)
    text = _text_of(payload) if payload else None
    cycle = load_configured(workspace, file)
    if not dry_run:
        open_for(workspace, cycle)
        open_for_models(workspace)
    found = ConfiguredCycle(workspace, cycle, payload=text, watch=output.watch)
    report = found.run(wait_s=wait or 0.0)
    if as_json:
        output.emit_json(report.as_dict())
    else:
        _render(report, show)


def load_configured(workspace: Workspace, file: Path | None) -> Cycle:
    """The cycle in *file*, or in the one that the settings name."""
    from dino_os.planning.cycle_file import load_cycle  # noqa: PLC0415

    path = file or workspace.root / workspace.config.settings.planning.cycle
    return load_cycle(path, workspace.plugins.skills().find)


def open_for(workspace: Workspace, cycle: Cycle) -> None:
    """Open the vault where a source or a webhook needs a key, and only there."""
    if cycle.uses_keys or any(delivery.to.keys for delivery in workspace.outbox.waiting()):
        open_vault(workspace)


def _text_of(payload: Any) -> str:
    data: bytes = payload.read(_MOST_PAYLOAD + 1)
    if len(data) > _MOST_PAYLOAD:
        raise InvalidInput(f"--alertmanager: more than {_MOST_PAYLOAD:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput("--alertmanager: not UTF-8") from None


# --- what people see ---------------------------------------------------------------------------


def _render(report: CycleReport, show: int) -> None:
    _render_recovered(report)
    plan = report.plan
    if plan is None:
        output.heading(f"{report.name}: nothing new")
    else:
        output.heading(f"{report.name}: cycle {plan.cycle}")
        counts = [
            output.counted(len(report.intake.signals), "signal"),
            f"{len(plan.assignments):,} assigned",
            f"{len(plan.unassigned):,} left over",
            f"{len(report.escalations):,} escalated",
        ]
        output.say(", ".join(counts))
    _render_sources(report, show)
    if report.plan:
        show_assignments(report.plan, show)
    _render_rejected(report, show)
    show_enrichment(report.enrichment, show)
    _render_handed(report)
    kept = "recorded in memory/" if report.recorded else "dry run: nothing was recorded"
    output.say(f"\nplanned in {report.duration_s:.2f} s; {kept}")


def _render_recovered(report: CycleReport) -> None:
    found = report.recovered
    if found is None:
        return
    if found.how == "completed":
        output.say(f"the last run had crashed: cycle {found.cycle} was handed over now")
    else:
        output.say("the last run had crashed before its plan was recorded: it was undone")


def _render_sources(report: CycleReport, show: int) -> None:
    output.heading("\nSources")
    shown, left = output.first_of(report.intake.sources, show)
    rows = [
        (
            source["source"],
            source["outcome"],
            f"{source['signals']:,}",
            f"{source['rejected']:,}",
            source["reason"] or "; ".join(source["problems"]),
        )
        for source in shown
    ]
    columns = ("source", "outcome", "signals", "rejected", "why")
    output.table(columns, rows, numbers=("signals", "rejected"))
    output.more(left, "source")


def _render_rejected(report: CycleReport, show: int) -> None:
    if not report.intake.rejected:
        return
    output.heading("\nRejected records")
    shown, left = output.first_of(report.intake.rejected, show)
    rows = [(row.source, row.file, row.line, row.reason) for row in shown]
    output.table(("source", "file", "line", "reason"), rows, numbers=("line",))
    output.more(left, "rejected", "rejected")


def _render_handed(report: CycleReport) -> None:
    handed = report.handed
    if report.plan is not None:
        parts = [
            output.counted(handed.tasks, "task"),
            output.counted(handed.deliveries, "delivery", "deliveries"),
            f"{handed.without_outbox:,} without an outbox",
        ]
        output.say(f"\nhanded over: {', '.join(parts)}")
    for refused in handed.refused:
        output.say(f"  no task for {refused['agent']}: {refused['task']}: {refused['reason']}")
    if report.sent:
        render_sent(report.sent)
    for line in report.not_moved:
        click.echo(f"dino: {output.printable(line)}", err=True)


def render_sent(sent: Sent) -> None:
    """One line on what was sent."""
    parts = [f"{sent.delivered:,} delivered", f"{sent.waiting:,} waiting"]
    if sent.failed:
        parts.append(f"{sent.failed:,} not now")
    if sent.given_up:
        parts.append(f"{sent.given_up:,} given up")
    output.say(f"outbox: {', '.join(parts)}")
