"""Who in this process listens to which channel, and handing a message to each of them."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from dino_os.errors import InvalidInput, MessageBusError
from dino_os.json_value import to_text

Callback = Callable[[Any], object]

# Of JSON: with what is wrapped around it a message still fits into NATS's default of 1 MiB.
MESSAGE_LIMIT = 1_000_000
_LONGEST_CHANNEL = 255
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class _Subscription:
    id: str
    callback: Callback
    reported: set[type] = field(default_factory=set)  # kinds of error


class Subscriptions:
    """The subscribers of one process; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_channel: dict[str, list[_Subscription]] = {}
        self._nesting = threading.local()

    def add(self, channel: str, callback: Callback) -> str:
        check_channel(channel)
        if not callable(callback):
            raise InvalidInput(f"a callback must be a function, found {callback!r}")
        if inspect.iscoroutinefunction(callback):
            raise InvalidInput(f"the callback {_name(callback)} is async; nobody would await it")
        new = _Subscription(uuid4().hex, callback)
        with self._lock:
            self._by_channel.setdefault(channel, []).append(new)
        return new.id

    def remove(self, channel: str, callback_or_id: Callback | str) -> bool:
        """Whether there was one; a callback that subscribed twice is removed twice."""
        check_channel(channel)
        with self._lock:
            there = self._by_channel.get(channel, [])
            kept = [s for s in there if callback_or_id not in (s.id, s.callback)]
            if kept:
                self._by_channel[channel] = kept
            else:
                self._by_channel.pop(channel, None)
            return len(kept) < len(there)

    def ids(self, channel: str) -> list[str]:
        check_channel(channel)
        with self._lock:
            return [s.id for s in self._by_channel.get(channel, ())]

    def channels(self) -> list[str]:
        with self._lock:
            return sorted(self._by_channel)

    def check_nesting(self, channel: str) -> None:
        """Refuse a message that answers an answer to an answer … without end."""
        if self._depth >= _DEEPEST:
            raise MessageBusError(
                f"{channel!r}: messages published by callbacks are nested {_DEEPEST} deep",
                hint="do two subscribers answer each other?",
            )

    def deliver(self, channel: str, text: str) -> int:
        """Call each subscriber with a message of its own; how many there were."""
        with self._lock:
            called = list(self._by_channel.get(channel, ()))
        self._nesting.depth = self._depth + 1
        try:
            for subscription in called:
                self._call(subscription, channel, text)
        finally:
            self._nesting.depth -= 1
        return len(called)

    @property
    def _depth(self) -> int:
        return int(getattr(self._nesting, "depth", 0))

    def _call(self, subscription: _Subscription, channel: str, text: str) -> None:
        try:
            subscription.callback(json.loads(text))
        except (Exception, SystemExit) as error:  # noqa: BLE001  it is that subscriber's alone
            # Once for each kind: one that fails a thousand times is not worth a thousand lines.
            if type(error) not in subscription.reported:
                subscription.reported.add(type(error))
                _report(subscription.callback, channel, error)


def check_channel(channel: object) -> None:
    """
    Refuse what is no channel's name.

    Raises:
        InvalidInput: Not text, blank, too long, with control characters or wildcards.
    """
    if not isinstance(channel, str) or not channel.strip():
        raise InvalidInput(f"a channel must be text, and not blank, found {channel!r}"[:200])
    if len(channel) > _LONGEST_CHANNEL:
        raise InvalidInput(f"a channel's name has at most {_LONGEST_CHANNEL} characters")
    if not channel.isprintable():
        raise InvalidInput(f"the channel {channel!r} has characters that cannot be printed")
    if {"*", ">"} & set(channel):
        raise InvalidInput(f"the channel {channel!r}: * and > are kept for wildcards")


def check_message(message: Any) -> str:
    """
    *message* as JSON text.

    Raises:
        InvalidInput: It is not JSON, or larger than 1,000,000 bytes.
    """
    return to_text(message, "the message", MESSAGE_LIMIT)


def _name(callback: Callback) -> str:
    return str(getattr(callback, "__qualname__", None) or repr(callback))


def _report(callback: Callback, channel: str, error: BaseException) -> None:
    from traceback import format_exception_only  # noqa: PLC0415  only where something failed

    # One line, and none that a terminal would obey.
    shown = ascii(" ".join(format_exception_only(error)[-1].split())[:300])[1:-1]
    print(  # noqa: T201  whoever published did nothing wrong and is told nothing
        f"dino: {_name(callback)}, subscribed to {channel!r}, raised {shown}", file=sys.stderr
    )
