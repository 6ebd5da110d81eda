"""The part of the message bus's face that lasts longer than a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from dino_os import inside
from dino_os.errors import InvalidInput, MessageBusError
from dino_os.face import Face


class Options(TypedDict, total=False):
    """
    How the messages of a durable subscription, or of a group, are delivered.

    Each is handled at least once: it comes again, here or at another member, where whoever had it
    was killed, did not acknowledge it in time, or raised.  With one member, and as long as none
    failed, they come in the order in which they were published; one that comes again comes later
    than those behind it, as with JetStream.  They are handled one after the other in a thread of
    their own.

    Attributes:
        durable: Its name: it outlives this process, and goes on where it was.  All who name it are
            its members, and share the messages.
        group: Of members, in any process, who share the messages.  Without `durable` it lives as
            long as its members.
        start: For a new one: "new" (the messages from now on), "all" (those on record too), the
            number of a message, or a time.
        ack: "auto": a message is dealt with when the callback returns; "explicit": when it says
            so, by `delivery.ack()`.
        retries: How often one that failed is tried again before it is a dead letter; 5.
        backoff_s: How long to wait before that, half of it at least: after the first failure, the
            second…; the last holds for all further.  1, 5, 30, 120, 600.
        ack_wait_s: How long a message may go without a sign of life, which is given by itself
            while the callback runs; 30.
        max_in_flight: How many may be unsettled at a time; 256.
    """

    durable: str | None
    group: str | None
    start: str | int | datetime
    ack: str
    retries: int
    backoff_s: Sequence[float]
    ack_wait_s: float
    max_in_flight: int


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """
    How far a durable subscription, or a group, has come.

    Attributes:
        durable: Whether it outlives its members.
        members: Who live.
        backlog: Messages that are not settled.
        in_flight: Those that a member has.
        acknowledged: Since it was opened.
        settled_to: The number up to which every message is settled.
    """

    name: str
    subject: str
    group: str | None
    durable: bool
    members: int
    backlog: int
    in_flight: int
    dead_letters: int
    acknowledged: int
    settled_to: int
    retries: int
    ack_wait_s: float
    max_in_flight: int
    opened: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """
    A message that failed too often.

    Attributes:
        subscription: Where.
        seq: Its number.
        channel: None, as is *message*, where it is not on record any more.
        attempts: How often it was handed out.
        error: What was wrong the last time.
    """

    subscription: str
    seq: int
    channel: str | None
    message: Any
    attempts: int
    error: str
    given_up: datetime


class LastingFace(Face):
    """Durable subscriptions, groups and requests."""

    _part = "bus"

    def forget(self, durable: str) -> bool:
        """End a durable subscription, dead letters and all; False where there is none."""
        return bool(self._call("forget", durable=durable))

    def subscriptions(self) -> list[SubscriptionState]:
        """All durable subscriptions and groups, of any process, in the order of their opening."""
        return [
            SubscriptionState(**{**one, "opened": datetime.fromisoformat(one["opened"])})
            for one in self._call("subscriptions")
        ]

    def dead_letters(self, durable: str | None = None) -> list[DeadLetter]:
        """
        What failed too often, or did not fit, oldest first; of one subscription, or of all.

        Raises:
            NotFound: There is no subscription of that name.
        """
        return [
            DeadLetter(**{**one, "given_up": datetime.fromisoformat(one["given_up"])})
            for one in self._call("dead_letters", durable=durable)
        ]

    def redeliver(self, durable: str, seq: int) -> bool:
        """
        Deliver a dead letter again, its failures forgotten; False where it is none.

        Raises:
            NotFound: There is no subscription of that name.
        """
        return bool(self._call("redeliver", durable=durable, seq=seq))

    def respond(
        self, subject: str, handler: Callable[..., object], *, group: str | None = None
    ) -> str:
        """
        Have *handler* answer requests: what it returns is the answer.

        Of all who respond to the same subject, in any process, one gets each request; one at a
        time runs in this process.  What it raises is told whoever asked.

        Args:
            group: To be a group of its own beside the others: the first answer counts.

        Returns:
            What to unsubscribe by.

        Raises:
            InvalidInput: No name for channels, or no function.
        """
        refuse_inside({"group": group})
        return str(self._local().respond(subject, handler, group))

    def request(self, channel: str, message: Any, *, timeout: float = 5.0) -> Any:
        """
        Ask, and wait for the answer.

        Whoever responds does not begin with it when *timeout* is over.  A free responder of this
        process answers in this thread, and is not interrupted.

        Args:
            timeout: Seconds.

        Raises:
            RequestTimedOut: Nobody answered in time.
            RequestFailed: Whoever got it could not; the message says who and why.
        """
        return self._call("request", channel=channel, message=message, timeout=timeout)

    def _consume(self, subject: str, callback: Callable[..., object], options: Options) -> str:
        if not (options.get("durable") or options.get("group")):
            raise InvalidInput(
                f"{', '.join(options)}: only with durable or group",
                hint='subscribe with durable="name", or leave them out',
            )
        return str(self._local().consume(subject, callback, **options))


def refuse_inside(options: Mapping[str, Any]) -> None:
    """
    Refuse to begin what would have to outlive a sandboxed run.

    Raises:
        MessageBusError: It is one.
    """
    if options and inside.connection():
        raise MessageBusError(
            "inside a sandbox there are neither durable subscriptions nor responders",
            hint="the run would end before they began; subscribe the skill: @skill(on=...)",
        )
