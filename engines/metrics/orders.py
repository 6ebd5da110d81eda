"""The journal `orders`, counted: what became of orders and payments, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from engines.journal import Event
from engines.metrics.families import Family, by, counter, counters, gauge, histograms
from engines.metrics.fold import JournalFold
from engines.metrics.histogram import LONG_SPANS, Histogram

_ENDS = ("fulfilled", "cancelled", "refunded")


class OrderFold(JournalFold):
    """What became of orders."""

    journal_name = "orders"
    told: ClassVar = ("created", "confirmed", *_ENDS, "stuck", "problems")

    def reset(self) -> None:
        super().reset()
        self.open: dict[str, float] = {}
        self.fulfilment = Histogram(LONG_SPANS)
        self.answers: dict[str, int] = {}

    def apply_order_created(self, event: Event) -> None:
        self.open[event["order_id"]] = event["timestamp"]
        self.tally(event, "created")

    def apply_order_confirmed(self, event: Event) -> None:
        self.tally(event, "confirmed")

    def apply_order_fulfilled(self, event: Event) -> None:
        if (began := self.open.pop(event["order_id"], None)) is not None:
            self.fulfilment.observe(event["timestamp"] - began)
        self.tally(event, "fulfilled")

    def apply_order_cancelled(self, event: Event) -> None:
        self._ended(event, "cancelled")

    def apply_order_refunded(self, event: Event) -> None:
        self._ended(event, "refunded")

    def apply_payment_answered(self, event: Event) -> None:
        self._answered("payment", event)

    def apply_refund_answered(self, event: Event) -> None:
        self._answered("refund", event)

    def apply_fulfilment_stuck(self, event: Event) -> None:
        self.tally(event, "stuck")

    def apply_problem_found(self, event: Event) -> None:
        self.tally(event, "problems")

    def families(self, now: float) -> Iterable[Family]:
        del now
        moves = {name: self.totals[name] for name in ("created", "confirmed", *_ENDS)}
        yield counters("dino_orders_total", "Orders that came to a state.", by("state", moves))
        yield gauge("dino_orders_open", "Orders that came to no end.", len(self.open))
        yield counters(
            "dino_transfer_answers_total",
            "What providers answered to payments and refunds.",
            (
                (dict(zip(("kind", "state"), name.split(" "), strict=True)), count)
                for name, count in self.answers.items()
            ),
        )
        yield histograms(
            "dino_order_fulfilment_seconds",
            "From an order's creation to its fulfilment.",
            [({}, self.fulfilment)],
        )
        yield counter("dino_fulfilments_stuck_total", "Fulfilments given up.", self.totals["stuck"])

    def _ended(self, event: Event, name: str) -> None:
        self.open.pop(event["order_id"], None)
        self.tally(event, name)

    def _answered(self, kind: str, event: Event) -> None:
        name = f"{kind} {self.label(event['state'])}"
        self.answers[name] = self.answers.get(name, 0) + 1
