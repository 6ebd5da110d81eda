"""`dino orders`: what was ordered, paid, given back and fulfilled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dino_os.commands import options, output
from dino_os.commands.order_moves import (
    cancel,
    confirm,
    create,
    fulfil,
    pay,
    refund,
    resolve,
    retry,
)
from dino_os.commands.order_words import (
    history_step,
    needs,
    order_argument,
    state_words,
    tell_problems,
    told,
    transfer_words,
)
from dino_os.commands.wealth import revenue, show_revenue, wealth
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

_STATES = ("created", "confirmed", "fulfilled", "cancelled", "refunded")


@click.group(
    epilog=options.example("dino orders", "dino orders create 12.50 EUR --customer C-1042"),
    invoke_without_command=True,
)
@click.pass_context
@options.as_json
def orders(ctx: click.Context, as_json: bool) -> None:
    """Orders: create, pay, fulfil, refund; revenue and what may come."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(show_status, as_json=as_json)


@orders.command("status", epilog=options.example("dino orders status --json"))
@options.as_json
@pass_workspace
def show_status(workspace: Workspace, as_json: bool) -> None:
    """How many orders are in which state, what they earned, and what needs somebody."""
    from dino_os.orders import OrderDesk  # noqa: PLC0415
    from engines.orders import revenue_of  # noqa: PLC0415

    problems = OrderDesk(workspace).problems()
    everything = workspace.orders.orders()
    counts = workspace.orders.counts()
    found = revenue_of(everything)
    needing = [(order, what) for order in everything if (what := needs(order))]
    if as_json:
        document = {
            "orders": len(everything),
            **counts,
            "revenue": [_without_days(r.as_dict()) for r in found.values()],
            "needing_attention": [{**order.as_dict(), "needs": what} for order, what in needing],
            "problems": problems,
        }
        output.emit_json(document)
        return
    tell_problems(problems)
    if not everything:
        output.say("no orders yet; `dino orders create` makes one")
        return
    words = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items() if n)
    output.heading(f"{output.counted(len(everything), 'order')}: {words}")
    show_revenue(found)
    if played := revenue_of(everything, live=False):
        count = sum(revenue.paid for revenue in played.values())
        output.say(f"sandbox: {count} paid there, where no money moves")
    for order, what in needing:
        output.say(f"order {order.id}: {'; '.join(what)}")


@orders.command("list", epilog=options.example("dino orders list --state confirmed"))
@click.option("--state", type=click.Choice(_STATES))
@options.show
@options.as_json
@pass_workspace
def list_orders(workspace: Workspace, state: str | None, show: int, as_json: bool) -> None:
    """Every order, latest first."""
    found = workspace.orders.orders(state)[::-1]
    if as_json:
        output.emit_json({"orders": [order.as_dict() for order in found]})
        return
    if not found:
        output.say("no orders" if state else "no orders yet; `dino orders create` makes one")
        return
    shown, left = output.first_of(found, show)
    rows = [
        (
            o.id,
            (o.as_dict()["created_at"] or "")[:19],
            o.as_dict()["amount"],
            o.currency,
            state_words(o),
            o.customer or "",
            ", ".join(dict.fromkeys(filter(None, (t.note for t in o.transfers)))),
        )
        for o in shown
    ]
    columns = ("order", "created at", "amount", "currency", "state", "customer", "note")
    output.table(columns, rows, numbers=("amount",))
    output.more(left, "order")


@orders.command(epilog=options.example("dino orders show 5f0c"))
@order_argument
@options.as_json
@pass_workspace
def show(workspace: Workspace, order_id: str, as_json: bool) -> None:
    """One order and its history."""
    found = workspace.orders.order(order_id)
    history = [history_step(event) for event in workspace.orders.history(order_id)]
    if as_json:
        output.emit_json({**found.as_dict(), "history": history})
        return
    output.heading(told(found))
    for item in found.items:
        output.say(f"  {item.quantity} of {item.product}")
    for transfer in found.transfers:
        output.say(f"  {transfer_words(found, transfer)}")
    if found.fulfilment:
        what = found.fulfilment
        why = f": {what.reason}" if what.reason else ""
        output.say(f"  fulfilment by {what.skill}, task {what.task_id} {what.state}{why}")
    for problem in found.problems:
        output.say(f"  problem: {problem}")
    rows = [(s["at"][:19], s["event"], s["what"], s["by"]) for s in history]
    output.table(("when", "event", "what", "by"), rows)


@orders.command(epilog=options.example("dino orders settle", "dino orders settle --all --json"))
@click.option("--all", "everything", is_flag=True, help="Also what is not due yet.")
@options.as_json
@pass_workspace
def settle(workspace: Workspace, everything: bool, as_json: bool) -> None:
    """
    Move on what can be moved on; this is the line for cron.

    Asks payment providers about what is open, has paid orders fulfilled, learns how that ended.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    settled, turn = OrderDesk(workspace).settle(everything=everything)
    document = {
        "asked": settled.asked,
        "submitted": turn.submitted,
        "fulfilled": turn.fulfilled,
        "stuck": turn.stuck,
        "errors": settled.errors,
    }
    words = [f"{name} {len(found)}" for name, found in document.items()]
    output.answer(document, ", ".join(words), as_json=as_json)
    tell_problems(settled.errors)
    if settled.errors:
        click.get_current_context().exit(1)


@orders.command(
    epilog=options.example('dino orders webhook body.json --signature "t=1789412345,v1=…"')
)
@options.file_argument("file", metavar="FILE|-")
@click.option("--signature", required=True, metavar="HEADER", help="As it came: t=…,v1=…")
@options.as_json
@pass_workspace
def webhook(workspace: Workspace, file: Path, signature: str, as_json: bool) -> None:
    """
    Take a provider's own notice: the body of its request in FILE, or - for standard input.

    Exits 3, and nothing is believed, where its signature does not stand.
    """
    import sys  # noqa: PLC0415

    from dino_os.orders import OrderDesk  # noqa: PLC0415
    from dino_os.payments import webhook as hooks  # noqa: PLC0415
    from dino_os.typed_files import read_bytes  # noqa: PLC0415

    body = sys.stdin.buffer.read(hooks.LARGEST + 1) if str(file) == "-" else read_bytes(file)
    desk = OrderDesk(workspace)
    settings = workspace.config.settings.orders.http
    notice = hooks.accept(
        body,
        signature,
        desk.providers.webhook_key(),
        now=workspace.orders.clock(),
        tolerance_s=settings.webhook_tolerance_s,
    )
    changed = desk.hear(notice.name, notice.answer)
    output.answer(changed.as_dict(), told(changed), as_json=as_json)


for _command in (create, pay, confirm, fulfil, cancel, refund, retry, resolve, revenue, wealth):
    orders.add_command(_command)


def _without_days(revenue: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in revenue.items() if name != "days"}
