"""
Counting what a journal says: the base of the collectors, one per journal.

Each is an engine that only reads: its state is counters, folded incrementally and kept as a
snapshot of its own, in the folder that it is given.  Nothing here writes to a journal.  Where a
journal was pruned and there is no snapshot, counting begins with the first line that is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from engines.durable import make_folder
from engines.engine import Engine
from engines.journal import Event, Journal
from engines.metrics.families import Family
from engines.metrics.history import History
from engines.snapshot import SnapshotFile

OTHER = "other"
_MOST_NAMES = 50  # values of a label that comes from names; all further ones are "other"
_is_name = re.compile(r"[A-Za-z_][\w.:-]{0,63}").fullmatch


class Watched(Journal):
    """A journal that is read here, and what is counted of it kept in *kept*."""

    def __init__(self, path: Path, kept: Path | None) -> None:
        super().__init__(path)
        self._kept = kept

    @property
    def snapshot_path(self) -> Path | None:  # type: ignore[override]
        return self._kept / f"{self.name}.snapshot" if self._kept else None


class JournalFold(Engine):
    """
    What the journal at *path* says, counted.

    Args:
        kept: The folder for snapshots; None keeps none.

    Attributes:
        totals: Counts since the beginning.
        history: The same by time.
    """

    journal_name: ClassVar[str]
    told: ClassVar[tuple[str, ...]] = ()
    """The counts that people are shown, in their order."""

    def __init__(self, path: Path, kept: Path | None = None) -> None:
        super().__init__(Watched(path, kept))

    def reset(self) -> None:
        self.totals: Counter[str] = Counter()
        self.history = History()
        self.names: dict[str, None] = {}

    def families(self, now: float) -> Iterable[Family]:
        """What Prometheus is told, as it is at *now*."""
        del now
        return ()

    @property
    def unread(self) -> int:
        """How many lines were not as this version knows them; they are not counted."""
        return self.totals["unread"]

    @property
    def empty(self) -> bool:
        """Whether the journal has no line."""
        return self._folded_to.seq == 0

    def tally(self, event: Event, name: str, count: int = 1) -> None:
        """Count something, at the time of *event*."""
        self.totals[name] += count
        self.history.add(name, event["timestamp"], count)

    def label(self, name: Any) -> str:
        """
        *name* as a label's value, or "other".

        There is an end to the values of a label, and what is no plain name could be anything.
        """
        if not isinstance(name, str):
            return OTHER
        if name not in self.names:
            if len(self.names) >= _MOST_NAMES or not _is_name(name):
                return OTHER
            self.names[name] = None
        return name

    def look(self, event: Event) -> None:
        """What is counted of events of every type."""

    def save_snapshot(self) -> None:
        if path := self.journal.snapshot_path:
            make_folder(path.parent)
        super().save_snapshot()

    def _apply(self, event: Event) -> None:
        try:
            super()._apply(event)
            self.look(event)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            # Whoever wrote it is another engine, of another version perhaps: that is no reason to
            # show nothing.  `unread` says so.
            self.totals["unread"] += 1

    def _restore(self) -> None:
        path = self.journal.snapshot_path
        if not (path and self._begin_with(SnapshotFile(path).load(self._maker))):
            self._begin_after_pruned()

    def _begin_after_pruned(self) -> None:
        self._folded_to = self.journal.begin()
