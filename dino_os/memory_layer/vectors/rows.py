"""
Vectors in memory or in a mapped file, a row each, and which of them are most like a query.

The product is in single precision; those that may be among the nearest for all its rounding are
then counted in double, each by itself.  So a vector has the same score wherever its row stands,
equal vectors have equal scores, and of those the lower id comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dino_os.errors import InvalidInput
from dino_os.memory_layer.vectors.source import Batch, Floats, Integers

_BELOW_ALL = -3.0  # of cosines
_ROUNDING = 2.0**-23
_AT_ONCE = 4096
# To gather rows costs about ten times as much as to pass over them.
_GATHERED_SHARE = 0.08


class Unsound(Exception):
    """A file is not what was written.  Never leaves the package: whoever meets it goes without."""


@dataclass(frozen=True, slots=True)
class Query:
    """
    What is searched for, of length 1.

    Attributes:
        margin: By how much two scores in single precision may stand in the wrong order.
    """

    exact: NDArray[np.float64]
    short: Floats
    margin: float

    @classmethod
    def of(cls, vector: NDArray[np.floating], dim: int, name: str) -> Query | None:
        """
        *vector* as a query; None where it has no direction.

        Raises:
            InvalidInput: It is none, or not one of this model.
        """
        exact = np.asarray(vector, np.float64)
        if exact.shape != (dim,):
            raise InvalidInput(
                f"the query has the shape {exact.shape}; vectors of {name!r} have {dim} numbers",
                hint="ask with the model that made them, or change it: dino memory reindex",
            )
        if not np.isfinite(exact).all():
            raise InvalidInput("the query has a number that is none (NaN or infinite)")
        if not (largest := np.abs(exact).max(initial=0.0)):
            return None
        exact = exact / largest  # its square may be too small, or too large, for a number
        exact /= np.sqrt((exact * exact).sum())
        return cls(exact, exact.astype(np.float32), 2 * (dim + 8) * _ROUNDING)


class Rows:
    """Rows in the order of *ns*; those that are no more are marked as gone."""

    def __init__(self, ids: Integers, ns: Integers, matrix: Floats) -> None:
        self.ids, self.ns, self.matrix = ids, ns, matrix
        self.gone = np.zeros(len(ids), bool)
        self.gone_count = 0
        self._by_id: tuple[Integers, Integers] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def live_count(self) -> int:
        return len(self) - self.gone_count

    @property
    def last(self) -> int:
        """The highest number among those that are not gone; 0 where there are none."""
        if not len(self) or not self.gone[-1]:
            return int(self.ns[-1]) if len(self) else 0
        live = self.ns[~self.gone]
        return int(live[-1]) if len(live) else 0

    @property
    def nbytes_beside(self) -> int:
        """In memory, whoever has the rows themselves."""
        return self.gone.nbytes + sum(part.nbytes for part in self._by_id or ())

    def find(self, ns: Integers) -> Integers:
        """The rows of the vectors *ns*, as many as are here."""
        if not len(self):
            return np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self.ns, ns), len(self) - 1)
        found: Integers = at[self.ns[at] == ns]
        return found

    def drop(self, rows: Integers) -> None:
        """These are no more."""
        self.gone[rows] = True
        self.gone_count = int(np.count_nonzero(self.gone))

    def of_entries(self, ids: Integers) -> Integers:
        """The rows of the entries *ids* (rising, each once) that are not gone."""
        if self._by_id is None:
            order = np.argsort(self.ids, kind="stable")
            self._by_id = (order, self.ids[order])
        order, ordered = self._by_id
        # Of an entry's vectors all but the last are gone.
        at = np.searchsorted(ordered, ids, side="right") - 1
        at = at[(at >= 0) & (ordered[at] == ids)] if len(self) else at[:0]
        found = order[at]
        return found[~self.gone[found]]

    def nearest(
        self, query: Query, k: int, among: Integers | None = None, start: int = 0
    ) -> Integers:
        """
        Rows that the *k* nearest are certainly among, in no order.

        Args:
            among: Only these; they are not gone.
            start: The first row to look at.

        Raises:
            Unsound: There are no numbers in a row.
        """
        if among is not None and len(among) < _GATHERED_SHARE * len(self):
            return among[_highest(_product(self.matrix[among], query), k, query.margin)]
        scores = _product(self.matrix[start:], query)
        if among is not None:
            return among[_highest(scores[among], k, query.margin)]
        if self.gone_count:
            scores[self.gone[start:]] = _BELOW_ALL
        found = _highest(scores, k, query.margin)
        return found[scores[found] > _BELOW_ALL] + start

    def scores(self, rows: Integers, query: Query) -> NDArray[np.float64]:
        """How like the query each of *rows* is, from -1 to 1."""
        counted = np.empty(len(rows))
        for at in range(0, len(rows), _AT_ONCE):
            some = self.matrix[rows[at : at + _AT_ONCE]].astype(np.float64)
            counted[at : at + _AT_ONCE] = (some * query.exact).sum(axis=1)
        return counted.clip(-1.0, 1.0)

    def kept(self) -> Iterator[Integers]:
        """The rows that are not gone, some at a time."""
        live = np.flatnonzero(~self.gone)
        for at in range(0, len(live), _AT_ONCE):
            yield live[at : at + _AT_ONCE]


class Newer(Rows):
    """Rows that are in no file yet: they grow."""

    def __init__(self, dim: int) -> None:
        self._room: tuple[Integers, Integers, Floats] = (
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty((0, dim), np.float32),
        )
        super().__init__(*self._room)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self._room) + self.nbytes_beside

    def add(self, batch: Batch) -> None:
        """Rows behind those that are here."""
        before, after = len(self), len(self) + len(batch.ids)
        if after > len(self._room[0]):
            self._grow(max(after, 2 * before))
        ids, ns, matrix = self._room
        ids[before:after], ns[before:after], matrix[before:after] = (
            batch.ids,
            batch.ns,
            batch.matrix,
        )
        self.ids, self.ns, self.matrix = ids[:after], ns[:after], matrix[:after]
        self.gone = np.concatenate([self.gone, np.zeros(len(batch.ids), bool)])
        self._by_id = None

    def drop(self, rows: Integers) -> None:
        super().drop(rows)
        self.matrix[rows] = 0.0  # what is forgotten is not in memory either

    def _grow(self, room: int) -> None:
        ids, ns, matrix = self._room
        self._room = (
            np.empty(room, np.int64),
            np.empty(room, np.int64),
            np.empty((room, matrix.shape[1]), np.float32),
        )
        for new, old in ((0, ids), (1, ns), (2, matrix)):
            self._room[new][: len(self)] = old[: len(self)]


def _product(matrix: Floats, query: Query) -> Floats:
    with np.errstate(all="ignore"):  # of what a broken file may hold
        scores: Floats = matrix @ query.short
        if not np.isfinite(scores.sum()):
            raise Unsound("there are rows without numbers in it")
    return scores


def rising(numbers: NDArray[np.int64]) -> Integers:
    """*numbers* in order, each once."""
    if (np.diff(numbers) > 0).all():  # as they mostly come; sorting costs more than a search
        return numbers
    ordered = np.sort(numbers)
    once: Integers = ordered[np.concatenate([[True], np.diff(ordered) > 0])]
    return once


def _highest(scores: Floats, k: int, margin: float) -> Integers:
    """Where the *k* highest certainly are among."""
    if len(scores) <= k:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - k)[len(scores) - k] - margin
    return np.flatnonzero(scores >= least)
