"""`dino zone`: places, how full they are, what happens in them."""

from __future__ import annotations

from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.commands.zone_geo import export, import_zones, locate, map_zones, nest, zone_name
from dino_os.commands.zone_tracking import forecast, track
from dino_os.workspace import Workspace

_KINDS = ("enter", "exit", "sample", "alert")


@click.group(
    epilog=options.example("dino zone", "dino zone show Mission"), invoke_without_command=True
)
@click.pass_context
@options.as_json
def zone(ctx: click.Context, as_json: bool) -> None:
    """Places: how full they are, what happens in them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_zones, as_json=as_json)


@zone.command("list", epilog=options.example("dino zone list --json"))
@options.as_json
@pass_workspace
def list_zones(workspace: Workspace, as_json: bool) -> None:
    """Every zone, fullest first."""
    snapshots = sorted(
        workspace.zones.snapshot().values(), key=lambda s: (-s.utilisation, s.zone.name)
    )
    if as_json:
        output.emit_json({"zones": [snapshot.as_dict() for snapshot in snapshots]})
    elif not snapshots:
        output.say("no zones yet; `dino zone add` or `dino zone import` makes some")
    else:
        rows = [
            (
                s.zone.name,
                f"{s.occupancy}/{s.zone.capacity}",
                f"{s.utilisation:.0%}",
                s.status,
                ", ".join(s.zone.tags),
            )
            for s in snapshots
        ]
        columns = ("zone", "occupied", "load", "status", "tags")
        output.table(columns, rows, numbers=("occupied", "load"))


@zone.command(epilog=options.example("dino zone show Mission"))
@zone_name
@options.show
@options.as_json
@pass_workspace
def show(workspace: Workspace, name: str, show: int, as_json: bool) -> None:
    """One zone and what happened in it, latest first."""
    snapshot = workspace.zones.snapshot(name)
    events = snapshot.recent_events[::-1]
    if as_json:
        boundary = snapshot.zone.as_dict()["boundary"]
        happened = [_event(event) for event in events]
        output.emit_json(snapshot.as_dict() | {"boundary": boundary, "recent_events": happened})
        return
    zone, edge = snapshot.zone, snapshot.zone.boundary
    output.heading(f"{zone.name}: {snapshot.status}")
    output.say(f"occupied   {snapshot.occupancy} of {zone.capacity} ({snapshot.utilisation:.0%})")
    parts = len(getattr(edge, "polygons", ()))
    shape = f"{output.counted(parts, 'polygon')} within " if parts else ""
    output.say(
        f"boundary   {shape}x {edge.min_x:g} … {edge.max_x:g}, y {edge.min_y:g} … {edge.max_y:g} "
        f"({edge.coordinate_system})"
    )
    if above := workspace.zones.parent(zone.name):
        output.say(f"part of    {above}")
    shown, left = output.first_of(events, show)
    if shown:
        rows = [
            (e.timestamp.isoformat(timespec="seconds"), e.kind, f"{e.change:+d}", e.note or "")
            for e in shown
        ]
        output.table(("when", "what", "change", "note"), rows, numbers=("change",))
        output.more(left, "event")


@zone.command(
    epilog=options.example(
        "dino zone add Pier-9 --boundary -122.40 -122.39 37.79 37.80 --capacity 4 --tag waterfront"
    )
)
@click.argument("name")
@click.option(
    "--boundary",
    type=float,
    nargs=4,
    required=True,
    metavar="MIN_X MAX_X MIN_Y MAX_Y",
    help="The box it fills.",
)
@click.option("--capacity", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--sensitivity", type=options.SHARE, default=0.5, show_default=True)
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@options.as_json
@pass_workspace
def add(
    workspace: Workspace,
    name: str,
    boundary: tuple[float, float, float, float],
    as_json: bool,
    **given: Any,
) -> None:
    """Register a zone, or change the one of that name."""
    from engines.zone import Zone, ZoneBoundary  # noqa: PLC0415

    known = name in workspace.zones
    new = workspace.zones.register_zone(Zone(name, ZoneBoundary(*boundary), **given))
    done = f"zone {new.name!r} {'changed' if known else 'registered'}"
    output.answer(workspace.zones.snapshot(new.name).as_dict(), done, as_json=as_json)


@zone.command(
    epilog=options.example('dino zone event Mission enter --note "E07 on scene"'),
    context_settings={"ignore_unknown_options": True},
)
@zone_name
@click.argument("kind", type=click.Choice(_KINDS, case_sensitive=False))
@click.option("--change", type=int, help="How occupancy moves.  [default: enter 1, exit -1]")
@click.option("--value", type=float, help="A reading; becomes the zone's metric.")
@click.option("--note", help="For people.")
@options.as_json
@pass_workspace
def event(workspace: Workspace, name: str, kind: str, as_json: bool, **given: Any) -> None:
    """Record what happened in a zone."""
    workspace.zones.record_event(name, kind=kind, **given)
    snapshot = workspace.zones.snapshot(name)
    zone = snapshot.zone
    now = f"{zone.name}: {snapshot.occupancy} of {zone.capacity}, {snapshot.status}"
    output.answer(snapshot.as_dict(), now, as_json=as_json)


@zone.command(epilog=options.example("dino zone remove Pier-9"))
@zone_name
@options.as_json
@pass_workspace
def remove(workspace: Workspace, name: str, as_json: bool) -> None:
    """Remove a zone; its history stays in the journal."""
    workspace.zones.remove_zone(name)
    output.answer({"removed": name}, f"zone {name!r} removed", as_json=as_json)


def _event(event: Any) -> dict[str, Any]:
    from engines.checks import rfc3339  # noqa: PLC0415

    return {
        "kind": event.kind.value,
        "change": event.change,
        "value": event.value,
        "note": event.note,
        "timestamp": rfc3339(event.timestamp),
    }


for _command in (import_zones, export, nest, locate, map_zones, track, forecast):
    zone.add_command(_command)
