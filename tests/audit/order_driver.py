"""Orders that went every way there is, and the sandbox's own ledger of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dino_os.workspace import Workspace
from engines.orders import Answer, Item, Kind, Outcome

Step = Callable[[Workspace], Any]


def _create(amount: int, **more: Any) -> Step:
    return lambda w: w.orders.create(amount, "EUR", **more)


def _id(workspace: Workspace, place: int) -> str:
    return workspace.orders.orders()[place].id


def _ask(place: int) -> Step:
    return lambda w: w.orders.want_payment(_id(w, place), "shop", live=True)


def _answer(place: int, kind: Kind, number: int, answer: Answer) -> Step:
    return lambda w: w.orders.answer(_id(w, place), kind, number, answer)


def orders(mark: str) -> Iterator[Step]:
    gone = Answer(Outcome.UNAVAILABLE, reason="down", sent=False)
    yield _create(1250, customer=mark, items=[Item("beans", 2, 625)], key="k", fulfil_with="pack")
    yield _create(500)
    yield _create(700)
    yield _create(900)
    yield _ask(0)
    yield lambda w: w.orders.asking(_id(w, 0), Kind.PAYMENT, 1)
    yield _answer(0, Kind.PAYMENT, 1, gone)
    yield lambda w: w.orders.asking(_id(w, 0), Kind.PAYMENT, 1)
    yield _answer(0, Kind.PAYMENT, 1, Answer(Outcome.PENDING, "p-1", note=mark))
    yield _answer(0, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, "p-1", 1250, "EUR"))
    yield lambda w: w.orders.request_fulfilment(_id(w, 0), "pack")
    yield lambda w: w.orders.note_submitted(_id(w, 0))
    yield lambda w: w.orders.note_stuck(_id(w, 0), mark)
    yield lambda w: w.orders.want_refund(_id(w, 0), 250, key="r")
    yield _answer(0, Kind.REFUND, 1, Answer(Outcome.DECLINED, reason="no"))
    yield lambda w: w.orders.cancel(_id(w, 0), reason=mark)
    yield _answer(0, Kind.REFUND, 2, Answer(Outcome.DECLINED))
    yield lambda w: w.orders.confirm_by_hand(_id(w, 1), who=mark)
    yield lambda w: w.orders.fulfil(_id(w, 1), who=mark)
    yield lambda w: w.orders.want_refund(_id(w, 1), who=mark)
    yield lambda w: w.orders.cancel(_id(w, 2), reason=mark)
    yield _ask(3)
    yield _answer(3, Kind.PAYMENT, 1, Answer(Outcome.CONFIRMED, "p-2", 1, "EUR"))
    yield lambda w: w.orders.resolve(_id(w, 3), who=mark, note="seen")


def sandbox_payments(mark: str) -> Iterator[Step]:
    facts = {"amount": 1250, "currency": "EUR", "customer": mark}
    yield lambda w: w.sandbox_payments.once("k-1", outcome="pending", **facts)
    yield lambda w: w.sandbox_payments.move("sandbox_1", Outcome.CONFIRMED)
    yield lambda w: w.sandbox_payments.once("k-2", outcome="confirmed", of="sandbox_1", **facts)
