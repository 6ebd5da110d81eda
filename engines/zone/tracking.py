"""
What positions say about zones: the decisions of a geofence, made for many positions at once.

An object enters a zone with the first position inside of it, half-open as `ZoneIndex` has it, and
leaves it with the first one outside.  `TrackingRules` asks for more: a margin beyond the edge, a
time on the other side.  Between two positions nothing is supposed: who crosses a zone unseen was
not there.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from engines import checks
from engines.zone.index import ZoneIndex
from engines.zone.measure import distance
from engines.zone.model import Boundary
from engines.zone.stays import MoveKind, Phase, Stay, Stays, ZoneMove, moved

_ORDER = {kind: number for number, kind in enumerate(reversed(MoveKind))}  # exits before entries


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """
    When a position counts.

    Attributes:
        margin: How far outside an object must be to leave: in the coordinates' unit, in metres
            where they are geographic.
        enter_after: Seconds for which all positions must be inside before it enters.
        exit_after: Seconds after the first position beyond the margin, without one inside, before
            it leaves.
        dwell: Seconds after which one that entered is said to dwell, once; None for never.
        lateness: Seconds by which a position may be overtaken by later ones.
        silence: Seconds without a position after which an object has left; None for never.

    Raises:
        InvalidInput: One is below 0 or not finite.
    """

    margin: float = 0.0
    enter_after: float = 0.0
    exit_after: float = 0.0
    dwell: float | None = None
    lateness: float = 0.0
    silence: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                object.__setattr__(self, one.name, checks.at_least(value, 0, one.name))


class Fixes(NamedTuple):
    """Positions to be judged, by object and time: object number, seconds, rows of x, y (, z)."""

    who: Any
    at: Any
    points: Any


class Judge:
    """
    Decides moves; it changes no state.

    Args:
        rules: When a position counts.
        zones: Name and boundary of each, in the order of *index*.
        index: Over the boundaries.
    """

    def __init__(
        self, rules: TrackingRules, zones: Sequence[tuple[str, Boundary]], index: ZoneIndex
    ) -> None:
        self._rules = rules
        self._zones = zones
        self._numbers = {name: number for number, (name, _) in enumerate(zones)}
        self._index = index

    def moves(
        self, names: Sequence[str], fixes: Fixes, state: Stays, released: float
    ) -> list[ZoneMove]:
        """What *fixes* of the objects *names* and the time *released* lead to, in order of time."""
        found: list[ZoneMove] = []
        if len(fixes.at):
            times = fixes.at.tolist()
            extent = {who: (low, high) for who, low, high in _objects(fixes.who)}
            for (who, zone), spans in self._spans(names, fixes, extent, state).items():
                name, label = names[who], self._zones[zone][0]
                stay = state.zones.get(name, {}).get(label)
                if not self._unmoved(stay, spans, extent[who]):
                    walk = _Walk(self._rules, times, stay, state.last.get(name))
                    walk.go(spans, *extent[who], self._far(zone, fixes.points))
                    found += [ZoneMove(at, name, kind, label) for at, kind in walk.moves]
        found += self._silent(dict(_last(names, fixes)), found, state, released)
        found.sort(key=lambda move: (move.at, move.object, _ORDER[move.kind], move.zone))
        return found

    def _unmoved(
        self, stay: Stay | None, spans: Sequence[tuple[int, int]], extent: tuple[int, int]
    ) -> bool:
        """Whether an object was, is and stays inside, with nothing more to be said: the usual."""
        return (
            stay is not None
            and stay.phase is Phase.INSIDE
            and len(spans) == 1
            and spans[0] == extent
            and (self._rules.dwell is None or stay.dwelt)
            and self._rules.silence is None
        )

    def _spans(
        self,
        names: Sequence[str],
        fixes: Fixes,
        objects: Iterable[int],
        state: Stays,
    ) -> dict[tuple[int, int], list[tuple[int, int]]]:
        """
        By object and zone: stretches of positions (first and last) that are all inside.

        Also those without any, where the object has a stay.
        """
        spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for who, zone, first, last in self._runs(fixes):
            spans.setdefault((who, zone), []).append((first, last))
        for who in objects:
            for label in state.zones.get(names[who], ()):
                if label in self._numbers:
                    spans.setdefault((who, self._numbers[label]), [])
        return spans

    def _runs(self, fixes: Fixes) -> Iterable[tuple[int, int, int, int]]:
        point, zone = self._index.pairs(fixes.points)
        if not point.size:
            return ()
        pair = fixes.who[point] * len(self._zones) + zone
        order = np.argsort(pair, kind="stable")  # the points of each are in order already
        point, pair = point[order], pair[order]
        begins = np.ones(len(point), bool)
        begins[1:] = (pair[1:] != pair[:-1]) | (point[1:] != point[:-1] + 1)
        if self._rules.silence is not None:
            begins[1:] |= fixes.at[point[1:]] - fixes.at[point[:-1]] > self._rules.silence
        (first,) = np.nonzero(begins)
        last = np.append(first[1:], len(point)) - 1
        who, zone = np.divmod(pair[first], len(self._zones))
        columns = (who, zone, point[first], point[last])
        return zip(*(column.tolist() for column in columns), strict=True)

    def _far(self, zone: int, points: Any) -> Callable[[int], bool]:
        margin = self._rules.margin
        if not margin:
            return lambda _: True
        boundary = self._zones[zone][1]
        return lambda number: distance(boundary, points[number].tolist()) > margin

    def _silent(
        self,
        last: Mapping[str, float],
        found: Sequence[ZoneMove],
        state: Stays,
        released: float,
    ) -> Iterator[ZoneMove]:
        """Exits of those of whom nothing was heard up to *released*."""
        if self._rules.silence is None:
            return
        present: dict[str, dict[str, Stay | None]] = {
            name: dict(stays) for name, stays in state.zones.items()
        }
        for move in found:
            stays = present.setdefault(move.object, {})
            stays[move.zone] = moved(stays.get(move.zone), move.kind, move.at)
        for name, stays in present.items():
            until = last.get(name, state.last.get(name, math.inf)) + self._rules.silence
            if until < released:
                for zone, stay in stays.items():
                    if stay is not None:
                        yield ZoneMove(until, name, _ended(stay), zone)


class _Walk:
    """One object and one zone, position by position, in stretches."""

    __slots__ = ("_before", "_low", "_rules", "_stay", "_times", "moves")

    def __init__(
        self, rules: TrackingRules, times: list[float], stay: Stay | None, before: float | None
    ) -> None:
        self.moves: list[tuple[float, MoveKind]] = []
        self._rules = rules
        self._times = times
        self._stay = stay
        self._before = before
        self._low = 0

    def go(
        self,
        runs: Sequence[tuple[int, int]],
        low: int,
        high: int,
        far: Callable[[int], bool],
    ) -> None:
        """Through the positions *low* to *high*, of which those of *runs* are inside."""
        here = self._low = low
        for first, last in [*runs, (high + 1, high)]:
            if here < first:
                self._outside(here, first, far)
            if first <= last:
                self._heard(first)
                self._inside(first, last + 1)
            here = last + 1

    def _inside(self, first: int, end: int) -> None:
        rules, times = self._rules, self._times
        if self._stay is None and rules.enter_after:
            self._move(times[first], MoveKind.APPROACH)
        if self._stay is None or self._stay.phase is Phase.ENTERING:
            since = self._stay.since if self._stay else times[first]
            at = bisect_left(times, since + rules.enter_after, first, end)
            if at == end:
                return
            self._move(times[at], MoveKind.ENTER)
        elif self._stay.phase is Phase.LEAVING:
            self._move(times[first], MoveKind.STAY)
        self._dwell(first, end)

    def _outside(self, first: int, end: int, far: Callable[[int], bool]) -> None:
        for number in range(first, end):
            self._heard(number)
            if self._stay is None:
                return
            at = self._times[number]
            if self._stay.phase is Phase.ENTERING:
                self._move(at, MoveKind.STAY)
                return
            if not far(number):
                self._dwell(number, number + 1)
                continue
            if self._stay.phase is Phase.INSIDE and self._rules.exit_after:
                self._move(at, MoveKind.DEPART)
            since = self._stay.since if self._stay.phase is Phase.LEAVING else at
            if at >= since + self._rules.exit_after:
                self._move(at, MoveKind.EXIT)
                return

    def _dwell(self, first: int, end: int) -> None:
        stay, dwell = self._stay, self._rules.dwell
        if dwell is None or stay is None or stay.dwelt or stay.entered is None:
            return
        at = bisect_left(self._times, stay.entered + dwell, first, end)
        if at < end:
            self._move(self._times[at], MoveKind.DWELL)

    def _heard(self, number: int) -> None:
        """Leave first, where nothing was heard for too long before this position."""
        silence = self._rules.silence
        before = self._times[number - 1] if number > self._low else self._before
        if silence is None or self._stay is None or before is None:
            return
        if self._times[number] - before > silence:
            self._move(before + silence, _ended(self._stay))

    def _move(self, at: float, kind: MoveKind) -> None:
        self._stay = moved(self._stay, kind, at)
        self.moves.append((at, kind))


def _ended(stay: Stay) -> MoveKind:
    # Who was not counted in is not counted out.
    return MoveKind.STAY if stay.phase is Phase.ENTERING else MoveKind.SILENT


def _objects(who: Any) -> Iterator[tuple[int, int, int]]:
    """(object, first position, last position) of positions that stand by object."""
    (first,) = np.nonzero(np.append(True, who[1:] != who[:-1]))
    last = np.append(first[1:], len(who)) - 1
    return zip(who[first].tolist(), first.tolist(), last.tolist(), strict=True)


def _last(names: Sequence[str], fixes: Fixes) -> Iterator[tuple[str, float]]:
    if len(fixes.at):
        for who, _, high in _objects(fixes.who):
            yield names[who], float(fixes.at[high])
