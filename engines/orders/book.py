"""
The orders as they stand: the fold over the journal `orders`, and what can be asked of it.

Commands, which decide and record, are the engine's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from engines.engine import Engine
from engines.journal import Event
from engines.orders.model import Fulfilment, FulfilmentState, Item, Order, OrderNotFound
from engines.orders.transfer import Kind, Transfer, TransferState
from engines.orders.transitions import Action, OrderState, after

LONGEST_WAIT_S = 86400.0
"""No provider is heeded that wants to be left alone for longer."""


class OrderBook(Engine):
    """Every order, by id."""

    def reset(self) -> None:
        self._orders: dict[str, Order] = {}
        self._by_key: dict[str, str] = {}
        # Provider and its reference → order, kind, number of the transfer that has it.
        self._by_reference: dict[str, tuple[str, str, int]] = {}
        # Those about which something is still to be done, in the order in which they came.
        self._waiting: dict[str, None] = {}

    # --- queries -----------------------------------------------------------------------------

    def order(self, order_id: str) -> Order:
        """
        The order of that id.

        Raises:
            OrderNotFound: There is none.
        """
        found = self._orders.get(order_id) if isinstance(order_id, str) else None
        if found is None:
            raise OrderNotFound(f"no order {order_id!r}", hint="`dino orders list` shows them")
        return found

    def orders(self, state: OrderState | str | None = None) -> list[Order]:
        """Every order, or those in *state*, oldest first."""
        wanted = None if state is None else OrderState(state)
        return [o for o in self._orders.values() if wanted is None or o.state is wanted]

    def waiting(self) -> list[Order]:
        """The orders about which something is still to be done without anybody asking."""
        return [self._orders[order_id] for order_id in self._waiting]

    def find_transfer(self, provider: str, name: str) -> tuple[Order, Transfer] | None:
        """The transfer that *provider* calls *name*, or that has the idempotency key *name*."""
        if place := self._by_reference.get(f"{provider} {name}"):
            order_id, kind, number = place
            order = self._orders[order_id]
            return order, transfer_of(order, Kind(kind), number)
        owner = self._orders.get(name.removeprefix("dino-").rsplit("-", 2)[0])
        for transfer in owner.transfers if owner else ():  # see `transfer_key`
            if owner and (transfer.key, transfer.provider) == (name, provider):
                return owner, transfer
        return None

    def transfer(self, order_id: str, kind: Kind, number: int) -> Transfer:
        """
        The transfer of that kind and number.

        Raises:
            OrderNotFound: There is none.
        """
        return transfer_of(self.order(order_id), kind, number)

    def open_transfers(self) -> list[tuple[Order, Transfer]]:
        """The transfers whose provider has not given its last word."""
        return [
            (o, transfer) for o in self.waiting() for transfer in o.transfers if transfer.is_open
        ]

    def due(self, *, patience_s: float = 0.0) -> list[tuple[Order, Transfer]]:
        """
        The transfers whose provider is to be asked now.

        Args:
            patience_s: How long to leave one to whoever recorded it and may be asking right now.
        """
        now = self.clock()
        return [
            (order, transfer)
            for order, transfer in self.open_transfers()
            if due_at(transfer, now, patience_s) <= now
        ]

    def next_due(self, *, patience_s: float = 0.0) -> float | None:
        """When the next of them is due, in seconds since the epoch; None where none is open."""
        now = self.clock()
        times = [due_at(transfer, now, patience_s) for _, transfer in self.open_transfers()]
        return min(times, default=None)

    def counts(self) -> dict[str, int]:
        """State → how many orders are in it; and how many are stuck, and have problems."""
        found = Counter(order.state for order in self._orders.values())
        return {
            **{state.value: found[state] for state in OrderState},
            "stuck": sum(o.stuck and o.wants_fulfilment for o in self._orders.values()),
            "with_problems": sum(bool(order.problems) for order in self._orders.values()),
        }

    def history(self, order_id: str) -> list[Event]:
        """What the journal says of an order, oldest first; what was pruned is not there."""
        self.order(order_id)
        blocks = self.journal.read(self.journal.begin())
        return [e for events, _ in blocks for e in events if e.get("order_id") == order_id]

    # --- folding -----------------------------------------------------------------------------

    def apply_order_created(self, event: Event) -> None:
        order = Order(
            event["order_id"],
            event["amount"],
            event["currency"],
            event["at"],
            event.get("customer"),
            tuple(Item(**item) for item in event["items"]),
            event.get("key"),
            event.get("fulfil_with"),
        )
        self._orders[order.id] = order
        if order.key is not None:
            self._by_key[order.key] = order.id

    def apply_payment_wanted(self, event: Event) -> None:
        self._wanted(Kind.PAYMENT, event)

    def apply_refund_wanted(self, event: Event) -> None:
        self._wanted(Kind.REFUND, event)

    def apply_payment_asked(self, event: Event) -> None:
        self._asked(Kind.PAYMENT, event)

    def apply_refund_asked(self, event: Event) -> None:
        self._asked(Kind.REFUND, event)

    def apply_payment_answered(self, event: Event) -> None:
        self._answered(Kind.PAYMENT, event)

    def apply_refund_answered(self, event: Event) -> None:
        self._answered(Kind.REFUND, event)

    def apply_order_confirmed(self, event: Event) -> None:
        self._moved(Action.CONFIRM, event, paid_at=event["at"])

    def apply_order_fulfilled(self, event: Event) -> None:
        self._moved(Action.FULFIL, event, fulfilled_at=event["at"])

    def apply_order_cancelled(self, event: Event) -> None:
        self._moved(Action.CANCEL, event, ended_at=event["at"], cancelling=None)

    def apply_order_refunded(self, event: Event) -> None:
        self._moved(Action.REFUND, event, ended_at=event["at"], cancelling=None)

    def apply_order_cancelling(self, event: Event) -> None:
        self._put(event, cancelling=event["reason"])

    def apply_order_kept(self, event: Event) -> None:
        self._put(event, cancelling=None, on_hold=True)

    def apply_problem_found(self, event: Event) -> None:
        order = self._orders[event["order_id"]]
        self._put(event, problems=(*order.problems, event["problem"]))

    def apply_problems_resolved(self, event: Event) -> None:
        self._put(event, problems=(), on_hold=False)

    def apply_fulfilment_requested(self, event: Event) -> None:
        self._put(event, fulfilment=Fulfilment(event["task_id"], event["skill"], event["attempt"]))

    def apply_fulfilment_submitted(self, event: Event) -> None:
        self._fulfilment(event, FulfilmentState.SUBMITTED)

    def apply_fulfilment_stuck(self, event: Event) -> None:
        self._fulfilment(event, FulfilmentState.STUCK)

    # --- below the face ----------------------------------------------------------------------

    def _put(self, event: Event, **changes: Any) -> None:
        order = replace(self._orders[event["order_id"]], **changes)
        self._orders[order.id] = order
        if order.awaits_work:
            self._waiting[order.id] = None
        else:
            self._waiting.pop(order.id, None)

    def _moved(self, action: Action, event: Event, **changes: Any) -> None:
        state = after(self._orders[event["order_id"]].state, action)
        self._put(event, state=state, on_hold=False, **changes)

    def _fulfilment(self, event: Event, state: FulfilmentState) -> None:
        fulfilment = self._orders[event["order_id"]].fulfilment
        if fulfilment:
            now = replace(fulfilment, state=state, reason=event.get("reason", ""))
            self._put(event, fulfilment=now)

    def _wanted(self, kind: Kind, event: Event) -> None:
        wanted = Transfer(
            kind,
            event["number"],
            event["provider"],
            event["key"],
            event["amount"],
            event["at"],
            event["live"],
            who=event.get("who", ""),
            client_key=event.get("client_key"),
        )
        before = of_kind(self._orders[event["order_id"]], kind)
        self._put(event, **{f"{kind.value}s": (*before, wanted)})

    def _asked(self, kind: Kind, event: Event) -> None:
        before = transfer_of(self._orders[event["order_id"]], kind, event["number"])
        first = before.state is TransferState.UNSENT
        asked_at = event["at"] if first else before.asked_at
        now = replace(before, state=TransferState.ASKED, asked_at=asked_at, asked_once=first)
        self._exchange(event, now)

    def _exchange(self, event: Event, now: Transfer) -> None:
        """Put a transfer in the place of the one of its number."""
        before = of_kind(self._orders[event["order_id"]], now.kind)
        transfers = tuple(now if t.number == now.number else t for t in before)
        self._put(event, **{f"{now.kind.value}s": transfers})

    def _answered(self, kind: Kind, event: Event) -> None:
        order = self._orders[event["order_id"]]
        before = transfer_of(order, kind, event["number"])
        state = TransferState(event["state"])
        now = replace(
            before,
            state=state,
            reference=event.get("reference", before.reference),
            reason=event.get("reason", ""),
            note=event.get("note", before.note),
            tries=before.tries + 1,
            next_try=event.get("next_try"),
        )
        if not now.is_open:
            now = replace(now, ended_at=event["at"])
        if now.reference:
            place = order.id, kind.value, now.number
            self._by_reference.setdefault(f"{now.provider} {now.reference}", place)
        self._exchange(event, now)


def transfer_key(order_id: str, kind: Kind, number: int) -> str:
    """The idempotency key of a transfer: the same for as long as the order is there."""
    return f"dino-{order_id}-{kind.value}-{number}"


def of_kind(order: Order, kind: Kind) -> tuple[Transfer, ...]:
    return order.payments if kind is Kind.PAYMENT else order.refunds


def transfer_of(order: Order, kind: Kind, number: int) -> Transfer:
    """
    The transfer of that kind and number.

    Raises:
        OrderNotFound: The order has none.
    """
    found = next((t for t in of_kind(order, kind) if t.number == number), None)
    if found is None:
        raise OrderNotFound(f"order {order.id} has no {kind.value} {number}")
    return found


def due_at(transfer: Transfer, now: float, patience_s: float = 0.0) -> float:
    """When a provider is to be asked about it; *now* where that time comes from a wrong clock."""
    asked, next_try = transfer.asked_at, transfer.next_try
    if next_try is None:
        return now if asked > now else asked + patience_s
    return now if next_try > now + LONGEST_WAIT_S else next_try
