"""What one source of a cycle gave, and what is to become of it once that is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dino_os.planning.cycle_file import Source
from engines.personas import PersonaSignal, RejectedRow, Row


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Records that came together: those of one file, of one answer.

    Attributes:
        label: What they are called where one of them is rejected.
        rows: To be read through the source's map, where it has one.
        ready: Signals as they are, by line, where it has none.
    """

    label: str
    rows: Sequence[tuple[int, Row]] = ()
    ready: Sequence[tuple[int, PersonaSignal]] = ()
    rejected: Sequence[RejectedRow] = ()

    @property
    def records(self) -> int:
        return len(self.rows) + len(self.ready) + len(self.rejected)


@dataclass(frozen=True, slots=True)
class Move:
    """A file that was counted: as it is remembered, where it lies, its hash, where it is to go."""

    name: str
    file: Path
    digest: str
    folder: Path


@dataclass(slots=True)
class Feed:
    """
    What one source gave.

    Attributes:
        outcome: read, unchanged or skipped.
        marks: What is to be remembered once the cycle is planned.
        moves: Files that are then to be moved.
        counts: repeated and resolved alerts, records that were known.
        problems: Files of it that could not be read.
    """

    source: Source
    outcome: str = "read"
    reason: str = ""
    pieces: list[Piece] = field(default_factory=list)
    marks: dict[str, Any] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
