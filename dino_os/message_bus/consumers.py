"""The durable subscriptions and queue groups in which this process takes part."""

from __future__ import annotations

import atexit
import math
import os
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from dino_os.errors import InvalidInput
from dino_os.message_bus.claims import Claims, LocalClaims, anything
from dino_os.message_bus.consuming import Consumer, Minder, Work
from dino_os.message_bus.deliveries import Deliveries
from dino_os.message_bus.delivery import Delivery
from dino_os.message_bus.exchange import Exchange
from dino_os.message_bus.handlers import Callback, Handler
from dino_os.message_bus.messages import Messages
from dino_os.message_bus.stored import Stored
from dino_os.message_bus.subject import check_subject
from dino_os.message_bus.subscriptions import Subscriptions
from dino_os.message_bus.terms import Terms
from engines import checks

Start = str | int | datetime
_ACKS = ("auto", "explicit")
_OURS = "_"  # begins the names of groups that the bus makes for itself
_READ_AT_ONCE = 1000
_TO_END_S = 5.0
_BACKOFF_S = (1.0, 5.0, 30.0, 120.0, 600.0)

Arbiter = Callable[[Terms, Callable[[], int], Callable[[Stored], bool]], Claims | None]
"""Makes what says who gets which message; its arguments are those of `LocalClaims`.  None: the
journal of deliveries does."""


class _Handling:
    """Calls a callback with each message."""

    def __init__(self, callback: Callback, subscriptions: Subscriptions) -> None:
        self.handler = Handler(callback, subscriptions.clean)
        self._declared = subscriptions.declared

    def handle(self, delivery: Delivery) -> None:
        self.handler(delivery.stored.message, delivery, self._declared(delivery.channel))

    def report(self, channel: str, error: BaseException) -> None:
        self.handler.report(channel, error)


class Consumers:
    """
    The consumers of one process.

    Args:
        exchange: Where it is said that there are messages.
        first_seq: Number of the first message of a subject that counts.
        answer: Sends what a handler replies.
        arbiter: Asked for each subscription; None leaves all to the journal of deliveries.
    """

    def __init__(
        self,
        deliveries: Callable[[], Deliveries],
        messages: Messages,
        exchange: Callable[[], Exchange],
        first_seq: Callable[[str], int],
        *,
        answer: Callable[[Stored, object], object] | None = None,
        arbiter: Arbiter | None = None,
    ) -> None:
        self._deliveries = deliveries
        self._messages = messages
        self._exchange = exchange
        self._first_seq = first_seq
        self._answer = answer
        self._arbiter = arbiter
        self._minder = Minder()
        _all.add(self)

    def subscribe(
        self,
        subject: str,
        callback: Callback,
        *,
        start: Start = "new",
        ack: str = "auto",
        backoff_s: Sequence[float] = _BACKOFF_S,
        **terms: Any,
    ) -> str:
        """
        Take part in a subscription; what to unsubscribe by.

        Args:
            terms: As `Terms` has them.

        Raises:
            InvalidInput: One of them is not what it must be, or there is a durable subscription of
                that name for another subject.
        """
        work = _Handling(callback, self._exchange().subscriptions)
        if ack not in _ACKS:
            raise InvalidInput(f"ack must be one of {', '.join(_ACKS)}, found {ack!r}")
        agreed = Terms(check_subject(subject), **terms)
        if agreed.name.startswith(_OURS):
            raise InvalidInput(f"durable and group must not begin with {_OURS!r}")
        return self.add(
            agreed,
            callback,
            work,
            after=self._place(start, agreed.subject),
            explicit=ack == "explicit",
            backoff_s=_checked(backoff_s),
        )

    def add(
        self,
        terms: Terms,
        callback: Callback,
        work: Work,
        *,
        after: Callable[[], int],
        is_for_us: Callable[[Stored], bool] = anything,
        explicit: bool = False,
        backoff_s: Sequence[float] = _BACKOFF_S,
    ) -> str:
        consumer = Consumer(
            terms.subject,
            self.claims(terms, after, is_for_us),
            callback,
            work,
            self._minder,
            explicit=explicit,
            backoff_s=backoff_s,
            ack_wait_s=terms.ack_wait_s,
            answer=self._answer,
        )
        self._exchange().attach(consumer)
        try:
            consumer.start()
        except BaseException:
            self._exchange().detach(consumer)
            raise
        return consumer.id

    def claims(
        self,
        terms: Terms,
        after: Callable[[], int],
        is_for_us: Callable[[Stored], bool] = anything,
        *,
        upto: float = math.inf,
    ) -> Claims:
        """The messages of that subscription up to line *upto*, for whoever joins."""
        elsewhere = self._arbiter and self._arbiter(terms, after, is_for_us)
        return elsewhere or LocalClaims(
            self._deliveries(), self._messages, terms, after, is_for_us, upto=upto
        )

    def remove(self, subject: str, callback_or_id: Callback | str) -> bool:
        """Whether there was one; what a durable subscription has not had waits for the next."""
        found = [
            one
            for one in self._own()
            if one.subject == subject and callback_or_id in (one.id, one.callback)
        ]
        self._end(found)
        return bool(found)

    def close(self) -> None:
        """End them all, and wait some seconds for what is under way."""
        self._end(self._own())

    # --- below the face ----------------------------------------------------------------------

    def _own(self) -> list[Consumer]:
        return [one for one in self._exchange().subscriptions.all() if isinstance(one, Consumer)]

    def _end(self, consumers: Sequence[Consumer]) -> None:
        until = time.monotonic() + _TO_END_S
        for consumer in consumers:
            self._exchange().detach(consumer)
            consumer.end()
        for consumer in consumers:
            consumer.wait(max(until - time.monotonic(), 0.0))

    def _place(self, start: Start, subject: str) -> Callable[[], int]:
        """Behind which line a subscription begins that starts there."""
        if start == "new":
            return self._messages.end
        if start == "all":
            before = self._first_seq(subject) - 1
        elif isinstance(start, datetime):
            before = self._before(checks.utc(start))
        elif isinstance(start, str):
            raise InvalidInput(f'start must be "new", "all", a seq or a time, found {start!r}')
        else:
            before = checks.whole(checks.at_least(start, 0, "start"), "start") - 1
            if before > (end := self._messages.end()):
                raise InvalidInput(f"start: there is no message {start}; the last line is {end}")
        return lambda: before

    def _before(self, moment: datetime) -> int:
        """The line before the first message that was said at *moment* or later."""
        seq = -1
        while found := self._messages.after(seq, ">", _READ_AT_ONCE):
            for stored in found:
                if checks.from_epoch(stored.published) >= moment:  # to the microsecond, as shown
                    return stored.seq - 1
            seq = found[-1].seq
        return self._messages.end()


_all: weakref.WeakSet[Consumers] = weakref.WeakSet()
os.register_at_fork(after_in_child=_all.clear)  # they are the parent's


@atexit.register
def _end_all() -> None:
    """What is under way is ended in order; else it would count as lost."""
    for consumers in [*_all]:
        consumers.close()


def _checked(backoff_s: Sequence[float]) -> tuple[float, ...]:
    if isinstance(backoff_s, str) or not isinstance(backoff_s, Sequence) or not backoff_s:
        raise InvalidInput(f"backoff_s must be a list of seconds, found {backoff_s!r}")
    return tuple(checks.at_least(pause, 0, "backoff_s") for pause in backoff_s)
