"""
What was said: the journal of the bus, read as messages.

The journal is the truth, and the number of a line is the message's number.  Only what was
acknowledged is read.
"""

from __future__ import annotations

import bisect
import itertools
import math
import threading
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from dino_os.message_bus.stored import PUBLISHED, RECEIVED, Stored, is_message, stored
from dino_os.message_bus.subject import matches
from engines.journal import Event, Position, RecordedJournal

if TYPE_CHECKING:
    from dino_os.message_bus.limits import Limits

__all__ = ["PUBLISHED", "RECEIVED", "Messages", "Stored", "is_message", "stored"]

_MOST_PLACES = 1000
_seq_of = attrgetter("seq")


class Messages:
    """
    The messages in that journal, which need not be there; threads may share it.

    Args:
        limits: How much of it counts for who comes later.
    """

    def __init__(self, journal: RecordedJournal, limits: Limits | None = None) -> None:
        self._journal = journal
        self._limits = limits
        self._guard = threading.Lock()
        self._places: list[Position] = []  # from which lines can be read, by number

    def at(self, seq: int) -> Stored | None:
        """The message on line *seq*; None where it is no message, or is not there any more."""
        for event in self._events(seq):
            if event["seq"] == seq:
                return stored(event) if is_message(event) else None
            if event["seq"] > seq:
                break
        return None

    def after(
        self, seq: int, subject: str, most: int, *, opened: float = -math.inf
    ) -> list[Stored]:
        """
        The first *most* messages behind line *seq* whose channel *subject* has, oldest first.

        Args:
            opened: Of what was recorded before that moment only what is within its limits.
        """
        found = self._found(seq, subject, opened)
        return [stored(event) for event in itertools.islice(found, max(most, 0))]

    def count_after(self, seq: int, subject: str, *, opened: float = -math.inf) -> int:
        """How many messages behind line *seq* that subject has, as `after`.  Reads all of them."""
        return sum(1 for _ in self._found(seq, subject, opened))

    def end(self) -> int:
        """Number of the last line, a message or not; -1 where there is none."""
        return self._journal.length() - 1

    def first_seq(self) -> int:
        """Number of the first line that is still there: what lies before it was pruned."""
        return self._journal.begin().seq

    def _found(self, seq: int, subject: str, opened: float) -> Iterator[Event]:
        limits = self._limits if opened > -math.inf else None
        if limits:
            limits.catch_up()
        for event in self._events(seq + 1):
            if event["seq"] > seq and is_message(event) and matches(subject, event["channel"]):
                if limits and event["timestamp"] < opened and not limits.shows(event):
                    continue
                yield event

    def _events(self, seq: int) -> Iterator[Event]:
        """The lines from *seq* on, and perhaps some before it."""
        for events, behind in self._journal.read(self._place_before(seq)):
            with self._guard:
                at = bisect.bisect_left(self._places, behind.seq, key=_seq_of)
                if at == len(self._places) or self._places[at].seq != behind.seq:
                    self._places.insert(at, behind)
                    if len(self._places) > _MOST_PLACES:  # what lies between is read once more
                        self._places = self._places[::-2][::-1]
            if behind.seq > seq:
                yield from events

    def _place_before(self, seq: int) -> Position:
        """The last known place that has line *seq* behind it."""
        begin = self._journal.begin()
        with self._guard:
            at = bisect.bisect_right(self._places, seq, key=_seq_of)
            near = self._places[at - 1] if at else begin
        if near.seq < begin.seq:
            return begin
        file = self._journal.file_with(seq)
        return max(near, file, key=_seq_of)
