"""The tap of a program: events are gathered, redacted, and recorded many at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines.errors import JournalError
from engines.provenance.redacted import Redacted
from engines.provenance.ring import Ring

if TYPE_CHECKING:
    from engines.provenance.engine import ProvenanceDomain

CAPACITY, TOGETHER = 10_000, 1_000


class Tap:
    """
    Gathers events for *domain*; threads may share it.

    What is gathered is durable behind `flush()`, which takes one sync for all.  As many as
    *together* are flushed by whoever brings the last; where the journal does not take them they
    wait, and where they become too many the oldest fall out, which is counted and recorded later.

    Args:
        capacity: How many may wait.
        together: How many are worth a sync.
    """

    def __init__(
        self, domain: ProvenanceDomain, *, capacity: int = CAPACITY, together: int = TOGETHER
    ) -> None:
        self._domain = domain
        self._ring: Ring[Redacted] = Ring(capacity)
        self._together = min(together, capacity)
        self._told = 0
        self._flushing = threading.Lock()

    @property
    def dropped(self) -> int:
        """How many events fell out."""
        return self._ring.dropped

    @property
    def waiting(self) -> int:
        """How many events are not recorded yet."""
        return len(self._ring)

    def tap(
        self,
        event_type: str,
        data: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        **more: Any,
    ) -> None:
        """As `ProvenanceDomain.tap_event`, durable behind the next `flush()`."""
        event = self._domain.tapped(event_type, data, run_id, **more)
        self._ring.push(self._domain.redacted(event))
        if len(self._ring) >= self._together:
            with contextlib.suppress(JournalError):  # they wait, as far as there is room
                self.flush()

    def flush(self) -> int:
        """
        Record what was gathered; how many events.

        Raises:
            JournalError: The journal does not take them; they wait.
        """
        done = 0
        with self._flushing:
            while taken := self._ring.take(self._together):
                dropped = self._ring.dropped
                try:
                    self._domain.append(taken, dropped=dropped - self._told)
                except BaseException:
                    self._ring.give_back(taken)
                    raise
                self._told = dropped
                done += len(taken)
        return done
