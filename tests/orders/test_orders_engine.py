"""The engine of orders: keys, payments and refunds, and what providers may answer."""

from __future__ import annotations

from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.orders import (
    Answer,
    Item,
    KeyReused,
    Kind,
    Order,
    OrderNotFound,
    Orders,
    OrderState,
    Outcome,
    TransferState,
    WrongState,
)
from tests.orders.conftest import Clock

CONFIRMED, PENDING = Answer(Outcome.CONFIRMED, "pay_1"), Answer(Outcome.PENDING, "pay_1")
DECLINED, GONE = Answer(Outcome.DECLINED, reason="no"), Answer(Outcome.UNAVAILABLE, reason="down")
UNSENT = Answer(Outcome.UNAVAILABLE, reason="no net", sent=False)


def asked(orders: Orders, amount: int = 1250) -> Order:
    """An order whose payment a provider was asked for."""
    order = orders.create(amount, "EUR")
    orders.want_payment(order.id, "shop", live=True)
    orders.asking(order.id, Kind.PAYMENT, 1)
    return orders.order(order.id)


def paid(orders: Orders, amount: int = 1250, reference: str = "pay_1") -> Order:
    order = asked(orders, amount)
    return orders.answer(order.id, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, reference))


# --- creating --------------------------------------------------------------------------------------


def test_the_same_key_stands_for_the_same_order(orders: Orders) -> None:
    facts: dict[str, Any] = {"customer": "C-1", "items": [Item("beans", 2)], "key": "cart-7"}
    first = orders.create(1250, "EUR", **facts)
    assert orders.create(1250, "eur", **facts) == first
    assert len(orders.orders()) == 1
    for amount, currency, more in (
        (1251, "EUR", {}),
        (1250, "USD", {}),
        (1250, "EUR", {"customer": "C-2"}),
        (1250, "EUR", {"items": []}),
        (1250, "EUR", {"fulfil_with": "pack"}),
    ):
        with pytest.raises(KeyReused, match=f"the key 'cart-7' belongs to order {first.id}"):
            orders.create(amount, currency, **{**facts, **more})
    assert len(orders.orders()) == 1
    assert orders.create(1250, "EUR").id != orders.create(1250, "EUR").id


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"amount": 0}, "above zero"),
        ({"amount": -5}, "above zero"),
        ({"amount": 2**53}, "at most"),
        ({"amount": 12.5}, "whole minor units"),
        ({"amount": True}, "whole minor units"),
        ({"currency": "EURO"}, "did you mean 'EUR'"),
        ({"customer": "ann@example.org"}, "not a reference"),
        ({"customer": "Ann Lee"}, "no personal data|not a reference"),
        ({"customer": ""}, "not a reference"),
        ({"key": " "}, "must not be empty"),
        ({"key": "k" * 201}, "at most 200"),
        ({"items": [Item("a", 2, 600)]}, "add up to 12.00 EUR, the order to 12.50 EUR"),
        ({"items": [Item("a")] * 1001}, "at most 1000 items"),
    ],
)
def test_what_cannot_be_ordered_is_refused(
    orders: Orders, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        orders.create(**{"amount": 1250, "currency": "EUR", **change})
    assert orders.orders() == []


@pytest.mark.parametrize("wrong", [("two words",), ("a", 0), ("a", 1.5), ("a", 1, 2.5)])
def test_an_item_that_is_none_is_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidInput):
        Item(*wrong)


def test_an_order_nobody_made_is_not_found(orders: Orders) -> None:
    orders.create(1, "EUR")
    with pytest.raises(OrderNotFound, match="no order 'o2'"):
        orders.order("o2")


# --- paying ----------------------------------------------------------------------------------------


def test_a_payment_under_way_goes_on_and_is_not_begun_twice(orders: Orders) -> None:
    order = asked(orders)
    again = orders.want_payment(order.id, "shop", live=True)
    assert again == order.payments[0]
    with pytest.raises(WrongState, match="shop has not answered yet"):
        orders.want_payment(order.id, "other", live=True)
    with pytest.raises(WrongState, match="shop has not answered yet"):
        orders.confirm_by_hand(order.id, who="ada")
    done = orders.answer(order.id, Kind.PAYMENT, 1, CONFIRMED)
    assert (done.state, done.paid, done.payments[0].reference) == ("confirmed", 1250, "pay_1")
    with pytest.raises(WrongState, match="confirmed cannot be paid"):
        orders.want_payment(order.id, "shop", live=True)


def test_a_declined_payment_may_be_tried_again_under_another_key(orders: Orders) -> None:
    order = asked(orders)
    orders.answer(order.id, Kind.PAYMENT, 1, DECLINED)
    second = orders.want_payment(order.id, "other", live=True)
    keys = [t.key for t in orders.order(order.id).payments]
    assert keys == [f"dino-{order.id}-payment-1", f"dino-{order.id}-payment-2"]
    assert second.number == 2


def test_what_was_never_sent_may_go_to_another_provider(orders: Orders) -> None:
    order = asked(orders)
    orders.answer(order.id, Kind.PAYMENT, 1, UNSENT)
    assert orders.order(order.id).payments[0].state is TransferState.UNSENT
    orders.want_payment(order.id, "other", live=True)
    states = [t.state for t in orders.order(order.id).payments]
    assert states == [TransferState.DECLINED, TransferState.UNSENT]
    assert orders.confirm_by_hand(order.id, who="ada").state is OrderState.CONFIRMED


def test_what_may_have_been_heard_once_is_never_taken_for_unsent(orders: Orders) -> None:
    """Whoever asked first died; that the next one found no connection does not undo that."""
    order = asked(orders)
    orders.asking(order.id, Kind.PAYMENT, 1)
    after = orders.answer(order.id, Kind.PAYMENT, 1, UNSENT)
    assert after.payments[0].state is TransferState.ASKED
    assert orders.cancel(order.id, reason="no").state is OrderState.CREATED
    with pytest.raises(WrongState, match="is being cancelled"):
        orders.confirm_by_hand(order.id, who="ada")


def test_what_could_not_be_asked_about_stays_unsent(orders: Orders) -> None:
    """Say, because the one who was to ask never began: nobody has heard of it."""
    order = orders.create(1250, "EUR")
    orders.want_payment(order.id, "shop", live=True)
    after = orders.answer(order.id, Kind.PAYMENT, 1, GONE)
    assert after.payments[0].state is TransferState.UNSENT
    assert orders.cancel(order.id).state is OrderState.CANCELLED


def test_waiting_grows_from_try_to_try_and_heeds_what_the_provider_wants(
    orders: Orders, clock: Clock
) -> None:
    order = asked(orders)
    waits = []
    for _ in range(12):
        orders.answer(order.id, Kind.PAYMENT, 1, GONE)
        due = orders.next_due() or 0
        waits.append(due - clock.now)
        assert orders.due() == []
        clock.now = due
        assert [o.id for o, _ in orders.due()] == [order.id]
    assert waits == [15.0 * 2**n for n in range(8)] + [3600.0] * 4
    late = Answer(Outcome.UNAVAILABLE, retry_after_s=7200.0)
    orders.answer(order.id, Kind.PAYMENT, 1, late)
    assert orders.next_due() == clock.now + 7200


@pytest.mark.parametrize("answered", [True, False])
def test_a_clock_that_was_wrong_for_a_while_keeps_nobody_waiting_for_years(
    orders: Orders, clock: Clock, answered: bool
) -> None:
    """Ten years ahead, and put right: what was to be asked then is to be asked now."""
    now = clock.now
    clock.now += 10 * 365 * 86400
    order = asked(orders)
    if answered:
        orders.answer(order.id, Kind.PAYMENT, 1, GONE)
    clock.now = now
    assert [o.id for o, _ in orders.due(patience_s=30)] == [order.id]
    assert orders.next_due(patience_s=30) == now


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(Outcome.CONFIRMED, "pay_9", 1200, "EUR"), "speaks of 1200 EUR"),
        (Answer(Outcome.CONFIRMED, "pay_9", 1250, "USD"), "speaks of 1250 USD"),
        (Answer(Outcome.PENDING, "pay_9", 1, "EUR"), "speaks of 1 EUR"),
        (Answer(Outcome.CONFIRMED, "taken", 1250, "EUR"), "to another transfer"),
    ],
)
def test_an_answer_that_does_not_fit_confirms_nothing(
    orders: Orders, answer: Answer, why: str
) -> None:
    """The payment is in dispute, for people; it is neither asked again nor begun anew."""
    paid(orders, reference="taken")
    order = asked(orders)
    after = orders.answer(order.id, Kind.PAYMENT, 1, answer)
    assert (after.state, after.paid) == (OrderState.CREATED, 0)
    assert after.payments[0].state is TransferState.DISPUTED
    assert why in after.problems[0]
    assert orders.due() == []
    with pytest.raises(WrongState, match="not clear"):
        orders.want_payment(order.id, "shop", live=True)
    seen = orders.confirm_by_hand(order.id, who="ada", method="bank says so")
    assert (seen.state, seen.paid) == (OrderState.CONFIRMED, 1250)
    assert orders.resolve(order.id, who="ada", note="seen").problems == ()
    with pytest.raises(WrongState, match="no problems"):
        orders.resolve(order.id, who="ada", note="again")


def test_a_reference_does_not_change_under_a_payment(orders: Orders) -> None:
    order = asked(orders)
    orders.answer(order.id, Kind.PAYMENT, 1, PENDING)
    after = orders.answer(order.id, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, "pay_2"))
    assert "calls it pay_2, before pay_1" in after.problems[0]


def test_a_late_answer_changes_nothing_and_one_that_contradicts_is_told(orders: Orders) -> None:
    order = paid(orders)
    lines = len(orders.order(order.id).problems)
    for answer in (CONFIRMED, PENDING, GONE):
        assert orders.answer(order.id, Kind.PAYMENT, 1, answer) == order
    assert lines == 0
    for _ in range(2):
        after = orders.answer(order.id, Kind.PAYMENT, 1, DECLINED)
        assert after.problems == ("payment 1 was confirmed; shop says declined now",)
    assert after.paid == 1250


def test_a_dispute_ends_with_an_answer_that_fits(orders: Orders) -> None:
    order = asked(orders)
    orders.dispute(order.id, Kind.PAYMENT, 1, "asked too long ago")
    assert orders.answer(order.id, Kind.PAYMENT, 1, CONFIRMED).state is OrderState.CONFIRMED


# --- back again ------------------------------------------------------------------------------------


def test_parts_go_back_but_never_more_than_was_paid(orders: Orders) -> None:
    """What is on its way counts as gone; what was declined does not."""
    order = paid(orders)
    orders.want_refund(order.id, 500)
    orders.want_refund(order.id, 700)
    with pytest.raises(WrongState, match=r"0\.50 EUR is left"):
        orders.want_refund(order.id, 51)
    orders.answer(order.id, Kind.REFUND, 1, DECLINED)
    after = orders.answer(order.id, Kind.REFUND, 2, Answer(Outcome.CONFIRMED, "rf_2"))
    assert (after.state, after.refunded, after.refundable) == (OrderState.CONFIRMED, 700, 550)
    assert "refund 1 was declined" in after.problems[0]
    last = orders.want_refund(order.id)
    assert last.amount == 550
    ended = orders.answer(order.id, Kind.REFUND, 3, Answer(Outcome.CONFIRMED, "rf_3"))
    assert (ended.state, ended.refunded) == (OrderState.REFUNDED, 1250)


def test_the_same_key_stands_for_the_same_refund(orders: Orders) -> None:
    order = paid(orders)
    first = orders.want_refund(order.id, 500, key="r-1")
    assert orders.want_refund(order.id, 500, key="r-1") == first
    with pytest.raises(KeyReused, match=r"a refund of 5\.00 EUR"):
        orders.want_refund(order.id, 501, key="r-1")
    assert len(orders.order(order.id).refunds) == 1


def test_a_paid_order_is_cancelled_when_its_money_is_back(orders: Orders) -> None:
    order = paid(orders)
    orders.want_refund(order.id, 250)
    orders.answer(order.id, Kind.REFUND, 1, Answer(Outcome.CONFIRMED, "rf_1"))
    between = orders.cancel(order.id, reason="out of stock")
    assert (between.state, between.cancelling) == (OrderState.CONFIRMED, "out of stock")
    assert [t.amount for t in between.refunds] == [250, 1000]
    assert not between.wants_fulfilment
    with pytest.raises(WrongState, match="is being cancelled"):
        orders.want_refund(order.id, 1)
    assert orders.cancel(order.id).refunds == between.refunds
    ended = orders.answer(order.id, Kind.REFUND, 2, Answer(Outcome.CONFIRMED, "rf_2"))
    assert (ended.state, ended.refunded, ended.cancelling) == ("cancelled", 1250, None)


def test_an_order_whose_money_cannot_go_back_is_kept(orders: Orders) -> None:
    order = paid(orders)
    orders.cancel(order.id, reason="x")
    kept = orders.answer(order.id, Kind.REFUND, 1, DECLINED)
    assert (kept.state, kept.cancelling, kept.refundable) == ("confirmed", None, 1250)
    assert not kept.wants_fulfilment
    with pytest.raises(WrongState, match="could not be given back"):
        orders.request_fulfilment(order.id, "pack")
    assert orders.resolve(order.id, who="ada", note="it is to be delivered").wants_fulfilment


def test_kept_with_part_of_its_money_back_it_waits_for_people(orders: Orders) -> None:
    """One refund of two was declined, the other confirmed: nobody wants it, and it is part paid."""
    order = paid(orders, 1000)
    orders.want_refund(order.id, 400)
    orders.cancel(order.id, reason="x")
    orders.answer(order.id, Kind.REFUND, 1, DECLINED)
    kept = orders.answer(order.id, Kind.REFUND, 2, Answer(Outcome.CONFIRMED, "rf_2"))
    assert (kept.state, kept.refunded, kept.on_hold) == ("confirmed", 600, True)
    assert not kept.wants_fulfilment


def test_what_is_being_cancelled_is_not_fulfilled(orders: Orders) -> None:
    order = paid(orders)
    orders.cancel(order.id, reason="x")
    with pytest.raises(WrongState, match="is being cancelled"):
        orders.fulfil(order.id, who="ada")
    back = Answer(Outcome.CONFIRMED, "rf_1")
    assert orders.answer(order.id, Kind.REFUND, 1, back).state is OrderState.CANCELLED


def test_a_record_of_one_that_was_fulfilled_all_the_same_can_be_ended(orders: Orders) -> None:
    """Such a record may be there from before that was refused: its refund has to end somehow."""
    order = paid(orders)
    orders.cancel(order.id, reason="x")
    with orders.deciding():
        orders.record("order_fulfilled", order_id=order.id, at=orders.clock())
    ended = orders.answer(order.id, Kind.REFUND, 1, Answer(Outcome.CONFIRMED, "rf_1"))
    assert (ended.state, ended.cancelling) == (OrderState.REFUNDED, None)


@pytest.mark.parametrize(
    ("answer", "state", "refunds"),
    [(DECLINED, "cancelled", 0), (CONFIRMED, "confirmed", 1), (PENDING, "created", 0)],
)
def test_cancelled_while_it_is_being_paid_an_order_waits_for_the_answer(
    orders: Orders, answer: Answer, state: str, refunds: int
) -> None:
    """Declined: it is cancelled; confirmed: its money goes back; pending: it waits on."""
    order = asked(orders)
    assert orders.cancel(order.id, reason="no").cancelling == "no"
    after = orders.answer(order.id, Kind.PAYMENT, 1, answer)
    assert (after.state, len(after.refunds)) == (state, refunds)
    if refunds:
        back = Answer(Outcome.CONFIRMED, "rf_1")
        assert orders.answer(order.id, Kind.REFUND, 1, back).state is OrderState.CANCELLED


def test_cancelled_before_anything_was_sent_an_order_is_cancelled_at_once(orders: Orders) -> None:
    order = asked(orders)
    orders.answer(order.id, Kind.PAYMENT, 1, UNSENT)
    assert orders.cancel(order.id).state is OrderState.CANCELLED
    assert orders.due() == []


def test_an_end_is_final_whatever_comes_late(orders: Orders) -> None:
    order = orders.create(1250, "EUR")
    orders.want_payment(order.id, "shop", live=True)
    orders.answer(order.id, Kind.PAYMENT, 1, DECLINED)
    orders.cancel(order.id)
    after = orders.answer(order.id, Kind.PAYMENT, 1, CONFIRMED)
    assert (after.state, after.paid) == (OrderState.CANCELLED, 0)
    assert after.problems == ("payment 1 was declined; shop says confirmed now",)
