"""
The one pattern of every engine: commands decide and record, `apply` folds, queries read.

    class Counter(Engine):
        def reset(self) -> None:                       # the state before any event
            self.total = 0

        def add(self, amount: int) -> None:            # a command: validate, decide, record
            with self.deciding():
                self.record("added", amount=amount)

        def apply_added(self, event: Event) -> None:   # nothing else changes state
            self.total += event["amount"]

An engine's state is a fold over its own journal.  A command holds the journal's lock while it
decides, after catching up with what other processes wrote; what it records becomes durable, all or
none, when the outermost `deciding()` is left.  Without a journal the engine works the same and
lasts as long as its process.
"""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from engines.journal import START, Event, Journal, VolatileJournal

_APPLY = "apply_"


class Engine(ABC):
    """
    Base of the engines.

    Args:
        journal: Where the events go and the state comes from; None keeps them in memory.
        clock: Seconds since the epoch; decisions take the time from nowhere else.
    """

    _appliers: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._appliers = {
            name.removeprefix(_APPLY): name for name in dir(cls) if name.startswith(_APPLY)
        }

    def __init__(
        self, journal: Journal | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self.journal: Journal | VolatileJournal = journal or VolatileJournal(clock=clock)
        self._guard = threading.RLock()
        self._depth = 0
        self._folded_to = START
        self.reset()
        self.refresh()

    @abstractmethod
    def reset(self) -> None:
        """Set the state that no event has touched yet."""

    def refresh(self) -> None:
        """
        Catch up with what other processes recorded since.

        Raises:
            JournalBroken: A line does not stand; the state is then that of the lines before it.
        """
        with self._guard:
            for events, behind in self.journal.read(self._folded_to):
                for event in events:
                    self._apply(event)
                self._folded_to = behind

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """
        Hold the lock, caught up; on leaving commit what was recorded, on an error none of it.

        A nested use joins the outer one.
        """
        with self._guard:
            if self._depth:
                yield
                return
            with self.journal.locked():
                self.refresh()
                self._depth += 1
                try:
                    yield
                    self.journal.commit()
                    self._folded_to = self.journal.end
                except BaseException:
                    self._forget()
                    raise
                finally:
                    self._depth -= 1

    def record(self, event_type: str, **payload: Any) -> Event:
        """Record an event and fold it into the state.  Only within `deciding()`."""
        if not self._depth:
            raise RuntimeError("record() belongs inside `with self.deciding():`")
        event = self.journal.stage(event_type, payload)
        self._apply(event)
        return event

    def verify_hash_chain(self) -> bool:
        """Whether the journal on disk verifies from its first byte to its last."""
        from engines.journal import verify  # noqa: PLC0415  auditing is not part of starting up

        return not isinstance(self.journal, Journal) or verify(self.journal.path).ok

    def _apply(self, event: Event) -> None:
        # Types without a method are the journal's own, or a newer version's: not this fold's.
        if name := self._appliers.get(event["event_type"]):
            getattr(self, name)(event)

    def _forget(self) -> None:
        """Drop what was applied but not committed by folding anew."""
        if self.journal.durable:
            self.journal.discard()
            self.reset()
            self._folded_to = START
            with contextlib.suppress(Exception):  # the error under way is the one to report
                self.refresh()
