"""
What became of synchronising and of drills: the journal `offline_log`, and what is folded from it.

What changed in documents and in the queue is in the cache's own journal; this one says when the
other side was reached, what went across, and what a drill proved.
"""

from __future__ import annotations

from typing import Any

from engines.engine import Engine
from engines.journal import Event

_OF_A_REASON = 300


class OfflineLog(Engine):
    """
    The last of each.

    Attributes:
        syncs: `push` and `pull` → how its last one ended.
        failing_since: `push` and `pull` → since when the other side is not reached.
        simulation: How the last drill ended.
    """

    def reset(self) -> None:
        self.syncs: dict[str, dict[str, Any]] = {}
        self.failing_since: dict[str, float] = {}
        self.simulation: dict[str, Any] | None = None

    def synced(self, direction: str, remote: str, **facts: Any) -> None:
        """Record that a synchronisation came to its end, or a continuous one to a stop."""
        with self.deciding():
            self.record("sync_ended", direction=direction, remote=remote, at=self.clock(), **facts)

    def unreached(self, direction: str, remote: str, reason: str) -> bool:
        """Record that the other side cannot be reached; once until it can, else False."""
        with self.deciding():
            if direction in self.failing_since:
                return False
            facts = {"remote": remote, "reason": reason[:_OF_A_REASON], "at": self.clock()}
            self.record("sync_failed", direction=direction, **facts)
            return True

    def simulated(self, **facts: Any) -> None:
        """Record what a drill came to."""
        with self.deciding():
            self.record("simulation_ended", at=self.clock(), **facts)

    # --- folding -----------------------------------------------------------------------------

    def apply_sync_ended(self, event: Event) -> None:
        self.syncs[event["direction"]] = _payload(event)
        self.failing_since.pop(event["direction"], None)

    def apply_sync_failed(self, event: Event) -> None:
        self.failing_since[event["direction"]] = event["at"]

    def apply_simulation_ended(self, event: Event) -> None:
        self.simulation = _payload(event)


_OWN = frozenset({"seq", "event_type", "timestamp", "parent_hash", "event_hash", "by", "direction"})


def _payload(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _OWN}
