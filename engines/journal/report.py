"""What verification says of one journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from engines.journal.reader import Fault
from engines.journal.segment import Position
from engines.merkle import Subtrees


class Since(NamedTuple):
    """A place up to which the lines are known to stand, and the tree's edge there."""

    position: Position
    edge: Subtrees


@dataclass(frozen=True, slots=True)
class Report:
    """
    What verification found in one journal.

    Attributes:
        path: Its live file.
        lines: Lines that stand, from the first on.
        head_hash: Hash of the last of them.
        origin: What the first line says about where the journal belongs.
        fault: The first thing wrong, or None.
        head_kept: Whether a head outside the file was there to compare with.
        segments: How many files it has.
        prunings: Each record of one: how many lines, and the SHA-256 of what stands for them.
        roots: Root of the tree at each size that was asked for, as far as the lines stand.
    """

    path: Path
    lines: int
    head_hash: str | None
    origin: dict[str, Any]
    fault: Fault | None
    head_kept: bool
    segments: int = 1
    prunings: tuple[tuple[int, str | None], ...] = ()
    roots: dict[int, bytes] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.fault is None

    @property
    def pruned(self) -> int:
        """How many of the lines were pruned, with a record that they were."""
        return max((lines for lines, _ in self.prunings), default=0)

    @property
    def verdict(self) -> str:
        """One sentence for people."""
        if self.fault:
            return f"{self.fault.kind}: {self.fault.what}"
        return "internally consistent, unanchored"

    def as_dict(self) -> dict[str, Any]:
        return {
            "journal": self.path.stem,
            "file": str(self.path),
            "ok": self.ok,
            "verdict": self.verdict,
            "anchored": False,
            "lines": self.lines,
            "segments": self.segments,
            "pruned_lines": self.pruned,
            "head_hash": self.head_hash,
            "head_kept": self.head_kept,
            "origin": self.origin,
            "fault": self.fault.as_dict() if self.fault else None,
        }
