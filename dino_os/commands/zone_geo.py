"""`dino zone`: where zones are: importing, exporting, nesting, locating, drawing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

zone_name = click.argument(
    "name",
    shell_complete=complete(lambda workspace: [z.name for z in workspace.zones.list_zones()]),
)
column = click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Where a column is named otherwise, such as x=lon.  May be given several times.",
)
_out = click.option("--out", type=click.Path(path_type=Path), help="A file, replaced whole.")


@click.command(
    "import",
    epilog=options.example(
        "dino zone import examples/fire-duty/zones.yaml",
        "dino zone import districts.geojson --name-property district --wide-edges short",
    ),
)
@options.file_argument("file")
@click.option("--name-property", default="name", show_default=True, help="Of GeoJSON's features.")
@click.option(
    "--wide-edges",
    "wide",
    type=click.Choice(["short", "long"]),
    help="Which way edges of more than 180 degrees of longitude go.  [default: they are refused]",
)
@options.as_json
@pass_workspace
def import_zones(
    workspace: Workspace, file: Path, name_property: str, wide: str | None, as_json: bool
) -> None:
    """Register the zones of a YAML or GeoJSON file, all or none."""
    from dino_os.planning.scenario import load_zones  # noqa: PLC0415
    from dino_os.planning.zone_files import GEOJSON, load_geojson  # noqa: PLC0415

    if file.suffix.lower() in GEOJSON:
        found = load_geojson(file, name=name_property, wide=wide)
        with workspace.zones.deciding():
            zones = workspace.zones.register_zones([one.zone for one in found])
            for one in found:
                if one.parent is not None:
                    workspace.zones.nest(one.zone.name, one.parent)
    else:
        zones = workspace.zones.register_zones(load_zones(file))
    done = f"{output.counted(len(zones), 'zone')} registered"
    output.answer({"zones": [zone.name for zone in zones]}, done, as_json=as_json)


@click.command(
    epilog=options.example("dino zone export > zones.geojson", "dino zone export Mission Pier-9")
)
@click.argument("names", nargs=-1)
@_out
@options.as_json
@pass_workspace
def export(workspace: Workspace, names: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Write zones as GeoJSON (RFC 7946): all, or those named."""
    from engines.zone.geojson import zones_as_geojson  # noqa: PLC0415

    zones = workspace.zones
    chosen = [zones.get_zone(name) for name in names] or zones.list_zones()
    document = zones_as_geojson((zone, zones.parent(zone.name)) for zone in chosen)
    if out is None:
        output.emit_json(document)
    else:
        import json  # noqa: PLC0415

        _write(out, json.dumps(document, ensure_ascii=False, allow_nan=False))
        done = f"{output.counted(len(chosen), 'zone')} written to {out}"
        output.answer({"zones": len(chosen), "file": str(out)}, done, as_json=as_json)


@click.command(
    epilog=options.example("dino zone nest Ward-3 --in Hospital", "dino zone nest Ward-3 --alone")
)
@zone_name
@click.option("--in", "parent", help="The zone that it is a part of.")
@click.option("--alone", is_flag=True, help="It is a part of none.")
@options.as_json
@pass_workspace
def nest(workspace: Workspace, name: str, parent: str | None, alone: bool, as_json: bool) -> None:
    """Say which zone a zone is a part of; locating prefers the innermost."""
    if (parent is None) != alone:
        raise click.UsageError("either --in or --alone")
    workspace.zones.nest(name, parent)
    told = f"zone {name!r} is a part of " + (repr(parent) if parent else "none")
    output.answer({"zone": name, "parent": parent}, told, as_json=as_json)


@click.command(
    epilog=options.example(
        "dino zone locate -122.4194 37.7599",
        "dino zone locate --file stops.csv --column x=lon --column y=lat --json",
    ),
    # A western longitude is not an option.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("x", type=float, required=False)
@click.argument("y", type=float, required=False)
@click.option("--file", type=click.Path(path_type=Path), help="Many points: CSV or JSON lines.")
@column
@options.as_json
@pass_workspace
def locate(
    workspace: Workspace,
    x: float | None,
    y: float | None,
    file: Path | None,
    columns: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Find the zone that contains a point; exits 1 where none does.

    Of one point the smallest zone, its edge included.  Of a --file's points the innermost or
    smallest, half-open: on a common edge a point belongs to one zone only.
    """
    if file is not None and x is None:
        _locate_all(workspace, file, columns, as_json=as_json)
        return
    if x is None or y is None or file is not None:
        raise click.UsageError("either X and Y or --file")
    found = workspace.zones.locate((x, y))
    told = found.name if found else f"({x:g}, {y:g}) lies in no zone"
    output.answer({"zone": found.name if found else None, "x": x, "y": y}, told, as_json=as_json)
    if not found:
        click.get_current_context().exit(1)


def _locate_all(
    workspace: Workspace, file: Path, columns: tuple[str, ...], *, as_json: bool
) -> None:
    from dino_os.planning.zone_files import load_points, read_columns  # noqa: PLC0415

    points = load_points(file, read_columns(columns))
    names = workspace.zones.locate_points(points)
    if as_json:
        rows: list[dict[str, Any]] = [
            {"x": x, "y": y, "z": z, "zone": name}
            for (x, y, z), name in zip(points, names, strict=True)
        ]
        output.emit_json({"points": rows, "nowhere": names.count(None)})
    else:
        for name in names:
            output.say(name or "-")


@click.command(
    "map",
    epilog=options.example("dino zone map", "dino zone map Mission Pier-9 --svg zones.svg"),
)
@click.argument("names", nargs=-1)
@click.option("--svg", type=click.Path(path_type=Path), help="Write a picture to this file.")
@click.option("--columns", type=click.IntRange(1, 400), default=72, show_default=True)
@click.option("--z", type=float, default=0.0, show_default=True, help="The level to look at.")
@options.as_json
@pass_workspace
def map_zones(
    workspace: Workspace,
    names: tuple[str, ...],
    svg: Path | None,
    columns: int,
    z: float,
    as_json: bool,
) -> None:
    """Draw zones and how full they are."""
    from dino_os import zone_map  # noqa: PLC0415

    zones = workspace.zones
    for name in names:
        zones.get_zone(name)
    shown = [s for name, s in zones.snapshot().items() if not names or name in names]
    if svg is not None:
        _write(svg, zone_map.as_svg(shown))
        done = f"{output.counted(len(shown), 'zone')} drawn to {svg}"
        output.answer({"zones": len(shown), "file": str(svg)}, done, as_json=as_json)
        return
    lines = zone_map.as_text(zones, shown, columns, z)
    signs = zone_map.signs_for(shown)
    if as_json:
        output.emit_json({"lines": lines, "signs": {sign: n for n, sign in signs.items()}})
        return
    for line in lines:
        output.say(line)
    output.say()
    rows = [
        (
            signs[s.zone.name],
            s.zone.name,
            f"{s.occupancy}/{s.zone.capacity}",
            f"{s.utilisation:.0%}",
        )
        for s in shown
    ]
    output.table(("", "zone", "occupied", "load"), rows, numbers=("occupied", "load"))


def _write(file: Path, text: str) -> None:
    from engines.durable import replace_file  # noqa: PLC0415

    try:
        replace_file(file, text.encode())
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
