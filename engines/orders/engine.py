"""
The engine of orders: its commands decide and record, from the creation to the last refund.

Money moves elsewhere: what providers are asked and answer is in `transfers`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from engines.journal import Journal
from engines.orders import transitions
from engines.orders.model import Item, KeyReused, Order, checked_amount, checked_key, checked_order
from engines.orders.money import Money
from engines.orders.transfer import Kind, Transfer, TransferState
from engines.orders.transfers import BY_HAND, Transfers, short
from engines.orders.transitions import Action, OrderState, WrongState


class Orders(Transfers):
    """
    The orders of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch; all times of orders come from it.
        new_id: Makes the ids of orders.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid4().hex[:16],
    ) -> None:
        self._new_id = new_id
        super().__init__(journal, clock=clock)

    # --- what is ordered -----------------------------------------------------------------------

    def create(
        self,
        amount: int,
        currency: str,
        *,
        customer: str | None = None,
        items: Sequence[Item] = (),
        key: str | None = None,
        fulfil_with: str | None = None,
    ) -> Order:
        """
        Create an order of *amount* minor units, or return the one that was created with *key*.

        Raises:
            KeyReused: The key belongs to an order of other content.
            InvalidInput: Something in it is not possible.
        """
        order_id, now = self._new_id(), self.clock()
        draft = checked_order(
            Order(order_id, amount, currency, now, customer, tuple(items), key, fulfil_with)
        )
        with self.deciding():
            if twin := self._orders.get(self._by_key.get(draft.key or "", "")):
                if not twin.same_content(draft):
                    raise KeyReused(
                        f"the key {draft.key!r} belongs to order {twin.id}, which is another",
                        hint="the same key stands for the same order; take a new one",
                    )
                return twin
            if order_id in self._orders:
                raise WrongState(f"the new id {order_id!r} is taken", hint="try again")
            optional = {"customer": draft.customer, "key": draft.key, "fulfil_with": fulfil_with}
            self._note(
                "order_created",
                order_id,
                amount=amount,
                currency=draft.currency,
                items=[_item_event(item) for item in draft.items],
                **{name: value for name, value in optional.items() if value is not None},
            )
        return self.order(order_id)

    # --- payment and problems, by hand ---------------------------------------------------------

    def confirm_by_hand(self, order_id: str, *, who: str, method: str = "cash") -> Order:
        """
        Record that *who* received the order's amount, for example in cash.

        Raises:
            WrongState: It cannot be paid now, or a provider was asked and has not answered.
        """
        with self.deciding():
            order = self.order(order_id)
            transitions.after(order.state, Action.CONFIRM)
            self._require_not_cancelling(order)
            if order.open_payment:
                self._give_up_unsent(order, order.open_payment)
            payment = self._want(order_id, Kind.PAYMENT, BY_HAND, order.amount, live=True, who=who)
            method = short(method)
            self._record_answer(order, payment, TransferState.CONFIRMED, note=method)
            self._note("order_confirmed", order_id, who=who)
        return self.order(order_id)

    def resolve(self, order_id: str, *, who: str, note: str) -> Order:
        """Record that *who* saw to the order's problems, and how."""
        with self.deciding():
            if not self.order(order_id).problems:
                raise WrongState(f"order {order_id} has no problems")
            self._note("problems_resolved", order_id, who=who, note=short(note))
        return self.order(order_id)

    # --- back again ----------------------------------------------------------------------------

    def want_refund(
        self,
        order_id: str,
        amount: int | None = None,
        *,
        who: str = "",
        key: str | None = None,
    ) -> Transfer:
        """
        Record that *amount* (None: all that is left) is to go back.

        Args:
            who: Gives it back, where it was received by hand.
            key: The same key stands for the same refund.

        Raises:
            WrongState: It was not paid, or there is nothing or not so much to give back.
            KeyReused: The key belongs to a refund of another amount.
        """
        client_key = None if key is None else checked_key(key)
        with self.deciding():
            order = self.order(order_id)
            if twin := next(
                (t for t in order.refunds if client_key and t.client_key == client_key), None
            ):
                if amount not in {None, twin.amount}:
                    raise KeyReused(
                        f"the key {client_key!r} belongs to a refund of "
                        f"{Money(twin.amount, order.currency)}"
                    )
                return twin
            transitions.after(order.state, Action.REFUND)
            self._require_not_cancelling(order)
            amount = order.refundable if amount is None else checked_amount(amount, "a refund")
            if not 0 < amount <= order.refundable:
                left = Money(order.refundable, order.currency)
                raise WrongState(f"order {order.id}: {left} is left to give back")
            return self._give_back(order, amount, who=who, client_key=client_key)

    def cancel(self, order_id: str, *, reason: str = "", who: str = "") -> Order:
        """
        Cancel it: at once where nothing was paid, else when its money has gone back.

        While a payment's answer is awaited the order is being cancelled: if it was paid after all,
        the money goes back then.

        Raises:
            WrongState: It is fulfilled or has ended.
        """
        with self.deciding():
            order = self.order(order_id)
            transitions.after(order.state, Action.CANCEL)
            under_way = order.open_payment
            if under_way and under_way.state is TransferState.UNSENT:
                self._give_up_unsent(order, under_way)
                under_way = None
            if order.state is OrderState.CREATED and not under_way:
                self._note("order_cancelled", order_id, reason=short(reason))
            elif order.cancelling is None:
                self._note("order_cancelling", order_id, reason=short(reason))
                if order.refundable:
                    self._give_back(self.order(order_id), order.refundable, who=who)
        return self.order(order_id)

    # --- fulfilment ----------------------------------------------------------------------------

    @staticmethod
    def require_wanted(order: Order) -> None:
        """
        See to it that a task may fulfil the order.

        Raises:
            WrongState: It is not paid or has ended, is being given back, or waits for a decision.
        """
        transitions.after(order.state, Action.FULFIL)
        if order.on_hold:
            raise WrongState(
                f"order {order.id}: its money could not be given back",
                hint=f"decide, then: dino orders resolve {order.id} NOTE",
            )
        if not order.wants_fulfilment:
            raise WrongState(f"order {order.id} is being given back")

    def request_fulfilment(self, order_id: str, skill: str) -> Order:
        """Record that a task is to fulfil the order: another one than before, if there was one."""
        with self.deciding():
            order = self.order(order_id)
            self.require_wanted(order)
            attempt = order.fulfilment.attempt + 1 if order.fulfilment else 1
            tail = "" if attempt == 1 else f":{attempt}"
            task_id = f"order:{order_id}:fulfil{tail}"
            self._note(
                "fulfilment_requested", order_id, task_id=task_id, skill=skill, attempt=attempt
            )
        return self.order(order_id)

    def note_submitted(self, order_id: str) -> Order:
        """Record that the fulfilment's task is with the resource engine."""
        with self.deciding():
            self._note("fulfilment_submitted", order_id)
        return self.order(order_id)

    def note_stuck(self, order_id: str, reason: str) -> Order:
        """Record that the fulfilment's task has failed for good, and why."""
        with self.deciding():
            self._note("fulfilment_stuck", order_id, reason=short(reason))
        return self.order(order_id)

    def fulfil(self, order_id: str, *, who: str = "") -> Order:
        """
        Record that what was ordered is done, by its task or by *who*.

        Raises:
            WrongState: It is not paid, is being cancelled, or has ended.
        """
        with self.deciding():
            order = self.order(order_id)
            transitions.after(order.state, Action.FULFIL)
            self._require_not_cancelling(order)
            self._note("order_fulfilled", order_id, **({"who": who} if who else {}))
        return self.order(order_id)


def _item_event(item: Item) -> dict[str, Any]:
    return {
        "product": item.product,
        "quantity": item.quantity,
        "unit_amount": item.unit_amount,
    }
