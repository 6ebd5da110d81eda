"""Positions on the earth: degrees of longitude and latitude, distances in metres."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

POLE = 90.0
_HALF = 180.0
_TURN = 360.0
_RADIUS_M = 6_371_008.8  # the mean radius, IUGG
_SYSTEMS = frozenset({"wgs84", "geographic", "crs84", "ogc:crs84", "epsg:4326", "lonlat"})


def is_geographic(system: str) -> bool:
    """Whether a coordinate system of that name (in lower case) has degrees."""
    return system in _SYSTEMS


def wrapped(longitude: float) -> float:
    """*longitude* within ±180."""
    return longitude if abs(longitude) <= _HALF else math.remainder(longitude, _TURN)


def aliases(longitude: float) -> tuple[float, ...]:
    """*longitude* within ±180; the antimeridian by both its names."""
    turned = wrapped(longitude)
    return (_HALF, -_HALF) if abs(turned) == _HALF else (turned,)


def once_around(corners: Sequence[tuple[float, float]]) -> bool:
    """Whether a ring that is not closed ends a whole turn from where it begins."""
    (x1, y1), (x2, y2) = corners[0], corners[-1]
    return abs(x2 - x1) == _TURN and y1 == y2


def haversine(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Metres between two places along a great circle of a sphere (within 0.6 % of the earth's)."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin((phi2 - phi1) / 2)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2)
    a = half_lat * half_lat + math.cos(phi1) * math.cos(phi2) * half_lon * half_lon
    return 2 * _RADIUS_M * math.asin(math.sqrt(min(a, 1.0)))


def metres_to_edges(
    edges: Iterable[tuple[float, float, float, float]], x: float, y: float
) -> float:
    """
    Metres from a place to the nearest of *edges*.

    The nearest point of an edge is sought where the place's own metres per degree hold, which is
    good for what a hysteresis is: far less than the edge is from a pole.
    """
    east = max(math.cos(math.radians(y)), 1e-9)
    best = math.inf
    for x1, y1, x2, y2 in edges:
        # The turn of the earth in which the edge is nearest.
        shift = _TURN * round(((x1 + x2) / 2 - x) / _TURN)
        ax, ay = (x1 - shift - x) * east, y1 - y
        dx, dy = (x2 - x1) * east, y2 - y1
        length = dx * dx + dy * dy
        along = min(max(-(ax * dx + ay * dy) / length, 0.0), 1.0) if length else 0.0
        near_x, near_y = x1 + along * (x2 - x1), y1 + along * dy
        best = min(best, haversine(x, y, near_x, near_y))
    return best
