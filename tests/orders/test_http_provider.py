"""The provider `http` against a real server: what its answers mean, and every way to lose one."""

from __future__ import annotations

from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.orders.till import Till
from dino_os.payments import Charge
from dino_os.payments.over_http import HttpProvider
from dino_os.secret import Secret
from engines.orders import Kind, Orders, OrderState, Outcome, TransferState
from tests.orders.conftest import Clock, provider_at
from tests.orders.payment_server import KEY, PaymentServer

CHARGE = Charge("o1", 1250, "EUR", "C-1")


def provider_for(url: str) -> HttpProvider:
    return HttpProvider(url, Secret(KEY), timeout_s=5, key_life_s=1, pause=lambda seconds: None)


# --- one request -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["confirmed", "pending", "declined"])
def test_the_three_answers(server: PaymentServer, status: str) -> None:
    server.status = status
    answer = provider_at(server).charge(CHARGE, "k-1")
    told = (answer.outcome, answer.reference, answer.amount, answer.currency)
    assert told == (status, "pay_1", 1250, "EUR")
    assert server.requests == [("POST", "/v1/payments", "k-1")]
    assert server.bodies[0] == {
        "amount": 1250,
        "currency": "EUR",
        "reference": "k-1",
        "order": "o1",
        "customer": "C-1",
    }


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("402", Outcome.DECLINED),
        ("400", Outcome.DECLINED),
        ("401", Outcome.UNAVAILABLE),
        ("403", Outcome.UNAVAILABLE),
        ("409", Outcome.UNAVAILABLE),
        ("422", Outcome.UNAVAILABLE),
        ("429", Outcome.UNAVAILABLE),
        ("redirect", Outcome.UNAVAILABLE),
        ("garbage", Outcome.UNAVAILABLE),
    ],
)
def test_what_an_answer_means_is_not_asked_for_twice(
    server: PaymentServer, fault: str, outcome: Outcome
) -> None:
    """One request; the key stands in no reason, even where the other side repeats it."""
    server.faults = [fault]
    answer = provider_at(server).charge(CHARGE, "k-1")
    assert answer.outcome is outcome
    assert len(server.requests) == 1
    assert KEY not in answer.reason
    assert answer.reason


def test_when_to_come_again_is_heeded(server: PaymentServer) -> None:
    server.faults = ["429 later"]
    assert provider_at(server).charge(CHARGE, "k-1").retry_after_s == 120


@pytest.mark.parametrize("fault", ["500", "503", "drop before", "drop after", "500 after", "short"])
def test_what_was_not_answered_is_asked_again_with_the_same_key(
    server: PaymentServer, fault: str
) -> None:
    """Which is safe: the work was done once, whether before the fault or after."""
    server.faults = [fault, fault]
    answer = provider_at(server).charge(CHARGE, "k-1")
    assert (answer.outcome, answer.reference) == (Outcome.CONFIRMED, "pay_1")
    assert {key for _, _, key in server.requests} == {"k-1"}
    assert len(server.requests) == 3
    assert server.charged == 1250


@pytest.mark.parametrize("lost", ["500 after", "drop after"])
@pytest.mark.parametrize("status", ["400", "404", "415"])
def test_refused_after_it_may_have_been_heard_is_not_declined(
    server: PaymentServer, lost: str, status: str
) -> None:
    """The first request charged; that the second was turned away takes nothing back."""
    server.faults = [lost, status]
    answer = provider_at(server).charge(CHARGE, "k-1")
    assert (answer.outcome, server.charged) == (Outcome.UNAVAILABLE, 1250)


@pytest.mark.parametrize("fault", ["500 after", "drop after", "hang", "drip", "huge"])
def test_without_an_answer_it_may_have_been_heard(server: PaymentServer, fault: str) -> None:
    """Also where the other side keeps sending for ever."""
    server.faults = [fault]
    answer = provider_at(server, tries=1, timeout_s=0.3).charge(CHARGE, "k-1")
    assert (answer.outcome, answer.sent) == (Outcome.UNAVAILABLE, True)
    assert server.charged == 1250


def test_without_a_connection_nothing_was_sent(server: PaymentServer) -> None:
    answer = provider_for("http://127.0.0.1:9").charge(CHARGE, "k-1")
    assert (answer.outcome, answer.sent) == (Outcome.UNAVAILABLE, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "../refunds"},
        {"id": "x" * 201},
        {"status": "maybe"},
        {"status": ["confirmed"]},
        {"amount": 1250.0},
        {"amount": "1250"},
        {"amount": True},
        {"currency": None},
        {"reference": "of-another"},
    ],
)
def test_an_answer_that_is_not_one_confirms_nothing(
    server: PaymentServer, changes: dict[str, Any]
) -> None:
    server.changes = changes
    assert provider_at(server).charge(CHARGE, "k-1").outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize(
    "url",
    [
        "pay.example",
        "ftp://pay.example",
        "http://pay.example",
        "https://",
        "https://u:p@pay.example",
    ],
)
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"orders\.http\.url"):
        provider_for(url)
    provider_for("https://pay.example/base")


# --- through the till: nothing is charged or given back twice --------------------------------------


def begun(orders: Orders, till: Till) -> str:
    order_id = orders.create(1250, "EUR", customer="C-1").id
    till.pay(order_id, "http")
    return order_id


@pytest.mark.parametrize("fault", ["500 after", "drop after", "garbage", "short", "409"])
def test_a_lost_answer_is_settled_later_and_charged_once(
    orders: Orders, till: Till, server: PaymentServer, clock: Clock, fault: str
) -> None:
    server.faults = [fault]
    order_id = begun(orders, till)
    assert orders.order(order_id).payments[0].state is TransferState.ASKED
    assert till.settle().asked == []
    clock.now += 60
    assert till.settle().asked == [order_id]
    order = orders.order(order_id)
    assert (order.state, order.paid, server.charged) == (OrderState.CONFIRMED, 1250, 1250)
    assert len(server.payments) == 1
    assert till.settle(everything=True).asked == []


@pytest.mark.parametrize("lost", ["500 after", "drop after"])
@pytest.mark.parametrize("status", ["400", "404", "415"])
def test_refused_after_a_lost_answer_it_stays_open_and_is_charged_once(
    orders: Orders, till: Till, server: PaymentServer, lost: str, status: str
) -> None:
    """Were it declined, the order would be paid once more under another key."""
    server.faults = [lost, status]
    order_id = begun(orders, till)
    till.settle(everything=True)
    assert orders.order(order_id).payments[0].state is TransferState.ASKED
    till.settle(everything=True)
    assert orders.order(order_id).state is OrderState.CONFIRMED
    assert (server.charged, len(server.payments)) == (1250, 1)


def test_refused_at_once_it_is_declined(orders: Orders, till: Till, server: PaymentServer) -> None:
    server.faults = ["400"]
    order_id = begun(orders, till)
    assert orders.order(order_id).payments[0].state is TransferState.DECLINED


def test_a_currency_in_small_letters_is_the_same_one(
    orders: Orders, till: Till, server: PaymentServer
) -> None:
    server.changes = {"currency": "eur"}
    order = orders.order(begun(orders, till))
    assert (order.state, order.problems) == (OrderState.CONFIRMED, ())


def test_a_pending_payment_is_asked_about_and_not_made_again(
    orders: Orders, till: Till, server: PaymentServer
) -> None:
    server.status = "pending"
    order_id = begun(orders, till)
    till.settle(everything=True)
    server.payments["pay_1"]["status"] = "confirmed"
    till.settle(everything=True)
    assert orders.order(order_id).state is OrderState.CONFIRMED
    assert [method for method, _, _ in server.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("changes", [{"amount": 1}, {"currency": "USD"}])
def test_a_wrong_amount_or_currency_confirms_nothing(
    orders: Orders, till: Till, server: PaymentServer, changes: dict[str, Any]
) -> None:
    server.changes = changes
    order = orders.order(begun(orders, till))
    assert (order.state, order.paid) == (OrderState.CREATED, 0)
    assert order.payments[0].state is TransferState.DISPUTED
    assert "speaks of" in order.problems[0]


def test_one_payment_pays_one_order(orders: Orders, till: Till, server: PaymentServer) -> None:
    """A provider that shows the same payment for two orders is not believed the second time."""
    begun(orders, till)
    server.changes = {"id": "pay_1"}
    second = orders.order(begun(orders, till))
    assert second.state is OrderState.CREATED
    assert "to another transfer" in second.problems[0]


@pytest.mark.parametrize("fault", ["500 after", "drop after", "garbage"])
def test_a_refund_whose_answer_got_lost_is_made_once(
    orders: Orders, till: Till, server: PaymentServer, fault: str
) -> None:
    order_id = begun(orders, till)
    asked = orders.want_refund(order_id, 500)
    server.faults = [fault]
    till.ask(order_id, Kind.REFUND, asked.number)
    assert orders.order(order_id).refunded == 0
    till.settle(everything=True)
    assert (orders.order(order_id).refunded, server.given_back) == (500, 500)
    assert len(server.refunds) == 1


def test_a_pending_refund_is_asked_about(orders: Orders, till: Till, server: PaymentServer) -> None:
    order_id = begun(orders, till)
    server.status = "pending"
    orders.want_refund(order_id)
    till.settle(everything=True)
    server.refunds["rf_1"]["status"] = "confirmed"
    till.settle(everything=True)
    assert orders.order(order_id).state is OrderState.REFUNDED
    assert server.requests[-1][:2] == ("GET", "/v1/payments/pay_1/refunds/rf_1")


def test_a_key_the_provider_may_have_forgotten_is_not_used_again(
    orders: Orders, till: Till, server: PaymentServer, clock: Clock
) -> None:
    """Asking then could charge twice: people have to look."""
    server.faults = ["drop after"]
    order_id = begun(orders, till)
    clock.now += 86_401
    till.settle()
    order = orders.order(order_id)
    assert len(server.requests) == 1
    assert order.payments[0].state is TransferState.DISPUTED
    assert "look it up there" in order.problems[0]


@pytest.mark.parametrize("ahead_s", [10 * 365 * 86400, 5])
def test_a_key_whose_age_nobody_knows_is_not_used_again(
    orders: Orders, till: Till, server: PaymentServer, clock: Clock, ahead_s: float
) -> None:
    """The clock was wrong when it was asked; a step as clocks take them does not count."""
    clock.now += ahead_s
    server.faults = ["drop after"]
    order_id = begun(orders, till)
    clock.now -= ahead_s
    till.settle(everything=True)
    unknown = ahead_s > 5
    assert (orders.order(order_id).payments[0].state == "disputed") == unknown
    assert len(server.requests) == (1 if unknown else 2)


def test_cancelled_while_the_answer_is_lost_the_money_comes_back(
    orders: Orders, till: Till, server: PaymentServer
) -> None:
    server.faults = ["drop after"]
    order_id = begun(orders, till)
    orders.cancel(order_id, reason="changed my mind")
    till.settle(everything=True)
    assert orders.order(order_id).state is OrderState.CANCELLED
    assert (server.charged, server.given_back) == (1250, 1250)


def test_a_provider_whose_code_fails_leaves_the_payment_open(orders: Orders) -> None:
    """And its words, which may hold a key, out of the record."""

    class Broken:
        moves_money, local, key_life_s = True, True, 1e9

        def charge(self, order: Charge, idempotency_key: str) -> Any:
            if order.amount == 1:
                raise RuntimeError(f"could not use {KEY}")
            return "fine"

    for amount, why in ((1, "RuntimeError"), (2, "gave no answer")):
        order_id = orders.create(amount, "EUR").id
        till = Till(orders, lambda name: Broken(), lambda name: True)  # type: ignore[arg-type,return-value]
        payment = till.pay(order_id, "broken").payments[0]
        assert (payment.state, KEY in payment.reason) == (TransferState.ASKED, False)
        assert why in payment.reason
