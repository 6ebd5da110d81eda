"""`dino metrics history`: what was read of a gauge or a meter, and when."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.log import Moment
from dino_os.commands.metrics_shown import number, sparkline
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

_STEPS = 60
_DAY_S = 86_400.0
_GAUGE_TOP = 100.0


@click.command(
    epilog=options.example(
        "dino metrics history resource_flow --since 7d", "dino metrics history --json"
    )
)
@click.argument("name", required=False, metavar="[GAUGE]")
@click.option("--since", type=Moment(), help="From then on: a time, or an age.  [default: 24h]")
@options.show
@options.as_json
@pass_workspace
def history(
    workspace: Workspace, name: str | None, since: float | None, show: int, as_json: bool
) -> None:
    """
    What was read of GAUGE (or a meter, or what alerts ask by increase); without it, of which.

    A service reads them each `metrics.every_s` seconds; `dino metrics record` does by hand.  A
    reading holds until the next one: what does not change is read once an hour.
    """
    if name is None:
        _overview(workspace, as_json=as_json)
        return
    now = time.time()
    begin = now - _DAY_S if since is None else since
    found = _readings(workspace, name, begin)
    if as_json:
        output.emit_json({"name": name, "since": _text(begin), "readings": found})
        return
    if not found:
        output.say(f"{name}: nothing was read since {_text(begin)}")
        return
    values = [reading["value"] for reading in found if reading["value"] is not None]
    top = max([*values, 1e-9])
    line = sparkline(_stepped(workspace, name, begin, now), top=max(top, _least_top(name)))
    least = f"{number(min(values, default=None))} to {number(max(values, default=None))}"
    output.say(f"{name}  {line}  {least}")
    rows = [(r["at"], number(r["value"]), *_ends(r)) for r in found]
    shown = rows[-show:] if show else rows
    if len(rows) > len(shown):
        output.more(len(rows) - len(shown), "earlier reading")
    columns = ("at", "value", "least", "most", "readings")
    output.table(columns, shown, numbers=columns[1:])


def _overview(workspace: Workspace, *, as_json: bool) -> None:
    log = workspace.metrics_log
    found: dict[str, dict[str, Any]] = {
        name: {
            "readings": len(readings.points),
            "since": _text(readings.begins),
            "last_at": _text(readings.points[-1][0]),
            "last": readings.last,
        }
        for name, readings in sorted(log.readings.items())
    }
    if as_json:
        output.emit_json(found)
    elif found:
        rows = [(n, number(f["last"]), f["last_at"], f["since"]) for n, f in found.items()]
        output.table(("", "last", "read at", "known since"), rows, numbers=("last",))
    else:
        output.say("nothing was read yet; a service does, and `dino metrics record`")


def _readings(workspace: Workspace, name: str, begin: float) -> list[dict[str, Any]]:
    from engines.checks import did_you_mean  # noqa: PLC0415  for this one command
    from engines.metrics import METERS, TARGETS  # noqa: PLC0415

    log = workspace.metrics_log
    known = {*log.readings, *TARGETS, *METERS}
    if name not in known:
        raise InvalidInput(
            f"no gauge {name!r}{did_you_mean(name, known)}",
            hint="`dino metrics history` names all that was read",
        )
    return [{**one, "at": _text(one["at"])} for one in log.history(name, begin)]


def _stepped(workspace: Workspace, name: str, begin: float, end: float) -> list[float | None]:
    """The values that held at so many times between the two."""
    found = workspace.metrics_log.history(name, begin)
    times = [one["at"] for one in found]
    steps = (begin + (end - begin) * step / _STEPS for step in range(1, _STEPS + 1))
    places = (bisect_right(times, at) for at in steps)
    return [found[place - 1]["value"] if place else None for place in places]


def _ends(reading: dict[str, Any]) -> tuple[str, str, str]:
    if reading["readings"] == 1:
        return "", "", ""
    return number(reading["least"]), number(reading["most"]), str(reading["readings"])


def _least_top(name: str) -> float:
    from engines.metrics import TARGETS  # noqa: PLC0415

    return _GAUGE_TOP if name in TARGETS else 0.0


def _text(at: float | None) -> str:
    from engines.checks import time_text  # noqa: PLC0415

    return time_text(at) or ""
