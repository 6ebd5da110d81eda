"""
One transfer of money, a payment or a refund, and what a provider can say of it.

Facts only, all frozen; what may happen to them is in `transfers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engines import checks
from engines.orders.money import decimal


class Kind(StrEnum):
    """Which way the money goes."""

    PAYMENT = "payment"
    REFUND = "refund"


class TransferState(StrEnum):
    """
    How far a transfer is.

    UNSENT: the provider has not heard of it, for certain.  ASKED: it may have; its answer is not
    known.  DISPUTED: its answer does not fit the order, or is no longer to be had; for people.
    """

    UNSENT = "unsent"
    ASKED = "asked"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    DISPUTED = "disputed"


OPEN = frozenset({TransferState.ASKED, TransferState.UNSENT, TransferState.PENDING})


class Outcome(StrEnum):
    """What a provider can answer; there is nothing else."""

    CONFIRMED = "confirmed"
    PENDING = "pending"
    DECLINED = "declined"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A provider's answer about one transfer.

    Attributes:
        reference: The provider's own name for the transfer.
        amount: Minor units the provider speaks of; None where it does not say.
        reason: Why it is not confirmed.
        note: What is to be known of it, for example that no money moves.
        sent: Whether the provider may have heard the request.
        refused: Of a decline: this request was turned away unread, which says nothing about an
            earlier one with the same key.
        retry_after_s: When it wants to be asked again.
    """

    outcome: Outcome
    reference: str | None = None
    amount: int | None = None
    currency: str | None = None
    reason: str = ""
    note: str = ""
    sent: bool = True
    retry_after_s: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Transfer:
    """
    A payment or a refund of an order.

    Attributes:
        number: From 1, among the order's transfers of its kind.
        key: The idempotency key: the provider does the same thing only once.
        live: Whether money moves; not so with the sandbox.
        who: Of what was done by hand: by whom.
        client_key: Of a refund: the key that the one who wants it gave.
        asked_at: When it was first asked for; before that, when it was wanted.
        asked_once: Whether it was asked for once only since it was certainly unsent.
        tries: How often the provider was asked.
        next_try: When to ask again; None at once.
    """

    kind: Kind
    number: int
    provider: str
    key: str
    amount: int
    asked_at: float
    live: bool = True
    state: TransferState = TransferState.UNSENT
    reference: str | None = None
    reason: str = ""
    note: str = ""
    who: str = ""
    client_key: str | None = None
    asked_once: bool = False
    tries: int = 0
    next_try: float | None = None
    ended_at: float | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def as_dict(self, currency: str) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "number": self.number,
            "provider": self.provider,
            "state": self.state.value,
            "amount_minor": self.amount,
            "amount": decimal(self.amount, currency),
            "currency": currency,
            "moves_money": self.live,
            "idempotency_key": self.key,
            "reference": self.reference,
            "reason": self.reason,
            "note": self.note,
            "who": self.who,
            "asked_at": checks.time_text(self.asked_at),
            "ended_at": checks.time_text(self.ended_at),
            "next_try": checks.time_text(self.next_try) if self.is_open else None,
        }
