"""Whatever is asked and answered, in whatever order: no money appears and none is lost."""

from __future__ import annotations

import contextlib
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from engines.errors import DinoError
from engines.orders import (
    TRANSITIONS,
    Answer,
    Kind,
    Orders,
    OrderState,
    Outcome,
    TransferState,
    revenue_of,
)

amounts = st.integers(1, 500)
outcomes = st.sampled_from(Outcome)


class Life(RuleBasedStateMachine):
    """People and a provider do what they like with a few orders."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000.0
        numbers = count(1)
        self.orders = Orders(clock=lambda: self.now, new_id=lambda: f"o{next(numbers)}")
        self.seen: dict[str, OrderState] = {}

    @rule(target=ids, amount=amounts, key=st.none() | st.sampled_from("ab"))
    def create(self, amount: int, key: str | None) -> str:
        with contextlib.suppress(DinoError):
            return self.orders.create(amount, "EUR", key=key).id
        return self.orders.create(amount, "EUR").id

    @rule(target=ids, amount=amounts)
    def fulfil_while_cancelling(self, amount: int) -> str:
        """What chance seldom comes upon: the money is on its way back, and somebody delivers."""
        order_id = self.orders.create(amount, "EUR").id
        self.orders.want_payment(order_id, "x", live=True)
        self.orders.answer(order_id, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED))
        self.orders.cancel(order_id)
        with contextlib.suppress(DinoError):
            self.orders.fulfil(order_id)
        return order_id

    @rule(order_id=ids, by_hand=st.booleans(), provider=st.sampled_from("xy"))
    def pay(self, order_id: str, by_hand: bool, provider: str) -> None:
        with contextlib.suppress(DinoError):
            if by_hand:
                self.orders.confirm_by_hand(order_id, who="ada")
            else:
                self.orders.want_payment(order_id, provider, live=True)
                self.orders.asking(order_id, Kind.PAYMENT, 1)

    @rule(order_id=ids, amount=st.none() | amounts, key=st.none() | st.sampled_from("ab"))
    def refund(self, order_id: str, amount: int | None, key: str | None) -> None:
        with contextlib.suppress(DinoError):
            self.orders.want_refund(order_id, amount, who="ada", key=key)

    @rule(order_id=ids, what=st.sampled_from(["cancel", "fulfil", "request", "stick"]))
    def do(self, order_id: str, what: str) -> None:
        with contextlib.suppress(DinoError):
            match what:
                case "cancel":
                    self.orders.cancel(order_id)
                case "fulfil":
                    self.orders.fulfil(order_id)
                case "request":
                    self.orders.request_fulfilment(order_id, "pack")
                case _:
                    self.orders.note_stuck(order_id, "lost")

    @rule(
        order_id=ids,
        place=st.integers(0, 5),
        outcome=outcomes,
        sent=st.booleans(),
        amount=st.none() | amounts,
        reference=st.none() | st.integers(0, 3),
    )
    def answer(
        self,
        order_id: str,
        place: int,
        *,
        outcome: Outcome,
        sent: bool,
        amount: int | None,
        reference: int | None,
    ) -> None:
        """Also late, twice, wrong, or about another."""
        transfers = self.orders.order(order_id).transfers
        if transfers:
            transfer = transfers[place % len(transfers)]
            name = None if reference is None else f"{transfer.kind}{reference}"
            said = Answer(outcome, name, amount, sent=sent)
            self.orders.answer(order_id, transfer.kind, transfer.number, said)

    @rule(order_id=ids, outcome=st.sampled_from([Outcome.CONFIRMED, Outcome.DECLINED]))
    def settle(self, order_id: str, outcome: Outcome) -> None:
        """The last word about all that is open: whatever came before, it can be recorded."""
        for transfer in self.orders.order(order_id).transfers:
            if transfer.is_open:
                self.orders.answer(order_id, transfer.kind, transfer.number, Answer(outcome))

    @rule(seconds=st.floats(0, 1e5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def money_is_conserved(self) -> None:
        """Paid is nothing or the amount; what went back and what is kept are what was paid."""
        kept = 0
        for order in self.orders.orders():
            assert order.paid in {0, order.amount}
            assert 0 <= order.refunded <= order.paid
            assert 0 <= order.refundable <= order.paid - order.refunded
            kept += order.paid - order.refunded
        found = revenue_of(self.orders.orders())
        assert sum(revenue.net for revenue in found.values()) == kept

    @invariant()
    def states_tell_the_truth_about_the_money(self) -> None:
        for order in self.orders.orders():
            match order.state:
                case OrderState.CREATED:
                    assert order.paid == 0
                case OrderState.CONFIRMED | OrderState.FULFILLED:
                    assert order.paid == order.amount
                    assert order.refunded < order.paid
                case OrderState.CANCELLED | OrderState.REFUNDED:
                    assert order.paid == order.refunded
                    assert order.open_payment is None

    @invariant()
    def what_is_being_cancelled_is_not_delivered(self) -> None:
        for order in self.orders.orders():
            assert order.cancelling is None or order.state in {"created", "confirmed"}
            assert not order.on_hold or order.state == "confirmed"

    @invariant()
    def orders_move_along_the_table(self) -> None:
        for order in self.orders.orders():
            before = self.seen.get(order.id, OrderState.CREATED)
            reachable = {before}
            for _ in OrderState:
                reachable |= {s for known in reachable for s in TRANSITIONS[known].values()}
            assert order.state in reachable
            self.seen[order.id] = order.state

    @invariant()
    def a_provider_is_asked_about_one_payment_at_a_time(self) -> None:
        for order in self.orders.orders():
            assert sum(t.is_open for t in order.payments) <= 1
            confirmed = [t for t in order.payments if t.state is TransferState.CONFIRMED]
            assert len(confirmed) <= 1
            for kind in Kind:
                keys = [t.key for t in order.transfers if t.kind is kind]
                assert len(keys) == len(set(keys))


Life.TestCase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
