"""
What a payment provider is, for those that are built in and for those that plugins bring.

A provider answers with an `engines.orders.Answer`, whose outcome is one of a closed set: confirmed,
pending, declined, unavailable.  Whatever it raises counts as unavailable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engines.orders import Answer


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid: *amount* in minor units, for an order of a pseudonymous customer."""

    order_id: str
    amount: int
    currency: str
    customer: str | None = None


class PaymentProvider(Protocol):
    """
    Somebody who moves money, or plays at it.

    Asked twice with one idempotency key it does the thing once and gives the same answer.

    Attributes:
        moves_money: False: nothing it does is revenue.
        local: Whether it answers at once, without a network.
        key_life_s: How long it remembers idempotency keys; later nothing is asked again by key.
    """

    moves_money: bool
    local: bool
    key_life_s: float

    def charge(self, order: Charge, idempotency_key: str) -> Answer:
        """Take the order's amount.  Confirmed and pending answers name a reference."""

    def status(self, reference: str) -> Answer:
        """How the payment of that reference stands now."""

    def refund(self, reference: str, amount: int, idempotency_key: str) -> Answer:
        """Give *amount* minor units of that payment back."""

    def refund_status(self, reference: str, refund: str) -> Answer:
        """How the refund of that reference, of that payment, stands now."""
