"""
The registry of zones: which there are, what happened in them, how full they are.

Its state is a fold over `zones.jsonl`.  Occupancy never falls below zero; an alert or a sample may
move it too when it says by how much.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from engines import checks
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Event, Journal
from engines.snapshot import without_collection
from engines.zone.boundary import Position, ZoneBoundary, coordinates
from engines.zone.live import (
    CHANGE_OF_MOVE,
    USUAL_CHANGE,
    Live,
    Moved,
    event_of,
    snapshot_of,
    utilisation_of,
)
from engines.zone.model import (
    Zone,
    ZoneEvent,
    ZoneEventType,
    ZoneNotFoundError,
    ZoneSnapshot,
)
from engines.zone.nesting import Nesting
from engines.zone.polygon import ZonePolygon
from engines.zone.stays import Stays, ZoneMove

if TYPE_CHECKING:
    from engines.zone.forecast import ZoneForecast
    from engines.zone.intake import Tracked
    from engines.zone.locating import Locator
    from engines.zone.tracking import TrackingRules


class DynamicZoneRegistry(Engine):
    """
    Zones and what goes on in them.

    Args:
        zones: Registered at once.
        history: How many events each zone remembers, at least 1.
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        zones: Iterable[Zone | Mapping[str, Any]] | None = None,
        *,
        history: int = 128,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if history < 1:
            raise InvalidInput(f"history must be at least 1, found {history}")
        self._history = history
        super().__init__(journal, clock=clock)
        if zones:
            self.register_zones(zones)

    def reset(self) -> None:
        self._live: dict[str, Live] = {}
        self._nesting = Nesting()
        self._stays = Stays()
        self.last_batch: str | None = None
        self._zones_changed()

    # --- commands ----------------------------------------------------------------------------

    def register_zone(self, zone: Zone | Mapping[str, Any]) -> Zone:
        """Add a zone, or change the one of that name; what happened in it stays."""
        return self.register_zones([zone])[0]

    def register_zones(self, zones: Iterable[Zone | Mapping[str, Any]]) -> list[Zone]:
        """Add or change zones, all or none."""
        new = [checks.built(Zone, zone, "zone") for zone in zones]
        with self.deciding():
            for zone in new:
                known = self._live.get(zone.name)
                if known is None or known.zone != zone:
                    self.record("zone_registered", **zone.as_dict())
        return new

    def remove_zone(self, name: str) -> None:
        """
        Remove a zone and its history from the registry (the journal keeps both).

        Raises:
            ZoneNotFoundError: No zone has that name.
        """
        with self.deciding():
            self.record("zone_removed", zone=self._find(name).zone.name)

    def record_event(
        self,
        zone: str,
        *,
        kind: ZoneEventType | str,
        change: int | None = None,
        value: float | None = None,
        note: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> ZoneEvent:
        """
        Record what happened in a zone.

        Args:
            zone: Its name.
            kind: enter, exit, sample or alert.
            change: How occupancy moves; 1 for enter and -1 for exit unless given.
            value: A reading; becomes the zone's metric.
            note: For people.
            metadata: Anything JSON.
            timestamp: When it happened, where that is not now.

        Raises:
            ZoneNotFoundError: No zone has that name.
            InvalidInput: The kind, change or value cannot be.
        """
        kind = ZoneEventType(kind)
        change = checks.whole(change or USUAL_CHANGE.get(kind, 0), "change")
        payload: dict[str, Any] = {"kind": kind.value, "change": change}
        if value is not None:
            payload["value"] = checks.finite(value, "value")
        if note and note.strip():
            payload["note"] = note.strip()
        if metadata:
            payload["metadata"] = checks.mapping(metadata, "metadata")
        if timestamp is not None:
            payload["at"] = checks.utc(timestamp).timestamp()
        with self.deciding():
            name = self._find(zone).zone.name
            self.record("zone_event", zone=name, **payload)
            last = self._live[name].recent[-1]
            return last.event() if isinstance(last, Moved) else last

    def nest(self, zone: str, parent: str | None) -> None:
        """
        Say that *zone* is a part of *parent*, or of none.

        Raises:
            ZoneNotFoundError: One of them is not there.
            InvalidInput: The parent is the zone itself or a part of it.
        """
        with self.deciding():
            child = self._find(zone).zone.name
            above = None if parent is None else self._find(parent).zone.name
            if self._nesting.changes(child, above):
                self.record("zone_nested", zone=child, parent=above)

    def track(
        self,
        objects: Sequence[str],
        at: Sequence[float],
        points: Any,
        *,
        rules: TrackingRules | None = None,
        finish: bool = False,
    ) -> Tracked:
        """
        Take positions in, and record who entered and left which zone; all or none.

        Args:
            objects: Whose position each is.
            at: When, in seconds since the epoch, in any order.
            points: Shape (n, 2), or (n, 3) with z.
            rules: When a position counts; the plain ones unless given.
            finish: Judge also what `rules.lateness` would have wait.

        Raises:
            InvalidInput: They are not equally many, a name is blank, a number not finite.
        """
        from engines.zone.intake import Batch, Intake, Tracked  # noqa: PLC0415  numpy
        from engines.zone.tracking import Judge, TrackingRules  # noqa: PLC0415

        rules = rules or TrackingRules()
        batch = Batch.read(objects, at, points)
        lines: list[Mapping[str, Any]] = []
        # Many small things are made and none that refer to each other: see `without_collection`.
        with without_collection(), self.deciding():
            judge = Judge(rules, self._locator.zones, self._locator.index)
            intake = Intake(self._stays, judge, rules.lateness)
            for piece, last in batch.pieces():
                if line := intake.line(piece, finish=finish and last):
                    lines.append(self.record("zone_positions", **line))
            waiting = sum(map(len, self._stays.waiting.values()))
        return Tracked.of(lines, intake.moves, waiting)

    def close_batch(self, batch: str) -> None:
        """Note that all events of *batch* are in, so that nobody records them a second time."""
        with self.deciding():
            self.record("zone_batch_closed", batch=batch)

    # --- queries -----------------------------------------------------------------------------

    def list_zones(self) -> tuple[Zone, ...]:
        return tuple(live.zone for live in self._live.values())

    def __contains__(self, name: object) -> bool:
        return name in self._live

    def get_zone(self, name: str) -> Zone:
        """
        The zone of that name.

        Raises:
            ZoneNotFoundError: There is none.
        """
        return self._find(name).zone

    def contains(self, zone: str, position: Position, *, altitude: float | None = None) -> bool:
        """Whether *position* lies in *zone*, its faces included."""
        return self._find(zone).zone.boundary.contains(position, altitude=altitude)

    def locate(self, position: Position, *, altitude: float | None = None) -> Zone | None:
        """The smallest zone that contains *position* (by name among equals), or None."""
        point = coordinates(position, altitude)
        around = (live.zone for live in self._live.values() if live.zone.boundary.contains(point))
        return min(around, key=lambda zone: (zone.boundary.volume(), zone.name), default=None)

    def locate_points(self, points: Any) -> list[str | None]:
        """
        The zone that each point lies in, exactly and half-open (see `ZoneIndex`), or None.

        Where several are around a point: the innermost of nested ones, else the smallest, by name
        among equals.

        Args:
            points: Shape (n, 2), or (n, 3) with z, which is 0 otherwise.

        Raises:
            InvalidInput: Another shape, or a coordinate that is not finite.
        """
        return self._locator.names(points)

    def around(self, points: Any) -> list[tuple[str, ...]]:
        """All zones that each point lies in, in the order of preference of `locate_points`."""
        return self._locator.all_names(points)

    def parent(self, zone: str) -> str | None:
        """The zone of which *zone* is a part."""
        return self._nesting.parents.get(self._find(zone).zone.name)

    def children(self, zone: str) -> tuple[str, ...]:
        """The zones that are parts of *zone* directly, in order of registration."""
        name = self._find(zone).zone.name
        return tuple(one for one in self._live if self._nesting.parents.get(one) == name)

    def occupants(self, zone: str) -> tuple[str, ...]:
        """The tracked objects that are counted in *zone*, by name."""
        name = self._find(zone).zone.name
        return self._stays.counted_in(name)

    def forecast(
        self, zone: str, *, hours: int = 24, coverage: float = 0.9, at: datetime | None = None
    ) -> ZoneForecast:
        """
        How full *zone* will be, hour by hour, from its own past.

        Args:
            zone: Its name.
            hours: How far ahead, at least 1.
            coverage: The share of hours that the interval is to hold, above 0 and below 1.
            at: From when on, where that is not now.

        Raises:
            ZoneNotFoundError: No zone has that name.
            InvalidInput: Its past is too short.
        """
        from engines.zone.forecast import forecast_zone  # noqa: PLC0415

        live = self._find(zone)
        now = self.clock() if at is None else checks.utc(at).timestamp()
        past = live.usage.hours(now, live.occupancy)
        return forecast_zone(live.zone, past, hours, coverage)

    def utilisation(self, zone: str) -> float:
        """Occupancy over capacity; the bare occupancy where the capacity is 0."""
        return utilisation_of(self._find(zone))

    @overload
    def snapshot(self, zone: None = None) -> dict[str, ZoneSnapshot]: ...
    @overload
    def snapshot(self, zone: str) -> ZoneSnapshot: ...
    def snapshot(self, zone: str | None = None) -> ZoneSnapshot | dict[str, ZoneSnapshot]:
        """One zone as it is now, or all of them by name."""
        now = checks.from_epoch(self.clock())
        if zone is not None:
            return snapshot_of(self._find(zone), now)
        return {name: snapshot_of(live, now) for name, live in self._live.items()}

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._history,)

    def apply_zone_registered(self, event: Event) -> None:
        form = event["boundary"]
        zone = Zone(
            event["name"],
            ZonePolygon.recorded(form) if "polygons" in form else ZoneBoundary(**form),
            event["capacity"],
            event["sensitivity"],
            tuple(event["tags"]),
            event["metadata"],
        )
        if live := self._live.get(zone.name):
            live.zone = zone
        else:
            self._live[zone.name] = Live(zone, recent=deque(maxlen=self._history))
        self._zones_changed()

    def apply_zone_removed(self, event: Event) -> None:
        self._live.pop(event["zone"], None)
        self._nesting.remove(event["zone"])
        self._stays.forget_zone(event["zone"])
        self._zones_changed()

    def apply_zone_nested(self, event: Event) -> None:
        self._nesting.put(event["zone"], event["parent"])
        self._zones_changed()

    def apply_zone_positions(self, event: Event) -> None:
        self._stays.apply(event, lambda move: self._apply_move(move, event["timestamp"]))

    def _apply_move(self, move: ZoneMove, recorded: float) -> None:
        live = self._live[move.zone]
        change = CHANGE_OF_MOVE[move.kind]
        if change:
            self._count(live, change, min(move.at, recorded))
        live.recent.append(Moved(move, live.metric))

    def _count(self, live: Live, change: int, at: float) -> None:
        if change:
            live.usage.advance(at, live.occupancy)
            live.occupancy = max(live.occupancy + change, 0)

    def apply_zone_event(self, event: Event) -> None:
        live = self._live[event["zone"]]
        at = event.get("at", event["timestamp"])
        # A clock that was ahead must not make what follows look past.
        self._count(live, event["change"], min(at, event["timestamp"]))
        live.metric = event.get("value", live.metric)
        live.recent.append(event_of(event, live.metric))

    def apply_zone_batch_closed(self, event: Event) -> None:
        self.last_batch = event["batch"]

    # --- below the face ----------------------------------------------------------------------

    @cached_property
    def _locator(self) -> Locator:
        from engines.zone.locating import Locator  # noqa: PLC0415  numpy

        return Locator([live.zone for live in self._live.values()], self._nesting.depths())

    def _zones_changed(self) -> None:
        vars(self).pop("_locator", None)

    def restored(self) -> None:
        self._zones_changed()

    def _find(self, name: str) -> Live:
        live = self._live.get(name) or self._live.get(checks.name(name, "a zone's name"))
        if live is None:
            raise ZoneNotFoundError(
                f"no zone named {name!r}{checks.did_you_mean(name, self._live)}",
                hint="`dino zone list` shows them; `dino zone add` makes one",
            )
        return live
