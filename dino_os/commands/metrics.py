"""`dino metrics`: gauges, rates and counts from the journals, for people and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.metrics_alerts import ALERT_COMMANDS
from dino_os.commands.metrics_history import history
from dino_os.commands.metrics_serve import serve
from dino_os.commands.metrics_shown import sparkline
from dino_os.commands.workspace import pass_workspace
from dino_os.errors import InvalidInput
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.metrics import MetricsCollector

_NAME_WIDTH = 13
_LONGEST_S = 36_500 * 86_400.0  # further back there is no date


@click.group(
    epilog=options.example(
        "dino metrics",
        "dino metrics --since 24h --watch",
        "dino metrics --prometheus --out /var/lib/node_exporter/dino.prom",
    ),
    invoke_without_command=True,
)
@click.pass_context
@click.option("--since", type=options.DURATION, help="Only the last TIME, as 90m, 24h or 7d.")
@options.watching
@click.option("--prometheus", is_flag=True, help="The text format that Prometheus reads.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the text goes; the file is replaced as a whole.",
)
@options.as_json
@pass_workspace
def metrics(
    workspace: Workspace,
    ctx: click.Context,
    since: float | None,
    watch: bool,
    prometheus: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """
    Gauges, rates and counts, computed from the journals.

    Exits 1 where a journal does not stand; the others are shown all the same.
    """
    _check(since, prometheus=prometheus, out=out, more=watch or as_json)
    if ctx.invoked_subcommand:
        return
    found = workspace.metrics(since)
    if prometheus:
        found.update_all()
        _expose(found, out)
    else:
        output.live(lambda: _look(found), _render, watch=watch, as_json=as_json)
    for problem in found.problems.values():
        raise problem


def _check(since: float | None, *, prometheus: bool, out: Path | None, more: bool) -> None:
    if since is not None and since > _LONGEST_S:
        raise click.UsageError("--since goes back 36500d at most; without it, all is counted")
    if out and not prometheus:
        raise click.UsageError("--out goes with --prometheus")
    if prometheus and more:
        raise click.UsageError("--prometheus goes with neither --json nor --watch")
    if prometheus and since:
        raise click.UsageError("Prometheus counts from the beginning; it knows --since by itself")


def _look(found: MetricsCollector) -> dict[str, Any]:
    found.update_all()
    return found.report()


def _expose(found: MetricsCollector, out: Path | None) -> None:
    from engines.durable import replace_file  # noqa: PLC0415
    from engines.metrics import render  # noqa: PLC0415

    text = render(found.families())
    if out is None:
        click.echo(text, nl=False)
        return
    if not out.parent.is_dir():
        raise InvalidInput(f"{out.parent}: no such folder", hint="make it, or name another file")
    replace_file(out, text.encode())


# --- what people see ---------------------------------------------------------------------------


def _render(found: dict[str, Any]) -> None:
    output.heading(f"since {found['since']}" if found["since"] else "since the beginning")
    rows = [*_gauge_rows(found["gauges"].values()), *_meter_rows(found["meters"].values())]
    columns = ("", "value", "target", "of", "trend")
    output.table(columns, rows, numbers=columns[1:4])
    output.say()
    for name, counts in found["counters"].items():
        told = ", ".join(f"{key.replace('_', ' ')} {n:,}" for key, n in counts.items() if n)
        output.say(f"{name:<{_NAME_WIDTH}} {told or 'nothing counted'}")
    if any(found["tasks"].values()):
        told = ", ".join(f"{n:,} {state}" for state, n in found["tasks"].items() if n)
        output.say(f"{'tasks now':<{_NAME_WIDTH}} {told}")
    _render_times(found)
    sizes = found["journals"].values()
    lines, size = sum(s["lines"] for s in sizes), sum(s["size_bytes"] for s in sizes)
    output.say(f"{'journals':<{_NAME_WIDTH}} {len(sizes)}, {lines:,} lines, {size / 1e6:,.1f} MB")


def _render_times(found: Mapping[str, Any]) -> None:
    times = [(f"waiting, {name}", told) for name, told in found["waits"].items()]
    times += [(f"running {name}", told) for name, told in found["runs"].items()]
    if not times:
        return
    columns = ("seconds", "times", "mean", "half within", "95% within")
    rows = [
        (
            name,
            f"{told['count']:,}",
            f"{told['sum_s'] / max(told['count'], 1):.3f}",
            *(f"{told[key]:g}" if key in told else "-" for key in _BOUNDS),
        )
        for name, told in times
    ]
    output.say()
    output.table(columns, rows, numbers=columns[1:])
    output.say()


_BOUNDS = ("half_within_s", "p95_within_s")


def _gauge_rows(gauges: Any) -> Iterator[tuple[str, ...]]:
    for gauge in gauges:
        value = f"{gauge['current_value']:.1f}%" if gauge["measured"] else "no data"
        target = f"{gauge['target']:g}%"
        of = f"{gauge['of']:,}" if gauge["measured"] else ""
        line = sparkline(gauge["history"], top=100.0)
        yield gauge["name"].replace("_", " "), value, target, of, line


def _meter_rows(meters: Any) -> Iterator[tuple[str, ...]]:
    for meter in meters:
        value = f"{meter['value']:.2f}/min" if meter["measured"] else "no data"
        yield meter["name"].replace("_", " "), value, "", "", meter["trend"] or ""


for _command in (history, serve, *ALERT_COMMANDS):
    metrics.add_command(_command)
