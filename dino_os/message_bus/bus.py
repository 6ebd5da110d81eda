"""
The workspace's bus: every message is recorded in the journal `bus`, then handed to subscribers.

Takes and gives JSON values, callbacks aside.  A message is durable before anybody is called: what a
subscriber acted upon is on record, and history is the same for every process.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from dino_os.errors import DinoError, MessageBusError
from dino_os.message_bus import nesting
from dino_os.message_bus.backlog import Backlog
from dino_os.message_bus.exchange import Exchange, Said, exchange_of
from dino_os.message_bus.handlers import Callback, check_type
from dino_os.message_bus.lasting import Lasting
from dino_os.message_bus.limits import Limit, Limits
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.publishing import Draft, Publisher
from dino_os.message_bus.room import Room
from dino_os.message_bus.stored import Stored, is_message, stored
from dino_os.message_bus.subject import check_subject, is_reply, matches
from engines import checks
from engines.journal import START, Event, Journal

if TYPE_CHECKING:
    from dino_os.message_bus.deliveries import Deliveries

_AT_THE_END = 1000  # events read at once before all are
_Messages: TypeAlias = list[dict[str, Any]]


class Bus(Lasting):
    """
    The bus over that journal.

    Attributes:
        messages: What was said, read from the record.
        room: Whether there is room for more.

    Args:
        deliveries: Who has which message of durable subscriptions and groups; None: there are none.
        duplicate_window_s: For how long an id is known that was published before.
        limits: How much of what is said counts.
        max_backlog: Where a durable subscription has more to do, nothing is published to it.
        read_only: Refuse to publish.
        carry: Has messages brought from and to other nodes; called by whoever listens or asks.
        clean: What may be shown of the text of an error that a callback raised.
        clock: Seconds since the epoch.
    """

    # What a sandboxed skill may ask for; its own callbacks stay in its process.
    CALLS: ClassVar = frozenset(
        {
            "publish",
            "publish_many",
            "get_subscribers",
            "list_channels",
            "channel_history",
            "ping",
            "request",
        }
    )

    def __init__(
        self,
        journal: Journal,
        *,
        deliveries: Callable[[], Deliveries] | None = None,
        duplicate_window_s: float = 120.0,
        limits: Sequence[Limit] = (),
        max_backlog: int = 100_000,
        read_only: bool = False,
        carry: Callable[[], None] | None = None,
        clean: Callable[[str], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._carry = carry
        self._clean = clean
        self._deliveries = deliveries
        self.head = journal.head.path
        self._path = journal.path.resolve()
        self._read_only = read_only
        self._limits = Limits(journal, limits, clock=clock) if limits else None
        self.messages = Messages(journal, self._limits)
        self.room = Room(self._limits if any(limit.refuse for limit in limits) else None)
        self._backlog = (
            Backlog(journal.path, deliveries, self.messages, max_backlog, holds_up=self._holds_up)
            if deliveries
            else None
        )
        if self._backlog:
            self.room.check_backlog = self._backlog.check
            self.room.done_to = self._backlog.done_to
        self._publisher = Publisher(
            journal,
            lambda: self.exchange,
            window_s=duplicate_window_s,
            room=self.room,
            clock=clock,
        )
        self._channels: set[str] = set()
        self._seen_to = START
        self._guard = threading.Lock()

    @property
    def exchange(self) -> Exchange:
        """Where messages come in for this process; all its bus objects share one."""
        return exchange_of(self._path, self.answer, self._clean)

    # --- listening ---------------------------------------------------------------------------

    def subscribe(self, subject: str, callback: Callback) -> str:
        self.listen()
        return self.exchange.subscribe(subject, callback)

    def unsubscribe(self, subject: str, callback_or_id: Callback | str) -> bool:
        plain = self.exchange.subscriptions.remove(subject, callback_or_id)
        return self.consumers.remove(subject, callback_or_id) or plain

    def get_subscribers(self, channel: str) -> list[str]:
        return self.exchange.subscriptions.ids(channel)

    def declare(self, subject: str, wanted: Any) -> None:
        check_subject(subject)
        if wanted is not None:
            check_type(wanted)
        self.exchange.subscriptions.declare(subject, wanted)

    def close(self) -> None:
        """End every subscription of this process; a durable one goes on where it was."""
        self.consumers.close()
        self.exchange.close()

    # --- publishing --------------------------------------------------------------------------

    def publish(
        self,
        channel: str,
        message: Any,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        return self.send([Draft.of(channel, message, message_id, headers)])

    def publish_many(self, messages: Iterable[tuple[str, Any]]) -> int:
        return self.send([Draft.of(*message) for message in messages])

    def send(self, drafts: list[Draft]) -> int:
        """
        Record *drafts* with one sync, all or none, and have those handled who listen here.

        Returns:
            How many subscribers they reached in this process, each message counted for itself.
        """
        return sum(receiver.counts for one in self.say(drafts) for receiver in one.receivers)

    def say(self, drafts: list[Draft]) -> list[Said]:
        """As `send`; those that had not been said before."""
        if self._read_only:
            raise MessageBusError("a rehearsal publishes nothing")
        for draft in drafts:
            nesting.check(draft.channel)
        with nesting.publishing():
            if self._backlog:
                self._backlog.look()
            said = self._publisher.record(drafts) if drafts else []
            self.exchange.settle(said)
        return said

    def answer(self, asked: Stored, value: Any) -> None:
        """Send *value* to who waits for an answer to that message."""
        from dino_os.message_bus.requests import answer_to  # noqa: PLC0415  seldom

        self.say([answer_to(asked, value)])

    # --- what was said -----------------------------------------------------------------------

    def list_channels(self) -> list[str]:
        with self._guard:
            begin = self._journal.begin()
            start = self._seen_to if self._seen_to.seq >= begin.seq else begin
            for events, behind in self._journal.read(start):
                self._channels |= {
                    e["channel"] for e in events if is_message(e) and not is_reply(e["channel"])
                }
                self._seen_to = behind
            return sorted(self._channels.union(self.exchange.subscriptions.channels()))

    def channel_history(self, channel: str, limit: int = 100) -> _Messages:
        check_subject(channel)
        checks.at_least(limit, 0, "limit")
        most = min(checks.whole(limit, "limit"), sys.maxsize)
        # Mostly it is among the last; else all are read, and no more of them kept than asked for.
        tail = self._journal.tail(_AT_THE_END)
        if self._limits:
            self._limits.catch_up()
        found = [e for e in tail if self._shows(channel, e)]
        if len(found) < most and len(tail) == _AT_THE_END:
            found = [*deque((e for e in self._events() if self._shows(channel, e)), most)]
        return [_as_message(stored(event)) for event in found[max(len(found) - most, 0) :]]

    def first_seq(self, subject: str = ">") -> int:
        """
        Number of the first message there that is within its limits; where there is none, of the
        line that will be next.
        """
        if self._limits:
            self._limits.catch_up()
        for event in self._events():
            if self._shows(subject, event):
                return int(event["seq"])
        return self._journal.length()

    def ping(self) -> bool:
        """Whether the record can be read."""
        try:
            self._journal.length()
        except DinoError:
            return False
        return True

    def _shows(self, subject: str, event: Event) -> bool:
        return (
            is_message(event)
            and matches(subject, event["channel"])
            and (self._limits is None or self._limits.shows(event))
        )

    def _events(self) -> Iterator[Event]:
        for events, _ in self._journal.read(self._journal.begin()):
            yield from events


def _as_message(found: Stored) -> dict[str, Any]:
    return {
        "seq": found.seq,
        "channel": found.channel,
        "message": found.message,
        "published": checks.time_text(found.published),
        "id": found.id,
        "headers": found.headers,
    }
