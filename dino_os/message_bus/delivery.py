"""What a callback is told of a message besides the message itself, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dino_os.errors import MessageBusError
from dino_os.message_bus.stored import Stored
from engines.checks import from_epoch


class Settling(Protocol):
    """Where it is decided what becomes of a message that was handed out."""

    def ack(self) -> None:
        """It is dealt with, and never comes again."""

    def nak(self, delay_s: float) -> None:
        """It is to come again, not before *delay_s* seconds from now."""

    def in_progress(self) -> None:
        """It takes longer: the time in which it must be dealt with begins anew."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One message on its way to one subscriber.

    Attributes:
        attempt: 1 the first time.
    """

    stored: Stored
    answer: Callable[[Stored, Any], object] | None = field(default=None, repr=False)
    attempt: int = 1
    settling: Settling | None = field(default=None, repr=False)

    @property
    def seq(self) -> int:
        """The message's number; later messages have higher ones."""
        return self.stored.seq

    @property
    def channel(self) -> str:
        return self.stored.channel

    @property
    def id(self) -> str | None:
        """What its publisher tells it from others by, if anything."""
        return self.stored.id

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.stored.headers)

    @property
    def published(self) -> datetime:
        return from_epoch(self.stored.published)

    def ack(self) -> None:
        """It is dealt with; a subscription that is not durable takes that for granted."""
        if self.settling:
            self.settling.ack()

    def in_progress(self) -> None:
        """It takes longer than the subscription's `ack_wait_s`."""
        if self.settling:
            self.settling.in_progress()

    def nak(self, delay_s: float = 0.0) -> None:
        """
        Have it delivered again, not before *delay_s* seconds from now; it counts as a failure.

        Raises:
            InvalidInput: That is no time to wait.
            MessageBusError: The subscription is not durable: nothing is delivered twice.
        """
        if self.settling is None:
            raise MessageBusError(
                f"{self.channel!r}: this subscription is not durable, so nothing comes again",
                hint='subscribe with durable="name"',
            )
        self.settling.nak(delay_s)

    def reply(self, value: Any) -> None:
        """
        Answer whoever asked.

        Raises:
            MessageBusError: Nobody waits for an answer.
        """
        if self.answer is None or self.stored.reply_to is None:
            raise MessageBusError(f"{self.channel!r}: nobody waits for an answer to this message")
        self.answer(self.stored, value)
