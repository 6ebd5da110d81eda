"""Zones that are no boxes: polygons with holes, and several of them, between two levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from engines import checks
from engines.errors import InvalidInput
from engines.zone import sphere
from engines.zone.boundary import Position, coordinates
from engines.zone.predicates import side

Ring: TypeAlias = "tuple[tuple[float, float], ...]"
Edge: TypeAlias = "tuple[float, float, float, float]"

_CORNERS = 3


@dataclass(frozen=True, slots=True)
class ZonePolygon:
    """
    Polygons with straight edges, between two levels of z; their edges belong to them.

    Takes a `ZoneBoundary`'s place in a zone.  Each polygon is its outer ring and then its holes; a
    ring is its corners, not closed, in either direction (a last corner that repeats the first is
    taken away).  In a geographic system x is the longitude and y the latitude in degrees, an edge
    is straight in these two (RFC 7946), longitudes beyond ±180 go on, and what crosses the
    antimeridian is cut there; a ring once around the earth takes in the pole that it is nearer to.

    Raises:
        InvalidInput: A coordinate is not finite, a ring has no area, crosses or touches itself or
            another where it must not, a hole lies outside of its polygon, polygons overlap.
    """

    polygons: tuple[tuple[Ring, ...], ...]
    min_z: float = 0.0
    max_z: float = 0.0
    coordinate_system: str = "cartesian"

    def __post_init__(self) -> None:
        from engines.zone.validity import check_polygons  # noqa: PLC0415  numpy

        low, high = checks.finite(self.min_z, "min_z"), checks.finite(self.max_z, "max_z")
        if low > high:
            raise InvalidInput(f"boundary upside down: min_z {low:g} > max_z {high:g}")
        system = checks.name(self.coordinate_system, "coordinate_system").lower()
        polygons = read_polygons(self.polygons)
        if sphere.is_geographic(system):
            from engines.zone.antimeridian import cut  # noqa: PLC0415

            polygons = cut(polygons)
        check_polygons(polygons)
        self._set(polygons, low, high, system)

    @classmethod
    def recorded(cls, form: Mapping[str, Any]) -> ZonePolygon:
        """One that was checked before it was recorded."""
        polygon = object.__new__(cls)
        rings = tuple(
            tuple(tuple((x, y) for x, y in ring) for ring in rings) for rings in form["polygons"]
        )
        polygon._set(rings, form["min_z"], form["max_z"], form["coordinate_system"])
        return polygon

    @classmethod
    def around(cls, west: float, south: float, east: float, north: float) -> ZonePolygon:
        """A geographic box in degrees; across the antimeridian where *west* lies east of *east*."""
        beyond = east + 360 if west > east else east
        ring = ((west, south), (beyond, south), (beyond, north), (west, north))
        return cls(((ring,),), coordinate_system="wgs84")

    def _set(
        self, polygons: tuple[tuple[Ring, ...], ...], min_z: float, max_z: float, system: str
    ) -> None:
        object.__setattr__(self, "polygons", polygons)
        object.__setattr__(self, "min_z", min_z)
        object.__setattr__(self, "max_z", max_z)
        object.__setattr__(self, "coordinate_system", system)

    @property
    def min_x(self) -> float:
        return min(x for x, _ in self._outline())

    @property
    def max_x(self) -> float:
        return max(x for x, _ in self._outline())

    @property
    def min_y(self) -> float:
        return min(y for _, y in self._outline())

    @property
    def max_y(self) -> float:
        return max(y for _, y in self._outline())

    @property
    def is_geographic(self) -> bool:
        """Whether x and y are degrees of longitude and latitude."""
        return sphere.is_geographic(self.coordinate_system)

    @property
    def width(self) -> float:
        return self.max_x - self.min_x

    @property
    def height(self) -> float:
        return self.max_y - self.min_y

    @property
    def depth(self) -> float:
        return self.max_z - self.min_z

    def area(self) -> float:
        """In squares of the coordinates' unit (square degrees where they are geographic)."""
        return sum(
            abs(ring_area(outer)) - sum(abs(ring_area(hole)) for hole in holes)
            for outer, *holes in self.polygons
        )

    def volume(self) -> float:
        """Area times depth; a flat zone's volume is its area."""
        return self.area() * (self.depth or 1.0)

    def edges(self) -> Iterator[Edge]:
        """(x1, y1, x2, y2) of all rings."""
        for rings in self.polygons:
            for ring in rings:
                yield from ring_edges(ring)

    def contains(self, position: Position, *, altitude: float | None = None) -> bool:
        """Whether the position lies within or on an edge; z is 0 where none is given."""
        x, y, z = coordinates(position, altitude)
        if not self.min_z <= z <= self.max_z:
            return False
        if not sphere.is_geographic(self.coordinate_system):
            return place(self.edges(), x, y) >= 0
        if abs(y) >= sphere.POLE:  # one place, whatever its longitude
            return any(corner == y for _, corner in self._outline())
        return any(place(self.edges(), alias, y) >= 0 for alias in sphere.aliases(x))

    def _outline(self) -> Iterator[tuple[float, float]]:
        return (corner for outer, *_ in self.polygons for corner in outer)


def ring_edges(ring: Ring) -> Iterator[Edge]:
    for (x1, y1), (x2, y2) in pairwise((*ring, ring[0])):
        yield x1, y1, x2, y2


def ring_area(ring: Ring) -> float:
    """Positive where the corners go counterclockwise."""
    x0, y0 = ring[0]  # close to the ring, so that little cancels
    twice = sum(
        (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for x1, y1, x2, y2 in ring_edges(ring)
    )
    return twice / 2


def place(edges: Iterator[Edge], x: float, y: float) -> int:
    """1 inside of what *edges* bound (odd crossings of a ray), 0 on one of them, -1 outside."""
    inside = False
    for x1, y1, x2, y2 in edges:
        low, high = (y1, y2) if y1 < y2 else (y2, y1)
        if not low <= y <= high or (x > x1 and x > x2):
            continue
        turn = side(x1, y1, x2, y2, x, y)
        if turn == 0 and (x1 <= x <= x2 or x2 <= x <= x1):
            return 0
        if (y1 > y) != (y2 > y) and (turn > 0) == (y2 > y1):
            inside = not inside
    return 1 if inside else -1


def read_polygons(given: Any) -> tuple[tuple[Ring, ...], ...]:
    """
    Nested sequences as GeoJSON has them in a MultiPolygon, with numbers checked.

    Raises:
        InvalidInput: It is no such thing, or a ring has fewer than three corners.
    """
    if not _is_list(given) or not given:
        raise InvalidInput(f"a polygon needs rings of corners, found {given!r:.60}")
    polygons = []
    for rings in given:
        if not _is_list(rings) or not rings:
            raise InvalidInput(f"a polygon needs an outer ring, found {rings!r:.60}")
        polygons.append(tuple(_read_ring(ring) for ring in rings))
    return tuple(polygons)


def _read_ring(given: Any) -> Ring:
    if not _is_list(given):
        raise InvalidInput(f"a ring is a list of corners, found {given!r:.60}")
    corners: list[tuple[float, float]] = []
    for corner in given:
        x, y, _ = coordinates(corner)
        if not corners or corners[-1] != (x, y):
            corners.append((x, y))
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
        if sphere.once_around(corners):  # closed along a parallel: as drawn, not around a pole
            corners.append(corners.pop(0))
    if len(corners) < _CORNERS:
        raise InvalidInput(f"a ring needs three corners at least, found {given!r:.80}")
    return tuple(corners)


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)
