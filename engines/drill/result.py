"""What a drill came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.drill.proof import Proof


@dataclass
class Hour:
    """
    One hour of it.

    Attributes:
        made: Edits and requests that were acknowledged.
        turns: What the network was like, turn by turn.
        sent: Requests that were answered.
        moved: Revisions of documents that were written on a side.
        failed: Attempts that came to nothing.
        waiting: Requests that waited at its end.
    """

    number: int
    made: int = 0
    sent: int = 0
    moved: int = 0
    failed: int = 0
    waiting: int = 0
    turns: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "hour": self.number,
            "network": self.turns,
            "made": self.made,
            "requests_sent": self.sent,
            "documents_moved": self.moved,
            "attempts_failed": self.failed,
            "requests_waiting": self.waiting,
        }


@dataclass(frozen=True)
class Result:
    """
    All of it.

    Attributes:
        operations: How many of each kind.
        faults: What the network did, and how often.
        met_outage: The edits and requests that were made while the network was not fair.
        seconds: That it took.
    """

    hours: tuple[Hour, ...]
    seed: int
    operations: Mapping[str, int]
    faults: Mapping[str, int]
    met_outage: set[object]
    attempts_failed: int
    seconds: float
    edits: int
    requests: int
    proof: Proof

    @property
    def ok(self) -> bool:
        """Whether all arrived once, and both sides are equal."""
        return self.proof.ok

    @property
    def lost(self) -> int:
        return len(self.proof.lost)

    @property
    def doubled(self) -> int:
        return len(self.proof.doubled)

    @property
    def survived(self) -> int:
        """How many of those that met an outage arrived once."""
        return len(self.met_outage - self.proof.lost - self.proof.doubled)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "hours": len(self.hours),
            "seed": self.seed,
            "operations": self.edits + self.requests,
            "edits": self.edits,
            "requests": self.requests,
            "kinds": dict(self.operations),
            "faults": dict(self.faults),
            "attempts_failed": self.attempts_failed,
            "met_outage": len(self.met_outage),
            "survived": self.survived,
            "lost": self.lost,
            "doubled": self.doubled,
            "recognised_as_repeated": self.proof.repeated,
            "differing_documents": len(self.proof.differing),
            "problems": list(self.proof.problems),
            "seconds": round(self.seconds, 3),
            "by_hour": [hour.as_dict() for hour in self.hours],
        }
