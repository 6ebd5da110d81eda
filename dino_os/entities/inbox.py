"""
The messages that wait for an entity: the bus's record, read on from where the entity is.

Only what is in the record counts, so nothing is lost while nobody listens; only so much of it is
held in memory as is soon dealt with.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dino_os.message_bus.stored import is_message
from dino_os.message_bus.subject import matches
from engines.journal import Event, Position, RecordedJournal

_AT_THE_END = 1000  # lines read at once before all are
_AHEAD = 256


@dataclass(slots=True)
class _Reader:
    """How far the record was read for one entity, and what was found and not taken yet."""

    behind: Position
    waiting: deque[Event] = field(default_factory=deque)
    gone: tuple[int, int] | None = None  # first and last line that were pruned before


class Inbox:
    """The record of the bus at *path*, which need not be there."""

    def __init__(self, path: Path) -> None:
        self._journal = RecordedJournal(path)
        self._readers: dict[str, _Reader] = {}

    def last(self) -> int:
        """The seq of what was recorded last, -1 where nothing was."""
        return self._journal.length() - 1

    def first(self) -> int:
        """The seq of the first line that is still there."""
        return self._journal.begin().seq

    def sealed(self) -> int:
        """The seq of the last line that pruning may take, -1 where there is none."""
        return self._journal.live_begin().seq - 1

    def gone(self, entity_id: str, position: int) -> tuple[int, int] | None:
        """The first and last line behind *position* that `next` found pruned and never read."""
        reader = self._readers.get(entity_id)
        return reader.gone if reader and reader.gone and reader.gone[1] > position else None

    def read_to(self, entity_id: str) -> int:
        """The seq of the last line that `next` has read for it."""
        reader = self._readers.get(entity_id)
        return reader.behind.seq - 1 if reader else -1

    def next(self, entity_id: str, channel: str, position: int) -> Event | None:
        """The first message of *channel*, or of a subject, behind the line *position*."""
        reader = self._readers.get(entity_id) or self._begin(entity_id, channel, position)
        waiting = reader.waiting
        while True:
            while waiting and waiting[0]["seq"] <= position:
                waiting.popleft()
            if waiting or not self._read_on(reader, channel):
                return waiting[0] if waiting else None

    def message(self, entity_id: str, seq: int) -> Event | None:
        """The message on that line; None where the record does not have it any more."""
        reader = self._readers.get(entity_id)
        for event in reader.waiting if reader else ():
            if event["seq"] == seq:
                return event
        try:
            found: Event = json.loads(self._journal.line(seq))
        except IndexError:
            return None
        return found if is_message(found) else None

    def _begin(self, entity_id: str, channel: str, position: int) -> _Reader:
        """Near the end where that is enough, else where the record begins."""
        blocks = self._journal.tail_blocks(_AT_THE_END)
        begin = self._journal.begin()
        reader = _Reader(begin)
        if begin.seq > position + 1:
            reader.gone = (position + 1, begin.seq - 1)
        if blocks and blocks[0].events and blocks[0].events[0]["seq"] <= position + 1:
            reader.behind = blocks[-1].behind
            for block in blocks:
                reader.waiting.extend(_of(channel, block.events))
        self._readers[entity_id] = reader
        return reader

    def _read_on(self, reader: _Reader, channel: str) -> bool:
        """Whether there was more to read."""
        begin = self._journal.begin()
        if reader.behind.seq < begin.seq:
            reader.gone = (reader.behind.seq, begin.seq - 1)
            reader.behind = begin
        read = False
        for block in self._journal.blocks(reader.behind):
            read = True
            reader.behind = block.behind
            reader.waiting.extend(_of(channel, block.events))
            if len(reader.waiting) >= _AHEAD:
                break
        return read


def _of(channel: str, events: Iterable[Event]) -> Iterable[Event]:
    return (event for event in events if is_message(event) and matches(channel, event["channel"]))
