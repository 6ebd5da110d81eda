"""How orders are told to people, and the arguments that name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import output
from dino_os.commands.workspace import complete

if TYPE_CHECKING:
    from engines.orders import Order, Transfer

order_argument = click.argument(
    "order_id",
    metavar="ORDER",
    shell_complete=complete(lambda workspace: [order.id for order in workspace.orders.orders()]),
)
skill_names = complete(lambda workspace: [s.name for s in workspace.plugins.skills()])


def told(order: Order) -> str:
    """An order in a line."""
    from engines.orders import Money  # noqa: PLC0415

    notes = dict.fromkeys(filter(None, (t.note for t in order.transfers if not t.live)))
    back = f", {Money(order.refunded, order.currency)} given back" if order.refunded else ""
    note = f" ({', '.join(notes)})" if notes else ""
    return f"order {order.id}: {order.total}, {state_words(order)}{back}{note}"


def state_words(order: Order) -> str:
    """Its state, as people say it."""
    if order.cancelling is not None:
        return "being cancelled"
    if order.on_hold:
        return f"{order.state}, on hold"
    if order.stuck and order.wants_fulfilment:
        return "confirmed, stuck"
    return order.state.value


def needs(order: Order) -> list[str]:
    """What about it waits for somebody, or for a provider; each as a person says it."""
    found = [*order.problems]
    if order.stuck and order.fulfilment and order.wants_fulfilment:
        found.append(f"stuck: {order.fulfilment.reason}")
    if order.on_hold:
        found.append(f"on hold: decide, then `dino orders resolve {order.id} NOTE`")
    if order.cancelling is not None:
        why = f": {order.cancelling}" if order.cancelling else ""
        found.append(f"being cancelled{why}")
    found += [transfer_words(order, refund) for refund in order.refunds if refund.is_open]
    return found


def tell_problems(problems: Sequence[str]) -> None:
    """On stderr: what is wrong with the settings fails no command."""
    for problem in problems:
        click.echo(f"dino: {output.printable(problem)}", err=True)


def transfer_words(order: Order, transfer: Transfer) -> str:
    """A payment or a refund in a line."""
    from engines.orders import Money  # noqa: PLC0415

    amount = Money(transfer.amount, order.currency)
    why = f": {transfer.reason}" if transfer.reason else ""
    note = f" ({transfer.note})" if transfer.note else ""
    by = f" by {transfer.who}" if transfer.who else ""
    return (
        f"{transfer.kind} {transfer.number}, {amount} through {transfer.provider}{by}: "
        f"{transfer.state}{why}{note}"
    )


_TOLD_ELSEWHERE = frozenset({"order_id", "at", "by", "items"})


def history_step(event: Any) -> dict[str, Any]:
    """An event of an order's journal."""
    from engines.checks import time_text  # noqa: PLC0415
    from engines.journal import RESERVED  # noqa: PLC0415

    told_elsewhere = RESERVED | _TOLD_ELSEWHERE
    facts = {k: v for k, v in event.items() if k not in told_elsewhere and v not in (None, "")}
    return {
        "at": time_text(event["at"]),
        "event": event["event_type"],
        "what": " ".join(f"{name}={value}" for name, value in facts.items()),
        "by": event.get("by", ""),
        "facts": facts,
    }
