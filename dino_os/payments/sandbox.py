"""
The provider `sandbox`: for trying things out.  No money moves, and every answer says so.

It keeps a ledger of its own, the journal `sandbox_payments`, as the other side would, so that it
remembers keys over crashes.  What it answers is decided by the order's customer alone:

    test-declined         the payment is declined
    test-pending          it stays pending
    test-slow             it is pending, and confirmed when it is asked about
    test-unavailable      the provider cannot be reached
    test-lost             the payment is made but the first answer gets lost
    test-refund-declined  the payment is confirmed, refunds are declined
    any other             the payment is confirmed
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dino_os.payments.model import Charge
from engines.engine import Engine
from engines.journal import Event
from engines.orders import Answer, Outcome

NOTE = "sandbox: no money moves"


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment or a refund in the ledger; *of* is the refunded payment's reference."""

    reference: str
    key: str
    amount: int
    currency: str
    customer: str
    outcome: str
    of: str | None = None


class SandboxLedger(Engine):
    """What the sandbox was asked to do, by reference."""

    def reset(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_key: dict[str, str] = {}

    def entry(self, reference: str) -> Entry | None:
        self.refresh()
        return self._entries.get(reference)

    def entries(self) -> list[Entry]:
        self.refresh()
        return list(self._entries.values())

    def once(self, key: str, **facts: Any) -> tuple[Entry, bool]:
        """The entry with *key*, made of *facts* where there is none, and whether it is new."""
        with self.deciding():
            if known := self._by_key.get(key):
                return self._entries[known], False
            reference = f"sandbox_{len(self._entries) + 1}"
            self.record("sandbox_entered", reference=reference, key=key, **facts)
            return self._entries[reference], True

    def move(self, reference: str, outcome: Outcome) -> Entry:
        with self.deciding():
            self.record("sandbox_moved", reference=reference, outcome=outcome.value)
        return self._entries[reference]

    def left(self, payment: Entry) -> int:
        """What of a payment was not given back, in minor units."""
        back = (e.amount for e in self._entries.values() if e.of == payment.reference)
        return payment.amount - sum(back)

    def apply_sandbox_entered(self, event: Event) -> None:
        entry = Entry(
            event["reference"],
            event["key"],
            event["amount"],
            event["currency"],
            event["customer"],
            event["outcome"],
            event.get("of"),
        )
        self._entries[entry.reference] = entry
        self._by_key[entry.key] = entry.reference

    def apply_sandbox_moved(self, event: Event) -> None:
        entry = self._entries[event["reference"]]
        self._entries[entry.reference] = replace(entry, outcome=event["outcome"])


class SandboxProvider:
    """A `PaymentProvider` over a ledger."""

    moves_money = False
    local = True
    key_life_s = float("inf")

    def __init__(self, ledger: SandboxLedger) -> None:
        self._ledger = ledger

    def charge(self, order: Charge, idempotency_key: str) -> Answer:
        customer = order.customer or ""
        if customer == "test-unavailable":
            return _unavailable("it cannot be reached", sent=False)
        first = {
            "test-declined": Outcome.DECLINED,
            "test-pending": Outcome.PENDING,
            "test-slow": Outcome.PENDING,
        }
        entry, new = self._ledger.once(
            idempotency_key,
            amount=order.amount,
            currency=order.currency,
            customer=customer,
            outcome=first.get(customer, Outcome.CONFIRMED).value,
        )
        if new and customer == "test-lost":
            return _unavailable("its answer got lost", sent=True)
        return _answer(entry)

    def status(self, reference: str) -> Answer:
        entry = self._ledger.entry(reference)
        if entry is None:
            return _unavailable(f"it knows no {reference}", sent=True)
        if (entry.customer, entry.outcome) == ("test-slow", Outcome.PENDING):
            entry = self._ledger.move(reference, Outcome.CONFIRMED)
        return _answer(entry)

    def refund(self, reference: str, amount: int, idempotency_key: str) -> Answer:
        with self._ledger.deciding():
            payment = self._ledger.entry(reference)
            if payment is None:
                return _unavailable(f"it knows no {reference}", sent=True)
            refused = payment.customer == "test-refund-declined"
            declined = refused or amount > self._ledger.left(payment)
            entry, _ = self._ledger.once(
                idempotency_key,
                amount=0 if declined else amount,
                currency=payment.currency,
                customer=payment.customer,
                outcome=(Outcome.DECLINED if declined else Outcome.CONFIRMED).value,
                of=reference,
            )
        return _answer(entry)

    def refund_status(self, reference: str, refund: str) -> Answer:
        del reference
        return self.status(refund)


def _answer(entry: Entry) -> Answer:
    outcome = Outcome(entry.outcome)
    reason = "declined, as the test wants it" if outcome is Outcome.DECLINED else ""
    return Answer(outcome, entry.reference, entry.amount, entry.currency, reason, NOTE)


def _unavailable(reason: str, *, sent: bool) -> Answer:
    return Answer(Outcome.UNAVAILABLE, reason=f"sandbox: {reason}", note=NOTE, sent=sent)
