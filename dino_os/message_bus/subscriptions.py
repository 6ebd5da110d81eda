"""
Who in this process listens to what, and handing each message to each of them in its order.

Whatever comes in is put into the inbox of each subscription first, in the journal's order; then one
thread at a time empties an inbox, so that nobody hears a later message before an earlier one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

from dino_os.json_value import to_text
from dino_os.message_bus import nesting
from dino_os.message_bus.delivery import Delivery
from dino_os.message_bus.failure import goes_through
from dino_os.message_bus.handlers import Callback, Handler
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.subject import Interest, check_channel, check_subject, is_pattern

# Of JSON: with what is wrapped around it a message still fits into NATS's default of 1 MiB.
MESSAGE_LIMIT = 1_000_000
# Whoever publishes may hold what a callback in another thread waits for.
_PATIENCE_S = 5.0


class Receiver(Protocol):
    """Who hears messages: a subscription, of whatever kind."""

    id: str
    subject: str
    counts: bool
    """Whether `publish` counts it among those that it reached."""

    def put(self, stored: Stored, depth: int) -> None:
        """
        There is a message.  Called in the journal's order; must return at once, and call nobody.

        Args:
            depth: How many messages, published by callbacks, led to it; itself counted.
        """

    def settle(self, seq: int, *, wait: bool = True) -> None:
        """
        What was put, up to message *seq*, is to be handled; called where callbacks may run.

        Args:
            wait: Whether to return only when it was, also where another thread is at it.
        """

    def end(self) -> None:
        """It hears no more, and nothing that is not under way is handled."""


class _Waiting(NamedTuple):
    stored: Stored
    depth: int


class Subscription:
    """One callback of this process, and the messages that wait for it."""

    counts = True

    def __init__(
        self,
        subject: str,
        callback: Callback,
        declared: Callable[[str], Any],
        answer: Callable[[Stored, Any], object] | None,
        clean: Callable[[str], str] = str,
    ) -> None:
        self.id = uuid4().hex
        self.subject = subject
        self.handler = Handler(callback, clean, strict=False)
        self._declared = declared
        self._answer = answer
        self._inbox: deque[_Waiting] = deque()
        self._under_way: list[int] = []  # one within the other, by number
        self._changed = threading.Condition()
        self._drainer = 0  # the thread that empties the inbox
        self._queued = 0  # how many threads wait for their turn
        self._ended = False

    def put(self, stored: Stored, depth: int) -> None:
        with self._changed:
            if not self._ended:
                self._inbox.append(_Waiting(stored, depth))

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._inbox.clear()
            self._changed.notify_all()

    def settle(self, seq: int, *, wait: bool = True) -> None:
        # Within a callback nobody is waited for: what another thread is at is left to it.
        if not self._take_turn(seq, wait=wait and not nesting.calls()):
            return
        outer = bool(self._under_way)  # this thread's: its callback published this
        try:
            while waiting := self._next(seq, leave=outer):
                self._handle(*waiting)
        finally:
            with self._changed:
                if not outer:
                    self._drainer = 0
                self._changed.notify_all()

    def _take_turn(self, seq: int, *, wait: bool) -> bool:
        me = threading.get_ident()
        until = time.monotonic() + _PATIENCE_S if wait else 0.0
        with self._changed:
            while self._drainer not in (0, me):
                left = until - time.monotonic()
                if not wait or left <= 0 or self._is_done(seq):
                    return False
                self._queued += 1
                try:
                    self._changed.wait(left)
                finally:
                    self._queued -= 1
            if self._drainer == me and nesting.calls() >= nesting.DEEPEST:
                return False  # further out this thread goes on with it
            self._drainer = me
            return True

    def _is_done(self, seq: int) -> bool:
        return not (
            (self._inbox and self._inbox[0].stored.seq <= seq)
            or (self._under_way and self._under_way[0] <= seq)
        )

    def _next(self, seq: int, *, leave: bool) -> _Waiting | None:
        """The next message; None where there is none, or who waits may go on with what follows."""
        with self._changed:
            if not self._inbox:
                return None
            if self._inbox[0].stored.seq > seq and (leave or self._queued):
                return None
            found = self._inbox.popleft()
            self._under_way.append(found.stored.seq)
            return found

    def _handle(self, stored: Stored, depth: int) -> None:
        outside = nesting.enter(depth)
        try:
            delivery = Delivery(stored, self._answer) if self.handler.takes_delivery else None
            self.handler(copied(stored.message), delivery, self._declared(stored.channel))
        except BaseException as error:
            if goes_through(error):
                raise
            self.handler.report(stored.channel, error)
        finally:
            nesting.leave(outside)
            with self._changed:
                self._under_way.pop()
                if self._queued:
                    self._changed.notify_all()


class Subscriptions:
    """
    The receivers of one process; threads may share it.

    Attributes:
        clean: What may be shown of an error's text.
    """

    def __init__(
        self,
        answer: Callable[[Stored, Any], object] | None = None,
        clean: Callable[[str], str] = str,
    ) -> None:
        self.clean = clean
        self._lock = threading.Lock()
        self._interest: Interest[Receiver] = Interest()
        self._types: Interest[Any] = Interest()
        self._answer = answer

    def __bool__(self) -> bool:
        return bool(self._interest)

    def subscription(self, subject: str, callback: Callback) -> Subscription:
        """A new one, which hears nothing before it is attached."""
        return Subscription(
            check_subject(subject), callback, self.declared, self._answer, self.clean
        )

    def attach(self, receiver: Receiver) -> None:
        with self._lock:
            self._interest.add(receiver.subject, receiver)

    def detach(self, receiver: Receiver) -> bool:
        """Whether it was there."""
        with self._lock:
            return self._interest.remove(receiver.subject, receiver)

    def clear(self) -> None:
        for receiver in self.all():
            self.detach(receiver)
            receiver.end()

    def remove(self, subject: str, callback_or_id: Callback | str) -> bool:
        """Whether there was one; a callback that subscribed twice is removed twice."""
        check_subject(subject)
        found = [
            receiver
            for receiver in self.all()
            if receiver.subject == subject
            and isinstance(receiver, Subscription)
            and callback_or_id in (receiver.id, receiver.handler.callback)
        ]
        for receiver in found:
            self.detach(receiver)
            receiver.end()
        return bool(found)

    def all(self) -> tuple[Receiver, ...]:
        with self._lock:
            return self._interest.values()

    def hearing(self, channel: str) -> tuple[Receiver, ...]:
        """Who hears it, in the order in which they came."""
        with self._lock:
            return self._interest.find(channel)

    def ids(self, channel: str) -> list[str]:
        check_channel(channel)
        return [receiver.id for receiver in self.hearing(channel) if receiver.counts]

    def channels(self) -> list[str]:
        """Those that are named as such; a pattern names none."""
        with self._lock:
            return [subject for subject in self._interest.subjects() if not is_pattern(subject)]

    def declare(self, subject: str, wanted: Any) -> None:
        """Have messages held against the type *wanted*; None holds them against none."""
        with self._lock:
            for before in self._types.at(subject):
                self._types.remove(subject, before)
            if wanted is not None:
                self._types.add(subject, wanted)

    def declared(self, channel: str) -> Any:
        """The type of that channel's messages; None where none was declared."""
        if not self._types:
            return None
        with self._lock:
            return next(iter(self._types.find(channel)), None)


def copied(value: Any) -> Any:
    """A JSON value that shares nothing with *value*."""
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value


def check_message(message: Any) -> str:
    """
    *message* as JSON text.

    Raises:
        InvalidInput: It is not JSON, or larger than 1,000,000 bytes.
    """
    return to_text(message, "the message", MESSAGE_LIMIT)
