"""
Sequences that are unusual: a variable-order Markov model of which kind follows which.

The probability p of a kind is that behind the last three; of what never came behind them, behind
the last two, and so on (prediction by partial match with exclusion, its method C: Moffat 1990,
doi:10.1109/26.61469).  Against it stands q: any kind with equal probability.  The score is a CUSUM
of log2(q/p) - log2(m), for each run by itself, where m is the mean of q/p so far.  With a model
that is right m is 1, and the score exceeds h bits less than once in 2**h kinds (Lorden 1971); where
the model is but an estimate, m makes up for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2

from engines.anomalies.model import Finding

ORDER = 3
LIMIT_BITS = 16.0
_LEARNING, _WARM_UP = 100, 300
_SLOWEST, _MOST_RATIO = 1 / 1000, 64.0
_MOST_KINDS = 64
_MOST_CONTEXTS = 1024
_MOST_RUNS = 1000
_HALVE_AT = 4096  # of a context's counts: what was long ago counts for less
OTHER = "(other)"


@dataclass(slots=True)
class Walk:
    """Where one run is: its last kinds, and the evidence so far that they are out of order."""

    past: tuple[str, ...] = ()
    bits: float = 0.0
    raised: bool = False
    steps: list[tuple[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Sequences:
    """What follows what in the runs of one source."""

    kinds: dict[str, None] = field(default_factory=dict)
    contexts: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    totals: dict[tuple[str, ...], int] = field(default_factory=dict)
    walks: dict[str, Walk] = field(default_factory=dict)
    seen: int = 0
    ratio: float = 1.0
    scored: int = 0

    def add(self, kind: str, run: str = "") -> Finding | None:
        """Take the next event of *run*; what is told when its last ones were out of order."""
        known = kind in self.kinds
        if not known:
            if len(self.kinds) < _MOST_KINDS:
                self.kinds[kind] = None
            else:
                kind = OTHER
        walk = self.walks.pop(run, None) or Walk()
        self.walks[run] = walk  # the run seen last stands last
        if len(self.walks) > _MOST_RUNS:
            del self.walks[next(iter(self.walks))]
        # A new kind is told of as such, and by another.
        found = self._step(walk, kind) if known and self.seen >= _LEARNING else None
        self._learn(walk.past, kind)
        walk.past = (*walk.past, kind)[-ORDER:]
        return found

    def chance(self, past: tuple[str, ...], kind: str) -> float:
        """The probability of *kind* behind *past*, by the model."""
        p, excluded = 1.0, set[str]()
        for start in range(len(past) + 1):
            context = past[start:]
            counts = self.contexts.get(context)
            if not counts:
                continue
            total, different = self.totals[context], len(counts)
            if excluded:
                left = counts.keys() - excluded
                total, different = sum(counts[name] for name in left), len(left)
            if kind in counts:
                return p * counts[kind] / (total + different)
            if different:
                p *= different / (total + different)
                excluded |= counts.keys()
        return p / (len(self.kinds) + 1 - len(excluded))

    def _step(self, walk: Walk, kind: str) -> Finding | None:
        p, q = self.chance(walk.past, kind), 1 / (len(self.kinds) + 1)
        if walk.bits <= 0:
            walk.steps = []
        ratio = q / p
        walk.bits = min(max(walk.bits + log2(ratio / max(self.ratio, 1.0)), 0.0), 2 * LIMIT_BITS)
        self.scored += 1
        weight = _SLOWEST if self.scored > 1 / _SLOWEST else 1 / self.scored
        self.ratio += weight * (min(ratio, _MOST_RATIO) - self.ratio)
        if walk.bits > 0:
            walk.steps = [*walk.steps, (kind, round(p, 6))][-2 * ORDER :]
        told = not walk.raised and walk.bits >= LIMIT_BITS and self.seen >= _WARM_UP
        walk.raised = walk.bits > 0 if walk.raised else told
        if not told:
            return None
        likely = self.contexts.get(walk.past[-1:]) or self.contexts[()]
        usual = max(sorted(likely), key=lambda name: likely[name])
        evidence = {"after": list(walk.past), "steps": [list(step) for step in walk.steps]}
        return Finding(walk.bits, LIMIT_BITS, usual, kind, evidence)

    def _learn(self, past: tuple[str, ...], kind: str) -> None:
        self.seen += 1
        for start in range(len(past) + 1):
            context = past[start:]
            counts = self.contexts.get(context)
            if counts is None:
                if len(self.contexts) >= _MOST_CONTEXTS and context:
                    continue
                counts = self.contexts[context] = {}
                self.totals[context] = 0
            counts[kind] = counts.get(kind, 0) + 1
            total = self.totals[context] = self.totals[context] + 1
            if total >= _HALVE_AT:
                halved = {name: count // 2 for name, count in counts.items() if count > 1}
                self.contexts[context], self.totals[context] = halved, sum(halved.values())
