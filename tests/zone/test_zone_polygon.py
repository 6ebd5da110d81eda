"""Polygons that are fit for a zone, and those that are not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary, ZonePolygon
from engines.zone.geojson import zones_as_geojson, zones_from_geojson
from engines.zone.index import ZoneIndex
from tests.zone.shapes import Point, inside, on_edge, points, stars, with_hole

NAN, INF = float("nan"), float("inf")
SQUARE = ((0, 0), (4, 0), (4, 4), (0, 4))
LAKE = ((1, 1), (3, 1), (3, 3), (1, 3))
INNER = ((1, 1), (1, 2), (2, 2), (2, 1))


def geographic(*ring: tuple[float, float]) -> ZonePolygon:
    return ZonePolygon(((ring,),), coordinate_system="wgs84")


@pytest.mark.parametrize(
    ("polygons", "message"),
    [
        ([[[(0, 0), (1, 1), (1, 0), (0, 1)]]], "no area"),
        ([[[(0, 0), (2, 2), (2, 0), (0, 1)]]], "meets itself"),
        ([[[(0, 0), (1, 1), (2, 2)]]], "no area"),
        ([[[(0, 0), (0, 0), (1, 1), (0, 0)]]], "three corners"),
        ([[[(0, 0), (NAN, 1), (1, 0)]]], "x must be finite, found nan"),
        ([[[(0, 0), (1, INF), (1, 0)]]], "y must be finite"),
        ([[[(0, 0), (4, 0), (4, 4), (6, 4), (4, 4), (0, 4)]]], "meets itself"),  # a spike
        ([[[(0, 0), (2, 0), (2, 2), (1, 0), (0, 2)]]], "meets itself"),  # touches an edge
        ([[[(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)]]], "meets itself"),  # a corner twice
        ([[SQUARE, [(5, 5), (6, 5), (6, 6)]]], "outside of its polygon"),
        ([[SQUARE, [(3, 1), (5, 1), (5, 2)]]], "cross or share"),
        ([[SQUARE, [(0, 1), (0, 2), (1, 2)]]], "cross or share"),  # an edge on an edge
        ([[SQUARE, INNER, INNER]], "cross or share"),
        ([[SQUARE, LAKE, ((1.5, 1.5), (2, 1.5), (2, 2))]], "lies in another"),
        ([[SQUARE], [INNER]], "overlap"),
        ([[SQUARE], [((2, 2), (6, 2), (6, 6), (2, 6))]], "cross or share"),
        ([], "needs rings"),
        ([[]], "needs an outer ring"),
        ("text", "needs rings"),
        ([[["a", "b", "c"]]], "a position needs x and y|must be a number"),
    ],
)
def test_a_degenerate_polygon_is_refused(polygons: Any, message: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(InvalidInput, match=message):
        ZonePolygon(polygons)


def test_rings_may_touch_in_points() -> None:
    """A hole at a corner of its polygon, two parts that share a corner, an island in a lake."""
    ZonePolygon(((SQUARE, ((0, 0), (1, 2), (2, 1))),))
    ZonePolygon(((SQUARE,), (((4, 4), (6, 4), (6, 6)),)))
    island = ZonePolygon(((SQUARE, LAKE), (((1.5, 1.5), (2, 1.5), (2, 2)),)))
    assert island.area() == 16 - 4 + 0.125
    assert [island.contains(p) for p in ((1.9, 1.6), (2.5, 2.5), (1, 2), (0.5, 2))] == [
        *(True, False, True, True)
    ]


def test_a_polygon_is_recorded_and_read_again() -> None:
    """Zones take either kind of boundary, also as a mapping."""
    registry = DynamicZoneRegistry()
    zone = registry.register_zone({"name": "Lot", "boundary": {"polygons": [[SQUARE, INNER]]}})
    assert isinstance(zone.boundary, ZonePolygon)
    assert registry.list_zones() == (zone,)
    assert zone.boundary == ZonePolygon(((SQUARE, INNER),))
    assert registry.locate_points([(3, 3), (1.5, 1.5)]) == ["Lot", None]
    assert registry.contains("Lot", (1, 1))


def test_the_antimeridian_is_cut_and_has_two_names() -> None:
    """Longitudes go on beyond 180; either name of a place finds the zone."""
    fiji = geographic((177, -20), (182, -20), (182, -15), (177, -15))
    assert (fiji.min_x, fiji.max_x, len(fiji.polygons), fiji.area()) == (-180, 180, 2, 25)
    for x in (178, 180, -180, -178.5, 181.5, 540):
        assert fiji.contains((x, -17))
    assert not fiji.contains((0, -17))
    assert not fiji.contains((-177, -17))
    where = [(178, -17), (180, -17), (-180, -17), (181.9, -17), (-178, -17), (176, -17)]
    assert ZoneIndex([fiji]).locate(where).tolist() == [0, 0, 0, 0, -1, -1]
    assert ZonePolygon.around(177, -20, -178, -15).area() == 25


def test_a_hole_across_the_antimeridian_stays_a_hole() -> None:
    """It becomes a bay of either half."""
    ring = ZonePolygon(
        (
            (
                ((170, -10), (190, -10), (190, 10), (170, 10)),
                ((175, -5), (185, -5), (185, 5), (175, 5)),
            ),
        ),
        coordinate_system="wgs84",
    )
    assert ring.area() == 300
    assert not ring.contains((180, 0))
    assert ring.contains((180, 7))
    index = ZoneIndex([ring])
    assert index.locate([(180, 0), (179, 7), (-179, -7), (-176, 0), (-174, 0)]).tolist() == [
        *(-1, 0, 0, -1, 0)
    ]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("begin", [0, 33, 180, -180])
@pytest.mark.parametrize("step", [90, -90])
def test_a_ring_once_around_takes_in_its_pole(sign: int, begin: int, step: int) -> None:
    """Wherever it begins and whichever way it goes; the pole is one place."""
    ring = [(begin + step * n, sign * (70 + 5 * (n % 2))) for n in range(5)]
    if max(abs(x) for x, _ in ring) > 540:
        ring = [(x - 360 * (1 if x > 0 else -1), y) for x, y in ring]
    cap = geographic(*ring)
    for x in (0, 77, 180, -179):
        assert cap.contains((x, sign * 90))
        assert cap.contains((x, sign * 80))
        assert not cap.contains((x, sign * 60))
        assert not cap.contains((x, sign * -90))
    found = ZoneIndex([cap]).locate([(x, sign * y) for x in (0, 123, 180) for y in (90, 80, 60)])
    assert found.tolist() == [0, 0, -1] * 3


def test_degrees_beyond_the_globe_are_refused() -> None:
    """A latitude above 90 is none."""
    with pytest.raises(InvalidInput, match="latitude beyond"):
        geographic((0, 0), (1, 91), (2, 0))
    with pytest.raises(InvalidInput, match="longitude beyond"):
        geographic((0, 0), (1000, 1), (2, 0))


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def test_zones_go_out_as_geojson_and_come_back() -> None:
    """Boxes as boxes, polygons with their holes, levels, fields and the zone around."""
    zones = [
        (Zone("Box", ZoneBoundary(0, 2, 0, 1, 0, 3), 4, 0.25, ("wet",), {"owner": "x"}), None),
        (Zone("Ring", ZonePolygon(((SQUARE, INNER),), 0, 3)), "Box"),
        (Zone("Fiji", ZonePolygon.around(177, -20, -178, -15)), None),
    ]
    document = zones_as_geojson(zones)
    again = zones_from_geojson(document)
    assert zones_as_geojson((one.zone, one.parent) for one in again) == document
    assert [(one.zone.name, one.parent) for one in again] == [
        *(("Box", None), ("Ring", "Box"), ("Fiji", None))
    ]
    assert again[0].zone == zones[0][0]
    assert document["features"][2]["bbox"] == [177, -20, -178, -15]
    outer, hole = document["features"][1]["geometry"]["coordinates"]
    assert turn(outer) > 0 > turn(hole)
    assert outer[0] == outer[-1]


def turn(ring: list[list[float]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))


def test_a_wide_edge_must_be_explained() -> None:
    """RFC 7946 has it go the long way, who drew it mostly meant the short one."""
    ring = [(177, -20), (-178, -20), (-178, -15), (177, -15), (177, -20)]
    given = feature(polygon(ring), name="Fiji")
    with pytest.raises(InvalidInput, match="feature 0: an edge goes over 355 degrees"):
        zones_from_geojson(given)
    (short,) = zones_from_geojson(given, wide="short")
    assert short.zone.boundary.area() == 25
    (long,) = zones_from_geojson(given, wide="long")
    assert long.zone.boundary.area() == 355 * 5
    arctic = [(0, 70), (90, 70), (180, 70), (-90, 70), (0, 70)]
    (cap,) = zones_from_geojson(feature(polygon(arctic), name="Arctic"), wide="short")
    assert cap.zone.boundary.area() == 360 * 20
    assert cap.zone.boundary.contains((12, 90))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "Point"}, "not GeoJSON"),
        ([], "not GeoJSON"),
        (feature(None, name="A"), "feature 0: it has no geometry"),
        (feature({"type": "Point", "coordinates": [0, 0]}, name="A"), "area: .* found 'Point'"),
        (feature(polygon([(0, 0), (1, 0), (1, 1)])), "no property 'name' and no id"),
        (feature(polygon([(0, 0), (1, 0), (2, 0)]), name="A"), "no area"),
        (feature(polygon(None), name="A"), "a list of rings"),
        (feature({"type": "Polygon", "coordinates": 5}, name="A"), "a list of rings, found '5'"),
        (feature({"type": "MultiPolygon", "coordinates": [[5]]}, name="A"), "a list of rings"),
        (
            {
                "type": "FeatureCollection",
                "features": [feature(polygon([(0, 0), (1, 0), (1, 1)]), name="A")] * 2,
            },
            "feature 1: a feature before it is named 'A' too",
        ),
        (feature(polygon([(0, 0), (1, 0), (1, 1)]), name="A", capacity=-1), "at least 0"),
    ],
)
def test_geojson_that_is_no_zone_is_refused(document: Any, message: str) -> None:
    """With the number of the feature."""
    with pytest.raises(InvalidInput, match=message):
        zones_from_geojson(document)


@settings(max_examples=90, deadline=None)
@given(st.one_of(stars, with_hole), points, st.sampled_from([1, 2, 3.5, 4, 7]))
def test_cutting_moves_no_point_across_an_edge(
    shape: ZonePolygon, where: list[Point], line: float
) -> None:
    """The antimeridian anywhere through polygons of all forms: corners, edges and notches on it."""
    moved = tuple(
        tuple(tuple((x + 180 - line, y) for x, y in ring) for ring in rings)
        for rings in shape.polygons
    )
    cut = ZonePolygon(moved, coordinate_system="wgs84")
    assert cut.area() == pytest.approx(shape.area())
    assert all(-180 <= x <= 180 for rings in cut.polygons for ring in rings for x, _ in ring)
    index = ZoneIndex([cut])
    for x, y in where:
        east = x + 180 - line
        if on_edge(shape, (x, y)):
            continue  # a corner that cutting makes is rounded, and may tilt an edge by as much
        assert cut.contains((east, y)) == inside(shape, (x, y))
        # On the antimeridian itself the eastern half decides, which begins there.
        assert (index.locate([(east, y)]).tolist() == [0]) == inside(shape, (x, y))
