"""
Recording what is published: all that threads bring at one time with one sync.

Whether a message was said before, and whether there is room for it, is decided under the journal's
lock, after catching up with what other processes wrote.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Protocol

from dino_os.errors import InvalidInput
from dino_os.json_value import is_flat, to_text
from dino_os.message_bus import nesting
from dino_os.message_bus.exchange import Exchange, Said
from dino_os.message_bus.recent_ids import RecentIds
from dino_os.message_bus.stored import PUBLISHED
from dino_os.message_bus.subject import check_channel
from dino_os.message_bus.subscriptions import check_message
from engines.errors import JournalWriteFailed
from engines.journal import Event, Journal, Position, Queue

_LONGEST_ID = 255
_HEADERS_LIMIT = 16_384


@dataclass(frozen=True, slots=True)
class Draft:
    """
    One message before it is recorded.

    Attributes:
        size: Bytes of the message as JSON.
    """

    channel: str
    message: Any
    size: int
    id: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        channel: str,
        message: Any,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: str | None,
    ) -> Draft:
        """
        A message as somebody hands it in.

        Raises:
            InvalidInput: A part of it is not what it must be.
        """
        check_channel(channel)
        text = check_message(message)
        said = {"id": _checked_id(message_id), "headers": _checked_headers(headers), **more}
        known = {name: what for name, what in said.items() if what}
        # A copy, with lists for tuples: who published it may go on to change it.
        own = copy(message) if is_flat(message) else json.loads(text)
        return cls(channel, own, len(text.encode()), message_id, known)

    def payload(self, depth: int) -> dict[str, Any]:
        led_to = {"depth": depth} if depth > 1 else {}
        return {"channel": self.channel, "message": self.message, **self.more, **led_to}


class Room(Protocol):
    """How much may be on record."""

    def admit(self, drafts: Sequence[Draft], before: Sequence[Draft]) -> None:
        """
        Refuse *drafts* where there is no room.  Called under the journal's lock.

        Args:
            before: Those that were admitted and are not written yet.

        Raises:
            MessageBusError: As said.
        """

    def take(self, begin: Position, events: Sequence[Event], end: Position) -> None:
        """These were written."""


class _Batch:
    """What one thread brings, to be recorded together or not at all."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.depth = nesting.depth() + 1
        self.said: list[Said] = []
        self.error: Exception | None = None
        self.done = False


class Publisher:
    """
    Writes to *journal* for all threads of this process.

    Args:
        exchange: Where those who listen are told.
        window_s: For how long an id is known that was published before.
        room: None is without end.
    """

    def __init__(
        self,
        journal: Journal,
        exchange: Callable[[], Exchange],
        *,
        window_s: float,
        room: Room | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._exchange = exchange
        self._window_s = window_s
        self._room = room
        self._clock = clock
        self._recent: RecentIds | None = None
        self._queue: Queue[_Batch] = Queue()

    def record(self, drafts: Sequence[Draft]) -> list[Said]:
        """
        Record *drafts*, all or none; those that were not said before, in their order.

        Raises:
            MessageBusError: There is no room.
            JournalError: The journal could not be written; nothing was recorded.
        """
        batch = _Batch(drafts)
        if self._queue.falls_to(batch):
            self._lead()
        if batch.error:
            raise batch.error
        return batch.said

    def _lead(self) -> None:
        """Record what all threads have brought that wait by now."""
        group: list[_Batch] = []
        exchange = self._exchange()
        try:
            with self._journal.locked():
                group += self._queue.take()
                begin = self._journal.end
                self._stage(group)
                said = [one for batch in group for one in batch.said]
                exchange.expect(said)
                self._journal.commit()
                end = self._journal.end
                self._follow(begin, [one.event for one in said], end)
            exchange.take(begin, said, end)
        except BaseException as error:
            self._recent = None
            exchange.withdraw([one for batch in group for one in batch.said])
            group += self._queue.take()
            # Every thread that waits must learn of it, an interruption of this one included.
            failure = error if isinstance(error, Exception) else _interrupted(self._journal)
            for batch in group:
                batch.error = batch.error or failure
            if failure is not error:
                raise
        finally:
            self._queue.step_down(group)

    def _stage(self, group: Sequence[_Batch]) -> None:
        now = self._clock()
        new: set[tuple[str, str]] = set()
        admitted: list[Draft] = []
        for batch in group:
            drafts = [d for d in batch.drafts if d.id is None or self._is_new(d, new, now)]
            try:
                if self._room:
                    self._room.admit(drafts, admitted)
            except Exception as error:  # noqa: BLE001  it is that thread's, not the group's
                batch.error = error
                new -= {(d.channel, d.id) for d in drafts if d.id is not None}
                continue
            admitted += drafts
            batch.said = [
                Said(self._journal.stage(PUBLISHED, draft.payload(batch.depth)), batch.depth)
                for draft in drafts
            ]

    def _is_new(self, draft: Draft, new: set[tuple[str, str]], now: float) -> bool:
        """Whether it was not said before; from now on it was."""
        if self._recent is None:
            self._recent = RecentIds(self._journal, self._window_s, now)
        self._recent.catch_up()
        key = draft.channel, draft.id or ""
        if key in new or self._recent.knows(*key, now):
            return False
        new.add(key)
        return True

    def _follow(self, begin: Position, events: Sequence[Event], end: Position) -> None:
        for follower in (self._recent, self._room):
            if follower:
                follower.take(begin, events, end)


def _checked_id(found: str | None) -> str | None:
    if found is None:
        return None
    is_text = isinstance(found, str) and found.strip() and found.isprintable()
    if not is_text or len(found) > _LONGEST_ID:
        raise InvalidInput(
            f"a message's id must be text of 1 to {_LONGEST_ID} characters, found {found!r}"[:200]
        )
    return found


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    if headers is None:
        return None
    found = dict(headers) if isinstance(headers, Mapping) else None
    if found is None or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise InvalidInput(f"headers must be a mapping of text to text, found {headers!r}"[:200])
    to_text(found, "the headers", _HEADERS_LIMIT)
    return found


def _interrupted(journal: Journal) -> JournalWriteFailed:
    return JournalWriteFailed(
        f"{journal.path}: interrupted while writing; look whether it was recorded"
    )
