"""
How much of what was said counts: by age, number and size of a channel's messages.

What is out of its limits is not shown any more, from one moment to the next; its bytes go later
(`dino_os.retention`).  Where the limits say so, a publisher is refused instead.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dino_os.errors import ConfigError, InvalidInput, MessageBusError
from dino_os.message_bus.following import Follower
from dino_os.message_bus.stored import is_message
from dino_os.message_bus.subject import check_subject, matches
from dino_os.units import seconds, size_bytes
from engines.journal import Event, Position, RecordedJournal

if TYPE_CHECKING:
    from dino_os.config.bus import Channels


@dataclass(frozen=True, slots=True)
class Limit:
    """
    How much of the channels of *subject* counts, all of them together.

    Attributes:
        max_bytes: Of the messages as JSON text in UTF-8.
        refuse: What is published beyond it is refused; else the oldest goes.
    """

    subject: str
    max_age_s: float = math.inf
    max_messages: float = math.inf
    max_bytes: float = math.inf
    refuse: bool = False

    @property
    def is_counted(self) -> bool:
        return self.refuse or not math.isinf(min(self.max_messages, self.max_bytes))


@dataclass(slots=True)
class _Kept:
    """The messages within one limit: number, time and size of each, oldest first."""

    limit: Limit
    messages: deque[tuple[int, float, int]] = field(default_factory=deque)
    size: int = 0

    def add(self, event: Event) -> None:
        size = size_of(event["message"])
        self.messages.append((event["seq"], event["timestamp"], size))
        self.size += size
        while not self.limit.refuse and self.is_over():
            self._drop()

    def is_over(self, messages: int = 0, size: int = 0) -> bool:
        """Whether there would be too much with so many more."""
        count = len(self.messages) + messages
        return count > self.limit.max_messages or self.size + size > self.limit.max_bytes

    def drop_old(self, now: float, done_to: int | None) -> None:
        oldest, done = now - self.limit.max_age_s, -1 if done_to is None else done_to
        while self.messages and (self.messages[0][1] <= oldest or self.messages[0][0] <= done):
            self._drop()

    def _drop(self) -> None:
        self.size -= self.messages.popleft()[2]


class Limits(Follower):
    """
    Which messages of that journal count; threads may share it.

    Args:
        limits: Of each channel the first one counts whose subject has it.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        journal: RecordedJournal,
        limits: Sequence[Limit],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(journal, journal.begin())
        self._limits = limits
        self._clock = clock
        self._guard = threading.RLock()
        self._kept = {limit.subject: _Kept(limit) for limit in limits if limit.is_counted}

    def line(self, event: Event) -> None:
        limit = self.of(event["channel"]) if is_message(event) else None
        kept = limit and self._kept.get(limit.subject)
        if kept:
            kept.add(event)

    def take(self, begin: Position, events: Sequence[Event], end: Position) -> None:
        with self._guard:
            super().take(begin, events, end)

    def catch_up(self) -> None:
        with self._guard:
            if self._kept:
                super().catch_up()

    def of(self, channel: str) -> Limit | None:
        return next((limit for limit in self._limits if matches(limit.subject, channel)), None)

    def shows(self, event: Event) -> bool:
        """Whether the message on that line is within its limits, as far as was caught up."""
        limit = self.of(event["channel"])
        if limit is None:
            return True
        if event["timestamp"] <= self._clock() - limit.max_age_s:
            return False
        if limit.refuse or limit.subject not in self._kept:
            return True
        with self._guard:
            messages = self._kept[limit.subject].messages
            return bool(messages) and messages[0][0] <= event["seq"]

    def check_room(
        self, sizes: Sequence[tuple[str, int]], done_to: Callable[[str], int | None]
    ) -> None:
        """
        Refuse messages beyond the limits.  Called under the journal's lock.

        Args:
            sizes: Channel and bytes of each message that is to be written.
            done_to: Up to which message all durable subscriptions are done with a subject; None
                where there are none.

        Raises:
            MessageBusError: There is no room for all of them.
        """
        with self._guard:
            self.catch_up()
            wanted: dict[str, list[int]] = {}
            for channel, size in sizes:
                if (limit := self.of(channel)) and limit.refuse:
                    wanted.setdefault(limit.subject, []).append(size)
            for subject, new in wanted.items():
                kept = self._kept[subject]
                if max(new) > kept.limit.max_bytes:
                    raise MessageBusError(
                        f"a message of {max(new)} bytes is larger than all that {subject!r} may "
                        f"hold, {kept.limit.max_bytes} bytes"
                    )
                kept.drop_old(self._clock(), done_to(subject))
                if kept.is_over(len(new), sum(new)):
                    raise MessageBusError(
                        f"{subject!r} is full: {len(kept.messages)} messages of {kept.size} bytes",
                        hint="nothing more is taken before old ones are dealt with, or of age",
                    )


def limits_of(
    channels: Mapping[str, Channels], misfit: Callable[[tuple[str, ...], str], ConfigError]
) -> list[Limit]:
    """
    The limits that the settings name.

    Args:
        misfit: Makes the error of a setting's path and of what is wrong with it.

    Raises:
        ConfigError: What they name is no subject.
    """
    for subject in channels:
        try:
            check_subject(subject)
        except InvalidInput as error:
            raise misfit(("bus", "channels", subject), error.message) from None
    return [
        Limit(
            subject,
            math.inf if found.max_age is None else seconds(found.max_age, "max_age"),
            found.max_messages or math.inf,
            math.inf if found.max_bytes is None else size_bytes(found.max_bytes, "max_bytes"),
            found.when_full == "refuse",
        )
        for subject, found in channels.items()
    ]


def size_of(message: object) -> int:
    """Its bytes as JSON text."""
    return len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode())
