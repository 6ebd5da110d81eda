"""Where points lie: held against exact arithmetic, zone by zone."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary, ZonePolygon
from engines.zone.index import ZoneIndex
from engines.zone.predicates import side, sides
from tests.zone.shapes import Point, boxes, inside, on_edge, points, stars, with_hole

shapes = st.lists(st.one_of(boxes, stars, with_hole), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(shapes, points)
def test_batches_agree_with_exact_arithmetic(zones: list[Any], where: list[Point]) -> None:
    """All zones of each point, and the first of them; corners and edges included."""
    index = ZoneIndex(zones)
    found: list[list[int]] = [[] for _ in where]
    for point, zone in zip(*(column.tolist() for column in index.pairs(where)), strict=True):
        found[point].append(zone)
    expected = [[n for n, zone in enumerate(zones) if inside(zone, point)] for point in where]
    assert found == expected
    assert index.locate(where).tolist() == [numbers[0] if numbers else -1 for numbers in expected]


@settings(max_examples=45, deadline=None)
@given(st.one_of(stars, with_hole), points)
def test_contains_takes_edges_in(zone: ZonePolygon, where: list[Point]) -> None:
    """One position and one zone: closed, as boxes are."""
    for point in where:
        assert zone.contains(point) == (inside(zone, point) or on_edge(zone, point))


def jagged(count: int) -> list[ZonePolygon]:
    """A tiling by cells that share all their edges."""
    corner = {
        (i, j): (3 * i + (i * 7 + j * 5) % 3, 3 * j + (i * 5 + j * 11) % 3)
        for i in range(count + 1)
        for j in range(count + 1)
    }
    return [
        ZonePolygon(
            ((tuple(corner[c] for c in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))),),)
        )
        for i in range(count)
        for j in range(count)
    ]


def test_of_a_tiling_each_point_lies_in_exactly_one_zone() -> None:
    """Corners and edges too, whatever the slope."""
    tiles = jagged(6)
    grid = np.stack(np.meshgrid(np.arange(3, 17.01, 0.25), np.arange(3, 17.01, 0.25)), -1)
    where = grid.reshape(-1, 2)
    corners = np.array([corner for tile in tiles for corner in tile.polygons[0][0]])
    where = np.concatenate([where, corners[(corners > 2).all(1) & (corners < 17).all(1)]])
    point, _ = ZoneIndex(tiles).pairs(where)
    assert np.bincount(point, minlength=len(where)).tolist() == [1] * len(where)


def test_the_order_of_zones_and_points_changes_nothing() -> None:
    """By name: nested ones first, then the smallest, then the alphabet."""
    city, ward, other = ZoneBoundary(0, 9, 0, 9), ZoneBoundary(2, 4, 2, 4), ZoneBoundary(2, 4, 2, 4)
    zones = [Zone("City", city), Zone("Ward", ward), Zone("Aside", other)]
    for ordered in (zones, zones[::-1]):
        registry = DynamicZoneRegistry(ordered)
        assert registry.locate_points([(3, 3), (5, 5), (9, 9)]) == ["Aside", "City", None]
        registry.nest("Ward", "City")
        assert registry.locate_points([(3, 3)]) == ["Ward"]
        assert registry.around([(3, 3), (-1, 0)]) == [("Ward", "Aside", "City"), ()]


def test_levels_are_half_open_and_flat_zones_have_one_z() -> None:
    """Storeys that lie on each other share no point."""
    storeys = [ZoneBoundary(0, 1, 0, 1, z, z + 3) for z in (0, 3, 6)]
    flat = ZoneBoundary(0, 1, 0, 1, 3, 3)
    index = ZoneIndex([*storeys, flat])
    point, zone = index.pairs([(0.5, 0.5, z) for z in (-1, 0, 2.9, 3, 8.9, 9)])
    assert list(zip(point.tolist(), zone.tolist(), strict=True)) == [
        (1, 0),
        (2, 0),
        (3, 1),
        (3, 3),
        (4, 2),
    ]


@pytest.mark.parametrize(
    "points_", [[(math.nan, 0)], [(0, math.inf)], [1, 2], [(1,)], [(1, 2, 3, 4)], [("a", "b")]]
)
def test_what_is_no_point_is_refused(points_: Any) -> None:
    """A message, not -1."""
    with pytest.raises(InvalidInput, match="point"):
        ZoneIndex([ZoneBoundary(0, 1, 0, 1)]).locate(points_)


def test_no_zones_and_no_points_are_no_trouble() -> None:
    """Nothing is nowhere."""
    assert ZoneIndex([]).locate([(0, 0)]).tolist() == [-1]
    assert ZoneIndex([ZoneBoundary(0, 1, 0, 1)]).locate([]).tolist() == []
    line = ZoneIndex([ZoneBoundary(0, 0, 0, 1), ZoneBoundary(1, 1, 1, 1)])
    assert line.locate([(0, 0.5), (1, 1)]).tolist() == [-1, -1]


def test_sizes_may_differ_by_magnitudes() -> None:
    """A zone as large as a country, one as small as a door, and one a nanometre wide far away."""
    huge, tiny = ZoneBoundary(-1e9, 1e9, -1e9, 1e9), ZoneBoundary(5, 5.0001, 5, 5.0001)
    far = ZoneBoundary(1e6, 1e6 + 1e-9, 0, 1e-9)
    index = ZoneIndex([far, tiny, huge])
    where = [(5.00005, 5.00005), (6, 6), (2e9, 0), (1e6 + 5e-10, 5e-10)]
    assert index.locate(where).tolist() == [1, 2, -1, 0]


nearly = st.floats(-1e3, 1e3).flatmap(
    lambda x: st.sampled_from([x, math.nextafter(x, 1e9), math.nextafter(x, -1e9), x / 3])
)


@settings(max_examples=60)
@given(st.tuples(nearly, nearly, nearly, nearly), st.floats(0, 1), st.integers(-2, 2))
def test_sides_are_exact_beside_a_line(
    line: tuple[float, float, float, float], share: float, steps: int
) -> None:
    """Points a rounding away from the line, where floating point alone would guess."""
    ax, ay, bx, by = line
    px, py = ax + share * (bx - ax), ay + share * (by - ay)
    for _ in range(abs(steps)):
        py = math.nextafter(py, math.copysign(math.inf, steps))
    a, b, c, d, e, f = map(Fraction, (ax, ay, bx, by, px, py))
    turn = (c - a) * (f - b) - (d - b) * (e - a)
    sign = (turn > 0) - (turn < 0)
    assert side(ax, ay, bx, by, px, py) == sign
    columns = [np.array([value]) for value in (ax, ay, bx, by, px, py)]
    assert sides(*columns).tolist() == [sign]
