"""
The workspace's bus: every message is recorded in the journal `bus`, then handed to subscribers.

Takes and gives JSON values, callbacks aside.  A message is durable before anybody is called: what a
subscriber acted upon is on record, and history is the same for every process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from dino_os.errors import DinoError, MessageBusError
from dino_os.message_bus.subscriptions import (
    Callback,
    Subscriptions,
    check_channel,
    check_message,
)
from engines import checks
from engines.journal import START, Event, Journal

_PUBLISHED = "message_published"
_AT_THE_END = 1000  # events read at once before all are
_Messages: TypeAlias = list[dict[str, Any]]

# Per journal: all bus objects of a process share their subscribers.
_subscriptions: dict[Path, Subscriptions] = {}
os.register_at_fork(after_in_child=_subscriptions.clear)  # they are the parent's


class Bus:
    """
    The bus over that journal.

    Args:
        read_only: Refuse to publish.
    """

    # What a sandboxed skill may ask for; its own callbacks stay in its process.
    CALLS: ClassVar = frozenset(
        {"publish", "get_subscribers", "list_channels", "channel_history", "ping"}
    )

    def __init__(self, journal: Journal, *, read_only: bool = False) -> None:
        self._journal = journal
        self._read_only = read_only
        self._subscriptions = _subscriptions.setdefault(journal.path.resolve(), Subscriptions())
        self._channels: set[str] = set()
        self._seen_to = START
        self._guard = threading.Lock()

    def subscribe(self, channel: str, callback: Callback) -> str:
        return self._subscriptions.add(channel, callback)

    def unsubscribe(self, channel: str, callback_or_id: Callback | str) -> bool:
        return self._subscriptions.remove(channel, callback_or_id)

    def publish(self, channel: str, message: Any) -> int:
        check_channel(channel)
        text = check_message(message)
        if self._read_only:
            raise MessageBusError("a rehearsal publishes nothing")
        self._subscriptions.check_nesting(channel)
        self._journal.append(_PUBLISHED, {"channel": channel, "message": json.loads(text)})
        return self._subscriptions.deliver(channel, text)

    def get_subscribers(self, channel: str) -> list[str]:
        return self._subscriptions.ids(channel)

    def list_channels(self) -> list[str]:
        with self._guard:
            begin = self._journal.begin()
            start = self._seen_to if self._seen_to.seq >= begin.seq else begin
            for events, behind in self._journal.read(start):
                self._channels |= {e["channel"] for e in events if e["event_type"] == _PUBLISHED}
                self._seen_to = behind
            return sorted(self._channels.union(self._subscriptions.channels()))

    def channel_history(self, channel: str, limit: int = 100) -> _Messages:
        check_channel(channel)
        checks.at_least(limit, 0, "limit")
        most = min(checks.whole(limit, "limit"), sys.maxsize)
        # Mostly it is among the last; else all are read, and no more of them kept than asked for.
        tail = self._journal.tail(_AT_THE_END)
        found = [e for e in tail if _is_in(channel, e)]
        if len(found) < most and len(tail) == _AT_THE_END:
            found = [*deque((e for e in self._events() if _is_in(channel, e)), most)]
        return [_as_message(event) for event in found[max(len(found) - most, 0) :]]

    def ping(self) -> bool:
        """Whether the record can be read."""
        try:
            self._journal.length()
        except DinoError:
            return False
        return True

    def _events(self) -> Iterator[Event]:
        for events, _ in self._journal.read(self._journal.begin()):
            yield from events


def _is_in(channel: str, event: Event) -> bool:
    return event["event_type"] == _PUBLISHED and bool(event["channel"] == channel)


def _as_message(event: Event) -> dict[str, Any]:
    return {
        "seq": event["seq"],
        "channel": event["channel"],
        "message": event["message"],
        "published": checks.time_text(event["timestamp"]),
    }
