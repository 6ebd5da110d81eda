"""
Verification: is this journal what its writers wrote, as far as it can say so itself?

Recomputes every hash, link and number from the raw bytes and holds the end against the head.
Without a checkpoint held elsewhere the best verdict is "internally consistent, unanchored": a tail
cut together with its head, or a complete rewrite, is not excluded, and the report says so.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engines.journal.head import Head, HeadFile
from engines.journal.line import Event
from engines.journal.reader import START, Fault, FaultFound, Position, scan


@dataclass(frozen=True, slots=True)
class Report:
    """
    What verification found in one file.

    Attributes:
        path: The file.
        lines: Lines that stand, from the first on.
        head_hash: Hash of the last of them.
        origin: What the first line says about where the journal belongs.
        fault: The first thing wrong, or None.
        head_kept: Whether a head outside the file was there to compare with.
    """

    path: Path
    lines: int
    head_hash: str | None
    origin: dict[str, Any]
    fault: Fault | None
    head_kept: bool

    @property
    def ok(self) -> bool:
        return self.fault is None

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
            "head_hash": self.head_hash,
            "head_kept": self.head_kept,
            "origin": self.origin,
            "fault": asdict(self.fault) | {"good_lines": self.fault.good_lines}
            if self.fault
            else None,
        }


def verify(path: str | Path) -> Report:
    """
    Verify the journal at *path* from its first byte to its last.

    One whose first event a crash prevented has a head that remembers nothing, and is sound.

    Raises:
        OSError: The file cannot be read.
    """
    path = Path(path)
    head_file = HeadFile(path.with_suffix(".head"))
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        if not head_file.path.exists():
            raise
        return _verify_missing(path, head_file)
    try:
        # Size and head of one moment; whatever is appended later lies behind both.
        with head_file.held_still():
            status, head = os.fstat(fd), head_file.read()
        return _verify(path, fd, status, head)
    finally:
        os.close(fd)


def _verify_missing(path: Path, head_file: HeadFile) -> Report:
    head, fault = head_file.read(), None
    if head and head.size:
        what = f"the file is gone; its head remembers {head.seq + 1} lines"
        fault = Fault("missing", 1, 0, what)
    elif head is None and head_file.path.stat().st_size:
        fault = Fault("missing", 1, 0, "the file is gone, and its head cannot be read")
    return Report(path, 0, None, {}, fault, head_kept=head is not None)


def _verify(path: Path, fd: int, status: os.stat_result, head: Head | None) -> Report:
    end, first, passed_head = START, None, head is None or head.size == 0
    fault: Fault | None = None
    try:
        for events, behind in scan(fd, START, status.st_size):
            if first is None:
                first = events[0]
                fault = _check_birth(path, first)
            if head and not passed_head and behind.offset >= head.size:
                passed_head = _holds_head(events, head)
                if not passed_head:
                    what = f"line {head.seq + 1} is not the one that was acknowledged"
                    fault = fault or Fault("replaced", head.seq + 1, head.seq, what)
            end = behind
            if fault:
                break
    except FaultFound as found:
        fault = found.fault
    fault = fault or _check_end(status, end, head, passed_head=passed_head)
    lines = min(end.seq, fault.good_lines) if fault else end.seq
    return Report(
        path=path,
        lines=lines,
        head_hash=None if fault else end.parent_hash,
        origin=dict(first.get("origin") or {}) if first else {},
        fault=fault,
        head_kept=head is not None,
    )


def _check_birth(path: Path, first: Event) -> Fault | None:
    if first["event_type"] != "journal_created":
        return Fault("foreign", 1, 0, "the first line is not a journal's beginning")
    if first.get("journal") != path.stem:
        what = f"this is the journal {first.get('journal')!r} under another name"
        return Fault("foreign", 1, 0, what)
    return None


def _holds_head(events: list[Event], head: Head) -> bool:
    return any(
        event["seq"] == head.seq and event["event_hash"] == head.event_hash
        for event in reversed(events)
    )


def _check_end(
    status: os.stat_result, end: Position, head: Head | None, *, passed_head: bool
) -> Fault | None:
    line, seq = end.seq + 1, end.seq
    if head and not passed_head:
        missing = head.seq + 1 - end.seq
        what = f"{missing} acknowledged line{'s' if missing != 1 else ''} missing at the end"
        return Fault("truncated", line, seq, what)
    if head and head.is_exact_for(status) and head.size < end.offset:
        return Fault(
            "unacknowledged",
            head.seq + 2,
            head.seq + 1,
            f"{end.seq - head.seq - 1} lines past the end that was acknowledged",
        )
    if end.offset < status.st_size:
        left = status.st_size - end.offset
        return Fault("torn", line, seq, f"{left} bytes of a line that was never finished")
    return None
