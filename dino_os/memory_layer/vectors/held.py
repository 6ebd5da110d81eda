"""
What an index holds of its source in memory: which is all there is of one that may have no files.

Catching up reads what changed since, in the order of the numbers that the source gives.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dino_os.memory_layer.vectors.files import Identity
from dino_os.memory_layer.vectors.graph import Graph, Progress
from dino_os.memory_layer.vectors.rows import Newer, Rows
from dino_os.memory_layer.vectors.snapshot import Snapshot
from dino_os.memory_layer.vectors.source import Integers, Source, batches

_FEWEST_GONE = 500


class Held:
    """
    The vectors of *name*, in memory.

    Attributes:
        rows: Those of a snapshot; none where there is no file to believe.
        newer: Those that came later.
        why: What is not as it should be, by the file that it is about.
    """

    def __init__(self, name: str, dim: int) -> None:
        self.name, self.dim = name, dim
        self.why: dict[str, str] = {}
        self.forget()

    def forget(self) -> None:
        """Know nothing, as at the beginning."""
        self.snapshot: Snapshot | None = None
        self.rows: Rows = Newer(self.dim)
        self.newer = Newer(self.dim)
        self._seen: Identity = None
        self._distrusts = False
        self._n = self._r = 0
        self._position: tuple[int, int] | None = None  # of the source, where it was followed
        self._left: list[Integers] = []  # rows still to be overwritten

    def open(self) -> None:
        """Begin with what there is without the source."""
        self.forget()

    def distrust(self, why: str) -> None:
        """Go on without what *why* says is wrong."""
        del why
        self.forget()

    def catch_up(
        self, source: Source, *, writes: bool, wait_s: float = 0.0, strict: bool = False
    ) -> None:
        """Hold what *source* has; the rest is for those who have files."""
        del writes, wait_s, strict
        if self.newer.gone_count > max(_FEWEST_GONE, self.newer.live_count):
            self.forget()  # what is no more took most of the room
        if not self._follow(source):  # another store, or an earlier moment of it
            self.forget()
            self._follow(source)

    def make(self, source: Source, progress: Progress | None, wait_s: float) -> None:
        """Have all of it ready."""
        del progress
        self.catch_up(source, writes=False, wait_s=wait_s)

    def erase(self, wait_s: float) -> None:
        """Know nothing, and have nothing anywhere."""
        del wait_s
        self.forget()

    def check(self) -> list[str]:
        """What is wrong with the files, of which every byte is read."""
        return []

    def files(self) -> list[Path]:
        """Those that are there."""
        return []

    def graph(self) -> Graph | None:
        """The graph as it is on disk now; None where there is none to believe."""
        return None

    def _follow(self, source: Source) -> bool:
        """Take in what changed; False where what is held is not the source's past."""
        position = source.position()
        if position == self._position:
            return True
        n, r = position
        if r < self._r:
            return False
        try:
            if self.snapshot or len(self.newer):  # else nothing is here that was removed
                removed = (gone for _, gone in source.removed_since(self._r))
                self._drop(np.fromiter(removed, np.int64))
            with batches(source, self._n, self.dim) as found:
                for batch in found:
                    self.newer.add(batch)
        except BaseException:
            self.forget()  # half of what changed is no moment
            raise
        self._n, self._r, self._position = max(self._n, n), r, position
        return max(self.rows.last, self.newer.last) <= n

    def _drop(self, ns: Integers) -> None:
        self.newer.drop(self.newer.find(ns))
        gone = self.rows.find(ns)
        self.rows.drop(gone)
        left = gone[self.rows.matrix[gone].any(axis=1)]
        if len(left):
            self._left.append(left)
