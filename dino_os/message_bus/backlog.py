"""How far durable subscriptions are behind, for whoever publishes: asked often, counted seldom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dino_os.errors import MessageBusError
from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.delivery_state import Subscription
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.subject import matches, overlap

_LOOK_EVERY_S = 0.1  # what is settled meanwhile is known a little later


@dataclass(slots=True)
class _Counted:
    """There were *waiting* messages up to line *to* when *taken* had been handed out."""

    opened: float
    to: int
    taken: int
    waiting: int


class Backlog:
    """
    What durable subscriptions still have to do.

    Args:
        path: Of the journal of the bus, beside which that of the deliveries lies.
        most: So many messages may wait for one of them.
    """

    def __init__(
        self,
        path: Path,
        deliveries: Callable[[], Deliveries],
        messages: Messages,
        most: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = path.with_name("bus_deliveries.jsonl")
        self._deliveries = deliveries
        self._messages = messages
        self._most = most
        self._monotonic = monotonic
        self._looked = -_LOOK_EVERY_S
        self._durable: list[Subscription] = []
        self._counted: dict[str, _Counted] = {}

    def check(self, channel: str) -> None:
        """
        Refuse what is published to a subscription that is too far behind.

        Raises:
            MessageBusError: It is, and the message names it.
        """
        now = self._monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._durable = [*self._those_there()]
        for own in self._durable:
            if matches(own.subject, channel) and self._is_overfull(own):
                raise MessageBusError(
                    f"{channel!r}: more than {self._most:,} messages wait for the durable "
                    f"subscription {own.name!r}",
                    hint="start what handles them, or end it: "
                    f"MessageBus().forget({own.name!r}); the limit is bus.max_backlog",
                )

    def done_to(self, subject: str) -> int | None:
        """Up to which line all are done with *subject*; None where nobody subscribed to it."""
        done = [self._done_to(own) for own in self._those_there() if overlap(own.subject, subject)]
        return min(done, default=None)

    # --- below the face ----------------------------------------------------------------------

    def _those_there(self) -> Iterator[Subscription]:
        if self._file.exists():
            yield from (own for own in self._deliveries().subscriptions() if own.durable)

    def _done_to(self, own: Subscription) -> int:
        end = self._messages.end()
        if own.unsettled:
            return own.settled_to
        ahead = self._messages.after(own.taken_to, own.subject, 1)
        return ahead[0].seq - 1 if ahead else end

    def _is_overfull(self, own: Subscription) -> bool:
        known = self._counted.get(own.name)
        if known is None or known.opened != own.opened:
            known = _Counted(own.opened, own.taken_to, own.taken, 0)
            self._counted[own.name] = known
        known.waiting -= own.taken - known.taken
        known.taken = own.taken
        end, unsettled = self._messages.end(), len(own.unsettled)
        # As if every line since were a message for it; only where that is too many they are read.
        if known.waiting + (end - known.to) + unsettled < self._most:
            return False
        known.waiting += self._messages.count_after(known.to, own.subject)
        known.to = end
        return known.waiting + unsettled >= self._most
