"""Reading a journal's lines once each, in their order, as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from engines.errors import JournalBroken
from engines.journal import Event, Position, RecordedJournal


class Follower(ABC):
    """
    Takes the lines of that journal, from a place on; not for threads.

    Attributes:
        place: Behind the last line that was taken.
    """

    def __init__(self, journal: RecordedJournal, place: Position) -> None:
        self.journal = journal
        self.place = place

    @abstractmethod
    def line(self, event: Event) -> None:
        """The next line."""

    def take(self, begin: Position, events: Sequence[Event], end: Position) -> None:
        """
        Take the lines *events*, which lie between *begin* and *end*, and those before them.

        Those that are given need not be read.

        Raises:
            JournalBroken: A line before them does not stand.
        """
        if self.place.seq < begin.seq:
            self.catch_up()
        for event in events:
            if event["seq"] >= self.place.seq:
                self.line(event)
        if self.place.seq < end.seq:
            self.place = end

    def catch_up(self) -> None:
        """
        Take what was acknowledged since.  Of lines that were pruned before nobody hears.

        Raises:
            JournalBroken: A line does not stand.
        """
        try:
            self._read()
        except JournalBroken:
            begin = self.journal.begin()
            if begin.seq <= self.place.seq:
                raise
            self.place = begin
            self._read()

    def _read(self) -> None:
        for events, behind in self.journal.read(self.place):
            for event in events:
                self.line(event)
            self.place = behind
