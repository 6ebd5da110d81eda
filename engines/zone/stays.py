"""Who is where: the state that positions lead to, folded from what was decided about them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Phase(StrEnum):
    """Where an object stands to a zone; one that has no stay is outside."""

    ENTERING = "entering"  # inside, not yet for long enough
    INSIDE = "inside"
    LEAVING = "leaving"  # outside, not yet for long enough: still counted


class MoveKind(StrEnum):
    """What can be decided about an object and a zone; the last three are on the way only."""

    ENTER = "enter"
    EXIT = "exit"
    DWELL = "dwell"
    SILENT = "silent"  # an exit, because nothing was heard of the object
    APPROACH = "approach"
    DEPART = "depart"
    STAY = "stay"  # it neither entered nor left after all


_KINDS = {kind.value: kind for kind in MoveKind}
_ENTER, _EXIT, _DWELL, _SILENT, _APPROACH, _DEPART, _STAY = MoveKind
_ENTERING, _INSIDE, _LEAVING = Phase
ON_THE_WAY = frozenset({MoveKind.APPROACH, MoveKind.DEPART, MoveKind.STAY})


class ZoneMove(NamedTuple):
    """What an object did in a zone; *at* in seconds since the epoch."""

    at: float
    object: str
    kind: MoveKind
    zone: str

    def as_dict(self) -> dict[str, Any]:
        from engines.checks import time_text  # noqa: PLC0415

        return {
            "at": time_text(self.at),
            "object": self.object,
            "kind": self.kind.value,
            "zone": self.zone,
        }


@dataclass(slots=True)
class Stay:
    """*since*: when the phase began; *entered*: when the object was counted in."""

    phase: Phase
    since: float
    entered: float | None = None
    dwelt: bool = False


def moved(stay: Stay | None, kind: MoveKind, at: float) -> Stay | None:
    """The stay after a move: the one table of what follows on what."""
    if kind is _ENTER:
        return Stay(_INSIDE, at, at)
    if kind is _EXIT or kind is _SILENT:
        return None
    if kind is _APPROACH:
        return Stay(_ENTERING, at)
    if stay is None:
        raise ValueError(f"nobody is there to {kind.value}")
    if kind is _STAY and stay.phase is _ENTERING:
        return None
    if kind is _DWELL:
        return Stay(stay.phase, stay.since, stay.entered, dwelt=True)
    return Stay(_LEAVING if kind is _DEPART else _INSIDE, at, stay.entered, stay.dwelt)


@dataclass(slots=True)
class Stays:
    """
    What is known of objects that move.

    Attributes:
        last: When each object was at the last position that was judged.
        zones: Of each object the stays by zone, where it has any.
        waiting: Positions that others may still overtake, by object and time.
        newest: The latest time of any position.
    """

    last: dict[str, float] = field(default_factory=dict)
    zones: dict[str, dict[str, Stay]] = field(default_factory=dict)
    waiting: dict[str, dict[float, tuple[float, ...]]] = field(default_factory=dict)
    newest: float | None = None

    def apply(self, line: Mapping[str, Any], change: Callable[[ZoneMove], None]) -> None:
        """Fold one line of positions; *change* is told of each move that is not on the way only."""
        names, released = line["objects"], line["released"]
        self.newest = line["newest"]
        self._release(released)
        self._take(names, line, released)
        for move in moves_of(line):
            at, name, kind, zone = move
            here = self.zones.get(name)
            stay = moved(here.get(zone) if here else None, kind, at)
            if stay is None or here is None:
                self._set(name, zone, stay)
            else:
                here[zone] = stay
            if not (kind is _APPROACH or kind is _DEPART or kind is _STAY):
                change(move)

    def counted_in(self, zone: str) -> tuple[str, ...]:
        """The objects inside of *zone*, or not yet surely outside, by name."""
        here = ((name, stays.get(zone)) for name, stays in self.zones.items())
        return tuple(sorted(name for name, stay in here if stay and stay.entered is not None))

    def forget_zone(self, zone: str) -> None:
        for name in [name for name, stays in self.zones.items() if zone in stays]:
            self._set(name, zone, None)

    def _release(self, released: float) -> None:
        for name in list(self.waiting):
            fixes = self.waiting[name]
            if ready := [at for at in fixes if at <= released]:
                self.last[name] = max(ready)
                left = {at: where for at, where in fixes.items() if at > released}
                if left:
                    self.waiting[name] = left
                else:
                    del self.waiting[name]

    def _take(self, names: list[str], line: Mapping[str, Any], released: float) -> None:
        # By time, so that of each object the last one stays.
        until = bisect_right(line["at"], released)
        ready = dict(zip(line["who"][:until], line["at"][:until], strict=True))
        rest = (line[name][until:] for name in ("who", "at", "x", "y", "z") if name in line)
        for who, at, *where in zip(*rest, strict=True):
            self.waiting.setdefault(names[who], {})[at] = tuple(where)
        for who, at in ready.items():
            name = names[who]
            self.last[name] = max(at, self.last.get(name, at))

    def _set(self, name: str, zone: str, stay: Stay | None) -> None:
        if stay is not None:
            self.zones.setdefault(name, {})[zone] = stay
        else:
            stays = self.zones.get(name, {})
            stays.pop(zone, None)
            if not stays:
                self.zones.pop(name, None)


def moves_of(line: Mapping[str, Any]) -> Iterator[ZoneMove]:
    """The moves on a line of the journal."""
    moves, objects, zones = line["moves"], line["objects"], line["zones"]
    columns = (moves[name] for name in ("at", "kind", "object", "zone"))
    for at, kind, who, zone in zip(*columns, strict=True):
        yield ZoneMove(at, objects[who], _KINDS[kind], zones[zone])
