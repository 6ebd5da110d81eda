"""
What the orders earned, per currency: gross, refunded, net, by day; and how they went.

Computed from the orders alone.  A day is a UTC day.  What went through a provider that moves no
money, such as the sandbox, is never counted with the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from statistics import median
from typing import Any

from engines.checks import from_epoch
from engines.orders.model import Order
from engines.orders.money import decimal
from engines.orders.transfer import Transfer, TransferState


@dataclass(slots=True)
class Day:
    """What was paid and given back on one day, in minor units, and by how many orders."""

    gross: int = 0
    refunded: int = 0
    orders: int = 0

    @property
    def net(self) -> int:
        return self.gross - self.refunded


@dataclass(slots=True)
class Revenue:
    """
    The orders of one currency.

    Attributes:
        days: Only those on which something was paid or given back.
        to_payment_s: Of each paid order: from its creation.
        to_fulfilment_s: Of each fulfilled order: from its payment.
    """

    currency: str
    created: int = 0
    days: dict[date, Day] = field(default_factory=dict)
    to_payment_s: list[float] = field(default_factory=list)
    to_fulfilment_s: list[float] = field(default_factory=list)

    @property
    def gross(self) -> int:
        return sum(day.gross for day in self.days.values())

    @property
    def refunded(self) -> int:
        return sum(day.refunded for day in self.days.values())

    @property
    def net(self) -> int:
        return self.gross - self.refunded

    @property
    def paid(self) -> int:
        """How many orders were paid."""
        return len(self.to_payment_s)

    def as_dict(self) -> dict[str, Any]:
        """JSON's form; a mean or median of nothing is null."""
        average = round(self.gross / self.paid) if self.paid else None
        return {
            "currency": self.currency,
            "orders": self.created,
            "paid_orders": self.paid,
            "conversion": self.paid / self.created if self.created else None,
            **_amounts(self.currency, gross=self.gross, refunded=self.refunded, net=self.net),
            **_amounts(self.currency, average_order=average),
            "median_to_payment_s": _median(self.to_payment_s),
            "median_to_fulfilment_s": _median(self.to_fulfilment_s),
            "days": [
                {
                    "day": day.isoformat(),
                    "orders": sums.orders,
                    **_amounts(
                        self.currency, gross=sums.gross, refunded=sums.refunded, net=sums.net
                    ),
                }
                for day, sums in sorted(self.days.items())
            ],
        }


def revenue_of(orders: Iterable[Order], *, live: bool = True) -> dict[str, Revenue]:
    """
    Currency → revenue, in the order of their codes.

    Args:
        live: What moved money; else what went through providers that move none.
    """
    found: dict[str, Revenue] = {}
    for order in orders:
        if _is_live(order) == live:
            _add(found.setdefault(order.currency, Revenue(order.currency)), order)
    return dict(sorted(found.items()))


def _is_live(order: Order) -> bool:
    """Whether it moved money: as what paid it did, else the last try; one not tried is real."""
    if order.payment:
        return order.payment.live
    return not order.payments or order.payments[-1].live


def _add(revenue: Revenue, order: Order) -> None:
    revenue.created += 1
    for payment in _confirmed(order.payments):
        day = _day(revenue, payment)
        day.gross += payment.amount
        day.orders += 1
    for refund in _confirmed(order.refunds):
        _day(revenue, refund).refunded += refund.amount
    if order.paid_at is not None:
        revenue.to_payment_s.append(order.paid_at - order.created_at)
        if order.fulfilled_at is not None:
            revenue.to_fulfilment_s.append(order.fulfilled_at - order.paid_at)


def _confirmed(transfers: Iterable[Transfer]) -> list[Transfer]:
    return [t for t in transfers if t.state is TransferState.CONFIRMED]


def _day(revenue: Revenue, transfer: Transfer) -> Day:
    return revenue.days.setdefault(from_epoch(transfer.ended_at or 0).date(), Day())


def _amounts(currency: str, **minor: int | None) -> dict[str, Any]:
    """Each amount in minor units and as text."""
    found: dict[str, Any] = {}
    for name, value in minor.items():
        found[f"{name}_minor"] = value
        found[name] = None if value is None else decimal(value, currency)
    return found


def _median(values: list[float]) -> float | None:
    return round(median(values), 3) if values else None
