"""
What makes polygons fit to be a zone: rings that bound an area, once, and holes within.

The rules are those of OGC Simple Features: rings neither cross nor touch themselves, rings may
touch each other in points only.  Decided exactly (`engines.zone.predicates`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from engines.errors import InvalidInput
from engines.zone.polygon import Ring, place, ring_area, ring_edges
from engines.zone.predicates import sides

_AT_ONCE = 1 << 20  # pairs of edges


def check_polygons(polygons: Sequence[Sequence[Ring]]) -> None:
    """
    See `ZonePolygon`.

    Raises:
        InvalidInput: They are not fit; the message names the ring and the place.
    """
    for ring in (ring for rings in polygons for ring in rings):
        if not _has_area(ring):
            raise InvalidInput(f"a ring has no area: {_shown(ring)}")
    touching = _check_edges([ring for rings in polygons for ring in rings])
    first = 0
    spans = []
    for rings in polygons:
        spans.append(range(first, first + len(rings)))
        first += len(rings)
    for rings, span in zip(polygons, spans, strict=True):
        _check_holes(rings, span, touching)
    _check_apart(polygons, spans, touching)


def _has_area(ring: Ring) -> bool:
    reach = max(abs(x - ring[0][0]) for x, _ in ring) * max(abs(y - ring[0][1]) for _, y in ring)
    if abs(ring_area(ring)) > reach * 1e-9:
        return True
    corners = [(Fraction(x), Fraction(y)) for x, y in ring]
    return bool(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in _around(corners)))


def _around(corners: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(corners, [*corners[1:], corners[0]], strict=True)


def _check_edges(rings: list[Ring]) -> set[tuple[int, int]]:
    """Refuse edges that meet where they must not; which rings touch each other in points."""
    edges = np.array([edge for ring in rings for edge in ring_edges(ring)])
    lengths = np.array([len(ring) for ring in rings])
    ring_of = np.repeat(np.arange(len(rings)), lengths)
    start = np.repeat(np.cumsum(lengths) - lengths, lengths)
    following = start + (np.arange(len(edges)) - start + 1) % lengths[ring_of]
    touching: set[tuple[int, int]] = set()
    for i, j in _near(edges):
        same = ring_of[i] == ring_of[j]
        follows, precedes = same & (following[i] == j), same & (following[j] == i)
        bad, touch = _meeting(edges[i], edges[j])
        # Neighbours share a corner, and must not turn back onto each other.
        back = _turns_back(edges[i], edges[j]) & follows
        back |= _turns_back(edges[j], edges[i]) & precedes
        wrong = np.where(follows | precedes, back, bad | (same & touch))
        if wrong.any():
            at = int(np.argmax(wrong))
            first, second = edges[i[at]].tolist(), edges[j[at]].tolist()
            what = "a ring meets itself" if same[at] else "two rings cross or share an edge"
            raise InvalidInput(
                f"{what}: edge {_edge(first)} and edge {_edge(second)}",
                hint="a ring goes once around its area; holes and parts touch in points at most",
            )
        (meet,) = np.nonzero(touch & ~same)
        pairs = np.sort(np.stack([ring_of[i[meet]], ring_of[j[meet]]]), axis=0)
        touching.update((int(a), int(b)) for a, b in pairs.T)
    return touching


def _near(edges: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of edges whose boxes meet, by a sweep along x."""
    low_x, high_x = edges[:, 0::2].min(axis=1), edges[:, 0::2].max(axis=1)
    low_y, high_y = edges[:, 1::2].min(axis=1), edges[:, 1::2].max(axis=1)
    order = np.argsort(low_x, kind="stable")
    ends = np.searchsorted(low_x[order], high_x[order], side="right")
    counts = ends - np.arange(len(edges)) - 1
    behind = np.cumsum(counts)
    begin = 0
    while begin < len(edges):
        so_far = behind[begin - 1] if begin else 0
        end = max(int(np.searchsorted(behind, so_far + _AT_ONCE, side="right")), begin + 1)
        some = counts[begin:end]
        first = np.repeat(np.arange(begin, end), some)
        within = np.arange(some.sum()) - np.repeat(np.cumsum(some) - some, some)
        i, j = order[first], order[first + 1 + within]
        meet = (low_y[i] <= high_y[j]) & (low_y[j] <= high_y[i])
        yield i[meet], j[meet]
        begin = end


def _meeting(a: Any, b: Any) -> tuple[Any, Any]:
    """Of pairs of edges: which cross or overlap along a stretch, and which touch in a point."""
    of_b = [_sides(a, b[:, k], b[:, k + 1]) for k in (0, 2)]
    of_a = [_sides(b, a[:, k], a[:, k + 1]) for k in (0, 2)]
    cross = (of_b[0] * of_b[1] < 0) & (of_a[0] * of_a[1] < 0)
    on = [(turn == 0) & _within(a, b[:, k : k + 2]) for turn, k in zip(of_b, (0, 2), strict=True)]
    on += [(turn == 0) & _within(b, a[:, k : k + 2]) for turn, k in zip(of_a, (0, 2), strict=True)]
    same_line = (of_b[0] == 0) & (of_b[1] == 0)
    # On one line they share a stretch where they share more than one corner's place.
    low = np.maximum(np.minimum(a[:, :2], a[:, 2:]), np.minimum(b[:, :2], b[:, 2:]))
    high = np.minimum(np.maximum(a[:, :2], a[:, 2:]), np.maximum(b[:, :2], b[:, 2:]))
    stretch = same_line & (low <= high).all(axis=1) & (low < high).any(axis=1)
    return cross | stretch, np.logical_or.reduce(on)


def _sides(edges: Any, x: Any, y: Any) -> Any:
    return sides(edges[:, 0], edges[:, 1], edges[:, 2], edges[:, 3], x, y)


def _within(edge: Any, corner: Any) -> Any:
    low, high = np.minimum(edge[:, :2], edge[:, 2:]), np.maximum(edge[:, :2], edge[:, 2:])
    return ((low <= corner) & (corner <= high)).all(axis=1)


def _turns_back(a: Any, b: Any) -> Any:
    """Where *b*, which begins at the end of *a*, goes back along it."""
    line = _sides(a, b[:, 2], b[:, 3]) == 0
    opposite = np.sign(a[:, 2:] - a[:, :2]) == -np.sign(b[:, 2:] - b[:, :2])
    return line & opposite.all(axis=1)


def _check_holes(rings: Sequence[Ring], span: range, touching: set[tuple[int, int]]) -> None:
    outer, *holes = rings
    for number, hole in zip(span[1:], holes, strict=True):
        if min(_places(hole, [outer], touches=(span[0], number) in touching)) < 0:
            raise InvalidInput(f"a hole lies outside of its polygon: {_shown(hole)}")
    boxes = [_box(hole) for hole in holes]
    for later, hole in enumerate(holes):
        for earlier in range(later):
            touches = (span[earlier + 1], span[later + 1]) in touching
            if _boxes_meet(boxes[earlier], boxes[later]) and _overlap(
                [hole], [holes[earlier]], touches=touches
            ):
                raise InvalidInput(f"a hole lies in another: {_shown(hole)}")


def _check_apart(
    polygons: Sequence[Sequence[Ring]], spans: Sequence[range], touching: set[tuple[int, int]]
) -> None:
    boxes = [_box(rings[0]) for rings in polygons]
    for later, rings in enumerate(polygons):
        for earlier in range(later):
            if _boxes_meet(boxes[earlier], boxes[later]):
                pairs = {(i, j) for i in spans[earlier] for j in spans[later]}
                if _overlap(rings, polygons[earlier], touches=not pairs.isdisjoint(touching)):
                    raise InvalidInput(f"two polygons of a zone overlap: {_shown(rings[0])}")


def _overlap(one: Sequence[Ring], other: Sequence[Ring], *, touches: bool) -> bool:
    return any(max(_places(a[0], b, touches=touches)) > 0 for a, b in ((one, other), (other, one)))


def _places(ring: Ring, rings: Sequence[Ring], *, touches: bool) -> list[int]:
    """Where corners and middles of *ring* lie in what *rings* bound; see `place`."""
    edges = [edge for one in rings for edge in ring_edges(one)]
    if not touches:  # then one corner tells of all
        return [place(iter(edges), *ring[0])]
    middles = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in ring_edges(ring)]
    return [place(iter(edges), x, y) for x, y in (*ring, *middles)]


def _box(ring: Ring) -> tuple[float, float, float, float]:
    xs, ys = zip(*ring, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _boxes_meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _shown(ring: Ring) -> str:
    corners = ", ".join(f"({x:g}, {y:g})" for x, y in ring[:4])
    return corners + (", …" if len(ring) > 4 else "")  # noqa: PLR2004


def _edge(edge: list[float]) -> str:
    return f"({edge[0]:g}, {edge[1]:g})-({edge[2]:g}, {edge[3]:g})"
