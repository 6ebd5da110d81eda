"""What lies in an outbox: deliveries, and those that are to be queued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dino_os.outbox.addresses import Address
from engines import checks


@dataclass(slots=True)
class Delivery:
    """
    One thing on its way.

    Attributes:
        id: What it is called here.
        key: What it is called everywhere; a receiver that sees it twice takes it once.
        state: queued, delivered or given_up.
        attempts: How often it was tried since it was queued.
        answered: How many of these were answered, with a refusal.
        due: From when on it is to be tried.
        decided: When that was decided.
        begun: Where the place ended when the last attempt began, while its outcome is not known.
    """

    id: str
    key: str
    to: Address
    payload: dict[str, Any]
    queued: float
    due: float
    decided: float
    source: str = ""
    state: str = "queued"
    attempts: int = 0
    answered: int = 0
    reason: str = ""
    ended: float | None = None
    begun: dict[str, Any] = field(default_factory=dict)

    def due_by(self, now: float) -> float:
        """When it is to be tried, as a clock sees it that says *now*."""
        # What was decided in the future was before the clock was set back: nobody knows how far.
        return min(self.due, now) if self.decided > now else self.due

    def as_dict(self) -> dict[str, Any]:
        return {
            "delivery": self.id,
            "key": self.key,
            "to": str(self.to),
            "state": self.state,
            "source": self.source,
            "queued_at": checks.time_text(self.queued),
            "attempts": self.attempts,
            "reason": self.reason or None,
            "due_at": checks.time_text(self.due) if self.state == "queued" else None,
            "ended_at": checks.time_text(self.ended),
            "payload": self.payload,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """A delivery to be queued."""

    id: str
    key: str
    to: Address
    payload: Mapping[str, Any]
