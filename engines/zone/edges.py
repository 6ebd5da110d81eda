"""The edges of polygons, by height: whether points lie within, and which cells edges come into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engines.zone.measure import edges_of
from engines.zone.model import Boundary
from engines.zone.predicates import sides

_PER_SLAB = 4  # edges that a slab would have were they all short
_SLACK = 1e-6  # cells: far above the error of a cell's place
_EPSILON = float(np.finfo(np.float64).eps)


def spread(counts: Any) -> tuple[Any, Any]:
    """Each number as often as its count says, and which of its repetitions each one is."""
    number = np.repeat(np.arange(len(counts)), counts)
    return number, np.arange(len(number)) - np.repeat(np.cumsum(counts) - counts, counts)


class EdgeTable:
    """
    Edges that rise, the lower end first; level ones bound nothing that a ray along x would miss.

    Args:
        boundaries: Of which those numbered in *polygons* have edges.
        polygons: Ascending.
    """

    def __init__(self, boundaries: Sequence[Boundary], polygons: Sequence[int]) -> None:
        self.has = np.zeros(len(boundaries), bool)
        self.has[list(polygons)] = True
        parts = []
        for number in polygons:
            edges = np.array(list(edges_of(boundaries[number])))
            parts.append(np.column_stack([np.full(len(edges), number), edges]))
        table = np.concatenate(parts) if parts else np.zeros((0, 5))
        owner, ends = table[:, 0].astype(np.int64), table[:, 1:]
        down = ends[:, 1] > ends[:, 3]
        ends[down] = ends[down][:, [2, 3, 0, 1]]
        self._all = owner, ends
        rising = ends[:, 1] < ends[:, 3]
        self._divide(len(boundaries), owner[rising], ends[rising])

    def around(self, item: Any, x: Any, y: Any) -> Any:
        """Whether point k lies within the polygons of zone ``item[k]``; half-open."""
        slab = self._first_slab[item] + self._slab(item, y)
        start = self._start[slab]
        point, within = spread(self._start[slab + 1] - start)
        edge = self._order[start[point] + within]
        px, py = x[point], y[point]
        level = (self._y1[edge] <= py) & (py < self._y2[edge])
        left = level & (px < self._low_x[edge])
        (close,) = np.nonzero(level & ~left & (px < self._high_x[edge]))
        of = edge[close]
        ends = self._x1[of], self._y1[of], self._x2[of], self._y2[of]
        left[close] = sides(*ends, px[close], py[close]) > 0
        return (np.bincount(point[left], minlength=len(x)) & 1).astype(bool)

    def cells_met(self, origin: Any, per_unit: float, shape: tuple[int, int]) -> Any:
        """``zone * cells + cell`` for all that an edge may come into; some twice."""
        owner, ends = self._all
        places = (ends - np.tile(origin, 2)) * per_unit
        slack = _SLACK + 8 * _EPSILON * float(np.abs(ends).max(initial=0)) * per_unit
        x1, y1, x2, y2 = places.T
        bottom = np.clip(np.floor(y1 - slack), 0, shape[1] - 1).astype(np.int64)
        top = np.clip(np.floor(y2 + slack), 0, shape[1] - 1).astype(np.int64)
        edge, within = spread(top - bottom + 1)
        row = bottom[edge] + within
        rise = np.where(y2 > y1, y2 - y1, 1.0)
        slope = np.where(y2 > y1, (x2 - x1) / rise, 0.0)
        # Where the edge comes into the row and leaves it; a level one is there with all of it.
        low, high = np.maximum(row - slack, y1[edge]), np.minimum(row + 1 + slack, y2[edge])
        enters, leaves = (x1[edge] + (height - y1[edge]) * slope[edge] for height in (low, high))
        level = (y2 <= y1)[edge]
        enters, leaves = np.where(level, x1[edge], enters), np.where(level, x2[edge], leaves)
        # A nearly level edge has a steep x: its ends bound what rounding makes of it.
        left, right = np.minimum(x1, x2)[edge], np.maximum(x1, x2)[edge]
        near = np.clip(np.minimum(enters, leaves), left, right) - slack
        far = np.clip(np.maximum(enters, leaves), left, right) + slack
        flat = (np.abs(slope) > 1 / _SLACK)[edge]
        near, far = np.where(flat, left - slack, near), np.where(flat, right + slack, far)
        begin = np.clip(np.floor(near), 0, shape[0] - 1).astype(np.int64)
        end = np.clip(np.floor(far), 0, shape[0] - 1).astype(np.int64)
        which, across = spread(end - begin + 1)
        cell = row[which] * shape[0] + begin[which] + across
        return owner[edge][which] * (shape[0] * shape[1]) + cell

    def _divide(self, count: int, owner: Any, ends: Any) -> None:
        """Slabs of equal height for each zone, with the edges that come into them."""
        self._x1, self._y1, self._x2, self._y2 = ends.T.copy()
        self._low_x = np.minimum(self._x1, self._x2)
        self._high_x = np.maximum(self._x1, self._x2)
        self._slabs = np.maximum(np.bincount(owner, minlength=count) // _PER_SLAB, 1)
        self._first_slab = np.cumsum(self._slabs) - self._slabs
        self._bottom = np.full(count, np.inf)
        np.minimum.at(self._bottom, owner, self._y1)
        top = np.full(count, -np.inf)
        np.maximum.at(top, owner, self._y2)
        self._bottom[~self.has] = 0.0
        height = np.where(self.has, top - self._bottom, 1.0)
        self._per_unit = self._slabs / height
        first, last = self._slab(owner, self._y1), self._slab(owner, self._y2)
        edge, within = spread(last - first + 1)
        slab = self._first_slab[owner[edge]] + first[edge] + within
        self._order = edge[np.argsort(slab, kind="stable")]
        counts = np.bincount(slab, minlength=int(self._slabs.sum()))
        self._start = np.concatenate([[0], np.cumsum(counts)])

    def _slab(self, item: Any, y: Any) -> Any:
        """Never less for a greater y; the same for points and edges."""
        place = (y - self._bottom[item]) * self._per_unit[item]
        return np.clip(place, 0, self._slabs[item] - 1).astype(np.int64)
