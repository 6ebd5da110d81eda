"""
What an order is: what was ordered, what moved for it (see `transfer`), and its fulfilment.

Facts only, all frozen; what may happen to them is in `transitions` and in the engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from engines import checks
from engines.errors import InvalidInput, NotFound
from engines.orders.money import LARGEST, Money, currency_code, decimal
from engines.orders.transfer import Transfer, TransferState
from engines.orders.transitions import OrderState

_reference = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,63}").fullmatch
_MOST_ITEMS = 1000
_LONGEST_KEY = 200


class OrderNotFound(NotFound):
    """No order has that id."""


class KeyReused(InvalidInput):
    """An idempotency key came again with other content; nothing was recorded."""


class FulfilmentState(StrEnum):
    """How far the task is that fulfils an order."""

    REQUESTED = "requested"
    SUBMITTED = "submitted"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """The task that fulfils an order, and why it does not where it is stuck."""

    task_id: str
    skill: str
    attempt: int = 1
    state: FulfilmentState = FulfilmentState.REQUESTED
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "task_id": self.task_id,
            "skill": self.skill,
            "attempt": self.attempt,
            "state": self.state.value,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Item:
    """
    A line of an order.

    Attributes:
        product: A product's reference, such as "beans" or "SKU-17".
        unit_amount: Of one, in minor units; below zero for a discount.

    Raises:
        InvalidInput: It is not a product's reference, or a number is out of range.
    """

    product: str
    quantity: int = 1
    unit_amount: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "product", checked_reference(self.product, "product"))
        quantity = checks.whole(self.quantity, "quantity")
        if not 0 < quantity <= LARGEST:
            raise InvalidInput(f"quantity must be at least 1, found {self.quantity}")
        if self.unit_amount is not None:
            checked_amount(abs(self.unit_amount), "the price of an item", least=0)

    def as_dict(self) -> dict[str, Any]:
        return {
            "product": self.product,
            "quantity": self.quantity,
            "unit_amount_minor": self.unit_amount,
        }


@dataclass(frozen=True, slots=True)
class Order:
    """
    An order as it is now.

    Attributes:
        amount: What is to be paid, in minor units.
        customer: Whose it is: a pseudonymous reference, no name and no address.
        key: The idempotency key it was created with.
        fulfil_with: The skill named for it alone.
        cancelling: Why it is being cancelled, while its money is on its way back.
        problems: What people must look into.
        on_hold: It was to be cancelled, but its money could not go back: until somebody has seen
            to its problems, no task fulfils it.
    """

    id: str
    amount: int
    currency: str
    created_at: float
    customer: str | None = None
    items: tuple[Item, ...] = ()
    key: str | None = None
    fulfil_with: str | None = None
    state: OrderState = OrderState.CREATED
    payments: tuple[Transfer, ...] = ()
    refunds: tuple[Transfer, ...] = ()
    fulfilment: Fulfilment | None = None
    cancelling: str | None = None
    paid_at: float | None = None
    fulfilled_at: float | None = None
    ended_at: float | None = None
    problems: tuple[str, ...] = ()
    on_hold: bool = False

    @property
    def total(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def paid(self) -> int:
        """What was paid and confirmed, in minor units."""
        return sum(t.amount for t in self.payments if t.state is TransferState.CONFIRMED)

    @property
    def refunded(self) -> int:
        return sum(t.amount for t in self.refunds if t.state is TransferState.CONFIRMED)

    @property
    def refundable(self) -> int:
        """What may still be given back: paid, and neither back nor on its way, nor in dispute."""
        gone = (t.amount for t in self.refunds if t.state is not TransferState.DECLINED)
        return self.paid - sum(gone)

    @property
    def payment(self) -> Transfer | None:
        """The payment that was confirmed."""
        return next((t for t in self.payments if t.state is TransferState.CONFIRMED), None)

    @property
    def open_payment(self) -> Transfer | None:
        return next((t for t in self.payments if t.is_open), None)

    @property
    def transfers(self) -> tuple[Transfer, ...]:
        return self.payments + self.refunds

    @property
    def awaits_work(self) -> bool:
        """Whether something is still to be done about it without anybody asking."""
        return any(t.is_open for t in self.transfers) or (
            self.state is OrderState.CONFIRMED and not self.stuck
        )

    @property
    def wants_fulfilment(self) -> bool:
        """Whether it was paid, is neither fulfilled nor being given back, and not on hold."""
        held = self.cancelling is not None or self.on_hold
        return self.state is OrderState.CONFIRMED and not held and self.refundable > 0

    @property
    def stuck(self) -> bool:
        """Whether the task that fulfils it failed for good."""
        return self.fulfilment is not None and self.fulfilment.state is FulfilmentState.STUCK

    def same_content(self, other: Order) -> bool:
        """Whether both order the same."""
        return _content(self) == _content(other)

    def as_dict(self) -> dict[str, Any]:
        money = {"paid": self.paid, "refunded": self.refunded, "kept": self.paid - self.refunded}
        return {
            "id": self.id,
            "state": self.state.value,
            "amount_minor": self.amount,
            "amount": decimal(self.amount, self.currency),
            "currency": self.currency,
            "customer": self.customer,
            "items": [item.as_dict() for item in self.items],
            "key": self.key,
            "created_at": checks.time_text(self.created_at),
            "paid_at": checks.time_text(self.paid_at),
            "fulfilled_at": checks.time_text(self.fulfilled_at),
            "ended_at": checks.time_text(self.ended_at),
            **{f"{name}_minor": minor for name, minor in money.items()},
            "payments": [t.as_dict(self.currency) for t in self.payments],
            "refunds": [t.as_dict(self.currency) for t in self.refunds],
            "fulfil_with": self.fulfil_with,
            "fulfilment": self.fulfilment.as_dict() if self.fulfilment else None,
            "cancelling": self.cancelling,
            "problems": list(self.problems),
            "on_hold": self.on_hold,
        }


def checked_order(order: Order) -> Order:
    """
    *order* as it is accepted: its currency in capitals, everything in it possible.

    Raises:
        InvalidInput: Something in it is not.
    """
    code = currency_code(order.currency)
    checked_amount(order.amount, "the amount of an order")
    customer = None if order.customer is None else checked_reference(order.customer, "customer")
    key = None if order.key is None else checked_key(order.key)
    if len(order.items) > _MOST_ITEMS:
        raise InvalidInput(f"an order has at most {_MOST_ITEMS} items")
    prices = [i.unit_amount * i.quantity for i in order.items if i.unit_amount is not None]
    if order.items and len(prices) == len(order.items) and sum(prices) != order.amount:
        total = Money(order.amount, code)
        raise InvalidInput(f"the items add up to {Money(sum(prices), code)}, the order to {total}")
    return replace(order, currency=code, customer=customer, key=key)


def checked_key(value: Any) -> str:
    """
    *value* as an idempotency key.

    Raises:
        InvalidInput: It is empty, too long, or holds what cannot be printed.
    """
    text = checks.name(value, "an idempotency key")
    if len(text) > _LONGEST_KEY or not text.isprintable():
        raise InvalidInput(f"an idempotency key has at most {_LONGEST_KEY} printable characters")
    return text


def _content(order: Order) -> tuple[Any, ...]:
    return order.amount, order.currency, order.customer, order.items, order.fulfil_with


def checked_reference(value: Any, what: str) -> str:
    """
    *value* as a reference: one word without spaces or @, so no name and no address.

    Raises:
        InvalidInput: It is not one.
    """
    text = value.strip() if isinstance(value, str) else ""
    if not _reference(text):
        raise InvalidInput(
            f"{what}: not a reference: {value!r}",
            hint="up to 64 letters, digits and . _ : / # -, for example C-1042; no personal data",
        )
    return text


def checked_amount(value: Any, what: str, *, least: int = 1) -> int:
    """
    *value* as an amount in minor units.

    Raises:
        InvalidInput: It is no whole number from *least* on, or too large.
    """
    if type(value) is not int:
        raise InvalidInput(f"{what} must be whole minor units, found {value!r}")
    if not least <= value <= LARGEST:
        raise InvalidInput(f"{what} must be above zero and at most {LARGEST}, found {value}")
    return value
