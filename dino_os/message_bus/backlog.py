"""How far durable subscriptions are behind, for whoever publishes: asked often, counted seldom."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.errors import MessageBusError
from dino_os.message_bus.subject import matches, overlap
from engines.durable import replace_file
from engines.errors import JournalBroken

if TYPE_CHECKING:
    from dino_os.message_bus.deliveries import Deliveries
    from dino_os.message_bus.delivery_state import Subscription
    from dino_os.message_bus.messages import Messages

_LOOK_EVERY_S = 0.1  # what is settled meanwhile is known a little later
_WORTH_KEEPING = 10_000  # lines that were read


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
        holds_up: Whether a subscription is to be waited for at all.
    """

    def __init__(
        self,
        path: Path,
        deliveries: Callable[[], Deliveries],
        messages: Messages,
        most: int,
        *,
        holds_up: Callable[[Subscription], bool] = attrgetter("durable"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._holds_up = holds_up
        self._file = path.with_name("bus_deliveries.jsonl")
        self._index = path.with_name("bus_deliveries.backlog")
        self._deliveries = deliveries
        self._messages = messages
        self._most = most
        self._monotonic = monotonic
        self._looked = -_LOOK_EVERY_S
        self._durable: list[Subscription] = []
        self._counted: dict[str, _Counted] = {}

    def look(self) -> None:
        """Read how far they are; before anybody has to wait for who publishes."""
        now = self._monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._durable = self._those_there()

    def check(self, channel: str) -> None:
        """
        Refuse what is published to a subscription that is too far behind.

        Raises:
            MessageBusError: It is, and the message names it.
            JournalBroken: Nobody can tell.
        """
        self.look()
        if not any(self._is_too_much(own, channel) for own in self._durable):
            return
        self._durable = self._those_there()  # by now it may be done with them, or forgotten
        for own in self._durable:
            if self._is_too_much(own, channel):
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

    def _those_there(self) -> list[Subscription]:
        if not self._file.exists():
            return []
        try:
            return [own for own in self._deliveries().subscriptions() if self._holds_up(own)]
        except JournalBroken as error:
            raise JournalBroken(
                f"nothing is published while nobody can tell how far durable subscriptions are: "
                f"{error.message}",
                hint="restore that file from a copy that verifies; or give up all durable "
                f"subscriptions, by moving {self._file.stem}.* away",
            ) from None

    def _is_too_much(self, own: Subscription, channel: str) -> bool:
        return matches(own.subject, channel) and self._is_overfull(own)

    def _done_to(self, own: Subscription) -> int:
        if own.unsettled:
            return own.settled_to
        end = self._messages.end()
        if not self._count(own, end):
            return end
        ahead = self._messages.after(own.taken_to, own.subject, 1, opened=own.opened)
        return ahead[0].seq - 1 if ahead else end

    def _is_overfull(self, own: Subscription) -> bool:
        known, end, unsettled = self._known(own), self._messages.end(), len(own.unsettled)
        # As if every line since were a message for it; only where that is too many they are read.
        if known.waiting + (end - known.to) + unsettled < self._most:
            return False
        return self._count(own, end) + unsettled >= self._most

    def _count(self, own: Subscription, end: int) -> int:
        """How many messages wait that nobody had yet."""
        known = self._known(own)
        read = end - known.to
        if read > 0:
            known.waiting += self._messages.count_after(known.to, own.subject, opened=own.opened)
            known.to = end
        if read > _WORTH_KEEPING:
            self._keep()
        return known.waiting

    def _known(self, own: Subscription) -> _Counted:
        """What was counted before, less what was handed out since."""
        if not self._counted:
            self._counted = self._kept()
        known = self._counted.get(own.name)
        if known is None or known.opened != own.opened or known.taken > own.taken:
            known = _Counted(own.opened, own.taken_to, own.taken, 0)
            self._counted[own.name] = known
        known.waiting -= own.taken - known.taken
        known.taken = own.taken
        if known.to < own.taken_to:  # all of those were handed out, or for others
            known.to, known.waiting = own.taken_to, 0
        return known

    # What takes long to count is kept for the next process: an index that can be deleted.

    def _keep(self) -> None:
        form = {name: asdict(known) for name, known in self._counted.items()}
        with contextlib.suppress(OSError):
            replace_file(self._index, json.dumps(form).encode())

    def _kept(self) -> dict[str, _Counted]:
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            form = json.loads(self._index.read_bytes())
            return {name: _Counted(**known) for name, known in form.items()}
        return {}
