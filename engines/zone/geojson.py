"""
Zones as GeoJSON (RFC 7946) and back.

Out: one feature for each zone, outer rings counterclockwise and holes clockwise, cut at the
antimeridian, with a `bbox` whose west is east of its east where the zone goes across.  In:
polygons and collections of them, rings in either direction.  Properties that a zone has no field
for become its metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engines import checks
from engines.errors import InvalidInput
from engines.zone import sphere
from engines.zone.boundary import ZoneBoundary
from engines.zone.model import Boundary, Zone
from engines.zone.polygon import Ring, ZonePolygon, ring_area

_FIELDS = ("capacity", "sensitivity", "tags")
_LEVELS = ("min_z", "max_z", "coordinate_system")
_WIDEST = 180.0
_BOX_CORNERS = 4


class Imported(NamedTuple):
    """A zone, and the name of the one it is a part of, where the feature says one."""

    zone: Zone
    parent: str | None


def zones_as_geojson(zones: Iterable[tuple[Zone, str | None]]) -> dict[str, Any]:
    """A FeatureCollection of zones, each with the name of the one it is a part of, or None."""
    return {"type": "FeatureCollection", "features": [_feature(*pair) for pair in zones]}


def zones_from_geojson(
    document: Any, *, name: str = "name", wide: str | None = None
) -> list[Imported]:
    """
    The zones of a GeoJSON document.

    Args:
        document: A FeatureCollection, a Feature, or a bare geometry's Feature, as JSON is read.
        name: The property that names a zone; without it the feature's `id` does.
        wide: What an edge of more than 180 degrees of longitude means: "short" for the other way
            round the earth, "long" for just that (as RFC 7946 has it); None refuses it.

    Raises:
        InvalidInput: It is something else, a geometry is none of an area, or not fit for a zone,
            or two features have one name.
    """
    if wide not in {None, "short", "long"}:
        raise InvalidInput(f"wide edges go 'short' or 'long', found {wide!r}")
    found: list[Imported] = []
    names: set[str] = set()
    for number, feature in enumerate(_features(document)):
        try:
            one = _zone(feature, name, wide)
        except InvalidInput as error:
            raise InvalidInput(f"feature {number}: {error.message}", hint=error.hint) from None
        label = one.zone.name
        if label in names:
            raise InvalidInput(f"feature {number}: a feature before it is named {label!r} too")
        names.add(label)
        found.append(one)
    return found


# --- out -------------------------------------------------------------------------------------


def _feature(zone: Zone, parent: str | None) -> dict[str, Any]:
    edge = zone.boundary
    polygons = [
        [_closed(ring, out=not n) for n, ring in enumerate(rings)] for rings in _rings(edge)
    ]
    single = len(polygons) == 1
    properties: dict[str, Any] = {
        **(zone.metadata or {}),
        "name": zone.name,
        "capacity": zone.capacity,
        "sensitivity": zone.sensitivity,
        "tags": list(zone.tags),
        **{key: getattr(edge, key) for key in _LEVELS},
    }
    if parent is not None:
        properties["parent"] = parent
    return {
        "type": "Feature",
        "bbox": _bbox(edge),
        "geometry": {
            "type": "Polygon" if single else "MultiPolygon",
            "coordinates": polygons[0] if single else polygons,
        },
        "properties": properties,
    }


def _rings(edge: Boundary) -> Sequence[Sequence[Ring]]:
    if isinstance(edge, ZonePolygon):
        return edge.polygons
    west, east, south, north = edge.min_x, edge.max_x, edge.min_y, edge.max_y
    return (((((west, south), (east, south), (east, north), (west, north))),),)


def _closed(ring: Ring, *, out: bool) -> list[list[float]]:
    """Closed, in the direction of RFC 7946, with no edge wider than half a turn."""
    corners = list(ring) if (ring_area(ring) > 0) == out else list(reversed(ring))
    closed: list[list[float]] = []
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        closed.append([x1, y1])
        if abs(x2 - x1) > _WIDEST:
            closed.append([(x1 + x2) / 2, (y1 + y2) / 2])
    return [*closed, closed[0]]


def _bbox(edge: Boundary) -> list[float]:
    west, east = edge.min_x, edge.max_x
    if isinstance(edge, ZonePolygon) and sphere.is_geographic(edge.coordinate_system):
        spans = sorted((min(x for x, _ in r[0]), max(x for x, _ in r[0])) for r in edge.polygons)
        if len(spans) > 1 and (west, east) == (-180.0, 180.0):
            west, east = _across(spans)
    return [west, edge.min_y, east, edge.max_y]


def _across(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """West and east around the widest stretch of longitudes that *spans* leave free."""
    reach, widest, box = spans[0][1], 0.0, (-180.0, 180.0)
    for low, high in spans[1:]:
        if low - reach > widest:
            widest, box = low - reach, (low, reach)
        reach = max(reach, high)
    return box


# --- in --------------------------------------------------------------------------------------


def _features(document: Any) -> Iterator[Mapping[str, Any]]:
    kind = document.get("type") if isinstance(document, Mapping) else None
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        for feature in document["features"]:
            yield from _features(feature)
    elif kind == "Feature":
        yield document
    else:
        raise InvalidInput(f"not GeoJSON of features: found {str(document)[:60]!r}")


def _zone(feature: Mapping[str, Any], name: str, wide: str | None) -> Imported:
    properties = dict(checks.mapping(feature.get("properties"), "properties"))
    label = properties.pop(name, feature.get("id"))
    if isinstance(label, int | float) and not isinstance(label, bool):
        label = str(label)
    if label is None:
        raise InvalidInput(f"it has no property {name!r} and no id to name the zone by")
    fields = {key: properties.pop(key) for key in _FIELDS if key in properties}
    levels = {key: properties.pop(key) for key in _LEVELS if key in properties}
    levels.setdefault("coordinate_system", "wgs84")
    parent = properties.pop("parent", None)
    polygons = list(_polygons(feature.get("geometry")))
    edge = _boundary(polygons, levels, wide)
    zone = Zone(label, edge, **fields, metadata=properties)
    return Imported(zone, None if parent is None else checks.name(parent, "parent"))


def _polygons(geometry: Any) -> Iterator[Any]:
    if not isinstance(geometry, Mapping):
        raise InvalidInput("it has no geometry")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        yield _rows(coordinates)
    elif kind == "MultiPolygon" and isinstance(coordinates, list):
        yield from map(_rows, coordinates)
    elif kind == "GeometryCollection" and isinstance(geometry.get("geometries"), list):
        for part in geometry["geometries"]:
            yield from _polygons(part)
    else:
        raise InvalidInput(f"a zone is an area: Polygon or MultiPolygon, found {kind!r}")


def _rows(polygon: Any) -> Any:
    if not (isinstance(polygon, list) and all(isinstance(ring, list) for ring in polygon)):
        raise InvalidInput(f"a polygon is a list of rings, found {str(polygon)[:60]!r}")
    return polygon


def _boundary(polygons: Sequence[Any], levels: Mapping[str, Any], wide: str | None) -> Boundary:
    system = checks.name(levels["coordinate_system"], "coordinate_system").lower()
    if sphere.is_geographic(system):
        polygons = [[_meant(ring, wide) for ring in rings or ()] for rings in polygons]
    shape = checks.built(ZonePolygon, {"polygons": polygons, **levels}, "geometry")
    return _as_box(shape) or shape


def _meant(ring: Any, wide: str | None) -> Any:
    """*ring* with its wide edges as they are meant."""
    from engines.zone.antimeridian import unwrapped  # noqa: PLC0415
    from engines.zone.boundary import coordinates  # noqa: PLC0415

    corners = [coordinates(corner)[:2] for corner in ring or ()]
    steps = zip(corners, [*corners[1:], *corners[:1]], strict=True)
    widest = max((abs(b[0] - a[0]) for a, b in steps), default=0.0)
    if widest <= _WIDEST or wide == "long" or (len(corners) > 1 and sphere.once_around(corners)):
        return corners
    if wide is None:
        raise InvalidInput(
            f"an edge goes over {widest:g} degrees of longitude",
            hint="cut it at the antimeridian, or say which way it goes: --wide-edges short|long",
        )
    return unwrapped(corners[:-1] if corners[0] == corners[-1] else corners)


def _as_box(shape: ZonePolygon) -> ZoneBoundary | None:
    """A rectangle along the axes as the box that it is."""
    if len(shape.polygons) != 1 or len(shape.polygons[0]) != 1:
        return None
    (ring,) = shape.polygons[0]
    box = {(x, y) for x in (shape.min_x, shape.max_x) for y in (shape.min_y, shape.max_y)}
    if set(ring) != box or len(ring) != _BOX_CORNERS:
        return None
    limits = (shape.min_x, shape.max_x, shape.min_y, shape.max_y, shape.min_z, shape.max_z)
    return ZoneBoundary(*limits, coordinate_system=shape.coordinate_system)
