"""
The life of an order: one table says what may happen in which state, and where it leads.

    created ──confirm──▶ confirmed ──fulfil──▶ fulfilled
       │                  │     │                  │
     cancel            cancel  refund            refund
       ▼                  ▼     ▼                  ▼
    cancelled         cancelled refunded        refunded

An order that was paid is cancelled, or refunded, when all of its money has gone back; what has been
given back in part changes no state.
"""

from __future__ import annotations

from enum import StrEnum

from engines.errors import DinoError


class OrderState(StrEnum):
    """Where an order is in its life."""

    CREATED = "created"
    CONFIRMED = "confirmed"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Action(StrEnum):
    """What can happen to an order."""

    CONFIRM = "confirm"
    FULFIL = "fulfil"
    CANCEL = "cancel"
    REFUND = "refund"


TRANSITIONS: dict[OrderState, dict[Action, OrderState]] = {
    OrderState.CREATED: {
        Action.CONFIRM: OrderState.CONFIRMED,
        Action.CANCEL: OrderState.CANCELLED,
    },
    OrderState.CONFIRMED: {
        Action.FULFIL: OrderState.FULFILLED,
        Action.CANCEL: OrderState.CANCELLED,
        Action.REFUND: OrderState.REFUNDED,
    },
    OrderState.FULFILLED: {Action.REFUND: OrderState.REFUNDED},
    OrderState.CANCELLED: {},
    OrderState.REFUNDED: {},
}

_DONE = {
    Action.CONFIRM: "paid",
    Action.FULFIL: "fulfilled",
    Action.CANCEL: "cancelled",
    Action.REFUND: "refunded",
}


class WrongState(DinoError):
    """The order's state does not allow it; nothing was changed."""


def after(state: OrderState, action: Action) -> OrderState:
    """
    Return the state that *action* leads to.

    Raises:
        WrongState: It is not possible in *state*.
    """
    found = TRANSITIONS[state].get(action)
    if found is None:
        possible = ", ".join(TRANSITIONS[state]) or "nothing more"
        raise WrongState(
            f"an order that is {state} cannot be {_DONE[action]}", hint=f"possible now: {possible}"
        )
    return found
