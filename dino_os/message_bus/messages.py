"""
What was said: the journal of the bus, read as messages.

The journal is the truth, and the number of a line is the message's number.  Only what was
acknowledged is read.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator
from operator import attrgetter

from dino_os.message_bus.stored import PUBLISHED, RECEIVED, Stored, is_message, stored
from dino_os.message_bus.subject import matches
from engines.journal import Event, Position, RecordedJournal

__all__ = ["PUBLISHED", "RECEIVED", "Messages", "Stored", "is_message", "stored"]

_seq_of = attrgetter("seq")


class Messages:
    """The messages in that journal, which need not be there; threads may share it."""

    def __init__(self, journal: RecordedJournal) -> None:
        self._journal = journal
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

    def after(self, seq: int, subject: str, most: int) -> list[Stored]:
        """The first *most* messages behind line *seq* whose channel *subject* has, oldest first."""
        found: list[Stored] = []
        if most > 0:
            for event in self._events(seq + 1):
                if event["seq"] > seq and is_message(event) and matches(subject, event["channel"]):
                    found.append(stored(event))
                    if len(found) == most:
                        break
        return found

    def count_after(self, seq: int, subject: str) -> int:
        """How many messages behind line *seq* that subject has.  Reads all of them."""
        return sum(
            event["seq"] > seq and is_message(event) and matches(subject, event["channel"])
            for event in self._events(seq + 1)
        )

    def end(self) -> int:
        """Number of the last line, a message or not; -1 where there is none."""
        return self._journal.length() - 1

    def first_seq(self) -> int:
        """Number of the first line that is still there: what lies before it was pruned."""
        return self._journal.begin().seq

    def _events(self, seq: int) -> Iterator[Event]:
        """The lines from *seq* on, and perhaps some before it."""
        for events, behind in self._journal.read(self._place_before(seq)):
            with self._guard:
                at = bisect.bisect_left(self._places, behind.seq, key=_seq_of)
                if at == len(self._places) or self._places[at].seq != behind.seq:
                    self._places.insert(at, behind)
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
