"""The message bus: who publishes need not know who listens, and all that was said is on record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dino_os import inside
from dino_os.errors import MessageBusError
from dino_os.face import Face

if TYPE_CHECKING:
    from dino_os.message_bus.subscriptions import Subscriptions

__all__ = ["Message", "MessageBus", "MessageBusError"]

Callback = Callable[[Any], object]


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


class MessageBus(Face):
    """
    The workspace's channels.

    Every message is recorded durably, and every process reads the same history.  Who is called:

    - Callbacks run in the process and thread that publish, before `publish` returns; those of other
      processes are not called.  All `MessageBus()` of a process are one bus.
    - Inside a sandbox a subscription is the skill's own: its callback gets what the same skill
      publishes.  What a skill publishes also reaches those who subscribed in the process that
      runs it, and what is published there does not come in.
    - One that raises is reported on standard error, once for each kind of error, and stops nobody.
    """

    _part = "bus"

    def subscribe(self, channel: str, callback: Callback) -> str:
        """
        Have *callback* called with each message; what to unsubscribe by.

        Raises:
            InvalidInput: No name for a channel, or no function (an async one is none).
        """
        if inside.connection():
            return _own().add(channel, callback)
        return str(self._local().subscribe(channel, callback))

    def unsubscribe(self, channel: str, callback_or_id: Callback | str) -> bool:
        """Whether it was subscribed."""
        if inside.connection():
            return _own().remove(channel, callback_or_id)
        return bool(self._local().unsubscribe(channel, callback_or_id))

    def publish(self, channel: str, message: Any) -> int:
        """
        Record *message*, call the subscribers, and say how many there were.

        Args:
            message: Any JSON value of at most 1,000,000 bytes; each subscriber gets its own copy.

        Raises:
            InvalidInput: Channel or message is none.
            JournalWriteFailed: The disk did not take it; nobody was called.
        """
        if not inside.connection():
            return int(self._call("publish", channel=channel, message=message))
        from dino_os.message_bus.subscriptions import check_message  # noqa: PLC0415

        text = check_message(message)
        _own().check_nesting(channel)
        reached = int(self._call("publish", channel=channel, message=message))
        return reached + _own().deliver(channel, text)

    def get_subscribers(self, channel: str) -> list[str]:
        """Ids of those whom a message published here would reach."""
        own = _own().ids(channel) if inside.connection() else []
        return [*self._call("get_subscribers", channel=channel), *own]

    def list_channels(self) -> list[str]:
        """Channels on which something was published, or somebody here listens."""
        own = _own().channels() if inside.connection() else []
        return sorted({*self._call("list_channels"), *own})

    def channel_history(self, channel: str, limit: int = 100) -> list[Message]:
        """The last *limit* messages of any process, oldest first."""
        found = self._call("channel_history", channel=channel, limit=limit)
        return [
            Message(m["seq"], m["channel"], m["message"], datetime.fromisoformat(m["published"]))
            for m in found
        ]

    def ping(self) -> bool:
        """Whether the bus can be used."""
        return bool(self._call("ping"))


_inside: list[Subscriptions] = []


def _own() -> Subscriptions:
    """The sandboxed skill's own subscribers."""
    from dino_os.message_bus.subscriptions import Subscriptions  # noqa: PLC0415

    if not _inside:
        _inside.append(Subscriptions())
    return _inside[0]
