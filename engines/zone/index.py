"""
Which zones points lie in, for many points at once and exactly.

Half-open: of a box its lower faces belong to it and its upper ones do not, and a point on the edge
of a polygon counts as if it lay a little to the right, and of that a little up.  So of zones that
tile a plane each point lies in exactly one.  Levels are half-open too; a flat zone has the one z.

A uniform grid for each magnitude of zones: a cell lists the zones that meet it, best first, and
whether they fill it, so that few points are held against a polygon's edges; of these only those at
the point's height are.  No point is near enough to an edge to be judged by rounding: `predicates`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import InvalidInput
from engines.zone import sphere
from engines.zone.boundary import ZoneBoundary
from engines.zone.edges import EdgeTable, spread
from engines.zone.model import Boundary

Numbers = NDArray[np.int64]
Points = NDArray[np.float64]

_BLOCK = 1 << 15  # points at once: what is made of them stays in the processor's cache
_CELLS_ACROSS = 4  # a zone of middle size
_MOST_CELLS = 1024  # along an axis
_MOST_ENTRIES = 2_000_000
_MAGNITUDE = 16.0  # sizes of zones in one grid


class ZoneIndex:
    """
    An index over *boundaries*, which does not change.

    Args:
        boundaries: In the order in which they are preferred.
    """

    def __init__(self, boundaries: Sequence[Boundary]) -> None:
        self._count = len(boundaries)
        groups: dict[tuple[bool, int], list[int]] = {}
        for number, boundary in enumerate(boundaries):
            size = max(boundary.width, boundary.height)
            magnitude = int(np.log(size) // np.log(_MAGNITUDE)) if size else -(1 << 10)
            groups.setdefault((_turns(boundary), magnitude), []).append(number)
        self._grids = [
            (turns, _Grid([boundaries[number] for number in numbers], np.array(numbers)))
            for (turns, _), numbers in sorted(groups.items())
        ]

    def locate(self, points: Any) -> Numbers:
        """
        The number of the preferred zone around each point, or -1.

        Args:
            points: Shape (n, 2), or (n, 3) with z, which is 0 otherwise.

        Raises:
            InvalidInput: Another shape, or a coordinate that is not finite.
        """
        coordinates = as_points(points)
        found = np.full(len(coordinates), self._count)
        for turns, block, x, y, z in self._blocks(coordinates):
            for of_sphere, grid in self._grids:
                if of_sphere == turns:
                    np.minimum(found[block], grid.first(x, y, z, self._count), out=found[block])
        found[found == self._count] = -1
        return found

    def pairs(self, points: Any) -> tuple[Numbers, Numbers]:
        """
        All (point, zone) where the zone is around the point, by point and then by preference.

        Raises:
            InvalidInput: As `locate`.
        """
        coordinates = as_points(points)
        pieces = []
        for turns, block, x, y, z in self._blocks(coordinates):
            for of_sphere, grid in self._grids:
                if of_sphere == turns:
                    pieces += [(at + block.start, zone) for at, zone in grid.hits(x, y, z)]
        if not pieces:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        at, zone = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.lexsort((zone, at))
        return at[order], zone[order]

    def _blocks(self, coordinates: Points) -> Iterator[tuple[bool, slice, Any, Any, Any]]:
        kinds = {turns for turns, _ in self._grids}
        for start in range(0, len(coordinates), _BLOCK):
            block = slice(start, min(start + _BLOCK, len(coordinates)))
            x, y = (np.ascontiguousarray(coordinates[block, axis]) for axis in (0, 1))
            z = np.ascontiguousarray(coordinates[block, 2]) if coordinates.shape[1] > 2 else None  # noqa: PLR2004
            if False in kinds:
                yield False, block, x, y, z
            if True in kinds:
                yield True, block, *_on_sphere(x, y), z


def as_points(points: Any) -> Points:
    """
    *points* as an array of (x, y) or (x, y, z).

    Raises:
        InvalidInput: They are none.
    """
    try:
        found = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("points must be rows of two or three numbers") from None
    if found.size == 0:
        return np.zeros((0, 2))
    if found.ndim != 2 or found.shape[1] not in {2, 3}:  # noqa: PLR2004
        raise InvalidInput(f"points must be rows of x, y (and z), found the shape {found.shape}")
    wrong = ~np.isfinite(found).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInput(f"point {row} must be finite, found {found[row].tolist()}")
    return found


def _turns(boundary: Boundary) -> bool:
    """Whether longitudes of points are brought within ±180 for it."""
    return (
        sphere.is_geographic(boundary.coordinate_system)
        and max(-boundary.min_x, boundary.max_x) <= 180  # noqa: PLR2004
    )


def _on_sphere(x: Any, y: Any) -> tuple[Any, Any]:
    """Longitudes in [-180, 180); each pole as one point, just within the zones that reach it."""
    turned = np.fmod(x, 360.0)  # exact, and so are the differences below
    turned = np.where(turned >= 180, turned - 360, turned)  # noqa: PLR2004
    turned = np.where(turned < -180, turned + 360, turned)  # noqa: PLR2004
    pole = np.abs(y) >= sphere.POLE
    if pole.any():
        turned[pole] = -180.0
        y = np.where(y >= sphere.POLE, np.nextafter(sphere.POLE, 0), y)
    return turned, y


class _Grid:
    """Zones of about one size; *numbers* are theirs in the index, ascending."""

    def __init__(self, boundaries: Sequence[Boundary], numbers: Numbers) -> None:
        self._numbers = numbers
        self._low = np.array([(b.min_x, b.min_y, b.min_z) for b in boundaries]).T.copy()
        self._high = np.array([(b.max_x, b.max_y, b.max_z) for b in boundaries]).T.copy()
        self._flat = self._low[2] == self._high[2]
        self._level = bool((self._flat & (self._low[2] == 0)).all())
        polygons = [n for n, b in enumerate(boundaries) if not isinstance(b, ZoneBoundary)]
        self._edges = EdgeTable(boundaries, polygons)
        self._origin, self._end = self._low[:2].min(axis=1), self._high[:2].max(axis=1)
        self._divide()
        self._fill(np.array(polygons, dtype=np.int64))

    def first(self, x: Any, y: Any, z: Any, none: int) -> Numbers:
        """The lowest number of a zone around each point, or *none*."""
        best = np.full(len(x), none)
        for at, zone in self._walk(x, y, z, first=True):
            best[at] = zone
        return best

    def hits(self, x: Any, y: Any, z: Any) -> Iterator[tuple[Numbers, Numbers]]:
        return self._walk(x, y, z, first=False)

    def _walk(self, x: Any, y: Any, z: Any, *, first: bool) -> Iterator[tuple[Numbers, Numbers]]:
        """Hold each point against the entries of its cell, in turn; with *first* up to a hit."""
        column, row = (self._cells(values, axis) for axis, values in ((0, x), (1, y)))
        cell = row * self._shape[0] + column
        beyond = (x < self._origin[0]) | (x > self._end[0])
        beyond |= (y < self._origin[1]) | (y > self._end[1])
        cell[beyond] = self._shape[0] * self._shape[1]
        now, end = self._start[cell], self._start[cell + 1]
        (left,) = np.nonzero(now < end)
        now, end = now[left], end[left]
        while left.size:
            entry = self._entries[now]
            item = entry >> 1
            hit = (entry & 1).astype(bool)
            (unsure,) = np.nonzero(~hit)
            if unsure.size:
                at = left[unsure]
                hit[unsure] = self._around(item[unsure], x[at], y[at])
            if z is not None or not self._level:
                hit &= self._at_level(item, 0.0 if z is None else z[left])
            yield left[hit], self._numbers[item[hit]]
            now = now + 1
            go_on = now < end
            if first:
                go_on &= ~hit
            left, now, end = left[go_on], now[go_on], end[go_on]

    def _around(self, item: Any, x: Any, y: Any) -> Any:
        inside = (self._low[0][item] <= x) & (x < self._high[0][item])
        inside &= (self._low[1][item] <= y) & (y < self._high[1][item])
        (held,) = np.nonzero(inside & self._edges.has[item])
        if held.size:
            inside[held] = self._edges.around(item[held], x[held], y[held])
        return inside

    def _at_level(self, item: Any, z: Any) -> Any:
        low, high = self._low[2][item], self._high[2][item]
        return (low <= z) & ((z < high) | (self._flat[item] & (z == low)))

    # --- building ----------------------------------------------------------------------------

    def _cells(self, values: Any, axis: int) -> Any:
        """The column or row of each value: never less for a greater one."""
        scaled = (values - self._origin[axis]) * self._per_unit
        return np.clip(scaled, 0, self._shape[axis] - 1).astype(np.int64)

    def _divide(self) -> None:
        extent = self._end - self._origin
        middle = float(np.median((self._high - self._low)[:2].max(axis=0)))
        side = max(middle / _CELLS_ACROSS, float(extent.max()) / _MOST_CELLS)
        while True:
            self._per_unit = 1 / side if side else 0.0
            columns, rows = (int(reach * self._per_unit) + 1 for reach in extent)
            self._shape = (columns, rows)
            covered = (self._far(0) - self._near(0) + 1) * (self._far(1) - self._near(1) + 1)
            if side == 0 or covered.sum() <= _MOST_ENTRIES or columns * rows == 1:
                return
            side *= 2

    def _near(self, axis: int) -> Any:
        return self._cells(self._low[axis], axis)

    def _far(self, axis: int) -> Any:
        return self._cells(self._high[axis], axis)

    def _fill(self, polygons: Numbers) -> None:
        near, far = (self._near(0), self._near(1)), (self._far(0), self._far(1))
        wide, high = far[0] - near[0] + 1, far[1] - near[1] + 1
        item, within = spread(wide * high)
        column, row = near[0][item] + within % wide[item], near[1][item] + within // wide[item]
        # Beyond the cell of one limit and before that of the other every point is.
        full = (column > near[0][item]) & (column < far[0][item])
        full &= (row > near[1][item]) & (row < far[1][item])
        cell = row * self._shape[0] + column
        keep = np.ones(len(item), bool)
        if polygons.size:
            (of_polygon,) = np.nonzero(self._edges.has[item])
            clear = self._clear_of_edges(item[of_polygon], cell[of_polygon])
            full[of_polygon] = False
            free = of_polygon[clear]
            x = self._origin[0] + (column[free] + 0.5) / self._per_unit
            y = self._origin[1] + (row[free] + 0.5) / self._per_unit
            inside = self._edges.around(item[free], x, y)
            full[free], keep[free] = inside, inside
        item, cell, full = item[keep], cell[keep], full[keep]
        order = np.lexsort((item, cell))
        self._entries = (item[order] << 1) | full[order]
        counts = np.bincount(cell, minlength=self._shape[0] * self._shape[1] + 1)
        self._start = np.concatenate([[0], np.cumsum(counts)])

    def _clear_of_edges(self, item: Any, cell: Any) -> Any:
        """Where no edge of the zone comes into the cell."""
        count = self._shape[0] * self._shape[1]
        met = np.unique(self._edges.cells_met(self._origin, self._per_unit, self._shape))
        wanted = item * count + cell
        if not met.size:
            return np.ones(len(wanted), bool)
        place = np.minimum(np.searchsorted(met, wanted), len(met) - 1)
        return met[place] != wanted
