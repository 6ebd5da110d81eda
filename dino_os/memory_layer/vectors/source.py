"""
Where an index has its vectors from, read in pieces and judged: each fits, and is of numbers.

A vector of length 0, which a text without words may have, is like nothing: it is passed over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dino_os.errors import MemoryLayerError

Floats: TypeAlias = NDArray[np.float32]
Integers: TypeAlias = NDArray[np.int64]

_AT_ONCE = 4096
_TOLERANCE = 1e-3


class Source(Protocol):
    """
    The vectors of one model, all of one moment: a read transaction of the store.

    A vector has a number `n`, which is never given again; another one of the same entry is a new
    number.  That a number is no more has a number `r`.
    """

    def position(self) -> tuple[int, int]:
        """The highest n, and the highest r; 0 where there is none."""

    def since(self, n: int) -> Iterator[tuple[int, int, bytes]]:
        """The (n, id, vector) with a number above *n*, in the order of n."""

    def removed_since(self, r: int) -> Iterator[tuple[int, int]]:
        """The (r, n) with r above *r*, in the order of r."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some vectors, a row each, of the entries *ids*; *ns* rise."""

    ids: Integers
    ns: Integers
    matrix: Floats


@contextlib.contextmanager
def batches(source: Source, after: int, dim: int) -> Iterator[Iterator[Batch]]:
    """
    The vectors with a number above *after*; the source is let go of, whatever happens.

    Raises:
        MemoryLayerError: One of them cannot be.
    """
    rows = iter(source.since(after))
    try:
        yield (_read(some, dim) for some in iter(lambda: list(islice(rows, _AT_ONCE)), []))
    finally:
        _let_go(rows)


def first(source: Source, after: int) -> tuple[int, int, bytes] | None:
    """The vector with the lowest number above *after*."""
    rows = iter(source.since(after))
    try:
        return next(rows, None)
    finally:
        _let_go(rows)


def _let_go(rows: Iterator[object]) -> None:
    if close := getattr(rows, "close", None):  # what is read to its end has let go
        close()


def _read(some: list[tuple[int, int, bytes]], dim: int) -> Batch:
    ns, ids, blobs = zip(*some, strict=True)
    for n, blob in zip(ns, blobs, strict=True):
        if len(blob) != 4 * dim:
            raise _unfit(n, f"{len(blob)} bytes, and one of {dim} numbers has {4 * dim}")
    matrix = np.frombuffer(b"".join(blobs), "<f4").reshape(-1, dim)
    some_length = matrix.any(axis=1)
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
        fit = ~some_length | (np.abs(squares - 1) < _TOLERANCE)  # of NaN too this is not true
    if not fit.all():
        at = int(np.argmin(fit))
        raise _unfit(ns[at], f"the length {float(squares[at]) ** 0.5}, neither 1 nor 0")
    return Batch(
        np.array(ids, np.int64)[some_length],
        np.array(ns, np.int64)[some_length],
        matrix[some_length],
    )


def _unfit(n: int, what: str) -> MemoryLayerError:
    return MemoryLayerError(
        f"vector {n} of the memory has {what}",
        hint="make the vectors anew: dino memory reindex",
    )
