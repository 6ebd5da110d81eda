"""`dino sector`: what routes carry, what their loss would mean, what comes, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import complete, pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.space import NetworkFlows, Relief, RouteLoss

sector_name = click.argument(
    "name", shell_complete=complete(lambda workspace: [s.name for s in workspace.sectors.sectors])
)


def horizon_of(workspace: Workspace, given: int | None) -> int:
    return workspace.config.settings.planning.horizon if given is None else given


@click.command(epilog=options.example("dino sector flows B02"))
@sector_name
@options.show
@options.as_json
@pass_workspace
def flows(workspace: Workspace, name: str, show: int, as_json: bool) -> None:
    """How load spreads over the routes by itself, and how it would at best."""
    report = workspace.sectors.flows(name)
    if as_json:
        output.emit_json(report.as_dict())
        return
    user, best = report.equilibrium, report.optimum
    pairs = sorted(
        zip(user.routes, best.routes, strict=True),
        key=lambda pair: (-pair[0].load, pair[0].identifier),
    )
    shown, left_out = output.first_of(pairs, show)
    rows = [
        (
            a.identifier,
            *(f"{a.load:.3f}", f"{b.load:.3f}", _share(a.use)),
            *(f"{a.cost:.3f}", f"{b.toll:.3f}", f"{b.capacity_value:.3f}"),
        )
        for a, b in shown
    ]
    columns = ("route", "by itself", "at best", "use", "cost", "toll", "capacity worth")
    output.table(columns, rows, numbers=columns[1:])
    output.more(left_out, "route")
    output.say(f"by itself: total cost {user.total_cost:.4g}, {_gap(user)}")
    output.say(f"at best: total cost {best.total_cost:.4g}, {_certainty(best)}")
    output.say(f"price of anarchy {report.price_of_anarchy:.4f}")
    _cut_off(user.cut_off)


@click.command(epilog=options.example("dino sector relieve B02 --dry-run"))
@sector_name
@click.option("--dry-run", is_flag=True, help="Show what would move; record nothing.")
@options.as_json
@pass_workspace
def relieve(workspace: Workspace, name: str, dry_run: bool, as_json: bool) -> None:
    """Move load to the routes where the total cost is least."""
    sectors = workspace.sectors
    result = sectors.relief(name) if dry_run else sectors.relieve(name)
    if as_json:
        output.emit_json(result.as_dict() | {"recorded": bool(result.moved) and not dry_run})
        return
    if not result.moved:
        output.say(f"{name}: nothing to move; no way is better")
        return
    _relief_table(result)
    how = "would fall" if dry_run else "falls"
    was, now = result.before.total_cost, result.after.total_cost
    output.say(f"{name}: total cost {how} by {result.saving:.1%}, {was:.4g} → {now:.4g}")
    output.say(f"at best: {_certainty(result.after)}")


@click.command(epilog=options.example("dino sector critical B02 --json"))
@sector_name
@click.option(
    "--measure",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="At most so many routes are closed in turn.",
)
@options.show
@options.as_json
@pass_workspace
def critical(workspace: Workspace, name: str, measure: int, show: int, as_json: bool) -> None:
    """The routes by what the loss of each would do."""
    found = workspace.sectors.critical_routes(name, measure=measure)
    if as_json:
        output.emit_json(found.as_dict())
        return
    shown, left_out = output.first_of(found.losses, show)
    rows = [
        (", ".join(loss.without), f"{loss.cut_load:.3f}", f"{loss.extra_cost:+.4g}", _note(loss))
        for loss in shown
    ]
    columns = ("without", "cut off", "extra cost", "note")
    output.table(columns, rows, numbers=columns[1:3])
    output.more(left_out, "route")
    output.say(f"bridges: {', '.join(found.bridges) or 'none'}")
    if found.unmeasured:
        output.say(f"not measured: {output.counted(found.unmeasured, 'route')} that carry less")


@click.command(epilog=options.example("dino sector whatif B02 --without B02-B06"))
@sector_name
@click.option("--without", "lost", multiple=True, required=True, metavar="ROUTE")
@options.as_json
@pass_workspace
def whatif(workspace: Workspace, name: str, lost: tuple[str, ...], as_json: bool) -> None:
    """What the sector would be without some routes; nothing is recorded."""
    loss = workspace.sectors.without_routes(name, lost)
    if as_json:
        output.emit_json(loss.as_dict())
        return
    output.heading(f"{name} without {', '.join(loss.without)}")
    output.say(f"extra cost {loss.extra_cost:+.4g} (relative gap {loss.relative_gap:.1e})")
    if loss.most_used:
        output.say(f"then the fullest: {loss.most_used}, {loss.highest_use:.0%} of its capacity")
    if note := _note(loss):
        output.say(note)
    _cut_off(loss.cut_off)


@click.command(
    epilog=options.example("dino sector forecast B02 --ahead 8", "dino sector forecast --every 1h")
)
@click.argument(
    "name",
    required=False,
    shell_complete=complete(lambda workspace: [s.name for s in workspace.sectors.sectors]),
)
@click.option("--ahead", type=click.IntRange(1, 100), default=5, show_default=True, metavar="N")
@click.option("--level", type=options.SHARE, default=0.9, show_default=True)
@click.option("--every", type=options.DURATION, help="A step is a span of time, not an event.")
@options.horizon
@options.as_json
@pass_workspace
def forecast(
    workspace: Workspace,
    name: str | None,
    ahead: int,
    level: float,
    every: float | None,
    horizon: int | None,
    as_json: bool,
) -> None:
    """What stability comes, with intervals, and how well such forecasts did so far."""
    sectors = workspace.sectors
    names = [sector.name for sector in sectors.sectors] if name is None else [name]
    judged = horizon_of(workspace, horizon)
    told = [
        sectors.forecast(each, ahead=ahead, level=level, every=every, horizon=judged)
        for each in names
    ]
    if as_json:
        output.emit_json({"forecasts": [found.as_dict() for found in told]})
        return
    rows = [
        (
            *(found.sector, step.ahead, f"{step.point:.2f}"),
            *(f"{step.low:.2f}…{step.high:.2f}", _share(step.risk)),
        )
        for found in told
        for step in found.steps
    ]
    columns = ("sector", "ahead", "stability", f"{level:.0%} interval", "risk")
    output.table(columns, rows, numbers=("ahead", "stability", "risk"))
    for found in told:
        if found.mase is None or found.naive_mase is None or found.coverage is None:
            output.say(f"{found.sector}: too little history to test ({found.observations} points)")
        else:
            output.say(
                f"{found.sector}: back-test of {found.tested} points: held {found.coverage:.1%}, "
                f"MASE {found.mase:.3f} (last value {found.naive_mase:.3f})"
            )


@click.command(epilog=options.example("dino sector interventions --hours 8 --target 0.7"))
@click.option("--limit", type=click.IntRange(min=0), help="At most so many.")
@click.option("--hours", type=options.Within(min=0), help="Within so many hours together.")
@click.option("--ahead", type=click.IntRange(0, 1000), default=5, show_default=True, metavar="N")
@click.option("--target", type=options.SHARE, help="Wanted.  [default: intervention threshold]")
@click.option("--seed", type=int, default=0, show_default=True)
@options.horizon
@options.as_json
@pass_workspace
def interventions(
    workspace: Workspace,
    limit: int | None,
    hours: float | None,
    ahead: int,
    target: float | None,
    seed: int,
    horizon: int | None,
    as_json: bool,
) -> None:
    """What to do, best expected gain per hour first."""
    plan = workspace.sectors.interventions(
        limit=limit,
        hours=hours,
        ahead=ahead,
        target=target,
        seed=seed,
        horizon=horizon_of(workspace, horizon),
    )
    if as_json:
        output.emit_json(plan.as_dict())
        return
    if plan.chosen:
        rows = [
            (
                *(i.sector, i.name, f"{i.hours:g}"),
                *(f"{i.gain_per_hour:.4f}", f"{i.gain:.4f}", f"{i.low:.4f}…{i.high:.4f}"),
            )
            for i in plan.chosen
        ]
        columns = ("sector", "what", "hours", "gain/hour", "gain", "80 % of scenarios")
        output.table(columns, rows, numbers=columns[2:])
    known = output.counted(plan.candidates, "intervention")
    output.say(f"expected shortfall below {plan.target:.2f}: {plan.shortfall:.4f}; {known} known")
    certainty = "no choice is better" if plan.optimal else f"none can pass {plan.bound:.4f}"
    output.say(f"lowered by {plan.value:.4f} in {plan.hours:g} h; {certainty}")


COMMANDS = (flows, relieve, critical, whatif, forecast, interventions)


def _relief_table(result: Relief) -> None:
    moved = set(result.moved)
    rows = [
        (old.identifier, f"{old.load:.3f}", f"{new.load:.3f}", _share(old.use), _share(new.use))
        for old, new in zip(result.before.routes, result.after.routes, strict=True)
        if old.identifier in moved
    ]
    columns = ("route", "load", "then", "use", "then")
    output.table(columns, rows, numbers=columns[1:])


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _gap(found: NetworkFlows) -> str:
    return f"relative gap {found.relative_gap or 0:.1e}"


def _certainty(found: NetworkFlows) -> str:
    return f"{_gap(found)}, no less than {found.bound or 0:.4g}"


def _note(loss: RouteLoss) -> str:
    if loss.braess:
        return "all pay less without it (Braess)"
    return "bridge" if loss.bridge else ""


def _cut_off(trips: tuple[tuple[str, str, float], ...]) -> None:
    for origin, destination, load in trips:
        output.say(f"cut off: {origin} → {destination}, load {load:.3f}")
