"""`dino plan-cycle`, the main job."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.assign import quality
from dino_os.commands.enriched import open_for_models, show_enrichment
from dino_os.commands.scenario import takes_scenario
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import DinoError, InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from dino_os.planning.cycle import Report
    from dino_os.planning.scenario import Scenario
    from engines.orchestrator import UsageCycleResult


@click.command(
    "plan-cycle",
    epilog=options.example(
        "dino plan-cycle examples/fire-duty/scenario.yaml",
        "dino plan-cycle --signals calls.csv --map map.yaml --zones zones.yaml \\",
        "                --sectors sectors.yaml --agents agents.yaml --json",
    ),
)
@takes_scenario
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most N assignments.")
@click.option(
    "--allow-unassigned", is_flag=True, default=None, help="Plan even where there are no agents."
)
@options.horizon
@click.option(
    "--min-skill-match",
    type=options.SHARE,
    metavar="SHARE",
    help="Share of a task's skills its agent must have.  [default: planning.min_skill_match]",
)
@click.option("--dry-run", is_flag=True, help="Plan on what is recorded, and record nothing.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the whole plan to FILE as JSON."
)
@options.show
@options.as_json
@pass_workspace
def plan_cycle(
    workspace: Workspace,
    plan: Scenario,
    out: Path | None,
    show: int,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """
    Plan who answers the signals, and record it.

    Takes a SCENARIO file, or the files it would name.  What a file does not say comes from the
    workspace: zones and sectors registered before are known.  A second run goes on from the state
    the first one left.
    """
    from dino_os.planning.cycle import run_cycle  # noqa: PLC0415  the engines, on first use

    if dry_run:
        workspace = Workspace(workspace.root, rehearsal=True)
    chosen = {name: value for name, value in given.items() if value is not None}
    plan = replace(plan, options=_with(plan.options, chosen))
    if out:
        _check_writable(out, workspace.memory)
    open_for_models(workspace)
    report = run_cycle(workspace, plan, output.watch)
    if out:
        _write(out, report)
    if as_json:
        output.emit_json(report.as_dict())
    else:
        _render(report, show)
        if out:
            output.say(f"the whole plan is in {out}")


def _with(chosen: Any, changes: dict[str, Any]) -> Any:
    from msgspec import structs  # noqa: PLC0415

    return structs.replace(chosen, **changes)


def _check_writable(out: Path, memory: Path) -> None:
    """Find out before anything is recorded."""
    folder = out.parent
    if not folder.is_dir():
        raise InvalidInput(f"--out {out}: no folder {folder}")
    if (out.exists() and not out.is_file()) or not os.access(folder, os.W_OK):
        raise InvalidInput(f"--out {out}: cannot be written")
    if out.resolve().is_relative_to(memory):
        raise InvalidInput(f"--out {out}: {memory} is kept for the record")


def _write(out: Path, report: Report) -> None:
    import json  # noqa: PLC0415

    from engines.durable import replace_file  # noqa: PLC0415

    text = json.dumps(report.as_dict(), ensure_ascii=False, indent=2, default=str)
    try:
        replace_file(out.resolve(), f"{text}\n".encode())
    except OSError as error:
        number = report.result.cycle
        kept = f"cycle {number} is recorded all the same: `dino cycle show {number} --json`"
        raise DinoError(
            f"--out {out}: {error.strerror}", hint=kept if report.recorded else None
        ) from None


# --- what people see ---------------------------------------------------------------------------


def _render(report: Report, show: int) -> None:
    result = report.result
    source = f" from {report.source}" if report.source else ""
    output.heading(f"{report.scenario}: cycle {result.cycle}")
    counts = [f"{output.counted(report.signals, 'signal')}{source}"]
    if report.rejected:
        counts.append(f"{output.counted(len(report.rejected), 'record')} rejected")
    counts += [
        f"{len(result.assignments):,} assigned",
        f"{len(result.unassigned):,} left over",
        f"{len(report.escalations):,} escalated",
    ]
    output.say(", ".join(counts))
    show_assignments(report.result, show)
    _render_unassigned(report, show)
    if result.plan and result.tasks:
        output.say(f"\n{quality(result.plan)}")
    _render_zones(report, show)
    _render_sectors(report, show)
    _render_rejected(report, show)
    show_enrichment(report.enrichment, show)
    kept = "recorded in memory/" if report.recorded else "dry run: nothing was recorded"
    output.say(f"\nplanned in {report.duration_s:.2f} s; {kept}")


def show_assignments(plan: UsageCycleResult, show: int) -> None:
    """Who gets what, and why."""
    shown, left = output.first_of(plan.assignments, show)
    if shown:
        tasks = plan.named({decision.task_id for decision in shown})
        output.heading("\nAssignments")
        rows = [
            (f"{tasks[d.task_id].priority:.2f}", d.agent, tasks[d.task_id].description, d.rationale)
            for d in shown
        ]
        output.table(("priority", "agent", "task", "why"), rows, numbers=("priority",))
        output.more(left, "assignment")


def _render_unassigned(report: Report, show: int) -> None:
    unassigned = report.result.unassigned
    if not unassigned:
        return
    counts = report.result.left_over()
    causes = ", ".join(f"{count:,} {cause}" for cause, count in counts.items())
    output.heading(f"\nLeft over ({causes})")
    shown, left = output.first_of(unassigned, show)
    tasks = report.result.named({task.task_id for task in shown})
    rows = [
        (f"{tasks[t.task_id].priority:.2f}", tasks[t.task_id].description, t.reason) for t in shown
    ]
    output.table(("priority", "task", "why nobody"), rows, numbers=("priority",))
    output.more(left, "left over", "left over")


def _render_zones(report: Report, show: int) -> None:
    zones = [z for z in report.result.zone_snapshots.values() if z.occupancy]
    if zones:
        output.heading("\nZones under load")
        zones.sort(key=lambda zone: (-zone.utilisation, zone.zone.name))
        shown, left = output.first_of(zones, show)
        rows = [
            (z.zone.name, f"{z.occupancy}/{z.zone.capacity}", f"{z.utilisation:.0%}", z.status)
            for z in shown
        ]
        output.table(("zone", "occupied", "load", "status"), rows, numbers=("occupied", "load"))
        output.more(left, "zone")


def _render_sectors(report: Report, show: int) -> None:
    overview = report.result.space_overview
    attention = overview.sectors_requiring_attention
    if not overview.snapshots:
        return
    output.heading("\nSectors")
    output.say(f"average stability {overview.average_stability:.2f} over {len(overview.snapshots)}")
    if attention:
        shown, left = output.first_of(attention, show)
        rows = [
            (name, f"{overview.snapshots[name].stability_score:.2f}", _last_event(overview, name))
            for name in shown
        ]
        output.table(("needs attention", "stability", "last event"), rows, numbers=("stability",))
        output.more(left, "sector")


def _last_event(overview: Any, sector: str) -> str:
    events = overview.snapshots[sector].recent_events
    return events[-1].description if events else ""


def _render_rejected(report: Report, show: int) -> None:
    if report.rejected:
        output.heading("\nRejected records")
        shown, left = output.first_of(report.rejected, show)
        output.table(("line", "reason"), [(r.line, r.reason) for r in shown], numbers=("line",))
        output.more(left, "rejected", "rejected")
