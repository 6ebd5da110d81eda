"""`dino zone track`, `dino zone forecast`: positions in, entries and exits out; what is to come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.commands.zone_geo import column, zone_name
from dino_os.workspace import Workspace

_at_least_0 = click.FloatRange(min=0)


@click.command(
    epilog=options.example(
        "dino zone track positions.csv --margin 15 --exit-after 30s",
        "dino zone track fixes.jsonl --column object=vehicle --column x=lon --column y=lat --json",
    )
)
@options.file_argument("file")
@column
@click.option(
    "--margin",
    type=_at_least_0,
    default=0.0,
    show_default=True,
    help="How far outside an object must be to leave: units, metres where geographic.",
)
@click.option("--enter-after", type=options.DURATION, help="Time inside to enter.")
@click.option("--exit-after", type=options.DURATION, help="Time outside to leave.")
@click.option("--dwell", type=options.DURATION, help="Tell of those who stay so long.")
@click.option(
    "--lateness",
    type=options.DURATION,
    help="How much later than others a position may come.",
)
@click.option("--silence", type=options.DURATION, help="Who is not heard of so long has left.")
@click.option("--more", is_flag=True, help="The stream goes on: wait for what --lateness allows.")
@options.show
@options.as_json
@pass_workspace
def track(
    workspace: Workspace,
    file: Path,
    columns: tuple[str, ...],
    more: bool,
    show: int,
    as_json: bool,
    **rules: Any,
) -> None:
    """
    Take positions in (object, time, x, y, z) and record who enters and leaves which zone.

    CSV or JSON lines; times are seconds since the epoch or RFC 3339.  A file may be tracked again:
    what is known is passed over.
    """
    from dino_os.planning.zone_files import load_positions, read_columns  # noqa: PLC0415
    from engines.zone.tracking import TrackingRules  # noqa: PLC0415

    objects, at, points = load_positions(file, read_columns(columns))
    given = {name: value for name, value in rules.items() if value is not None}
    done = workspace.zones.track(objects, at, points, rules=TrackingRules(**given), finish=not more)
    counts = {
        "accepted": done.accepted,
        "duplicates": done.duplicates,
        "late": done.late,
        "waiting": done.waiting,
    }
    if as_json:
        output.emit_json({**counts, "moves": [move.as_dict() for move in done.moves]})
        return
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    output.say(f"positions: {told or 'none'}")
    shown, left = output.first_of(done.moves, show)
    if shown:
        rows = [(m.as_dict()["at"], m.object, m.kind.value, m.zone) for m in shown]
        output.table(("when", "object", "what", "zone"), rows)
        output.more(left, "move")


@click.command(epilog=options.example("dino zone forecast Mission --hours 12 --coverage 0.8"))
@zone_name
@click.option("--hours", type=click.IntRange(1, 168), default=24, show_default=True)
@click.option("--coverage", type=options.SHARE, default=0.9, show_default=True)
@click.option("--at", help="From this time on (RFC 3339).  [default: now]")
@options.as_json
@pass_workspace
def forecast(
    workspace: Workspace, name: str, hours: int, coverage: float, at: str | None, as_json: bool
) -> None:
    """How full a zone will be, with intervals, from its own past."""
    from dino_os.planning.zone_files import read_time  # noqa: PLC0415
    from engines.checks import from_epoch  # noqa: PLC0415

    when = None if at is None else from_epoch(read_time(at, "--at"))
    found = workspace.zones.forecast(name, hours=hours, coverage=coverage, at=when)
    if as_json:
        output.emit_json(found.as_dict())
        return
    held = "too short a past to say" if found.held is None else f"held {found.held:.0%} in the past"
    output.heading(f"{found.zone}: capacity {found.capacity}")
    output.say(f"by the {found.method} of {found.hours} hours, mean error {found.error:.2g}")
    output.say(f"intervals of {found.coverage:.0%}: {held}")
    full = found.full_in or found.may_be_full_in
    if full:
        output.say(f"{'full' if found.full_in else 'may be full'} in {full} h")
    rows = [(f"+{s.hour}", f"{s.expected:.1f}", f"{s.low:.1f} … {s.high:.1f}") for s in found.steps]
    output.table(("hour", "expected", "interval"), rows, numbers=("hour", "expected"))
