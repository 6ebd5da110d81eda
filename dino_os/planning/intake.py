"""
From what the sources gave to the signals of one cycle.

Each record becomes a signal, or is told with its source, file, line and reason; none vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dino_os.personas.enrichment import Enrichment
from dino_os.planning.cycle import in_parts, known_sectors, known_zones, read_signals
from dino_os.planning.feed import Feed, Piece
from dino_os.planning.runs import Memory
from dino_os.planning.scenario import Scenario
from engines.checks import did_you_mean
from engines.orchestrator import DynamicUsageOrchestrator
from engines.personas import PersonaSignal, RejectedRow, SignalMap
from engines.spool import Spool

Watch = Callable[[Iterable[Any], str], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that is no signal, and why."""

    source: str
    file: str
    line: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "file": self.file,
            "line": self.line,
            "reason": self.reason,
        }


@dataclass(slots=True)
class Intake:
    """What came in: signals in the order of the sources, and what each source came to."""

    signals: Spool[PersonaSignal] = field(default_factory=Spool)
    rejected: list[Rejected] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)


class Reading:
    """
    Reads feeds, one after the other, on the places of *scenario*.

    Args:
        memory: Source → what is remembered of it.
        watch: Wraps the reading of records, for example in a progress bar.
        enrichment: Takes note of what comes in.
    """

    def __init__(
        self,
        scenario: Scenario,
        orchestrator: DynamicUsageOrchestrator,
        memory: Callable[[str], Memory],
        watch: Watch,
        enrichment: Enrichment | None = None,
    ) -> None:
        self._scenario = scenario
        self._orchestrator = orchestrator
        self._memory = memory
        self._watch = watch
        self._enrichment = enrichment
        self._taken: dict[str, str] = {}  # identifier → where it was met first
        self.intake = Intake()

    def take(self, feed: Feed) -> None:
        """Add what *feed* brings."""
        before = len(self.intake.signals), len(self.intake.rejected)
        known = 0
        for piece in feed.pieces:
            known += self._take_piece(feed, piece)
        self.intake.sources.append(
            {
                "source": feed.source.name,
                "kind": feed.source.kind,
                "outcome": feed.outcome,
                "reason": feed.reason or None,
                "problems": feed.problems,
                "records": sum(piece.records for piece in feed.pieces),
                "signals": len(self.intake.signals) - before[0],
                "rejected": len(self.intake.rejected) - before[1],
                "known": known,
                **feed.counts,
                "marks": feed.marks,
            }
        )

    def _take_piece(self, feed: Feed, piece: Piece) -> int:
        """Add one piece; how many of its records were counted in an earlier cycle."""
        source, known = feed.source, 0
        self._refuse(feed, piece, piece.rejected)
        counted = self._memory(source.name).identifiers if source.done == "remember-records" else {}
        if source.map:
            found = self._read(feed, piece, source.map, counted)
        else:
            found = self._fitting(feed, piece, counted)
        for line, signal in found:
            if signal.task_identifier in counted:
                known += 1
            elif self._is_first(feed, piece, line, signal):
                more = {**(signal.metadata or {}), "feed": source.name}
                self.intake.signals.append(replace(signal, metadata=more))
        return known

    def _read(
        self, feed: Feed, piece: Piece, signal_map: SignalMap, counted: Container[str | None]
    ) -> Iterator[tuple[int, PersonaSignal]]:
        """The signals that the source's map makes of the records."""
        for part in in_parts(self._watch(piece.rows, f"reading {piece.label}")):
            made, rejected = read_signals(
                part,
                signal_map,
                self._scenario,
                self._orchestrator,
                enrichment=self._enrichment,
                known=counted,
            )
            self._refuse(feed, piece, rejected)
            for signal in made:
                yield (signal.metadata or {}).get("line", 0), signal

    def _fitting(
        self, feed: Feed, piece: Piece, counted: Container[str | None]
    ) -> Iterator[tuple[int, PersonaSignal]]:
        """The ready signals whose places are known."""
        zones = known_zones(self._scenario, self._orchestrator)
        sectors = known_sectors(self._scenario, self._orchestrator)
        for line, signal in piece.ready:
            if signal.zone not in zones:
                reason = f"unknown zone {signal.zone!r}{did_you_mean(signal.zone, zones)}"
            elif signal.sector not in sectors:
                reason = f"unknown sector {signal.sector!r}{did_you_mean(signal.sector, sectors)}"
            else:
                if self._enrichment and signal.task_identifier not in counted:
                    self._enrichment.see([signal])
                yield line, signal
                continue
            self._refuse(feed, piece, [RejectedRow(line, reason)])

    def _is_first(self, feed: Feed, piece: Piece, line: int, signal: PersonaSignal) -> bool:
        name = signal.task_identifier
        if name is None:
            return True
        if name in self._taken:
            reason = f"identifier {name!r} is taken already, by {self._taken[name]}"
            self._refuse(feed, piece, [RejectedRow(line, reason)])
            return False
        self._taken[name] = f"line {line} of {piece.label} ({feed.source.name})"
        if feed.source.done == "remember-records":
            feed.marks.setdefault("identifiers", []).append(name)
        return True

    def _refuse(self, feed: Feed, piece: Piece, rows: Sequence[RejectedRow]) -> None:
        self.intake.rejected += [
            Rejected(feed.source.name, piece.label, row.line, row.reason)
            for row in sorted(rows, key=lambda row: row.line)
        ]
