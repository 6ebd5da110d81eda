"""
The outbox: what is to be handed to somebody outside, and what became of it.

    queued ──▶ delivered
      │ ▲ failed: again at a stated time
      ▼ │
    given up ──▶ queued again, by hand (`resend`)

Its state is a fold over `outbox.jsonl`.  A delivery that is queued ends in exactly one record,
delivered or given up.  Sending is the sender's; this says what is due, and keeps what was learnt.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dino_os.errors import InvalidInput, NotFound
from dino_os.outbox.addresses import Address
from dino_os.outbox.model import Delivery, Draft
from engines import checks
from engines.engine import Engine
from engines.journal import Event, Journal

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 3600.0
_DELIVERED, _GIVEN_UP, _BATCHES = 1000, 10_000, 10_000  # so many of the last are remembered
_DOUBLINGS = 20
_OF_A_REASON = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """
    When a delivery is given up.

    Attributes:
        attempts: That were answered with a refusal; not being reached is not counted.
        keep_s: After it was queued.
    """

    attempts: int = 12
    keep_s: float = 7 * 86400.0


class Outbox(Engine):
    """
    The deliveries of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
        rng: Draws the pauses between attempts.
    """

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._limits = limits
        self._rng = rng or random.Random()  # noqa: S311  it spreads load, and hides nothing
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._live: dict[str, Delivery] = {}
        self._delivered: dict[str, Delivery] = {}
        self._given_up: dict[str, Delivery] = {}
        self._batches: dict[str, int] = {}
        self._count = 0  # of all that were delivered

    # --- commands ----------------------------------------------------------------------------

    def queue(self, drafts: Iterable[Draft], *, batch: str) -> int:
        """
        Queue all of *drafts*, or none where *batch* was queued before; how many were.

        Raises:
            InvalidInput: Two have one id, or a payload is not JSON.
        """
        with self.deciding():
            if batch in self._batches:
                return 0
            now = self.clock()
            count = 0
            for draft in drafts:
                if draft.id in self._live:
                    raise InvalidInput(f"there is a delivery {draft.id!r} already")
                count += 1
                self.record(
                    "delivery_queued",
                    delivery=draft.id,
                    key=draft.key,
                    to=draft.to.as_dict(),
                    payload=dict(draft.payload),
                    source=batch,
                    at=now,
                )
            self.record("deliveries_queued", source=batch, deliveries=count)
        return count

    def begin(self, ids: Sequence[str], mark: Mapping[str, Any]) -> None:
        """Record that an attempt at *ids* begins, at a place that now ends at *mark*."""
        with self.deciding():
            self.record("deliveries_begun", deliveries=list(ids), mark=dict(mark))

    def delivered(self, ids: Iterable[str], **facts: Any) -> None:
        """Record that *ids* have arrived."""
        with self.deciding():
            for id_ in ids:
                if self._is_live(id_):
                    self.record("delivery_delivered", delivery=id_, at=self.clock(), **facts)

    def failed(
        self, ids: Iterable[str], reason: str, *, answered: bool, after_s: float | None = None
    ) -> int:
        """
        Record that an attempt at each of *ids* failed; how many are to be tried again.

        The others have had enough attempts, or are too old: they are given up.

        Args:
            answered: Whether somebody was there, and refused.
            after_s: Not before so many seconds.
        """
        again = 0
        with self.deciding():
            now = self.clock()
            for id_ in ids:
                if not self._is_live(id_):
                    continue
                delivery = self._live[id_]
                facts = {"delivery": id_, "reason": reason[:_OF_A_REASON], "at": now}
                tries = delivery.answered + answered
                if tries >= self._limits.attempts or now - delivery.queued >= self._limits.keep_s:
                    self.record("delivery_given_up", attempts=delivery.attempts + 1, **facts)
                    continue
                pause = max(self._pause_s(delivery.attempts), after_s or 0.0)
                self.record("delivery_failed", answered=answered, again_at=now + pause, **facts)
                again += 1
        return again

    def resend(self, id_: str) -> bool:
        """
        Make a delivery due now, one that was given up included; False where it was delivered.

        Raises:
            NotFound: There is none of that name, or it is long forgotten.
        """
        with self.deciding():
            delivery = self._find(id_)
            if delivery.state == "delivered":
                return False
            # What belongs to a delivery is told again: the journal's older lines may be pruned.
            self.record(
                "delivery_requeued",
                delivery=id_,
                key=delivery.key,
                to=delivery.to.as_dict(),
                payload=delivery.payload,
                source=delivery.source,
                at=self.clock(),
            )
        return True

    # --- queries -----------------------------------------------------------------------------

    def due(self, now: float) -> list[Delivery]:
        """What is to be tried at *now*, oldest first."""
        return [delivery for delivery in self._live.values() if delivery.due_by(now) <= now]

    def next_due(self) -> float | None:
        now = self.clock()
        return min((delivery.due_by(now) for delivery in self._live.values()), default=None)

    def waiting(self) -> list[Delivery]:
        """What is queued, oldest first."""
        return list(self._live.values())

    def given_up(self) -> list[Delivery]:
        return list(self._given_up.values())

    def latest_delivered(self) -> list[Delivery]:
        """The last that were delivered, latest first."""
        return list(self._delivered.values())[::-1]

    def find(self, id_: str) -> Delivery:
        """
        The delivery of that id.

        Raises:
            NotFound: There is none of that name, or it is long forgotten.
        """
        self.refresh()
        return self._find(id_)

    def status(self) -> dict[str, int]:
        """How many are queued, were delivered, were given up."""
        self.refresh()
        return {
            "queued": len(self._live),
            "delivered": self._count,
            "given_up": len(self._given_up),
        }

    # --- folding -----------------------------------------------------------------------------

    def apply_delivery_queued(self, event: Event) -> None:
        self._live[event["delivery"]] = _delivery(event)

    def apply_deliveries_queued(self, event: Event) -> None:
        _remember(self._batches, event["source"], event["deliveries"], _BATCHES)

    def apply_deliveries_begun(self, event: Event) -> None:
        for id_ in event["deliveries"]:
            if delivery := self._live.get(id_):
                delivery.begun = dict(event["mark"])

    def apply_delivery_delivered(self, event: Event) -> None:
        delivery = self._end(event, "delivered")
        delivery.begun = {}
        self._count += 1
        _remember(self._delivered, delivery.id, delivery, _DELIVERED)

    def apply_delivery_given_up(self, event: Event) -> None:
        delivery = self._end(event, "given_up")
        delivery.reason = event["reason"]
        _remember(self._given_up, delivery.id, delivery, _GIVEN_UP)

    def apply_delivery_failed(self, event: Event) -> None:
        delivery = self._live[event["delivery"]]
        delivery.attempts += 1
        delivery.answered += event["answered"]
        delivery.reason = event["reason"]
        delivery.due, delivery.decided = event["again_at"], event["at"]
        # Its age counts from then on at the latest, also where it was queued by a wrong clock.
        delivery.queued = min(delivery.queued, event["at"])

    def apply_delivery_requeued(self, event: Event) -> None:
        name = event["delivery"]
        known = self._live.pop(name, None) or self._given_up.pop(name, None)
        delivery = self._live[name] = _delivery(event)
        if known:  # what an attempt may have left is still there
            delivery.begun = known.begun

    def _end(self, event: Event, state: str) -> Delivery:
        delivery = self._live.pop(event["delivery"])
        delivery.state, delivery.ended = state, event["at"]
        delivery.attempts += 1
        return delivery

    # --- below the face ----------------------------------------------------------------------

    def _is_live(self, id_: str) -> bool:
        return id_ in self._live

    def _find(self, id_: str) -> Delivery:
        tables = (self._live, self._given_up, self._delivered)
        for table in tables:
            if found := table.get(id_):
                return found
        known = [name for table in tables for name in table]
        raise NotFound(
            f"no delivery {id_!r}{checks.did_you_mean(id_, known)}",
            hint="`dino cycle outbox` shows what is waiting and what was given up",
        )

    def _pause_s(self, attempts: int) -> float:
        """Doubling, with jitter: those that failed together do not all come again together."""
        # Attempts that reach nobody are not limited in number, unlike what a float can hold.
        most = min(FIRST_PAUSE_S * 2 ** min(attempts, _DOUBLINGS), LONGEST_PAUSE_S)
        return self._rng.uniform(most / 2, most)


def _delivery(event: Event) -> Delivery:
    return Delivery(
        id=event["delivery"],
        key=event["key"],
        to=Address.of(event["to"]),
        payload=event["payload"],
        queued=event["at"],
        due=event["at"],
        decided=event["at"],
        source=event["source"],
    )


def _remember(table: dict[str, Any], name: str, value: Any, most: int) -> None:
    """Put *value* behind the others; of too many the oldest goes."""
    table.pop(name, None)
    table[name] = value
    if len(table) > most:
        del table[next(iter(table))]
