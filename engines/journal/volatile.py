"""
The journal of an engine that lives in one process only: nothing is kept, everything is checked.

It seals events as the durable one does, so that an engine behaves the same with either: what could
not be written to a file is refused here too, and an event comes back as a reader would see it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from engines.journal.line import Event, seal
from engines.journal.reader import START, Position


class VolatileJournal:
    """Takes a `Journal`'s place where no file is wanted."""

    durable = False
    end = START

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._seq = 0

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        yield

    def stage(self, event_type: str, payload: Mapping[str, Any]) -> Event:
        line, _ = seal(self._seq, event_type, self._clock(), None, payload)
        self._seq += 1
        event: Event = orjson.loads(line)
        return event

    def commit(self) -> None:
        """Nothing to do: what was staged lasts as long as the process."""

    def discard(self) -> None:
        """Nothing to do: see `commit`."""

    def read(self, start: Position = START) -> Iterator[tuple[list[Event], Position]]:
        yield from ()
