"""
Geographic polygons within ±180 degrees: cut where they cross the antimeridian (RFC 7946, 3.1.9).

Longitudes of a ring go on beyond ±180.  A ring whose last corner is its first a whole turn further
goes around a pole: it takes in the one that it is nearer to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from engines.errors import InvalidInput
from engines.zone import sphere

_Corner: TypeAlias = "tuple[float, float]"
_Ring: TypeAlias = "tuple[_Corner, ...]"
_FURTHEST = 540.0


def cut(polygons: Sequence[Sequence[_Ring]]) -> tuple[tuple[_Ring, ...], ...]:
    """
    The same area in rings within ±180.

    Raises:
        InvalidInput: A latitude is beyond ±90, a longitude beyond ±540.
    """
    done: list[tuple[_Ring, ...]] = []
    for rings in polygons:
        closed = [_around_pole(ring) for ring in rings]
        low = min(x for ring in closed for x, _ in ring)
        high = max(x for ring in closed for x, _ in ring)
        first = math.floor((low + 180) / 360)
        last = max(math.ceil((high + 180) / 360) - 1, first)
        parts = [tuple(closed)]
        for turn in range(first, last):
            line = 180.0 + 360 * turn
            (whole,) = parts[-1:]
            parts[-1:] = [*_half(whole, line, -1), *_half(whole, line, 1)]
        done += [tuple(map(_shifted, part)) for part in parts]
    return tuple(done)


def unwrapped(ring: Sequence[_Corner]) -> list[_Corner]:
    """A ring each edge of which goes the short way; closed anew where it goes around a pole."""
    corners = [ring[0]]
    for x, y in (*ring[1:], ring[0]):
        before = corners[-1][0]
        corners.append((x - 360 * round((x - before) / 360), y))
    if corners[-1] == corners[0]:
        corners.pop()
    return corners


def _around_pole(ring: _Ring) -> _Ring:
    for x, y in ring:
        if abs(y) > sphere.POLE:
            raise InvalidInput(f"a latitude beyond ±90 degrees: {y:g} of ({x:g}, {y:g})")
        if abs(x) > _FURTHEST:
            raise InvalidInput(f"a longitude beyond ±540 degrees: {x:g} of ({x:g}, {y:g})")
    if not sphere.once_around(ring):
        return ring
    middle = math.fsum(y for _, y in ring)
    eastward = ring[-1][0] > ring[0][0]
    pole = sphere.POLE if middle > 0 or (middle == 0 and eastward) else -sphere.POLE
    open_ring = _from_antimeridian(ring, pole)
    return (*open_ring, (open_ring[-1][0], pole), (open_ring[0][0], pole))


def _from_antimeridian(ring: _Ring, pole: float) -> _Ring:
    """A ring around a pole, from where it meets the antimeridian closest to that pole."""
    turn = ring[-1][0] - ring[0][0]
    meetings = []
    for number, (a, b) in enumerate(pairwise(ring)):
        line = 180.0 + 360 * math.floor((max(a[0], b[0]) - 180) / 360)
        if line >= min(a[0], b[0]):
            corner = _crossing(a, b, line) if a[0] != b[0] else max(a, b, key=_towards(pole))
            meetings.append((corner, number))
    (x, y), number = max(meetings, key=lambda meeting: _towards(pole)(meeting[0]))
    ahead = ring[number + 1 :]
    behind = [(before + turn, latitude) for before, latitude in ring[1 : number + 1]]
    corners = [(x, y), *ahead, *behind, (x + turn, y)]
    return tuple(c for c, d in pairwise([*corners, None]) if c != d and c is not None)


def _towards(pole: float) -> Callable[[_Corner], float]:
    return lambda corner: corner[1] * pole


def _shifted(ring: _Ring) -> _Ring:
    middle = (min(x for x, _ in ring) + max(x for x, _ in ring)) / 2
    turns = 360 * math.floor((middle + 180) / 360)
    return tuple((x - turns, y) for x, y in ring) if turns else ring


def _half(rings: Sequence[_Ring], line: float, hand: int) -> list[tuple[_Ring, ...]]:
    """What of a polygon lies east (*hand* 1) or west (-1) of a meridian, as polygons."""
    outers: list[_Ring] = []
    holes: list[_Ring] = []
    chains: list[list[_Corner]] = []
    for number, ring in enumerate(rings):
        within = all((x - line) * hand >= 0 for x, _ in ring)
        if within and not (number and _has_edge_on(ring, line)):
            (holes if number else outers).append(ring)
        else:
            chains += _chains(ring, line, hand)
    outers += _joined(chains)
    return [(outer, *(hole for hole in holes if _holds(outer, hole))) for outer in outers]


def _has_edge_on(ring: _Ring, line: float) -> bool:
    return any(a[0] == b[0] == line for a, b in pairwise((*ring, ring[0])))


def _chains(ring: _Ring, line: float, hand: int) -> Iterator[list[_Corner]]:
    """The stretches of *ring* strictly on one side, each from the line back to the line."""
    inside = [(x - line) * hand > 0 for x, _ in ring]
    if not any(inside):
        return
    begin = inside.index(False)
    order = [*range(begin, len(ring)), *range(begin + 1)]
    chain: list[_Corner] = []
    for before, after in pairwise(order):
        if inside[before] != inside[after]:
            chain.append(_crossing(ring[before], ring[after], line))
        if inside[after]:
            chain.append(ring[after])
        elif chain:
            yield chain
            chain = []


def _crossing(a: _Corner, b: _Corner, line: float) -> _Corner:
    (x1, y1), (x2, y2) = sorted((a, b))  # the same place from either side
    if line in {x1, x2}:
        return (line, y1 if x1 == line else y2)
    return line, y1 + (line - x1) * ((y2 - y1) / (x2 - x1))


def _joined(chains: list[list[_Corner]]) -> Iterator[_Ring]:
    """Rings of *chains*: along the line, what lies between an odd end and the next is inside."""
    ends = sorted(
        (chain[place][1], _slope(chain[place], chain[after]), number, place)
        for number, chain in enumerate(chains)
        for place, after in ((0, 1), (-1, -2))
    )
    partner = {}
    for (*_, one, here), (*_, other, there) in zip(ends[::2], ends[1::2], strict=True):
        partner[one, here], partner[other, there] = (other, there), (one, here)
    left = set(range(len(chains)))
    while left:
        number, ring, forward = min(left), list[_Corner](), True
        while number in left:
            left.remove(number)
            ring += chains[number] if forward else chains[number][::-1]
            number, place = partner[(number, -1 if forward else 0)]
            forward = place == 0
        yield tuple(c for c, d in zip(ring, [*ring[1:], ring[0]], strict=True) if c != d)


def _slope(end: _Corner, after: _Corner) -> float:
    """How steeply a chain leaves the line: of those that end in one place the lowest is first."""
    return (after[1] - end[1]) / abs(after[0] - end[0])


def _holds(outer: _Ring, hole: _Ring) -> bool:
    from engines.zone.polygon import place, ring_edges  # noqa: PLC0415  which needs this module

    places = [place(ring_edges(outer), x, y) for x, y in hole]
    return max(places) > 0 or min(places) == 0
