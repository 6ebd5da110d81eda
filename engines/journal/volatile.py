"""
Journals that write nothing: for engines that live in one process only, and for rehearsals.

They seal events as the durable one does, so that an engine behaves the same with any of them: what
could not be written to a file is refused here too, and an event comes back as a reader would see
it.  Nothing is kept to fold anew from, so a command that fails halfway is not undone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.journal.journal import Journal
from engines.journal.line import Event, seal
from engines.journal.segment import START, Position


class VolatileJournal:
    """Takes a `Journal`'s place where no file is wanted."""

    durable = False
    end = START  # behind the last event that was read
    snapshot_path: Path | None = None

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seq = 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def stage(self, event_type: str, payload: Mapping[str, Any]) -> Event:
        sealed = seal(self._seq, event_type, self._clock(), None, payload)
        self._seq += 1
        return sealed.event

    def commit(self) -> None:
        """Nothing to do: what was staged lasts as long as the process."""

    def discard(self) -> None:
        """Nothing to do: see `commit`."""

    def moved_on(self) -> bool:
        return True  # there is nothing that would tell

    def holds(self, place: Position) -> bool:
        return place == START

    def begin(self) -> Position:
        return START

    def read(self, _start: Position = START) -> Iterator[tuple[list[Event], Position]]:
        yield from ()


class RehearsalJournal(VolatileJournal):
    """
    Begins where the real journal is and goes on without it.

    What was recorded before the first own event is read; then it is as if the file ended there.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self._journal = journal
        self.snapshot_path = journal.snapshot_path

    def holds(self, place: Position) -> bool:
        return self._journal.holds(place)

    def begin(self) -> Position:
        return self._journal.begin()

    def read(self, start: Position = START) -> Iterator[tuple[list[Event], Position]]:
        if self._seq:
            return
        for events, behind in self._journal.read(start):
            self.end = behind
            yield events, behind
