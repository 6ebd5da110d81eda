"""Revenue: what was paid and given back, by currency and day."""

from __future__ import annotations

from datetime import date

import pytest

from engines.orders import Answer, Kind, Orders, Outcome, revenue_of
from tests.orders.conftest import Clock

DAY = 86400.0


def paid(orders: Orders, amount: int, currency: str = "EUR", *, live: bool = True) -> str:
    order = orders.create(amount, currency)
    orders.want_payment(order.id, "shop", live=live)
    orders.answer(order.id, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, f"pay_{order.id}"))
    return order.id


def test_what_was_earned_is_told_per_currency_and_day(orders: Orders, clock: Clock) -> None:
    first = paid(orders, 1000)
    paid(orders, 500)
    paid(orders, 9, "JPY")
    orders.create(777, "EUR")
    clock.now += DAY
    orders.fulfil(first)
    orders.want_refund(first, 400)
    orders.answer(first, Kind.REFUND, 1, Answer(Outcome.CONFIRMED, "rf_1"))
    orders.want_refund(first, 100)  # on its way: not yet back
    found = revenue_of(orders.orders())
    assert list(found) == ["EUR", "JPY"]
    euro = found["EUR"].as_dict()
    assert (euro["gross"], euro["refunded"], euro["net"]) == ("15.00", "4.00", "11.00")
    assert (euro["orders"], euro["paid_orders"], euro["average_order"]) == (3, 2, "7.50")
    assert euro["conversion"] == 2 / 3
    assert (euro["median_to_payment_s"], euro["median_to_fulfilment_s"]) == (0, DAY)
    noon = date(2027, 1, 15)
    assert [(d["day"], d["net_minor"]) for d in euro["days"]] == [
        (noon.isoformat(), 1500),
        (noon.replace(day=16).isoformat(), -400),
    ]
    assert found["JPY"].as_dict()["net"] == "9"


def test_what_moves_no_money_is_no_revenue(orders: Orders) -> None:
    """It is counted by itself, and those paid for real are not counted there."""
    paid(orders, 1000, live=False)
    paid(orders, 500)
    orders.create(1, "EUR")
    live, played = revenue_of(orders.orders()), revenue_of(orders.orders(), live=False)
    assert (live["EUR"].net, live["EUR"].created) == (500, 2)
    assert (played["EUR"].net, played["EUR"].created) == (1000, 1)


@pytest.mark.parametrize("live", [True, False])
def test_what_paid_an_order_says_where_it_counts(orders: Orders, live: bool) -> None:
    """Not what was declined before: it would count nowhere."""
    order = orders.create(1000, "EUR")
    orders.want_payment(order.id, "other", live=not live)
    orders.answer(order.id, Kind.PAYMENT, 1, Answer(Outcome.DECLINED))
    assert list(revenue_of(orders.orders(), live=not live)) == ["EUR"]
    orders.want_payment(order.id, "shop", live=live)
    orders.answer(order.id, Kind.PAYMENT, 2, Answer(Outcome.CONFIRMED, "pay_1"))
    assert revenue_of(orders.orders(), live=live)["EUR"].net == 1000
    assert revenue_of(orders.orders(), live=not live) == {}


def test_of_nothing_there_is_no_mean(orders: Orders) -> None:
    assert revenue_of([]) == {}
    orders.create(1, "EUR")
    euro = revenue_of(orders.orders())["EUR"].as_dict()
    assert (euro["average_order"], euro["conversion"], euro["median_to_payment_s"]) == (
        None,
        0,
        None,
    )
