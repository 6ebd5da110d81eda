"""The table of transitions: each that is in it happens, none that is not."""

from __future__ import annotations

from itertools import product

import pytest

from engines.orders import TRANSITIONS, Action, Order, Orders, OrderState, WrongState

CREATED, CONFIRMED, FULFILLED, CANCELLED, REFUNDED = OrderState
LEGAL = {
    (CREATED, Action.CONFIRM): CONFIRMED,
    (CREATED, Action.CANCEL): CANCELLED,
    (CONFIRMED, Action.FULFIL): FULFILLED,
    (CONFIRMED, Action.CANCEL): CANCELLED,
    (CONFIRMED, Action.REFUND): REFUNDED,
    (FULFILLED, Action.REFUND): REFUNDED,
}
HOW_TO_GET_THERE: dict[OrderState, tuple[Action, ...]] = {
    CREATED: (),
    CONFIRMED: (Action.CONFIRM,),
    FULFILLED: (Action.CONFIRM, Action.FULFIL),
    CANCELLED: (Action.CANCEL,),
    REFUNDED: (Action.CONFIRM, Action.REFUND),
}


def do(orders: Orders, order_id: str, action: Action) -> None:
    match action:
        case Action.CONFIRM:
            orders.confirm_by_hand(order_id, who="ada")
        case Action.FULFIL:
            orders.fulfil(order_id, who="ada")
        case Action.CANCEL:
            orders.cancel(order_id, who="ada")
        case Action.REFUND:
            orders.want_refund(order_id, who="ada")


def order_in(orders: Orders, state: OrderState) -> Order:
    order = orders.create(1250, "EUR")
    for action in HOW_TO_GET_THERE[state]:
        do(orders, order.id, action)
    return orders.order(order.id)


@pytest.mark.parametrize(("state", "action"), list(product(OrderState, Action)))
def test_an_order_goes_where_the_table_leads_and_nowhere_else(
    orders: Orders, state: OrderState, action: Action
) -> None:
    """What is refused leaves the order as it was, and says what would be possible."""
    before = order_in(orders, state)
    assert before.state is state
    wanted = LEGAL.get((state, action))
    assert TRANSITIONS[state].get(action) is wanted
    if wanted:
        do(orders, before.id, action)
        assert orders.order(before.id).state is wanted
    else:
        with pytest.raises(WrongState, match=f"an order that is {state} cannot be") as refused:
            do(orders, before.id, action)
        assert (refused.value.hint or "").startswith("possible now: ")
        assert orders.order(before.id) == before


def test_the_two_ends_lead_nowhere() -> None:
    assert TRANSITIONS[CANCELLED] == TRANSITIONS[REFUNDED] == {}
    assert set(TRANSITIONS) == set(OrderState)
