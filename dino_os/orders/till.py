"""
The till: asks payment providers what the record says is to be asked, and records their answers.

A provider is never asked while a lock is held.  Whoever dies between asking and recording leaves a
transfer that is open; the next asks again with the same idempotency key, so that nobody pays twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from dino_os.errors import DinoError
from dino_os.payments import Charge, PaymentProvider
from engines.orders import Answer, Kind, Order, Orders, Outcome, Transfer, TransferState

# So far a clock may be put back in the ordinary course of things.
_CLOCK_STEP_S = 300.0


@dataclass(slots=True)
class Settled:
    """What was asked: the orders by id, and what could not be asked."""

    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Till:
    """
    The orders' way to payment providers.

    Args:
        provider: The provider of a name; raises a DinoError where it cannot be used.
        is_local: Whether the one of that name needs no network; nothing is made to say so.
    """

    def __init__(
        self,
        orders: Orders,
        provider: Callable[[str], PaymentProvider],
        is_local: Callable[[str], bool],
    ) -> None:
        self._orders = orders
        self._provider = provider
        self._is_local = is_local

    def pay(self, order_id: str, name: str) -> Order:
        """
        Have the order paid through the provider of that name; what is unclear stays open.

        Raises:
            DinoError: The provider cannot be used, or the order cannot be paid; nothing is asked.
        """
        self._orders.refresh()
        provider = self._provider(name)
        payment = self._orders.want_payment(order_id, name, live=provider.moves_money)
        return self.ask(order_id, Kind.PAYMENT, payment.number)

    def ask(self, order_id: str, kind: Kind, number: int) -> Order:
        """
        Ask about one transfer and record the answer.

        Raises:
            DinoError: Its provider cannot be used.
        """
        transfer = self._orders.transfer(order_id, kind, number)
        if not transfer.is_open:
            return self._orders.order(order_id)
        provider = self._provider(transfer.provider)
        if _forgotten(transfer, provider, self._orders.clock()):
            reason = (
                f"asked too long ago, or nobody knows when, for {transfer.provider} to know the "
                "key for certain: look it up there"
            )
            return self._orders.dispute(order_id, kind, number, reason)
        ready = self._orders.asking(order_id, kind, number)
        order = self._orders.order(order_id)
        if ready is None:
            return order
        answer = _answer(provider, order, ready)
        return self._orders.answer(order_id, kind, number, answer)

    def settle(self, *, everything: bool = False, only_local: bool = False) -> Settled:
        """
        Ask about every open transfer that is due.

        Args:
            everything: Also those that are not due yet.
            only_local: Leave out the providers behind a network.
        """
        done = Settled()
        self._orders.refresh()
        seen: set[tuple[str, str, int]] = set()
        while found := self._pending(seen, everything=everything):
            for order, transfer in found:  # a payment may bring a refund, which is asked for next
                seen.add((order.id, transfer.kind.value, transfer.number))
                try:
                    if only_local and not self._is_local(transfer.provider):
                        continue
                    self.ask(order.id, transfer.kind, transfer.number)
                    done.asked.append(order.id)
                except DinoError as error:
                    done.errors.append(f"order {order.id}: {error.message}")
        return done

    def _pending(
        self, seen: set[tuple[str, str, int]], *, everything: bool
    ) -> list[tuple[Order, Transfer]]:
        found = self._orders.open_transfers() if everything else self._orders.due()
        return [(o, t) for o, t in found if (o.id, t.kind.value, t.number) not in seen]


def _forgotten(transfer: Transfer, provider: PaymentProvider, now: float) -> bool:
    """Whether asking with its key could do the thing a second time."""
    age = now - transfer.asked_at
    if age < -_CLOCK_STEP_S:
        age = math.inf  # asked by a clock that was wrong: nobody knows how long ago
    return (
        transfer.state is TransferState.ASKED
        and transfer.reference is None
        and age > provider.key_life_s
    )


def _answer(provider: PaymentProvider, order: Order, transfer: Transfer) -> Answer:
    """Ask the one question that fits; whatever goes wrong leaves the transfer open."""
    try:
        answer = _question(provider, order, transfer)
    except DinoError as error:
        return Answer(Outcome.UNAVAILABLE, reason=error.message)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
        # Its kind only: what it says may hold a key.
        return Answer(Outcome.UNAVAILABLE, reason=f"its code failed: {type(error).__name__}")
    if not isinstance(answer, Answer) or not isinstance(answer.outcome, Outcome):
        return Answer(Outcome.UNAVAILABLE, reason="its code gave no answer")
    return answer


def _question(provider: PaymentProvider, order: Order, transfer: Transfer) -> Answer:
    paid = order.payment.reference if order.payment else None
    if transfer.kind is Kind.PAYMENT:
        if transfer.reference:
            return provider.status(transfer.reference)
        charge = Charge(order.id, transfer.amount, order.currency, order.customer)
        return provider.charge(charge, transfer.key)
    if paid is None:
        return Answer(Outcome.UNAVAILABLE, reason="the payment has no reference", sent=False)
    if transfer.reference:
        return provider.refund_status(paid, transfer.reference)
    return provider.refund(paid, transfer.amount, transfer.key)
