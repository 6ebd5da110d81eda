"""
Kinds of events that were never seen before, where such a thing is rare.

Of n events of which m came but once, the next one is of a new kind with a probability of about
m/n (Good 1953, "The population frequencies of species", doi:10.1093/biomet/40.3-4.237).  Whoever
always brings something new raises no alarm with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.anomalies.model import Finding, Severity

RARE = 0.002
_MOST_KINDS = 2048


@dataclass(slots=True)
class Novelty:
    """
    The kinds that were seen.

    Attributes:
        kinds: How often each came, counted no further than 2.
        full: Whether there were more than are remembered; then nothing is told any more.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    once: int = 0
    full: bool = False

    def add(self, kind: str) -> Finding | None:
        """Take an event of that kind; what is told where a new one was not to be expected."""
        self.seen += 1
        times = self.kinds.get(kind, 0)
        if times > 1:
            return None
        if times == 1:
            self.kinds[kind] = 2
            self.once -= 1
            return None
        if self.full or len(self.kinds) >= _MOST_KINDS:
            self.full = True
            return None
        chance = (self.once + 1) / self.seen
        self.kinds[kind] = 1
        self.once += 1
        if chance > RARE:
            return None
        evidence = {"events": self.seen, "kinds": len(self.kinds), "chance": round(chance, 6)}
        return Finding(RARE / chance, 1.0, "a known kind", kind, evidence, Severity.LOW)
