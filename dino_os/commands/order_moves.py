"""What is done to orders: `dino orders create`, `pay`, `refund` and the like; `execute order`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dino_os.commands import options, output
from dino_os.commands.order_words import (
    order_argument,
    skill_names,
    tell_problems,
    told,
    transfer_words,
)
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace

if TYPE_CHECKING:
    from engines.orders import Item, Order, Transfer

_NOT_FINISHED = 75


@click.command(
    epilog=options.example(
        "dino orders create 12.50 EUR --customer C-1042",
        "dino orders create 9.00 EUR --item beans:2:4.50 --key cart-77",
    )
)
@click.argument("amount")
@click.argument("currency")
@click.option("--customer", metavar="REF", help="A pseudonymous reference; no name, no address.")
@click.option(
    "--item",
    "items",
    multiple=True,
    metavar="PRODUCT[:QUANTITY[:PRICE]]",
    help="A line of it; several times for several.",
)
@click.option("--key", help="Idempotency key: the same key stands for the same order.")
@click.option(
    "--fulfil-with", metavar="SKILL", help="Instead of the setting's.", shell_complete=skill_names
)
@options.as_json
@pass_workspace
def create(
    workspace: Workspace,
    amount: str,
    currency: str,
    customer: str | None,
    items: tuple[str, ...],
    key: str | None,
    fulfil_with: str | None,
    as_json: bool,
) -> None:
    """
    Create an order of AMOUNT in CURRENCY.

    With a key that was used before, the order made with it is shown, and no other is made.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415
    from engines.orders import minor_units  # noqa: PLC0415

    desk = OrderDesk(workspace)
    if fulfil_with:
        desk.check_skill(fulfil_with)
    made = workspace.orders.create(
        minor_units(amount, currency),
        currency,
        customer=customer,
        items=[_item(text, currency) for text in items],
        key=key,
        fulfil_with=fulfil_with,
    )
    output.answer(made.as_dict(), told(made), as_json=as_json)
    tell_problems(desk.problems())


@click.command("order", epilog=options.example("execute order --amount 12.50 --currency EUR"))
@click.option("--amount", required=True, help="For example 12.50.")
@click.option("--currency", required=True, help="Its code, for example EUR.")
@click.option("--customer", metavar="REF", help="A pseudonymous reference; no name, no address.")
@click.option("--item", "items", multiple=True, metavar="PRODUCT[:QUANTITY[:PRICE]]")
@click.option("--key", help="Idempotency key: the same key stands for the same order.")
@click.option(
    "--fulfil-with", metavar="SKILL", help="Instead of the setting's.", shell_complete=skill_names
)
@options.as_json
@click.pass_context
def order(ctx: click.Context, /, **given: Any) -> None:
    """Create an order: `dino orders create` by its old name."""
    ctx.invoke(create, **given)


@click.command(epilog=options.example("dino orders pay 5f0c --provider sandbox"))
@order_argument
@click.option("--provider", metavar="NAME", help="[default: orders.provider]")
@options.as_json
@pass_workspace
def pay(workspace: Workspace, order_id: str, provider: str | None, as_json: bool) -> None:
    """
    Have an order paid through a payment provider.

    Exits 0 when it is confirmed, 1 when it was declined, 75 while the answer is awaited: then
    `dino orders settle` asks again, and nobody pays twice.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    paid = OrderDesk(workspace).pay(order_id, provider)
    _leave_with(paid, paid.payments[-1], as_json=as_json)


@click.command(epilog=options.example("dino orders confirm 5f0c --method cash"))
@order_argument
@click.option("--method", default="cash", show_default=True, help="How it was paid.")
@options.as_json
@pass_workspace
def confirm(workspace: Workspace, order_id: str, method: str, as_json: bool) -> None:
    """Record that you received the money yourself; your name goes on record."""
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    desk = OrderDesk(workspace)
    paid = desk.confirm(order_id, who=workspace.operator, method=method)
    output.answer(paid.as_dict(), told(paid), as_json=as_json)


@click.command(epilog=options.example("dino orders fulfil 5f0c"))
@order_argument
@options.as_json
@pass_workspace
def fulfil(workspace: Workspace, order_id: str, as_json: bool) -> None:
    """
    Record that you fulfilled a paid order yourself.

    The task that would have done it is taken back; while it runs, this is refused.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    done = OrderDesk(workspace).fulfil(order_id, who=workspace.operator)
    output.answer(done.as_dict(), told(done), as_json=as_json)


@click.command(epilog=options.example('dino orders cancel 5f0c --reason "out of stock"'))
@order_argument
@click.option("--reason", default="", help="For the record.")
@options.as_json
@pass_workspace
def cancel(workspace: Workspace, order_id: str, reason: str, as_json: bool) -> None:
    """
    Cancel an order; what was paid goes back.

    Exits 75 while the way of its money is not clear: it is cancelled when that is settled.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    ended = OrderDesk(workspace).cancel(order_id, reason=reason, who=workspace.operator)
    output.answer(ended.as_dict(), told(ended), as_json=as_json)
    if ended.state != "cancelled":
        click.get_current_context().exit(1 if ended.cancelling is None else _NOT_FINISHED)


@click.command(epilog=options.example("dino orders refund 5f0c", "dino orders refund 5f0c 2.50"))
@order_argument
@click.argument("amount", required=False)
@click.option("--key", help="Idempotency key: the same key stands for the same refund.")
@options.as_json
@pass_workspace
def refund(
    workspace: Workspace, order_id: str, amount: str | None, key: str | None, as_json: bool
) -> None:
    """
    Give back AMOUNT of what was paid, or all that is left of it.

    Exits 0 when it is confirmed, 1 when it was declined, 75 while the answer is awaited.
    """
    from dino_os.orders import OrderDesk  # noqa: PLC0415
    from engines.orders import minor_units  # noqa: PLC0415

    currency = workspace.orders.order(order_id).currency
    minor = None if amount is None else minor_units(amount, currency)
    changed, made = OrderDesk(workspace).refund(order_id, minor, who=workspace.operator, key=key)
    _leave_with(changed, made, as_json=as_json)


@click.command(
    epilog=options.example("dino orders retry 5f0c", "dino orders retry 5f0c --with pack")
)
@order_argument
@click.option("--with", "skill", metavar="SKILL", shell_complete=skill_names)
@options.as_json
@pass_workspace
def retry(workspace: Workspace, order_id: str, skill: str | None, as_json: bool) -> None:
    """Try the fulfilment of a stuck order again, with another skill where one is named."""
    from dino_os.orders import OrderDesk  # noqa: PLC0415

    desk = OrderDesk(workspace)
    desk.fulfiller.retry(order_id, skill)
    again = desk.orders.order(order_id)
    output.answer(again.as_dict(), told(again), as_json=as_json)
    if again.stuck:
        click.get_current_context().exit(1)


@click.command(epilog=options.example('dino orders resolve 5f0c "paid back by the bank"'))
@order_argument
@click.argument("note")
@options.as_json
@pass_workspace
def resolve(workspace: Workspace, order_id: str, note: str, as_json: bool) -> None:
    """Record that you saw to an order's problems, and how."""
    seen = workspace.orders.resolve(order_id, who=workspace.operator, note=note)
    output.answer(seen.as_dict(), told(seen), as_json=as_json)


def _item(text: str, currency: str) -> Item:
    from dino_os.errors import InvalidInput  # noqa: PLC0415
    from engines.orders import Item, minor_units  # noqa: PLC0415

    product, *rest = text.split(":")
    if len(rest) > 2 or (rest and not rest[0].isdecimal()):  # noqa: PLR2004  quantity, price
        raise InvalidInput(f"not an item: {text!r}", hint="PRODUCT[:QUANTITY[:PRICE]]")
    price = minor_units(rest[1], currency) if len(rest) > 1 else None
    return Item(product, int(rest[0]) if rest else 1, price)


def _leave_with(order: Order, transfer: Transfer, *, as_json: bool) -> None:
    """Tell how a transfer stands, and exit as it says."""
    output.answer(
        order.as_dict(), f"{told(order)}\n{transfer_words(order, transfer)}", as_json=as_json
    )
    if transfer.state != "confirmed":
        failed = transfer.state in {"declined", "disputed"}
        click.get_current_context().exit(1 if failed else _NOT_FINISHED)
