"""The message bus: who publishes need not know who listens, and all that was said is on record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from dino_os import inside
from dino_os.errors import MessageBusError, RequestFailed, RequestTimedOut
from dino_os.message_bus.lasting_face import (
    DeadLetter,
    LastingFace,
    Options,
    SubscriptionState,
    refuse_inside,
)

if TYPE_CHECKING:
    from dino_os.message_bus.delivery import Delivery
    from dino_os.message_bus.own import OwnSubscriptions

__all__ = [
    "DeadLetter",
    "Delivery",
    "Message",
    "MessageBus",
    "MessageBusError",
    "RequestFailed",
    "RequestTimedOut",
    "SubscriptionState",
]

Callback = Callable[..., object]


def __getattr__(name: str) -> Any:
    if name == "Delivery":
        from dino_os.message_bus.delivery import Delivery  # noqa: PLC0415  as in `Face`

        return Delivery
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message of a channel's history.

    Attributes:
        seq: Its line in the journal; later messages have higher ones.
        message: What was published.
    """

    seq: int
    channel: str
    message: Any
    published: datetime
    id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class MessageBus(LastingFace):
    """
    The workspace's channels.

    Every message is recorded durably, and every process reads the same history.  Who is called:

    - Subscribers in the process that publishes, before `publish` returns: in the thread that
      publishes, or in another that is busy with an earlier message for the same one.
    - Those of other processes within some milliseconds, in a thread of their own.
    - Each hears the messages of all processes in the order in which they were recorded.  All
      `MessageBus()` of a process are one bus; a forked process has no subscribers.
    - Inside a sandbox a subscription is the skill's own: its callback gets what the same skill
      publishes.  What a skill publishes also reaches those who subscribed outside, and what is
      published there does not come in.
    - One that raises is reported on standard error, once for each kind of error, and stops nobody.
    """

    def subscribe(self, subject: str, callback: Callback, **lasting: Unpack[Options]) -> str:
        """
        Have *callback* called with each message that is published from now on.

        Where its first parameter is annotated with a type (a dataclass, a TypedDict, `list[int]`…)
        it gets one of that type; a message that is none is reported, and not handed over.  A second
        parameter that is named `delivery` gets a `Delivery`: the message's number, id and headers.

        Args:
            subject: A channel, or several: in `orders.*.paid` the star is any one token, and
                `sensors.>` is every channel that begins with `sensors.`.
            lasting: With `durable` or `group` the messages are recorded as delivered: see
                `Options`, which says what else there is to agree on.

        Returns:
            What to unsubscribe by.

        Raises:
            InvalidInput: No name for channels, or no function (an async one is none).
        """
        if inside.connection():
            refuse_inside(lasting)
            new = _own().subscription(subject, callback)
            _own().attach(new)
            return new.id
        if any(value is not None for value in lasting.values()):
            return self._consume(subject, callback, lasting)
        return str(self._local().subscribe(subject, callback))

    def unsubscribe(self, subject: str, callback_or_id: Callback | str) -> bool:
        """Whether it was subscribed."""
        if inside.connection():
            return _own().remove(subject, callback_or_id)
        return bool(self._local().unsubscribe(subject, callback_or_id))

    def declare(self, subject: str, wanted: Any) -> None:
        """
        Have the messages of these channels held against a type, as if callbacks named it.

        It goes for the subscribers of this process whose callbacks name no type themselves.

        Args:
            wanted: The type; None for any message.

        Raises:
            InvalidInput: No name for channels, or no such type.
        """
        if inside.connection():
            from dino_os.message_bus.handlers import check_type  # noqa: PLC0415

            check_type(wanted)
            _own().declare(subject, wanted)
        else:
            self._local().declare(subject, wanted)

    def publish(
        self,
        channel: str,
        message: Any,
        *,
        id: str | None = None,  # noqa: A002  as every bus calls it
        headers: Mapping[str, str] | None = None,
    ) -> int:
        """
        Record *message*, call the subscribers, and say how many there were in this process.

        Args:
            message: Any JSON value of at most 1,000,000 bytes; each subscriber gets its own copy.
            id: What tells it from the channel's other messages: one that was published already,
                not longer ago than the setting `bus.duplicate_window`, is not published again.
            headers: What there is to say about it, text to text.

        Raises:
            InvalidInput: A part of it is not what it must be.
            MessageBusError: There is no room for it; nobody was called.
            JournalWriteFailed: The disk did not take it; nobody was called.
        """
        more = {"message_id": id, "headers": headers}
        given = {name: value for name, value in more.items() if value is not None}
        if not inside.connection():
            return int(self._call("publish", channel=channel, message=message, **given))
        _own().check(channel, message)
        reached, said = self._call("publish", channel=channel, message=message, **given)
        return int(reached) + (_own().deliver(channel, message, id, headers) if said else 0)

    def publish_many(self, messages: Iterable[tuple[str, Any]]) -> int:
        """
        Publish (channel, message) pairs together, all or none: many times faster than one by one.

        Returns:
            How many subscribers they reached in this process, each message counted for itself.

        Raises:
            InvalidInput: One of them is not what it must be.
            MessageBusError: There is no room for them.
            JournalWriteFailed: The disk did not take them.
        """
        pairs = [*map(list, messages)]
        if not inside.connection():
            return int(self._call("publish_many", messages=pairs))
        for pair in pairs:
            _own().check(*pair)
        reached = int(self._call("publish_many", messages=pairs))
        return reached + sum(_own().deliver(*pair) for pair in pairs)

    def get_subscribers(self, channel: str) -> list[str]:
        """Ids of those whom a message published here would reach."""
        own = _own().ids(channel) if inside.connection() else []
        return [*self._call("get_subscribers", channel=channel), *own]

    def list_channels(self) -> list[str]:
        """Channels on which something was published, or somebody here listens."""
        own = _own().channels() if inside.connection() else []
        return sorted({*self._call("list_channels"), *own})

    def channel_history(self, channel: str, limit: int = 100) -> list[Message]:
        """The last *limit* messages of any process, oldest first; of a channel, or of several."""
        found = self._call("channel_history", channel=channel, limit=limit)
        return [
            Message(
                m["seq"],
                m["channel"],
                m["message"],
                datetime.fromisoformat(m["published"]),
                m["id"],
                m["headers"],
            )
            for m in found
        ]

    def ping(self) -> bool:
        """Whether the bus can be used."""
        return bool(self._call("ping"))

    def close(self) -> None:
        """End every subscription of this process."""
        if inside.connection():
            _own().clear()
        else:
            self._local().close()


_inside: list[OwnSubscriptions] = []


def _own() -> OwnSubscriptions:
    """The sandboxed skill's own subscribers."""
    from dino_os.message_bus.own import OwnSubscriptions  # noqa: PLC0415

    if not _inside:
        _inside.append(OwnSubscriptions())
    return _inside[0]
