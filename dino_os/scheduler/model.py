"""What the scheduler keeps of a job and of its due times: plain data, folded and snapshotted."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from dino_os.scheduler.due import Times
from dino_os.scheduler.policies import Policies
from engines import checks

RECORDED, SUBMITTED, ENDED, SKIPPED = "recorded", "submitted", "ended", "skipped"
ELSEWHERE = "elsewhere"
HELD, ALONE = "held", "alone"
_REMEMBERED = 20
_RUNS_KNOWN = 200


@dataclass(slots=True)
class Occurrence:
    """
    A due time and what became of it, or a row of those that were skipped for one reason.

    Attributes:
        state: recorded (it will run), submitted (as a task), ended, skipped, or elsewhere (another
            node of the cluster had it).
        outcome: How the task ended, in the words of the resource engine.
        reason: Why it was skipped, or could not be submitted.
        cancels: Tasks that are cancelled before this one is submitted.
        claim: By what right it runs here where nodes share it: held (against all others), or alone
            (nobody could be asked).
        node: Which node had it.
    """

    due: float
    state: str
    task_id: str | None = None
    outcome: str | None = None
    reason: str | None = None
    last: float | None = None
    count: int = 1
    more: bool = False
    why: str = "due"
    not_before: float | None = None
    cancels: list[str] = field(default_factory=list)
    started: float | None = None
    finished: float | None = None
    claim: str | None = None
    node: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state in {RECORDED, SUBMITTED}

    def as_dict(self) -> dict[str, Any]:
        return {
            "due": checks.time_text(self.due),
            "last": checks.time_text(self.last),
            "count": self.count,
            "more": self.more,
            "state": self.state,
            "outcome": self.outcome,
            "reason": self.reason,
            "why": self.why,
            "task_id": self.task_id,
            "started": checks.time_text(self.started),
            "finished": checks.time_text(self.finished),
            "claim": self.claim,
            "node": self.node,
        }


@dataclass(slots=True)
class StoredJob:
    """
    A job.

    Attributes:
        owner: The entity that added or changed it last ("skill:NAME"); None: a user, or a program.
        added: From where its interval is counted.
        next_run: The earliest of its due times that is not decided yet, paused or not.
        seen: The latest moment that is known to have come when something was decided about it.
        requested: When somebody asked for a run beside those.
        occurrences: The last of its due times, by time; those that are not done are all there.
        ran: The due times of its last runs, of which some may be still to come (see `seen`).
        counts: How often each came: an outcome's word, or skipped for a reason.
    """

    id: str
    name: str
    func: str
    trigger: dict[str, Any]
    params: dict[str, Any]
    policies: Policies
    added: float
    next_run: float | None
    requested: float | None = None
    last_run: float | None = None
    last_outcome: str | None = None
    paused: bool = False
    paused_until: float | None = None
    owner: str | None = None
    seen: float = 0.0
    occurrences: dict[float, Occurrence] = field(default_factory=dict)
    ran: deque[float] = field(default_factory=lambda: deque(maxlen=_RUNS_KNOWN))
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def times(self) -> Times:
        return Times(self.trigger, self.added)

    @property
    def wake(self) -> float | None:
        """When something is to be decided about it; 0 where somebody asked for it now."""
        if self.paused:
            return self.paused_until
        return self.next_run if self.requested is None else 0.0

    def _next(self) -> float | None:
        times = [time for time in (self.next_run, self.requested) if time is not None]
        return min(times, default=None)

    def open_ones(self) -> list[Occurrence]:
        return [found for found in self.occurrences.values() if found.is_open]

    def task_id(self, due: float) -> str:
        return f"job:{self.id}@{checks.time_text(due)}"

    def definition(self) -> str:
        """By what all nodes know it that have the same: its name, and what was said about it."""
        said = [self.name, self.func, self.trigger, self.params, self.policies.as_dict()]
        return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def is_shared(self) -> bool:
        """Whether nodes of a cluster share its due times."""
        return self.policies.scope == "cluster"

    def has_run(self, due: float) -> bool:
        """Whether that due time is known to have become a task; the engine knows of older ones."""
        return due in self.ran

    def has_not_run(self, due: float) -> None:
        """Take back that it has."""
        with contextlib.suppress(ValueError):  # so many ran since that it is not known any more
            self.ran.remove(due)

    def remember(self, found: Occurrence) -> None:
        """Keep *found*, and forget the earliest of too many that are done."""
        if found.state == SKIPPED:
            self.count(f"skipped:{found.reason}", found.count)
        elif found.state == ELSEWHERE:
            self.count(ELSEWHERE, found.count)
        else:
            self.ran.append(found.due)
        self.occurrences.pop(found.due, None)
        self.occurrences[found.due] = found
        spare = len(self.occurrences) - _REMEMBERED
        done = [due for due, known in self.occurrences.items() if not known.is_open]
        for due in done[: max(spare, 0)]:
            del self.occurrences[due]

    def count(self, word: str, more: int = 1) -> None:
        self.counts[word] = self.counts.get(word, 0) + more

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "func": self.func,
            "owner": self.owner,
            "trigger": dict(self.trigger),
            "params": dict(self.params),
            "policies": self.policies.as_dict(),
            "next_run": None if self.paused else checks.time_text(self._next()),
            "last_run": checks.time_text(self.last_run),
            "last_outcome": self.last_outcome,
            "paused_until": checks.time_text(self.paused_until),
            "counts": dict(self.counts),
            "status": "paused" if self.paused else "scheduled",
        }
