"""
The file of a graph of near neighbours (HNSW, by usearch): which vectors may be the nearest.

    usearch's own   rows and width (uint32 each), the vectors in half precision, then the graph
    sums            a CRC-32 of each of those vectors
    last page       magic, format, dim, count, n, how widely to search, recall, size of the first
                    part, SHA-256 of all but the vectors

It stands for the vectors with a number up to *n* and names them by their number, so that it goes
on serving when the snapshot is written anew.  What it finds is only ever a candidate: it is counted
by the snapshot's row.  The graph is covered by the digest, for usearch believes what it reads;
a vector that is no more is overwritten in it as in the snapshot, and a zero is like nothing.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dino_os.errors import MemoryLayerError
from dino_os.memory_layer.vectors.files import Identity, draft, mapped_file, zero
from dino_os.memory_layer.vectors.rows import Query, Rows, Unsound
from dino_os.memory_layer.vectors.snapshot import Sums, sums_of
from dino_os.memory_layer.vectors.source import Floats, Integers
from engines.durable import write_all

Progress: TypeAlias = Callable[[int, int], object]
"""Called with how many vectors are done, and how many there are."""
Halves: TypeAlias = NDArray[np.float16]

_MAGIC = b"dino-ann"
_FORMAT = 1
_FOOTER = struct.Struct("<8sIIQQIdQ32s")
_PAGE = 4096
_NONE = memoryview(b"")
_AHEAD = 8  # of the vectors: how many there are and how wide

_CONNECTIVITY = 16
_EXPANSION_ADD = 128
_EXPANSIONS = (64, 128, 256)
"""How widely it is searched: the first that finds enough."""
_ASKED = 200
_TOP = 10
_BESIDE = 0.5
"""How far from a vector of length 1 a question about it is."""
FEWEST_FOUND = 0.95
MISSING = "an approximate index of vectors needs usearch"
HOW_TO_INSTALL = "pip install 'dino-os[ann]'"


@dataclass(frozen=True, slots=True)
class Graph:
    """
    The file at *path*, as it was when it was opened.

    Attributes:
        n: It stands for the vectors up to this number.
        recall: Share of the ten nearest that it finds, as measured when it was made.
        own: How many bytes are usearch's part; 0 where it found too few, and only that was kept.
        index: usearch's; None where that is missing or there is nothing for it.
    """

    path: Path
    identity: Identity
    count: int
    n: int
    recall: float
    own: int
    index: Any
    dim: int
    mapped: memoryview

    def knows(self, k: int) -> bool:
        """Whether so few are asked for that it is of use."""
        return 10 * _fetched(k) <= self.count

    def nearest(self, rows: Rows, query: Query, k: int) -> Integers:
        """Rows that the *k* nearest are likely among; fewer where it knows fewer that are there."""
        asked = query.short.astype(np.float16)
        found = self.index.search(asked, _fetched(k), threads=1).keys
        at = np.unique(rows.find(found.astype(np.int64)))
        return at[~rows.gone[at]]

    def vectors(self) -> tuple[Halves, Sums]:
        """What usearch keeps of them, in its order, and the sums."""
        sums = np.frombuffer(self.mapped, "<u4", self.count, self.own)
        return _halves(self.mapped, self.count, self.dim), sums


def build_graph(path: Path, name: str, rows: Rows, n: int, progress: Progress) -> None:
    """
    Make *path* the graph of *rows*, all up to the number *n*.  Under the lock; it takes minutes.

    Where it finds less than 95 % of the ten nearest, only that is kept of it.

    Raises:
        OSError: The disk did not take it; *path* is what it was.
        MemoryLayerError: usearch is not installed, or one that is unknown to us.
    """
    dim = rows.matrix.shape[1]
    index = _new_index(dim)
    if index is None:
        raise MemoryLayerError(f"{MISSING}, which is not installed", hint=HOW_TO_INSTALL)
    sums = _fill(index, rows, progress)
    recall = 0.0
    for expansion in _EXPANSIONS if len(index) else ():
        index.expansion_search = expansion
        recall = _measure(Graph(path, None, len(index), n, 0.0, 0, index, dim, _NONE), rows)
        if recall >= FEWEST_FOUND:
            break
    numbers = (dim, len(index), n, index.expansion_search, recall)
    with draft(path) as (new, fd):
        if recall >= FEWEST_FOUND:
            _save(index, new)
            own = os.lseek(fd, 0, os.SEEK_END)
            found = sums_of(_halves(_map(fd), len(index), dim))
            if not np.array_equal(np.sort(found), np.sort(sums)):
                raise MemoryLayerError(
                    "usearch keeps its vectors in another way than the versions that Dino knows",
                    hint=HOW_TO_INSTALL,
                )
            write_all(fd, found.tobytes())
        else:
            own = 0
        digest = _digest(name, (_FORMAT, *numbers, own), _map(fd) if own else b"", own)
        write_all(fd, _FOOTER.pack(_MAGIC, _FORMAT, *numbers, own, digest).ljust(_PAGE, b"\0"))


def open_graph(path: Path, name: str, dim: int, *, searched: bool) -> Graph | None:
    """
    The file at *path*; None where there is none.

    Args:
        searched: Whether it is to be searched: that takes usearch.

    Raises:
        Unsound: It is not what was written, or not of the vectors of *name*.
        OSError: It cannot be read.
    """
    if (found := mapped_file(path, _PAGE)) is None:
        return None
    mapped, identity = memoryview(found[0]), found[1]
    magic, form, *numbers, own, digest = _FOOTER.unpack_from(mapped, len(mapped) - _PAGE)
    its_dim, count, n, expansion, recall = numbers
    if magic != _MAGIC or form != _FORMAT or its_dim != dim:
        raise Unsound("it is no graph of such vectors")
    if len(mapped) != own + (4 * count if own else 0) + _PAGE:
        raise Unsound("it is too short or too long")
    if digest != _digest(name, (form, *numbers, own), mapped, own):
        raise Unsound("the graph is not what was written, or that of another model")
    index = _new_index(dim) if own and searched else None
    if index is not None:
        index.view(mapped[:own])
        index.expansion_search = expansion
    return Graph(path, identity, count, n, recall, own, index, dim, mapped)


def overwrite_vectors(graph: Graph, rows: Rows, removed: Integers) -> None:
    """
    Make zeros, in the file, of the vectors that the rows *removed* still hold; under the lock.

    Which place is whose, only the graph could say: a vector is found by its bytes, and stays as
    long as another entry has the very same.
    """
    places, sums = graph.vectors()
    gone = rows.matrix[removed].astype(np.float16)
    offsets: list[int] = []
    for row, half, its_sum in zip(removed, gone, sums_of(gone), strict=True):
        at = np.flatnonzero(sums == its_sum)
        at = at[(places[at] == half).all(axis=1)]
        if len(at) > 1 and _has_another(rows, rows.matrix[row]):
            continue
        offsets += [_AHEAD + int(place) * half.nbytes for place in at]
    fd = os.open(graph.path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        zero(fd, offsets, gone.shape[1] * gone.itemsize)
    finally:
        os.close(fd)


def check_graph(path: Path, name: str, dim: int) -> list[str]:
    """What is wrong with the file at *path*, if there is one; all of it is read."""
    try:
        graph = open_graph(path, name, dim, searched=False)
        if graph is None or not graph.own:
            return []
        places, sums = graph.vectors()
    except (Unsound, OSError) as error:
        return [f"{path}: {error}"]
    bad = int(np.count_nonzero((sums_of(places) != sums) & places.any(axis=1)))
    return [f"{path}: {bad} of its vectors are not what was written"] if bad else []


def _fetched(k: int) -> int:
    """How many are looked at for *k*: the best of them are found by counting exactly."""
    return min(4 * k, k + 200)


def _new_index(dim: int) -> Any:
    try:
        from usearch.index import Index  # noqa: PLC0415  an extra
    except ImportError:
        return None
    return Index(
        ndim=dim,
        metric="ip",  # to a vector of zeros a cosine has no value
        dtype="f16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        enable_key_lookups=False,
    )


def _fill(index: Any, rows: Rows, progress: Progress) -> Sums:
    """Put them in; the result is the sums of what it was given."""
    sums = [np.empty(0, np.uint32)]
    progress(0, rows.live_count)
    for some in rows.kept():
        halves = rows.matrix[some].astype(np.float16)
        index.add(rows.ns[some].astype(np.uint64), halves, threads=0)
        sums.append(sums_of(halves))
        progress(len(index), rows.live_count)
    return np.concatenate(sums)


def _save(index: Any, path: Path) -> None:
    try:
        index.save(path)
    except RuntimeError as error:  # it knows no other kind
        raise OSError(errno.EIO, str(error), str(path)) from error


def _measure(graph: Graph, rows: Rows) -> float:
    """The share of the ten nearest to vectors beside those that are there, which it finds."""
    chance = np.random.default_rng(_ASKED)  # the same vectors are the same index
    dim = rows.matrix.shape[1]
    found = there = 0
    for row in chance.choice(np.flatnonzero(~rows.gone), _ASKED):
        beside = rows.matrix[row] + chance.standard_normal(dim) * (_BESIDE / math.sqrt(dim))
        query = Query.of(beside, dim, "")
        if query is None:
            continue
        best = np.sort(rows.scores(rows.nearest(query, _TOP), query))[::-1][:_TOP]
        likely = rows.scores(graph.nearest(rows, query, _TOP), query)
        # Of equals any will do.
        found += min(len(best), int(np.count_nonzero(likely >= best[-1])))
        there += len(best)
    return found / there if there else 0.0


def _has_another(rows: Rows, vector: Floats) -> bool:
    """Whether one that is not gone is the same."""
    at = int(np.abs(vector).argmax())
    alike = np.flatnonzero(rows.matrix[:, at] == vector[at])
    alike = alike[~rows.gone[alike]]
    return bool((rows.matrix[alike] == vector).all(axis=1).any())


def _map(fd: int) -> memoryview:
    return memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))


def _halves(mapped: memoryview, count: int, dim: int) -> Halves:
    if struct.unpack_from("<II", mapped) != (count, 2 * dim):
        raise Unsound("its vectors are not where they should be")
    return np.frombuffer(mapped, "<f2", count * dim, _AHEAD).reshape(count, dim)


def _digest(name: str, numbers: tuple[Any, ...], mapped: memoryview | bytes, own: int) -> bytes:
    """Of all but the vectors, which become zeros, and have sums of their own."""
    dim, count = numbers[1:3]
    digest = sha256(repr((name, *numbers)).encode(errors="surrogatepass"))
    if own:
        digest.update(mapped[:_AHEAD])
        digest.update(mapped[_AHEAD + 2 * dim * count : own + 4 * count])
    return digest.digest()
