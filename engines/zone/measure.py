"""How far a position is from a zone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from engines.zone import sphere
from engines.zone.boundary import ZoneBoundary
from engines.zone.model import Boundary
from engines.zone.polygon import Edge


def distance(boundary: Boundary, position: Sequence[float]) -> float:
    """
    How far outside of *boundary* a position is, 0 where it is within.

    In the coordinates' unit; in metres where they are geographic, z included.
    """
    x, y, z = (*position, 0.0)[:3]
    up = max(boundary.min_z - z, 0.0, z - boundary.max_z)
    if isinstance(boundary, ZoneBoundary) and not boundary.is_geographic:
        right = max(boundary.min_x - x, 0.0, x - boundary.max_x)
        ahead = max(boundary.min_y - y, 0.0, y - boundary.max_y)
        return math.hypot(right, ahead, up)
    if boundary.contains((x, y, min(max(z, boundary.min_z), boundary.max_z))):
        return up
    edges = edges_of(boundary)
    if boundary.is_geographic:
        return math.hypot(sphere.metres_to_edges(edges, x, y), up)
    return math.hypot(_to_edges(edges, x, y), up)


def edges_of(boundary: Boundary) -> Iterable[Edge]:
    """(x1, y1, x2, y2) of all rings; of a box its four sides."""
    if not isinstance(boundary, ZoneBoundary):
        return boundary.edges()
    west, east, south, north = boundary.min_x, boundary.max_x, boundary.min_y, boundary.max_y
    corners = [(west, south), (east, south), (east, north), (west, north)]
    return ((*a, *b) for a, b in zip(corners, [*corners[1:], corners[0]], strict=True))


def _to_edges(edges: Iterable[Edge], x: float, y: float) -> float:
    best = math.inf
    for x1, y1, x2, y2 in edges:
        dx, dy = x2 - x1, y2 - y1
        length = dx * dx + dy * dy
        along = min(max(((x - x1) * dx + (y - y1) * dy) / length, 0.0), 1.0) if length else 0.0
        best = min(best, math.hypot(x1 + along * dx - x, y1 + along * dy - y))
    return best
