"""
The hashes of a journal's Merkle tree on disk, so that roots and proofs need not read the journal.

    NAME.tree/0     the leaf hashes, 32 bytes each, one after the other
    NAME.tree/1     the roots of each 256 of them, once complete
    NAME.tree/2     … and so on: every file an eighth level of the tree

An index: as long as no lines were pruned it can be deleted, and is rebuilt from them.  Nobody
trusts it before its root was held against a signed one.  The levels are those of C2SP tlog-tiles.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines.durable import sync_data, sync_folder
from engines.merkle import HASH_SIZE, fold, root

_HEIGHT = 8
_TILE = HASH_SIZE << _HEIGHT


class HashTree:
    """The tree kept in *folder*, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def size(self) -> int:
        """How many leaves it holds."""
        return self._count(0)

    def root(self, size: int) -> bytes:
        """The root of the first *size* leaves."""
        return root(size, self.hash_at)

    def hash_at(self, level: int, index: int) -> bytes:
        """
        The root of the complete subtree of 2^level leaves that begins at leaf index · 2^level.

        Raises:
            ValueError: The tree is not that large.
        """
        kept, above = divmod(level, _HEIGHT)
        hashes = self._read(kept, index << above, 1 << above)
        if len(hashes) < HASH_SIZE << above:
            raise ValueError(f"the tree has no complete subtree {index} on level {level}")
        return fold(hashes)

    def holds(self, size: int, root: bytes) -> bool:
        """Whether it has that root over its first *size* leaves."""
        try:
            return self.size >= size and self.root(size) == root
        except ValueError:  # a crash left its levels out of step
            return False

    def bears_out(self, size: int, root: bytes) -> bool:
        """As `holds`, from the leaves up: every hash on every level is looked at."""
        hashes, level, count = self._read(0, 0, size), 0, size
        while count := count >> _HEIGHT:
            hashes, level = _tile_roots(hashes, count), level + 1
            if hashes != self._read(level, 0, count):
                return False
        return self.holds(size, root)

    def leaves(self, begin: int, count: int) -> bytes:
        """The hashes of *count* leaves from *begin* on, one after the other."""
        return self._read(0, begin, count)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add the hashes of further leaves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._append(0, b"".join(leaves))
        self._fold()

    def refold(self) -> None:
        """Make anew what stands above the leaves."""
        for level in self._levels():
            if level:
                os.truncate(self._path(level), 0)
        self._fold()

    def cut(self, size: int) -> None:
        """Forget all but the first *size* leaves."""
        for level in self._levels():
            kept = min(size >> _HEIGHT * level, self._count(level))
            os.truncate(self._path(level), kept * HASH_SIZE)

    def sync(self) -> None:
        """Return once it is on the disk: before it has to outlast the lines."""
        for level in self._levels():
            with self._path(level).open("rb") as file:
                sync_data(file.fileno())
        if self.folder.exists():
            sync_folder(self.folder)
            sync_folder(self.folder.parent)

    def _fold(self) -> None:
        level = 0
        while (done := self._count(level + 1)) < (whole := self._count(level) >> _HEIGHT):
            tiles = self._read(level, done << _HEIGHT, whole - done << _HEIGHT)
            self._append(level + 1, _tile_roots(tiles, whole - done))
            level += 1

    def _levels(self) -> Iterator[int]:
        return itertools.takewhile(lambda level: self._path(level).exists(), itertools.count())

    def _path(self, level: int) -> Path:
        return self.folder / str(level)

    def _count(self, level: int) -> int:
        try:
            return self._path(level).stat().st_size // HASH_SIZE
        except FileNotFoundError:
            return 0

    def _read(self, level: int, index: int, count: int) -> bytes:
        try:
            with self._path(level).open("rb") as file:
                file.seek(index * HASH_SIZE)
                return file.read(count * HASH_SIZE)
        except FileNotFoundError:
            return b""

    def _append(self, level: int, hashes: bytes) -> None:
        place = self._count(level) * HASH_SIZE  # a whole hash's, whatever a crash left behind it
        self._path(level).touch()
        with self._path(level).open("r+b") as file:
            file.seek(place)
            file.write(hashes)


def _tile_roots(hashes: bytes, count: int) -> bytes:
    """The roots of the first *count* tiles of *hashes*, one after the other."""
    return b"".join(fold(hashes[i : i + _TILE]) for i in range(0, count * _TILE, _TILE))
