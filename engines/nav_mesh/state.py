"""
What the gates know, folded from `gate_log.jsonl`: keys, revocations, what was used, rates, counts.

Subjects stand in it as pseudonyms only.  What has expired is dropped when the next of its kind is
recorded, so the state stays as large as what is in force.  Until when that could have mattered is
kept: a clock that is set back makes nothing good again.  What was revoked is told by numbers, which
the record gives out one by one to tokens and revocations, and needs no clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from engines.engine import Engine
from engines.journal import Event
from engines.nav_mesh.blocks import Blocks
from engines.nav_mesh.limits import RateTable
from engines.nav_mesh.model import ThresholdDomain
from engines.nav_mesh.revoked import ANY, Revocation, Revocations

__all__ = ["ANY", "UNKNOWN", "GateCounts", "GateKey", "GateState"]

UNKNOWN = "unknown"
"""Where attempts are counted that name no domain: to narrow what none of our keys signed."""

_BREACHES_KEPT = 20
_SWEEP_EVERY = 256


@dataclass(frozen=True, slots=True)
class GateKey:
    """
    A key whose tokens may be good.

    Attributes:
        public: 64 hex digits.
        retired: Since when nothing more is signed with it.
        until: When the last token signed with it has expired; None while it is in use.
        forgotten: What of the state was when it was added: no token of its was meant by that.
        last: The highest number that a token of its can have, once it is retired.
    """

    key_id: str
    domain: str
    public: str
    added: float
    retired: float | None = None
    until: float | None = None
    forgotten: float = 0.0
    last: int | None = None


@dataclass(slots=True)
class GateCounts:
    """
    What became of requests at one gate.

    Attributes:
        breaches: Attempts that were refused.
        passed: Attempts that were let through, as was found out later.
    """

    allowed: int = 0
    denied: int = 0
    limited: int = 0
    queued: int = 0
    breaches: int = 0
    passed: int = 0
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_BREACHES_KEPT))


class GateState(Engine):
    """The fold; `Gates` decides."""

    def reset(self) -> None:
        self.issuer: str | None = None
        self.keys: dict[str, GateKey] = {}
        self.number = 0  # the last that a token or a revocation was given
        self.revoked = Revocations()
        self.used: dict[str, float] = {}
        self.forgotten = 0.0  # what was used and is not known any more, ended by then
        self.passing = RateTable()
        self.queueing = RateTable()
        every = (*(domain.value for domain in ThresholdDomain), UNKNOWN)
        self.counts = {domain: GateCounts() for domain in every}
        self.blocks = Blocks()

    def _apply(self, event: Event) -> None:
        self.blocks.pass_time(_when(event))
        super()._apply(event)

    # --- keys and tokens ---------------------------------------------------------------------

    def apply_gate_opened(self, event: Event) -> None:
        self.issuer = event["issuer"]

    def apply_gate_key_added(self, event: Event) -> None:
        at = event["timestamp"]
        over = [k.key_id for k in self.keys.values() if k.until is not None and k.until <= at]
        for key_id in over:
            del self.keys[key_id]
        self.keys[event["key"]] = GateKey(
            event["key"], event["domain"], event["public"], at, forgotten=self.forgotten
        )

    def apply_gate_key_retired(self, event: Event) -> None:
        key, at = self.keys[event["key"]], event["at"]
        last = event.get("number")
        self.keys[key.key_id] = replace(key, retired=at, until=event["until"], last=last)
        if event["until"] <= at:  # nothing that it signed is good, also of what waits
            before = math.floor(at) if last is None else None
            self._take_back((key.domain, ANY), event, before)

    def apply_gate_token_issued(self, event: Event) -> None:
        self.number = max(self.number, event.get("number", 0))

    def apply_gate_revoked(self, event: Event) -> None:
        for domain, count in event.get("passed", {}).items():
            self.counts[domain].passed += count
        whom = event.get("domain", ANY), event.get("subject", ANY)
        if token_id := event.get("token"):
            whom = "", token_id
        self._take_back(whom, event, event.get("before"))

    def _take_back(self, whom: tuple[str, str], event: Event, before: float | None) -> None:
        # Before there were numbers a line had none: it takes the next one as it is folded.
        self.number = max(self.number, event.get("number", self.number + 1))
        self.revoked.add(whom, Revocation(self.number, before, event["timestamp"]))

    # --- decisions ---------------------------------------------------------------------------

    def apply_gate_allowed(self, event: Event) -> None:
        domain, subject, at = event["domain"], event["subject"], event["at"]
        self.counts[domain].allowed += 1
        self.passing.add(domain, subject, at)
        if "once" in event:
            self.used[event["token"]] = event["once"]
            if len(self.used) % _SWEEP_EVERY == 0:
                over = [until for until in self.used.values() if until <= at]
                self.forgotten = max([self.forgotten, *over])
                self.used = {one: until for one, until in self.used.items() if until > at}
        self.count_request(domain, subject, at, 1)

    def apply_gate_queued(self, event: Event) -> None:
        domain, subject, at = event["domain"], event["subject"], event["at"]
        self.counts[domain].queued += 1
        self.queueing.add(domain, subject, at)
        self.count_request(domain, ANY, at, 1)  # whose name it is was not asked

    def apply_gate_limited(self, event: Event) -> None:
        domain, count = event["domain"], event["count"]
        self.counts[domain].limited += count
        self.count_request(domain, _proven(event), event["at"], count)

    def apply_gate_denied(self, event: Event) -> None:
        domain, at, count = event["domain"], event["at"], event["count"]
        counts = self.counts[domain]
        counts.denied += count
        counts.breaches += count
        kept = ("at", "subject", "rule", "count", "token")
        counts.recent.append({name: event[name] for name in kept if name in event})
        self.count_request(domain, _proven(event), at, count)
        self.count_breach(event)

    def apply_gate_blocked(self, event: Event) -> None:
        at = _when(event)
        length = event.get("for_s", event["until"] - at)
        self.blocks.add((event["domain"], event["subject"]), at, length)

    def apply_gate_released(self, event: Event) -> None:
        self.blocks.drop((event["domain"], event["subject"]))

    # --- what others fold of the same --------------------------------------------------------

    def count_request(self, domain: str, subject: str, at: float, count: int) -> None:
        """Told of every request, whatever became of it."""

    def count_breach(self, event: Event) -> None:
        """Told of every refusal."""


def _when(event: Event) -> float:
    """By the clock that decided, where that is told."""
    at: float = event.get("at", event["timestamp"])
    return at


def _proven(event: Event) -> str:
    """The subject, where it showed a token of ours; else it may be anybody."""
    subject: str = event["subject"]
    return subject if event["proven"] else ANY
