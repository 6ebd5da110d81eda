"""
Group commit: of the threads that want to append at once, one does it for all.

Syncing takes far longer than writing; whoever waits meanwhile gets on with the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from engines.errors import JournalBusy
from engines.journal.line import Sealed

Draft = tuple[str, Mapping[str, Any]]
"""An event before it is written: its type and its payload."""


class Ticket:
    """One thread's batch while it waits to be committed."""

    def __init__(self, drafts: Iterable[Draft]) -> None:
        self.drafts = list(drafts)
        self.sealed: list[Sealed] = []
        self.error: Exception | None = None
        self.done = False


class Waits(Protocol):
    """What a thread brings."""

    done: bool


W = TypeVar("W", bound=Waits)


class Queue(Generic[W]):
    """Threads that wait to append, at most one of which leads."""

    def __init__(self) -> None:
        self.waiting: list[W] = []
        self._led = False
        self._inside: set[int] = set()  # threads that wait or lead
        self._changed = threading.Condition()

    def falls_to(self, ticket: W) -> bool:
        """
        Wait until *ticket* is done (False), or its thread has to lead (True).

        Raises:
            JournalBusy: This thread was interrupted, by a signal, while it waits or leads itself.
        """
        me = threading.get_ident()
        if me in self._inside:
            raise JournalBusy(
                "this thread is writing to the journal already, and was interrupted",
                hint="in a signal's handler leave the writing to another thread",
            )
        leads = False
        try:
            self._inside.add(me)
            with self._changed:
                self.waiting.append(ticket)
                while self._led and not ticket.done:
                    self._changed.wait()
                self._led = self._led or not ticket.done
                leads = not ticket.done
        finally:
            if not leads:
                self._inside.discard(me)
        return leads

    def take(self) -> list[W]:
        """All who wait, the one who leads among them."""
        with self._changed:
            taken, self.waiting = self.waiting, []
            return taken

    def step_down(self, done: Iterable[W]) -> None:
        """Lead no more: *done* may go, and another leads."""
        with self._changed:
            for ticket in done:
                ticket.done = True
            self._led = False
            self._changed.notify_all()
        self._inside.discard(threading.get_ident())
