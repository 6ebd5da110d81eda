"""Every detector over a text, as it is and as it reads once decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engines.redaction.cards import find_broken_cards
from engines.redaction.encoded import runs
from engines.redaction.fields import hint
from engines.redaction.model import Detector, Hit
from engines.redaction.prefilter import may_hold
from engines.redaction.private_keys import find_private_keys
from engines.redaction.table import rules
from engines.redaction.views import Text, decoded, plain

_DEPTH = 3  # encodings within each other


class Scanner:
    """Our detectors, and others."""

    def __init__(self, phone_regions: tuple[str, ...], others: tuple[Detector, ...]) -> None:
        self._rules = rules(phone_regions)
        self._others = others

    def block_hits(self, text: str) -> list[Hit]:
        """Those whose values may have several lines, and those of detectors that are not ours."""
        found = [*find_private_keys(text), *find_broken_cards(text)]
        for other in self._others:
            found += other.find(text)
        return found

    def line_hits(self, line: str, field: str = "") -> list[Hit]:
        """All others.  Those of several detectors may overlap."""
        said = hint(field) if field else ""
        if not said:
            return list(self._in(line, _DEPTH))
        own = (hit.moved(-len(said)) for hit in self._in(said + line, _DEPTH))
        return [replace(hit, start=max(hit.start, 0)) for hit in own if hit.end > 0]

    def _in(self, text: str, depth: int) -> Iterator[Hit]:
        if not text.isascii() and (view := plain(text)):
            yield from (view.back(hit, "") for hit in self._in(view.text, depth))
            return
        if not may_hold(text):
            return
        scanned = Text(text)
        for rule in self._rules:
            if rule.cue(scanned):
                yield from rule.find(scanned)
        if depth:
            yield from self._decoded(scanned, depth - 1)

    def _decoded(self, scanned: Text, depth: int) -> Iterator[Hit]:
        for view, how in decoded(scanned.text):
            yield from (view.back(hit, how) for hit in self._all(view.text, depth))
        for run in runs(scanned):
            inner = [hit for hit in self._all(run.text, depth) if hit.score >= run.lowest]
            if inner:
                best = max(inner, key=lambda hit: hit.score)
                value = best.value or run.text[best.start : best.end]
                rule = f"{best.rule} {run.how}"
                yield replace(best, start=run.start, end=run.end, rule=rule, value=value)

    def _all(self, text: str, depth: int) -> Iterator[Hit]:
        """Of a decoded text, which may have several lines."""
        yield from self.block_hits(text)
        here = 0
        for line in text.splitlines(keepends=True):
            yield from (hit.moved(here) for hit in self._in(line, depth))
            here += len(line)
