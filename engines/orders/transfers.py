"""
Transfers of money: what is asked of providers, what they answer, and what follows for an order.

What is to be asked is recorded before it is asked, what was answered afterwards; in between the
order says so, and any process can settle it.  An answer that does not fit confirms nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engines.journal import Event
from engines.orders import transitions
from engines.orders.book import LONGEST_WAIT_S, OrderBook, of_kind, transfer_key, transfer_of
from engines.orders.model import Order, checked_reference
from engines.orders.money import Money
from engines.orders.transfer import Answer, Kind, Outcome, Transfer, TransferState
from engines.orders.transitions import Action, OrderState, WrongState

BY_HAND = "by-hand"
"""The provider of what people receive and give back themselves."""

_FIRST_WAIT_S, _MOST_GROWN_S = 15.0, 3600.0
_LONGEST_TEXT = 300


class Transfers(OrderBook):
    """Payments and refunds: asked for, answered, in dispute."""

    def want_payment(self, order_id: str, provider: str, *, live: bool) -> Transfer:
        """
        Record that *provider* is to take the order's amount; a payment under way goes on.

        Raises:
            WrongState: It is paid, ended or being cancelled, or an earlier payment is unclear.
        """
        with self.deciding():
            order = self.order(order_id)
            self._require_payable(order)
            if under_way := order.open_payment:
                if under_way.provider == provider:
                    return under_way
                self._give_up_unsent(order, under_way)
            return self._want(order_id, Kind.PAYMENT, provider, order.amount, live=live)

    def asking(self, order_id: str, kind: Kind, number: int) -> Transfer | None:
        """
        Record that a provider is being asked, from here on; None where the answer is known.

        Nothing is sent before: whoever finds a transfer unsent knows that nobody has heard of it.
        """
        with self.deciding():
            transfer = transfer_of(self.order(order_id), kind, number)
            if transfer.state in {TransferState.UNSENT, TransferState.ASKED}:
                self._note(f"{kind.value}_asked", order_id, number=number)
                transfer = transfer_of(self.order(order_id), kind, number)
            return transfer if transfer.is_open else None

    def answer(self, order_id: str, kind: Kind, number: int, answer: Answer) -> Order:
        """
        Record what a provider answered, and what follows for the order.

        An answer that does not fit the order confirms nothing: the transfer is in dispute.
        """
        with self.deciding():
            order = self.order(order_id)
            transfer = transfer_of(order, kind, number)
            answer = _as_known(transfer, answer)
            if not _takes(order, transfer, answer):
                self._note_contradiction(order, transfer, answer)
            elif doubt := self._doubt(order, transfer, answer):
                self._dispute(order, transfer, doubt)
            else:
                self._take(order, transfer, answer)
        return self.order(order_id)

    def dispute(self, order_id: str, kind: Kind, number: int, reason: str) -> Order:
        """Give up asking about a transfer: people have to find out what became of it."""
        with self.deciding():
            order = self.order(order_id)
            transfer = transfer_of(order, kind, number)
            if transfer.is_open:
                self._dispute(order, transfer, reason)
        return self.order(order_id)

    # --- below the face: only within `deciding()` ----------------------------------------------

    def _note(self, event_type: str, order_id: str, **payload: Any) -> Event:
        return self.record(event_type, order_id=order_id, at=self.clock(), **payload)

    def _want(
        self,
        order_id: str,
        kind: Kind,
        provider: str,
        amount: int,
        *,
        live: bool,
        **more: str | None,
    ) -> Transfer:
        number = len(of_kind(self.order(order_id), kind)) + 1
        self._note(
            f"{kind.value}_wanted",
            order_id,
            number=number,
            provider=checked_reference(provider, "provider"),
            key=transfer_key(order_id, kind, number),
            amount=amount,
            live=live,
            **{name: value for name, value in more.items() if value},
        )
        return transfer_of(self.order(order_id), kind, number)

    def _give_up_unsent(self, order: Order, transfer: Transfer) -> None:
        """Close a transfer that nobody has heard of; refuse where somebody may have."""
        if transfer.state is not TransferState.UNSENT:
            raise WrongState(
                f"order {order.id}: {transfer.provider} has not answered yet",
                hint="`dino orders settle` asks it again",
            )
        self._record_answer(order, transfer, TransferState.DECLINED, "never sent")

    def _give_back(
        self, order: Order, amount: int, *, who: str = "", client_key: str | None = None
    ) -> Transfer:
        payment = order.payment
        if payment is None:
            raise WrongState(f"order {order.id} was not paid")
        refund = self._want(
            order.id,
            Kind.REFUND,
            payment.provider,
            amount,
            live=payment.live,
            who=who,
            client_key=client_key,
        )
        if payment.provider == BY_HAND:
            self._take(self.order(order.id), refund, Answer(Outcome.CONFIRMED))
        return transfer_of(self.order(order.id), Kind.REFUND, refund.number)

    def _take(self, order: Order, transfer: Transfer, answer: Answer) -> None:
        """Record an answer that fits, and what follows from it."""
        state = _state_after(transfer, answer)
        more: dict[str, Any] = {"note": short(answer.note)} if answer.note else {}
        if answer.reference:
            more["reference"] = answer.reference
        if answer.outcome in {Outcome.PENDING, Outcome.UNAVAILABLE}:
            more["next_try"] = self.clock() + _wait_s(transfer.tries, answer.retry_after_s)
        self._record_answer(order, transfer, state, answer.reason, **more)
        if transfer.kind is Kind.PAYMENT:
            self._after_payment(self.order(order.id), state)
        else:
            self._after_refund(self.order(order.id), transfer, state)

    def _record_answer(
        self, order: Order, transfer: Transfer, state: TransferState, reason: str = "", **more: Any
    ) -> None:
        if reason:
            more["reason"] = short(reason)
        event_type = f"{transfer.kind.value}_answered"
        self._note(event_type, order.id, number=transfer.number, state=state.value, **more)

    def _after_payment(self, order: Order, state: TransferState) -> None:
        if state is TransferState.CONFIRMED:
            self._note("order_confirmed", order.id)
            if order.cancelling is not None:
                self._give_back(self.order(order.id), order.paid)
        elif state is TransferState.DECLINED and order.cancelling is not None:
            self._note("order_cancelled", order.id, reason=order.cancelling)

    def _after_refund(self, order: Order, refund: Transfer, state: TransferState) -> None:
        if state is TransferState.CONFIRMED and order.refunded == order.paid:
            if order.cancelling is not None and order.state is OrderState.CONFIRMED:
                self._note("order_cancelled", order.id, reason=order.cancelling)
            else:
                self._note("order_refunded", order.id)
        elif state is TransferState.DECLINED:
            self._problem(order, f"refund {refund.number} was declined by {refund.provider}")
            if order.cancelling is not None:
                self._note("order_kept", order.id, reason="its money could not be given back")

    def _dispute(self, order: Order, transfer: Transfer, reason: str) -> None:
        self._record_answer(order, transfer, TransferState.DISPUTED, reason)
        self._problem(order, f"{transfer.kind.value} {transfer.number}: {reason}")

    def _doubt(self, order: Order, transfer: Transfer, answer: Answer) -> str:
        """Why an answer cannot be about this transfer; empty where it can."""
        if answer.outcome in {Outcome.DECLINED, Outcome.UNAVAILABLE}:
            return ""
        said = answer.amount if answer.amount is not None else transfer.amount
        currency = (answer.currency or order.currency).upper()
        if (said, currency) != (transfer.amount, order.currency):
            wanted = Money(transfer.amount, order.currency)
            return f"{transfer.provider} speaks of {said} {currency} (minor units), not of {wanted}"
        if answer.reference is None:
            return ""
        if transfer.reference not in {None, answer.reference}:
            return f"{transfer.provider} calls it {answer.reference}, before {transfer.reference}"
        place = order.id, transfer.kind.value, transfer.number
        if self._by_reference.get(f"{transfer.provider} {answer.reference}", place) != place:
            return f"{transfer.provider} gave the reference {answer.reference} to another transfer"
        return ""

    def _note_contradiction(self, order: Order, transfer: Transfer, answer: Answer) -> None:
        """An answer that comes late is the one that is known, or it is told to people."""
        if answer.outcome in {Outcome.CONFIRMED, Outcome.DECLINED}:
            known, said = transfer.state.value, answer.outcome.value
            if known != said:
                what = f"{transfer.kind.value} {transfer.number}"
                self._problem(order, f"{what} was {known}; {transfer.provider} says {said} now")

    def _problem(self, order: Order, problem: str) -> None:
        if problem not in self.order(order.id).problems:
            self._note("problem_found", order.id, problem=short(problem))

    def _require_payable(self, order: Order) -> None:
        transitions.after(order.state, Action.CONFIRM)
        self._require_not_cancelling(order)
        if any(t.state is TransferState.DISPUTED for t in order.payments):
            raise WrongState(
                f"order {order.id}: what became of an earlier payment is not clear",
                hint="see `dino orders show`; then confirm it by hand, or cancel it",
            )

    @staticmethod
    def _require_not_cancelling(order: Order) -> None:
        if order.cancelling is not None:
            raise WrongState(f"order {order.id} is being cancelled")


def _as_known(transfer: Transfer, answer: Answer) -> Answer:
    """*answer* without what it cannot know: what became of a request before it."""
    if answer.refused and _maybe_heard_before(transfer):
        return replace(answer, outcome=Outcome.UNAVAILABLE)
    return answer


def _maybe_heard_before(transfer: Transfer) -> bool:
    """Whether the provider may have heard of it before it was asked the last time."""
    return transfer.state is not TransferState.UNSENT and not transfer.asked_once


def _takes(order: Order, transfer: Transfer, answer: Answer) -> bool:
    """Whether an answer can still change the transfer."""
    if transfer.state is TransferState.DISPUTED:
        definite = answer.outcome in {Outcome.CONFIRMED, Outcome.DECLINED}
        return definite and (transfer.kind is Kind.REFUND or order.state is OrderState.CREATED)
    return transfer.is_open


def _state_after(transfer: Transfer, answer: Answer) -> TransferState:
    if answer.outcome is not Outcome.UNAVAILABLE:
        return TransferState(answer.outcome)
    if transfer.reference:
        return TransferState.PENDING
    if transfer.state is TransferState.UNSENT:  # it could not even be asked about
        return TransferState.UNSENT
    # That this asking was not heard says nothing about one before, whose answer got lost.
    unheard = not answer.sent and not _maybe_heard_before(transfer)
    return TransferState.UNSENT if unheard else TransferState.ASKED


def _wait_s(tries: int, asked_s: float | None) -> float:
    own = min(_FIRST_WAIT_S * (1 << min(tries, 20)), _MOST_GROWN_S)
    return max(own, min(asked_s or 0.0, LONGEST_WAIT_S))


def short(text: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return clean if len(clean) <= _LONGEST_TEXT else clean[: _LONGEST_TEXT - 1] + "…"
