"""
Runs that shall happen once in so long, whoever starts them: two crontabs, a hand and a timer.

While one is under way its lock is held, which dies with its process; when it has ended well, that
is recorded among the runs.  One that failed, or was killed, does not count.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

from dino_os.process_lock import ProcessLock
from engines import checks
from engines.engine import Engine
from engines.journal import Event

_MOST_KEYS = 10_000


class RunLedger(Engine):
    """When what was asked for once in so long ran last, folded from `runs.jsonl`."""

    def reset(self) -> None:
        self._last: dict[str, float] = {}

    def last(self, key: str) -> float | None:
        """When a run of that *key* ended well last, in seconds since the epoch."""
        self.refresh()
        return self._last.get(key)

    def note(self, key: str, run_id: str) -> None:
        """Record that this run of *key* ended well."""
        with self.deciding():
            self.record("run_counted", key=key, run_id=run_id)

    def apply_run_counted(self, event: Event) -> None:
        self._last.pop(event["key"], None)
        self._last[event["key"]] = event["timestamp"]
        if len(self._last) > _MOST_KEYS:
            del self._last[next(iter(self._last))]


class Once:
    """
    One run of *key* in any *within_s* seconds.

    Args:
        memory: Where the lock lies.
        by: Who wants it and through which door.
    """

    def __init__(
        self, ledger: RunLedger, memory: Path, key: str, within_s: float, *, by: str
    ) -> None:
        self.key = checks.name(key, "a key")
        self._ledger = ledger
        self._within_s = within_s
        name = hashlib.sha256(self.key.encode()).hexdigest()[:32]
        self._lock = ProcessLock(memory / "once" / f"{name}.lock", by=by, what=f"running {key!r}")

    @contextlib.contextmanager
    def turn(self) -> Iterator[float | None]:
        """
        Hold the run; hands out when it ran last, where that is less than so long ago.

        Raises:
            Busy: It is under way.
        """
        with self._lock.held():
            last = self._ledger.last(self.key)
            # A run of the future is one of a clock that was set back: nobody knows how old it is.
            recent = last is not None and 0 <= self._ledger.clock() - last < self._within_s
            yield last if recent else None

    def count(self, run_id: str) -> None:
        """Say that the run has ended well."""
        self._ledger.note(self.key, run_id)
