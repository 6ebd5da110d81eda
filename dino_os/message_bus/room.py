"""Whether there is room for what is to be published: back-pressure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dino_os.message_bus.limits import Limits
from dino_os.message_bus.publishing import Draft
from engines.journal import Event, Position


class Room:
    """
    Room within limits, and within what durable subscriptions can bear.

    Attributes:
        check_backlog: Told a channel, raises MessageBusError where somebody is too far behind.
        done_to: Up to which message all durable subscriptions are done with a subject; None where
            there are none.

    Both are asked under the journal's lock, and must not publish.
    """

    def __init__(self, limits: Limits | None) -> None:
        self._limits = limits
        self.check_backlog: Callable[[str], None] | None = None
        self.done_to: Callable[[str], int | None] = _nobody

    def admit(self, drafts: Sequence[Draft], before: Sequence[Draft]) -> None:
        if self.check_backlog:
            for channel in {draft.channel for draft in drafts}:
                self.check_backlog(channel)
        if self._limits:
            sizes = [(draft.channel, draft.size) for draft in [*before, *drafts]]
            self._limits.check_room(sizes, self.done_to)

    def take(self, begin: Position, events: Sequence[Event], end: Position) -> None:
        if self._limits:
            self._limits.take(begin, events, end)


def _nobody(_: str) -> None:
    return None
