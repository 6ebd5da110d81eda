"""
What an index holds of its source: the snapshot file, what is newer in memory, what is no more.

Catching up reads what changed since; a file that is missing, broken, another store's or far behind
is written anew by whoever gets the lock, and who does not get it goes on in memory.  What is no
more is overwritten in the files under that lock, the snapshot last: as long as a row there is not
zero, there is something left to do, for whoever comes by.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dino_os.memory_layer.vectors.files import Identity, drafts_of, identity, stem_of, wipe
from dino_os.memory_layer.vectors.graph import (
    Graph,
    Progress,
    build_graph,
    check_graph,
    open_graph,
    overwrite_vectors,
)
from dino_os.memory_layer.vectors.held import Held
from dino_os.memory_layer.vectors.rows import Unsound
from dino_os.memory_layer.vectors.snapshot import check_snapshot, open_snapshot, write_snapshot
from dino_os.memory_layer.vectors.source import Source, first
from dino_os.process_lock import Busy, ProcessLock

_FEWEST_NEWER = 500  # they are read in a few milliseconds
_MOST_NEWER = 10_000
_NEWER_SHARE = 0.1


class Kept(Held):
    """The files of *name* in *folder*, and what is in memory beside them."""

    def __init__(self, folder: Path, name: str, dim: int, *, searched: bool) -> None:
        stem = stem_of(name)
        self.file = folder / f"{stem}.vectors"
        self.graph_file = folder / f"{stem}.graph"
        self.lock = ProcessLock(
            folder / f".{stem}.lock", by="the memory", what="writing the index of vectors"
        )
        self._searched = searched
        self._retry_at = 0
        self._graph: Graph | None = None
        self._graph_seen: Identity = None
        super().__init__(name, dim)

    # --- what is known -------------------------------------------------------------------------

    def open(self) -> None:
        """Begin with the file as it is now."""
        self.forget()
        self._seen = identity(self.file)
        self.why.pop("snapshot", None)
        try:
            found = open_snapshot(self.file, self.name, self.dim)
        except (Unsound, OSError) as error:
            self.distrust(str(error))
            return
        if found is None and self.graph_file.exists():
            # What in the graph is no more could not be found any longer.
            self.distrust("it is missing, and the graph of it is there")
        if found:
            self.snapshot, self.rows = found, found.rows
            self._n, self._r, self._seen = found.n, found.r, found.identity

    def distrust(self, why: str) -> None:
        """Go on without the file that is there."""
        seen = self._seen
        self.forget()
        self._seen, self._distrusts = seen, True
        self.why["snapshot"] = f"the file of vectors is not believed: {why}"

    def catch_up(
        self, source: Source, *, writes: bool, wait_s: float = 0.0, strict: bool = False
    ) -> None:
        """
        Hold what *source* has.

        Args:
            writes: Whether to do what the files need.
            strict: Whether to do so at any rate: what was removed may just be on its way into a
                file.  That it cannot be done is an error then.
        """
        if not self._is_current() or (self._position and not self._follow(source)):
            self._begin(source)
        if writes and (strict or self._left or self._is_due(source)):
            try:
                with self.lock.held(wait_s):
                    self.tend(source)
                self.why.pop("disk", None)
            except (Busy, OSError) as error:
                if strict:
                    raise
                self.why["disk"] = f"the files of vectors are not written: {error}"
                if isinstance(error, OSError):
                    self._retry_at = source.position()[0] + _FEWEST_NEWER
        if self._position is None:  # there is no file: all of it comes into memory
            self._follow(source)

    def make(self, source: Source, progress: Progress | None, wait_s: float) -> None:
        """
        Write the files; the graph, where it is searched by, tells *progress*.

        Raises:
            Busy: Another process was writing them for longer.
            OSError: The disk did not take it.
            MemoryLayerError: There is no usearch.
        """
        with self.lock.held(wait_s):
            self.tend(source, whole=True)
            if progress:
                build_graph(self.graph_file, self.name, self.rows, self.rows.last, progress)

    def tend(self, source: Source, *, whole: bool = False) -> None:
        """
        Do what the files need, or make them *whole*.  Under the lock.

        Raises:
            OSError: The disk did not take it.
        """
        self._wipe_drafts()
        if not self._is_current():  # another was just at it
            self._begin(source)
        self._overwrite()
        if self._is_due(source) or (whole and (self.snapshot is None or self._unsaved())):
            if self._distrusts:  # what in the graph is no more, nobody could say
                wipe(self.graph_file)
            write_snapshot(self.file, self.name, self.dim, source)
            self._begin(source)

    def _is_current(self) -> bool:
        """Whether what is known of the file is so of the one that is there."""
        begun = self._distrusts or self._position is not None
        return begun and identity(self.file) == self._seen

    def _begin(self, source: Source) -> None:
        self.open()
        if self.snapshot and not (self._follow(source) and self._is_of(source)):
            self.distrust("it is another store's, or of a later moment")

    def _is_of(self, source: Source) -> bool:
        """Whether the last vector of the file is the one that has its number there."""
        row = self.rows.find(np.array([self.rows.last]))
        if not len(row) or not self.rows.matrix[row].any():
            return True
        n, entry = int(self.rows.ns[row[0]]), int(self.rows.ids[row[0]])
        # A store restored from a backup gives the numbers since then to others.
        return first(source, n - 1) == (n, entry, self.rows.matrix[row].tobytes())

    # --- the files -----------------------------------------------------------------------------

    def _unsaved(self) -> int:
        """How many vectors the file has too few or too many."""
        return self.newer.live_count + self.rows.gone_count

    def _is_due(self, source: Source) -> bool:
        """Whether the snapshot is to be written."""
        highest = source.position()[0]
        if highest < self._retry_at:
            return False
        if self._position is None:  # nothing is held: better in a file than in memory
            return self._distrusts or highest > _FEWEST_NEWER
        most = min(_MOST_NEWER, int(_NEWER_SHARE * len(self.rows)))
        return self._distrusts or self._unsaved() > max(_FEWEST_NEWER, most)

    def _wipe_drafts(self) -> None:
        if found := [*drafts_of(self.file), *drafts_of(self.graph_file)]:
            wipe(*found)

    def _overwrite(self) -> None:
        if not (self._left and self.snapshot):
            return
        removed = np.unique(np.concatenate(self._left))
        if (graph := self.graph()) and graph.own:
            overwrite_vectors(graph, self.rows, removed)
        elif "graph" in self.why:  # it is broken: what it holds cannot be found
            wipe(self.graph_file)
        self.snapshot.overwrite(removed)
        self._left.clear()

    def graph(self) -> Graph | None:
        if (now := identity(self.graph_file)) != self._graph_seen:
            self._graph, self._graph_seen = None, now
            self.why.pop("graph", None)
            try:
                self._graph = open_graph(
                    self.graph_file, self.name, self.dim, searched=self._searched
                )
            except (Unsound, OSError) as error:
                self.why["graph"] = f"the graph is not believed: {error}"
        return self._graph

    def erase(self, wait_s: float) -> None:
        """Overwrite and take away all there is on disk, and know nothing."""
        with self.lock.held(wait_s):
            self._wipe_drafts()
            wipe(self.file, self.graph_file)
            self.why.clear()
            self.forget()

    def check(self) -> list[str]:
        return [
            *check_snapshot(self.file, self.name, self.dim),
            *check_graph(self.graph_file, self.name, self.dim),
        ]

    def files(self) -> list[Path]:
        return [path for path in (self.file, self.graph_file) if path.exists()]
