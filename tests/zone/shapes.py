"""Polygons on whole numbers, and where points lie in them by arithmetic with fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import atan2
from typing import TypeAlias

from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.zone import ZoneBoundary, ZonePolygon

Point: TypeAlias = "tuple[float, ...]"

SIZE = 8
whole = st.integers(0, SIZE)
points = st.lists(
    st.tuples(st.integers(-2, 2 * SIZE + 2), st.integers(-2, 2 * SIZE + 2)).map(
        lambda p: (p[0] / 2, p[1] / 2)
    ),
    min_size=1,
    max_size=30,
)


def _star(corners: list[tuple[int, int]]) -> ZonePolygon | None:
    """The corners in order around their middle: mostly a simple ring, often not convex."""
    x = sum(c[0] for c in corners) / len(corners)
    y = sum(c[1] for c in corners) / len(corners)
    ring = tuple(sorted(corners, key=lambda c: (atan2(c[1] - y, c[0] - x), c)))
    try:
        return ZonePolygon(((ring,),))
    except InvalidInput:
        return None


stars = (
    st.lists(st.tuples(whole, whole), min_size=3, max_size=12, unique=True)
    .map(_star)
    .filter(lambda star: star is not None)
)
boxes = st.builds(
    lambda x, y, w, h: ZoneBoundary(x, x + w, y, y + h),
    whole,
    whole,
    st.integers(1, SIZE),
    st.integers(1, SIZE),
)
with_hole = st.builds(
    lambda x, y: ZonePolygon(
        (
            (
                ((x, y), (x + 4, y), (x + 4, y + 4), (x, y + 4)),
                ((x + 1, y + 1), (x + 1, y + 3), (x + 3, y + 2)),
            ),
            (((x + 5, y), (x + 7, y + 1), (x + 5, y + 3)),),
        )
    ),
    whole,
    whole,
)


def rings_of(boundary: ZoneBoundary | ZonePolygon) -> list[Sequence[Point]]:
    if isinstance(boundary, ZonePolygon):
        return [ring for rings in boundary.polygons for ring in rings]
    west, east, south, north = boundary.min_x, boundary.max_x, boundary.min_y, boundary.max_y
    return [[(west, south), (east, south), (east, north), (west, north)]]


def on_edge(boundary: ZoneBoundary | ZonePolygon, point: Point) -> bool:
    px, py = map(Fraction, point[:2])
    for ring in rings_of(boundary):
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            (ax, ay), (bx, by) = map(Fraction, a), map(Fraction, b)
            level = (bx - ax) * (py - ay) == (by - ay) * (px - ax)
            if level and min(ax, bx) <= px <= max(ax, bx) and min(ay, by) <= py <= max(ay, by):
                return True
    return False


def inside(boundary: ZoneBoundary | ZonePolygon, point: Point) -> bool:
    """By the definition: whether the point is within, moved right by d and up by d², d tiny."""
    # On whole numbers up to 8 no line comes nearer to a half than this without going through it.
    d = Fraction(1, 10**6)
    px, py = Fraction(point[0]) + d, Fraction(point[1]) + d * d
    odd = False
    for ring in rings_of(boundary):
        for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
            (ax, ay), (bx, by) = map(Fraction, a), map(Fraction, b)
            if (ay > py) != (by > py):
                odd ^= ax + (py - ay) * (bx - ax) / (by - ay) > px
    return odd
