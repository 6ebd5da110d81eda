"""`dino sector`: networks of routes, what shakes them, which need attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.sector_network import COMMANDS, horizon_of, sector_name
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.space import SpaceSnapshot

_SEVERITIES = ("info", "advisory", "alert", "critical")


@click.group(
    epilog=options.example("dino sector", "dino sector priorities"), invoke_without_command=True
)
@click.pass_context
@options.as_json
def sector(ctx: click.Context, as_json: bool) -> None:
    """Networks of routes: how stable they are."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_sectors, as_json=as_json, horizon=None)


@sector.command("list", epilog=options.example("dino sector list --json"))
@options.horizon
@options.as_json
@pass_workspace
def list_sectors(workspace: Workspace, horizon: int | None, as_json: bool) -> None:
    """Every sector, least stable first."""
    overview = workspace.sectors.network_overview(horizon=horizon_of(workspace, horizon))
    snapshots = sorted(
        overview.snapshots.values(), key=lambda s: (s.stability_score, s.sector_name)
    )
    if as_json:
        output.emit_json(
            {
                "average_stability": overview.average_stability,
                "intervention_threshold": workspace.sectors.intervention_threshold,
                "total_energy_output_gw": overview.total_energy_output_gw,
                "sectors_requiring_attention": list(overview.sectors_requiring_attention),
                "sectors": [snapshot.as_dict() for snapshot in snapshots],
            }
        )
    elif not snapshots:
        output.say("no sectors yet; `dino sector add` or `dino sector import` makes some")
    else:
        _table(snapshots, overview.sectors_requiring_attention)
        output.say(f"average stability {overview.average_stability:.2f}")


@sector.command(epilog=options.example("dino sector priorities --limit 3"))
@click.option("--limit", type=click.IntRange(min=0), default=3, show_default=True)
@options.horizon
@options.as_json
@pass_workspace
def priorities(workspace: Workspace, limit: int, horizon: int | None, as_json: bool) -> None:
    """The least stable sectors, worst first."""
    worst = workspace.sectors.prioritise_interventions(
        limit=limit, horizon=horizon_of(workspace, horizon)
    )
    if as_json:
        output.emit_json({"sectors": [snapshot.as_dict() for snapshot in worst]})
    else:
        threshold = workspace.sectors.intervention_threshold
        _table(worst, [s.sector_name for s in worst if s.stability_score < threshold])


@sector.command(epilog=options.example("dino sector show B02"))
@sector_name
@options.horizon
@options.as_json
@pass_workspace
def show(workspace: Workspace, name: str, horizon: int | None, as_json: bool) -> None:
    """One sector: its routes and what shook it, latest first."""
    known = workspace.sectors.space.get_sector(name)
    snapshot = workspace.sectors.snapshot(name, horizon=horizon_of(workspace, horizon))
    if as_json:
        output.emit_json(snapshot.as_dict() | {"sector": known.as_dict()})
        return
    output.heading(f"{name}: stability {snapshot.stability_score:.2f}")
    output.say(f"hazard {known.hazard_index:.2f}, supply {known.supply_level:.2f}")
    if known.routes:
        rows = [
            (
                r.identifier,
                f"{r.origin} → {r.destination}",
                f"{r.congestion:.2f}",
                f"{r.stability:.2f}",
            )
            for r in known.routes
        ]
        columns = ("route", "between", "congestion", "stability")
        output.table(columns, rows, numbers=columns[2:])
    if snapshot.recent_events:
        events = [
            (
                e.timestamp.isoformat(timespec="seconds") if e.timestamp else "",
                e.severity,
                e.description,
            )
            for e in snapshot.recent_events[::-1]
        ]
        output.table(("when", "severity", "what"), events)


@sector.command(epilog=options.example("dino sector add North --hazard 0.3 --supply 0.7"))
@click.argument("name")
@click.option("--hazard", "hazard_index", type=options.SHARE, help="For a new one 0.25.")
@click.option("--supply", "supply_level", type=options.SHARE, help="For a new one 0.6.")
@click.option(
    "--energy-gw", "energy_output_gw", type=options.Within(min=0), help="For a new one 0."
)
@options.as_json
@pass_workspace
def add(workspace: Workspace, name: str, as_json: bool, **given: Any) -> None:
    """Register a sector without routes, or change the one of that name (routes: import)."""
    sectors, name = workspace.sectors, name.strip()
    changes = {key: value for key, value in given.items() if value is not None}
    with sectors.deciding():
        known = sectors.space.get_sector(name).as_dict() if name in sectors.space else {}
        new = sectors.upsert_sector({**known, "name": name, **changes})
    done = f"sector {new.name!r} {'changed' if known else 'registered'}"
    output.answer(new.as_dict(), done, as_json=as_json)


@sector.command(
    "import", epilog=options.example("dino sector import examples/fire-duty/sectors.yaml")
)
@options.file_argument("file")
@options.as_json
@pass_workspace
def import_sectors(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Register the sectors of a YAML file, all or none."""
    from dino_os.planning.scenario import load_sectors  # noqa: PLC0415

    sectors = load_sectors(file)
    with workspace.sectors.deciding():
        for new in sectors:
            workspace.sectors.upsert_sector(new)
    done = f"{output.counted(len(sectors), 'sector')} registered"
    output.answer({"sectors": [sector.name for sector in sectors]}, done, as_json=as_json)


@sector.command(
    epilog=options.example('dino sector event B02 "bridge closed" --impact 0.7 --severity alert')
)
@sector_name
@click.argument("description")
@click.option(
    "--impact", type=options.SHARE, required=True, help="How much it shakes the sector, 0 to 1."
)
@click.option(
    "--severity",
    type=click.Choice(_SEVERITIES, case_sensitive=False),
    default="info",
    show_default=True,
)
@options.as_json
@pass_workspace
def event(
    workspace: Workspace, name: str, description: str, impact: float, severity: str, as_json: bool
) -> None:
    """Record what shook a sector."""
    with workspace.sectors.deciding():
        workspace.sectors.space.get_sector(name)  # a misspelt name makes no new sector here
        workspace.sectors.record_event(
            {
                "sector_name": name,
                "description": description,
                "impact_score": impact,
                "severity": severity,
            }
        )
    snapshot = workspace.sectors.snapshot(name, horizon=horizon_of(workspace, None))
    now = f"{name}: stability {snapshot.stability_score:.2f}"
    output.answer(snapshot.as_dict(), now, as_json=as_json)


@sector.command(epilog=options.example("dino sector stabilise B02 --congestion-threshold 0.5"))
@sector_name
@click.option("--congestion-threshold", type=options.SHARE, default=0.65, show_default=True)
@click.option("--damping-factor", type=options.SHARE, default=0.85, show_default=True)
@options.as_json
@pass_workspace
def stabilise(workspace: Workspace, name: str, as_json: bool, **given: float) -> None:
    """Relieve a sector's crowded routes."""
    before = workspace.sectors.space.get_sector(name)
    after = workspace.sectors.stabilise(name, **given)
    relieved = sum(a != b for a, b in zip(before.routes, after.routes, strict=True))
    done = (
        f"{name}: {output.counted(relieved, 'route')} relieved; "
        f"traffic {before.traffic_load:.2f} → {after.traffic_load:.2f}, "
        f"hazard {before.hazard_index:.2f} → {after.hazard_index:.2f}"
    )
    document = {"relieved": relieved, "before": before.as_dict(), "after": after.as_dict()}
    output.answer(document, done, as_json=as_json)


for command in COMMANDS:
    sector.add_command(command)


def _table(snapshots: Any, attention: Any) -> None:
    def row(snapshot: SpaceSnapshot) -> tuple[str, ...]:
        last = snapshot.recent_events[-1].description if snapshot.recent_events else ""
        flag = "attention" if snapshot.sector_name in attention else "stable"
        stability, traffic = f"{snapshot.stability_score:.2f}", f"{snapshot.traffic_load:.2f}"
        return snapshot.sector_name, stability, traffic, flag, last

    columns = ("sector", "stability", "traffic", "status", "last event")
    output.table(columns, map(row, snapshots), numbers=("stability", "traffic"))
