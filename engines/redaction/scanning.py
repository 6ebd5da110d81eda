"""Every detector over a text, as it is and as it reads once decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engines.redaction.encoded import runs
from engines.redaction.fields import hint
from engines.redaction.model import Detector, Hit
from engines.redaction.prefilter import may_hold
from engines.redaction.table import rules
from engines.redaction.views import Text, decoded, plain

_DEPTH = 3  # encodings within each other


class Scanner:
    """Our detectors, and others."""

    def __init__(self, phone_regions: tuple[str, ...], others: tuple[Detector, ...]) -> None:
        self._rules = rules(phone_regions)
        self._others = others

    def hits(self, text: str, field: str = "") -> list[Hit]:
        """All hits; those of several detectors may overlap."""
        said = hint(field) if field else ""
        if not said:
            return list(self._in(text, _DEPTH))
        found = self._in(said + text, _DEPTH)
        own = (hit.moved(-len(said)) for hit in found if hit.end > len(said))
        return [replace(hit, start=max(hit.start, 0)) for hit in own]

    def _in(self, text: str, depth: int) -> Iterator[Hit]:
        if view := plain(text):
            yield from (view.back(hit, "") for hit in self._in(view.text, depth))
            return
        for other in self._others:
            yield from other.find(text)
        if not may_hold(text):
            return
        scanned = Text(text)
        for rule in self._rules:
            if rule.cue(text):
                yield from rule.find(scanned)
        if depth:
            yield from self._decoded(text, depth - 1)

    def _decoded(self, text: str, depth: int) -> Iterator[Hit]:
        for view, how in decoded(text):
            yield from (view.back(hit, how) for hit in self._in(view.text, depth))
        for run in runs(text):
            inner = [hit for hit in self._in(run.text, depth) if hit.score >= run.lowest]
            if inner:
                best = max(inner, key=lambda hit: hit.score)
                value = best.value or run.text[best.start : best.end]
                rule = f"{best.rule} {run.how}"
                yield replace(best, start=run.start, end=run.end, rule=rule, value=value)
