"""
The record of configured cycles: which ran, how far each came, and what was counted already.

    started ──▶ planned ──▶ submitted ──▶ queued ──▶ handed over
       └──▶ undone

Its state is a fold over `cycle_runs.jsonl`.  A run holds its lock from the first of its records to
the last, so at most one is open, and one that is open while nobody holds the lock has crashed.
What a run has read counts as read from `planned` on: one that is undone has read nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines import checks
from engines.engine import Engine
from engines.journal import Event, Journal

_REMEMBERED = 100
_IDENTIFIERS = 100_000  # of each source

Stamp = tuple[int, ...]
"""Size, times and inode of a file."""


@dataclass(slots=True)
class CycleRun:
    """
    One run.

    Attributes:
        outcome: ok, ok_no_action or cancelled (undone); "" while it is open.
        stage: The last that is recorded.
        cycle: Number of the cycle that was planned.
        desks: Agent → where its assignments go, as it was when the run began.
        sources: What each source gave.
    """

    run: str
    name: str
    file: str
    by: str
    started: float
    desks: dict[str, Any] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)
    stage: str = "started"
    cycle: int | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    ended: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "name": self.name,
            "file": self.file,
            "by": self.by,
            "started_at": checks.time_text(self.started),
            "ended_at": checks.time_text(self.ended),
            "stage": self.stage,
            "outcome": self.outcome or None,
            "cycle": self.cycle,
            "sources": [
                {key: value for key, value in source.items() if key != "marks"}
                for source in self.sources
            ],
            "counts": dict(self.counts),
        }


@dataclass(slots=True)
class Memory:
    """
    What is remembered of one source.

    Attributes:
        content: What was read (a file's path, or "") → hash of its content; the oldest first.
        stamps: A file's path → by what it is known again unread.
        web: Validators of the last answer.
        alerts: Fingerprint → when it began, and whether it is resolved.
        identifiers: Of records that were counted.
    """

    content: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    web: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, tuple[float, bool]] = field(default_factory=dict)
    identifiers: dict[str, int] = field(default_factory=dict)

    def take(self, marks: Mapping[str, Any]) -> None:
        """Remember what a run has read."""
        self.forget(marks.get("forgotten", ()))
        content = marks.get("content", {})
        self.forget(content)  # what is known of it is of another content
        self.content |= content
        self.stamps |= {name: tuple(stamp) for name, stamp in marks.get("stamps", {}).items()}
        self.web = marks.get("web", self.web)
        self.alerts |= {f: (b, r) for f, (b, r) in marks.get("alerts", {}).items()}
        self.identifiers |= dict.fromkeys(marks.get("identifiers", ()), 1)
        for table in (self.alerts, self.identifiers):
            while len(table) > _IDENTIFIERS:
                del table[next(iter(table))]

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self.content.pop(name, None)
            self.stamps.pop(name, None)


class CycleRuns(Engine):
    """
    The runs of a workspace.

    Args:
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, journal: Journal | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(journal, clock=clock)

    def reset(self) -> None:
        self._runs: deque[CycleRun] = deque(maxlen=_REMEMBERED)
        self._open: CycleRun | None = None
        self._memories: dict[str, Memory] = {}

    # --- commands ----------------------------------------------------------------------------

    def start(self, run: str, **facts: Any) -> None:
        """
        Open a run.

        Args:
            facts: name, file, by, desks, and sources with the `marks` of what each has read.
        """
        with self.deciding():
            self.record("run_started", run=run, at=self.clock(), **facts)

    def planned(self, run: str, cycle: int) -> None:
        """The cycle is on record; what was read counts as read."""
        with self.deciding():
            self.record("run_planned", run=run, cycle=cycle)

    def submitted(self, run: str, tasks: int, refused: Sequence[Mapping[str, Any]]) -> None:
        """The tasks of skill-agents are in the queue, but for those that were *refused*."""
        with self.deciding():
            self.record("run_submitted", run=run, tasks=tasks, refused=list(refused))

    def queued(self, run: str, deliveries: int, nobody: int) -> None:
        """The assignments of people are in the outbox, but for those that have none."""
        with self.deciding():
            self.record("run_queued", run=run, deliveries=deliveries, without_outbox=nobody)

    def handed_over(self, run: str) -> None:
        """All that was assigned is on its way."""
        with self.deciding():
            self.record("run_handed_over", run=run, at=self.clock())

    def moved(self, files: Mapping[str, Sequence[str]]) -> None:
        """By source, what was moved away: another file of that name is another file."""
        with self.deciding():
            self.record("files_moved", files={source: list(f) for source, f in files.items()})

    def undone(self, run: str, reason: str) -> None:
        """Nothing of it was planned; what it had read is to be read again."""
        with self.deciding():
            self.record("run_undone", run=run, at=self.clock(), reason=reason)

    def idle(self, run: str, **facts: Any) -> None:
        """A run that found nothing new."""
        with self.deciding():
            self.record("run_idle", run=run, at=self.clock(), **facts)

    # --- queries -----------------------------------------------------------------------------

    @property
    def open(self) -> CycleRun | None:
        """The run that is under way, or has crashed."""
        return self._open

    @property
    def last(self) -> CycleRun | None:
        return self._runs[-1] if self._runs else None

    @property
    def runs(self) -> list[CycleRun]:
        """The last runs that ended, latest first."""
        return list(self._runs)[::-1]

    def memory_of(self, source: str) -> Memory:
        return self._memories.get(source) or Memory()

    # --- folding -----------------------------------------------------------------------------

    def apply_run_started(self, event: Event) -> None:
        self._open = _run(event)

    def apply_run_planned(self, event: Event) -> None:
        if run := self._at(event, "planned"):
            run.cycle = event["cycle"]
            self._remember(run.sources)

    def apply_run_submitted(self, event: Event) -> None:
        if run := self._at(event, "submitted"):
            run.counts |= {"tasks": event["tasks"], "refused": event["refused"]}

    def apply_run_queued(self, event: Event) -> None:
        if run := self._at(event, "queued"):
            left = {"without_outbox": event["without_outbox"]}
            run.counts |= {"deliveries": event["deliveries"], **left}

    def apply_run_handed_over(self, event: Event) -> None:
        self._end(event, "handed_over", "ok")

    def apply_files_moved(self, event: Event) -> None:
        for source, names in event["files"].items():
            self.memory_of(source).forget(names)

    def apply_run_undone(self, event: Event) -> None:
        self._end(event, "undone", "cancelled")

    def apply_run_idle(self, event: Event) -> None:
        run = self._open = _run(event)
        self._remember(run.sources)
        self._end(event, "idle", "ok_no_action")

    # --- below the face ----------------------------------------------------------------------

    def _at(self, event: Event, stage: str) -> CycleRun | None:
        if self._open and self._open.run == event["run"]:
            self._open.stage = stage
            return self._open
        return None

    def _end(self, event: Event, stage: str, outcome: str) -> None:
        if run := self._at(event, stage):
            run.outcome, run.ended = outcome, event["at"]
            # What is needed to go on after a crash is needed no more.
            run.desks = {}
            run.sources = [{k: v for k, v in s.items() if k != "marks"} for s in run.sources]
            self._runs.append(run)
            self._open = None

    def _remember(self, sources: Sequence[Mapping[str, Any]]) -> None:
        for source in sources:
            memory = self._memories.setdefault(source["source"], Memory())
            memory.take(source.get("marks") or {})


def _run(event: Event) -> CycleRun:
    return CycleRun(
        run=event["run"],
        name=event["name"],
        file=event["file"],
        by=event["started_by"],
        started=event["at"],
        desks=event.get("desks", {}),
        sources=event["sources"],
    )
