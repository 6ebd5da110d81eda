"""`dino wealth`, `dino orders revenue`: what orders earned, and what the next days may bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.orders import Projection, Revenue

_sandbox = click.option(
    "--sandbox", is_flag=True, help="Of orders paid in the sandbox, where no money moves."
)


@click.command(epilog=options.example("dino wealth", "dino orders wealth --days 14 --json"))
@click.option(
    "--days", type=click.IntRange(min=1, max=3650), default=30, show_default=True, metavar="N"
)
@click.option("--seed", type=click.IntRange(min=0), help="[default: taken from the data]")
@click.option("--currency", metavar="CODE", help="Only this one.")
@_sandbox
@options.as_json
@pass_workspace
def wealth(
    workspace: Workspace,
    days: int,
    seed: int | None,
    currency: str | None,
    sandbox: bool,
    as_json: bool,
) -> None:
    """
    Project the net revenue of the next days from the orders themselves, with intervals.

    There is no growth rate in it: what is said follows from the days observed, and from what the
    output says is assumed.  With too little data it says so, and what is missing.
    """
    from engines.orders import currency_code, project, revenue_of  # noqa: PLC0415

    wanted = currency_code(currency) if currency else None
    found = revenue_of(workspace.orders.orders(), live=not sandbox)
    now = workspace.orders.clock()
    projections = [
        project(revenue, now=now, days=days, seed=seed)
        for code, revenue in found.items()
        if wanted in {None, code}
    ]
    if as_json:
        output.emit_json({"sandbox": sandbox, "projections": [p.as_dict() for p in projections]})
        return
    if sandbox:
        output.say("sandbox: no money moves")
    if not projections:
        output.say("no orders to project from; `dino orders create` makes one")
    for projection in projections:
        _tell(projection)


def _tell(projection: Projection) -> None:
    from engines.orders import Money  # noqa: PLC0415

    code = projection.currency
    if projection.expected is None:
        output.say(f"{code}: {projection.reason}")
        return
    expected = Money(projection.expected, code)
    output.heading(f"{code}: {expected} net in the next {projection.horizon_days} days")
    for level, (low, high) in projection.intervals.items():
        output.say(f"  {level:.0%} between {Money(low, code)} and {Money(high, code)}")
    output.say("  assumed:")
    for assumption in projection.assumptions:
        output.say(f"  - {assumption}")


@click.command(epilog=options.example("dino orders revenue", "dino orders revenue --json"))
@_sandbox
@options.show
@options.as_json
@pass_workspace
def revenue(workspace: Workspace, sandbox: bool, show: int, as_json: bool) -> None:
    """What was earned, per currency and day, latest day first."""
    from engines.orders import decimal, revenue_of  # noqa: PLC0415

    found = revenue_of(workspace.orders.orders(), live=not sandbox)
    if as_json:
        output.emit_json({"sandbox": sandbox, "revenue": [r.as_dict() for r in found.values()]})
        return
    if sandbox:
        output.say("sandbox: no money moves")
    if not found:
        output.say("no orders yet; `dino orders create` makes one")
        return
    show_revenue(found)
    days = sorted(
        ((day, code, sums) for code, r in found.items() for day, sums in r.days.items()),
        key=lambda row: (-row[0].toordinal(), row[1]),
    )
    shown, left = output.first_of(days, show)
    rows = [
        (day, code, sums.orders, *(decimal(n, code) for n in (sums.gross, sums.refunded, sums.net)))
        for day, code, sums in shown
    ]
    columns = ("day", "currency", "paid", "gross", "refunded", "net")
    output.table(columns, rows, numbers=columns[2:])
    output.more(left, "day")


def show_revenue(found: Mapping[str, Revenue]) -> None:
    """A line of figures per currency."""
    rows = []
    for revenue in found.values():
        facts = revenue.as_dict()
        share = facts["conversion"]
        rows.append(
            (
                revenue.currency,
                f"{revenue.paid} of {revenue.created}",
                "" if share is None else f"{share:.0%}",
                *(facts[name] for name in ("gross", "refunded", "net")),
                facts["average_order"] or "",
                _duration(facts["median_to_payment_s"]),
                _duration(facts["median_to_fulfilment_s"]),
            )
        )
    columns = (
        *("currency", "paid", "share", "gross", "refunded", "net"),
        *("average", "to payment", "to fulfilment"),
    )
    if rows:
        output.table(columns, rows, numbers=columns[1:])


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
