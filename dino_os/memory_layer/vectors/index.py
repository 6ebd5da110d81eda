"""
The index of a memory's vectors: exact, or approximate where that was asked for and is good enough.

Each search first catches up with its source; what is held, and in which files, is `kept.py`'s.
Nothing here is the truth: with every file of it lost, the next search finds the same.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.vectors.graph import (
    FEWEST_FOUND,
    HOW_TO_INSTALL,
    MISSING,
    Graph,
    Progress,
)
from dino_os.memory_layer.vectors.held import Held
from dino_os.memory_layer.vectors.kept import Kept
from dino_os.memory_layer.vectors.rows import Query, Unsound, rising
from dino_os.memory_layer.vectors.source import Integers, Source

_MOST_CHANGED = 0.2
_BY_CHANCE = 2  # answers that others remove between this reading and that of the file
_WAIT_S = 10.0
_NO_FILES = "there is no graph of what may have no files"


class VectorIndex:
    """
    The vectors of one model, searched by likeness.  Threads take turns.

    Args:
        folder: Where its files are; made when there is something to write.  None has no files:
            all of it is in memory, read from the source anew by each process, and searched exactly.
        name: Of the model and the store: with another store behind it, it is another index.
        dim: How many numbers a vector has.
        approximate: Whether to search by the graph that `build` makes, where it is good enough.
        read_only: Whether to leave the disk as it is.
    """

    def __init__(
        self,
        folder: Path | None,
        name: str,
        dim: int,
        *,
        approximate: bool = False,
        read_only: bool = False,
    ) -> None:
        self._kept = Kept(folder, name, dim, searched=approximate) if folder else Held(name, dim)
        self._approximate = approximate and folder is not None
        self._why = _NO_FILES if approximate and folder is None else None
        self._read_only = read_only
        self._guard = threading.RLock()

    def search(
        self,
        source: Source,
        query: NDArray[np.floating],
        k: int,
        *,
        allowed: Integers | None = None,
    ) -> list[tuple[int, float]]:
        """
        The *k* entries most like *query*, as (id, cosine), best first and then by id.

        A vector of length 0 is like nothing, and a query of length 0 finds nothing.

        Args:
            allowed: Only these entries.

        Raises:
            InvalidInput: The query is not one of this model.
            MemoryLayerError: A vector of the source cannot be one.
        """
        wanted = Query.of(query, self._kept.dim, self._kept.name)
        among = None if allowed is None else rising(np.asarray(allowed, np.int64))
        with self._guard:
            self._kept.catch_up(source, writes=not self._read_only)
            if wanted is None or k < 1:
                return []
            try:
                return self._find(wanted, k, among)
            except Unsound as broken:
                self._kept.distrust(str(broken))
                self._kept.catch_up(source, writes=not self._read_only)
                return self._find(wanted, k, among)

    def catch_up(self, source: Source, *, wait_s: float = 0.0) -> None:
        """
        Take in what changed; on return what is no more has been overwritten in the files.

        Args:
            wait_s: How long to wait for another process that is writing them.

        Raises:
            Busy: It took longer.
            OSError: The disk did not take it.
            MemoryLayerError: The index is read only, or a vector of the source cannot be one.
        """
        self._refuse_read_only()
        with self._guard:
            self._kept.catch_up(source, writes=True, wait_s=wait_s, strict=True)

    def build(
        self, source: Source, progress: Progress | None = None, *, wait_s: float = 0.0
    ) -> None:
        """
        Write the files as *source* is now; where it was asked for also the graph, which takes
        about a minute for 100,000 vectors.

        Args:
            progress: Told how many vectors are in the graph, and how many there are.
            wait_s: How long to wait for another process that is writing them.

        Raises:
            Busy: It took longer.
            OSError: The disk did not take it; what was there is still there.
            MemoryLayerError: usearch is not installed, or the index is read only.
        """
        self._refuse_read_only()
        told = (progress or _tell_nobody) if self._approximate else None
        with self._guard:
            self._kept.make(source, told, wait_s)

    def erase(self) -> None:
        """
        Overwrite all that is on disk of it and take it away; a later search makes it again.

        Raises:
            Busy: Another process is writing it, for longer than ten seconds.
            MemoryLayerError: The index is read only.
        """
        self._refuse_read_only()
        with self._guard:
            self._kept.erase(_WAIT_S)

    def check(self) -> list[str]:
        """What is wrong with the files, of which every byte is read; nothing where all is well."""
        return self._kept.check()

    def status(self) -> dict[str, Any]:
        """
        How many vectors there are, how they are searched, and what they take.

        Before the first search it is what the files say.  Mapped bytes are the system's to drop
        where others need the memory.
        """
        with self._guard:
            kept = self._kept
            if kept.snapshot is None and not len(kept.newer):
                kept.open()
            graph, why = self._graph()
            count = kept.rows.live_count + kept.newer.live_count
            in_memory = kept.newer.nbytes + kept.rows.nbytes_beside
            mapped = (kept.snapshot.size if kept.snapshot else 0) + _mapped(graph)
            return {
                "vectors": count,
                "dim": kept.dim,
                "newer": kept.newer.live_count,
                "removed": kept.rows.gone_count,
                "kind": "approximate" if graph else "exact",
                "recall": found.recall if (found := kept.graph()) else None,
                "why": "; ".join([*kept.why.values(), *([why] if why else [])]) or None,
                "bytes_on_disk": sum(path.stat().st_size for path in kept.files()),
                "bytes_in_memory": in_memory,
                "bytes_mapped": mapped,
                "bytes_per_vector": round((in_memory + mapped) / count, 1) if count else None,
            }

    def _find(self, query: Query, k: int, allowed: Integers | None) -> list[tuple[int, float]]:
        rows, newer = self._kept.rows, self._kept.newer
        while True:
            old = self._likely(query, k, allowed)
            among = None if allowed is None else newer.of_entries(allowed)
            new = newer.nearest(query, k, among)
            ids = np.concatenate([rows.ids[old], newer.ids[new]])
            scores = np.concatenate([rows.scores(old, query), newer.scores(new, query)])
            best = np.lexsort((ids, -scores))[:k]
            answered = old[best[best < len(old)]]
            gone = self._kept.snapshot.verify(answered) if self._kept.snapshot else answered
            if not len(gone):
                return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))
            if len(gone) == len(answered) > _BY_CHANCE:
                raise Unsound("another process is taking it away")
            rows.drop(gone)  # another process has caught up with more than this source shows

    def _likely(self, query: Query, k: int, allowed: Integers | None) -> Integers:
        """Rows of the snapshot that the nearest are among."""
        rows = self._kept.rows
        if allowed is not None:
            return rows.nearest(query, k, rows.of_entries(allowed))
        graph, _ = self._graph() if self._approximate else (None, None)
        if graph and graph.knows(k):
            found = graph.nearest(rows, query, k)
            if len(found) >= k:
                behind = int(np.searchsorted(rows.ns, graph.n, side="right"))
                return np.concatenate([found, rows.nearest(query, k, start=behind)])
        return rows.nearest(query, k)

    def _graph(self) -> tuple[Graph | None, str | None]:
        """The graph where it can serve, else why it cannot, where it should."""
        if not self._approximate:
            return None, self._why
        graph, rows = self._kept.graph(), self._kept.rows
        if graph is None:
            return None, None if "graph" in self._kept.why else "no graph has been built"
        if graph.recall < FEWEST_FOUND:
            found = f"the graph found {graph.recall:.1%} of the nearest"
            return None, f"{found}, and {FEWEST_FOUND:.0%} is the least"
        if graph.index is None:
            return None, f"{MISSING}: {HOW_TO_INSTALL}"
        behind = int(np.searchsorted(rows.ns, graph.n, side="right"))
        in_graph = behind - int(np.count_nonzero(rows.gone[:behind]))
        changed = graph.count - in_graph + len(rows) - behind + len(self._kept.newer)
        if changed > _MOST_CHANGED * graph.count:
            return None, f"{changed} vectors have changed since the graph was built"
        return graph, None

    def _refuse_read_only(self) -> None:
        if self._read_only:
            raise MemoryLayerError(
                "the index of vectors was opened to be read only", hint="open it for writing"
            )


def _mapped(graph: Graph | None) -> int:
    return len(graph.mapped) if graph else 0


def _tell_nobody(done: int, count: int) -> None:
    """For those who do not want to know."""
