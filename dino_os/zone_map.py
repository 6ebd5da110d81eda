"""Zones drawn: with characters for a terminal, and as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dino_os import svg
from dino_os.errors import InvalidInput
from engines.zone import DynamicZoneRegistry, ZoneBoundary, ZoneSnapshot

_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_OTHERS = "#"
_NOWHERE = "·"
_TALL = 2  # a character is about twice as high as it is wide
_MARGIN = 10
_LINE = 14


class Extent(NamedTuple):
    """What is drawn, and how much wider than high a unit of x is to be against one of y."""

    west: float
    south: float
    east: float
    north: float
    x_scale: float

    @property
    def wide(self) -> float:
        return (self.east - self.west) * self.x_scale or 1.0

    @property
    def high(self) -> float:
        return self.north - self.south or 1.0


def extent_of(zones: Sequence[ZoneSnapshot]) -> Extent:
    """
    Around all of *zones*.

    Raises:
        InvalidInput: There are none.
    """
    if not zones:
        raise InvalidInput("no zones to draw", hint="`dino zone add` or `dino zone import`")
    edges = [snapshot.zone.boundary for snapshot in zones]
    west, east = min(e.min_x for e in edges), max(e.max_x for e in edges)
    south, north = min(e.min_y for e in edges), max(e.max_y for e in edges)
    degrees = all(e.is_geographic for e in edges)
    scale = max(math.cos(math.radians((south + north) / 2)), 0.05) if degrees else 1.0
    return Extent(west, south, east, north, scale)


def signs_for(zones: Sequence[ZoneSnapshot]) -> dict[str, str]:
    """The character of each zone, by name; those beyond the alphabet share one."""
    return {
        snapshot.zone.name: _SIGNS[number] if number < len(_SIGNS) else _OTHERS
        for number, snapshot in enumerate(zones)
    }


def as_text(
    registry: DynamicZoneRegistry, zones: Sequence[ZoneSnapshot], columns: int, z: float
) -> list[str]:
    """
    Lines of *columns* characters at most, north above: which zone the middle of each lies in.

    A zone in which none of these lies has the character over its own middle, where that is free.

    Raises:
        InvalidInput: There are no zones.
    """
    extent = extent_of(zones)
    rows = max(round(columns * extent.high / extent.wide / _TALL), 1)
    if rows > columns:
        columns, rows = max(columns * columns // rows, 1), columns
    signs = signs_for(zones)
    x_step, y_step = (extent.east - extent.west) / columns, (extent.north - extent.south) / rows
    points = [
        (extent.west + (column + 0.5) * x_step, extent.north - (row + 0.5) * y_step, z)
        for row in range(rows)
        for column in range(columns)
    ]
    names = registry.locate_points(points)
    for snapshot in zones:
        edge = snapshot.zone.boundary
        if snapshot.zone.name not in names and edge.min_z <= z <= edge.max_z:
            across = (edge.min_x + edge.max_x) / 2 - extent.west
            down = extent.north - (edge.min_y + edge.max_y) / 2
            column = min(int(across / x_step), columns - 1) if x_step else 0
            place = (min(int(down / y_step), rows - 1) if y_step else 0) * columns + column
            names[place] = names[place] or snapshot.zone.name
    found = [signs.get(name or "", _NOWHERE) for name in names]
    return ["".join(found[row * columns : (row + 1) * columns]) for row in range(rows)]


def as_svg(zones: Sequence[ZoneSnapshot], width: float = 800.0) -> str:
    """
    A picture of zones, coloured by how full they are; small ones lie upon large ones.

    Raises:
        InvalidInput: There are none.
    """
    extent = extent_of(zones)
    scale = (width - 2 * _MARGIN) / max(extent.wide, extent.high)
    height = extent.high * scale + 2 * _MARGIN

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - extent.west) * extent.x_scale * scale
        return _MARGIN + across, _MARGIN + (extent.north - y) * scale

    ordered = sorted(zones, key=lambda s: (-s.zone.boundary.area(), s.zone.name))
    shapes, labels = [], []
    for snapshot in ordered:
        rings = [[place(*corner) for corner in ring] for ring in _rings(snapshot)]
        outline = " ".join(
            "M " + " L ".join(f"{svg.number(x)} {svg.number(y)}" for x, y in ring) + " Z"
            for ring in rings
        )
        told = f"{snapshot.zone.name}: {snapshot.occupancy} of {snapshot.zone.capacity}"
        shapes.append(
            svg.path(
                outline,
                fill=_colour(snapshot.utilisation),
                fill_opacity=0.6,
                fill_rule="evenodd",
                stroke="#333",
                stroke_width=1,
            )
        )
        xs, ys = zip(*rings[0], strict=True)
        middle = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        if (max(ys) - min(ys)) > _LINE and (max(xs) - min(xs)) > _LINE * len(told) / 2:
            labels.append(svg.text(*middle, told, text_anchor="middle", font_size=11))
    return svg.document(
        extent.wide * scale + 2 * _MARGIN, height, *shapes, *labels, title="zones and occupancy"
    )


def _rings(snapshot: ZoneSnapshot) -> list[list[tuple[float, float]]]:
    edge = snapshot.zone.boundary
    if isinstance(edge, ZoneBoundary):
        west, east, south, north = edge.min_x, edge.max_x, edge.min_y, edge.max_y
        return [[(west, south), (east, south), (east, north), (west, north)]]
    return [list(ring) for rings in edge.polygons for ring in rings]


def _colour(load: float) -> str:
    """Green where there is room, over yellow to red where there is none."""
    share = min(max(load, 0.0), 1.0)
    return f"hsl({svg.number(120 * (1 - share))} 70% 50%)"
