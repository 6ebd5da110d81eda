"""
The registry of zones: which there are, what happened in them, how full they are.

Its state is a fold over `zones.jsonl`.  Occupancy never falls below zero; an alert or a sample may
move it too when it says by how much.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload

from engines import checks
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Event, Journal
from engines.zone.model import (
    Position,
    Zone,
    ZoneBoundary,
    ZoneEvent,
    ZoneEventType,
    ZoneNotFoundError,
    ZoneSnapshot,
    coordinates,
)

_USUAL_CHANGE = {ZoneEventType.ENTER: 1, ZoneEventType.EXIT: -1}


@dataclass(slots=True)
class _Live:
    zone: Zone
    occupancy: int = 0
    metric: float | None = None
    recent: deque[ZoneEvent] = field(default_factory=deque)


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
        self._live: dict[str, _Live] = {}
        self.last_batch: str | None = None

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
        change = checks.whole(change or _USUAL_CHANGE.get(kind, 0), "change")
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
            live = self._find(zone)
            self.record("zone_event", zone=live.zone.name, **payload)
            return live.recent[-1]

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

    def utilisation(self, zone: str) -> float:
        """Occupancy over capacity; the bare occupancy where the capacity is 0."""
        return _utilisation(self._find(zone))

    @overload
    def snapshot(self, zone: None = None) -> dict[str, ZoneSnapshot]: ...
    @overload
    def snapshot(self, zone: str) -> ZoneSnapshot: ...
    def snapshot(self, zone: str | None = None) -> ZoneSnapshot | dict[str, ZoneSnapshot]:
        """One zone as it is now, or all of them by name."""
        now = checks.from_epoch(self.clock())
        if zone is not None:
            return _snapshot(self._find(zone), now)
        return {name: _snapshot(live, now) for name, live in self._live.items()}

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._history,)

    def apply_zone_registered(self, event: Event) -> None:
        zone = Zone(
            event["name"],
            ZoneBoundary(**event["boundary"]),
            event["capacity"],
            event["sensitivity"],
            tuple(event["tags"]),
            event["metadata"],
        )
        if live := self._live.get(zone.name):
            live.zone = zone
        else:
            self._live[zone.name] = _Live(zone, recent=deque(maxlen=self._history))

    def apply_zone_removed(self, event: Event) -> None:
        self._live.pop(event["zone"], None)

    def apply_zone_event(self, event: Event) -> None:
        live = self._live[event["zone"]]
        live.occupancy = max(live.occupancy + event["change"], 0)
        live.metric = event.get("value", live.metric)
        live.recent.append(
            ZoneEvent(
                zone=live.zone.name,
                kind=ZoneEventType(event["kind"]),
                change=event["change"],
                value=live.metric,
                note=event.get("note"),
                metadata=event.get("metadata"),
                timestamp=checks.from_epoch(event.get("at", event["timestamp"])),
            )
        )

    def apply_zone_batch_closed(self, event: Event) -> None:
        self.last_batch = event["batch"]

    # --- below the face ----------------------------------------------------------------------

    def _find(self, name: str) -> _Live:
        live = self._live.get(name) or self._live.get(checks.name(name, "a zone's name"))
        if live is None:
            raise ZoneNotFoundError(
                f"no zone named {name!r}{checks.did_you_mean(name, self._live)}",
                hint="`dino zone list` shows them; `dino zone add` makes one",
            )
        return live


def _utilisation(live: _Live) -> float:
    return live.occupancy / (live.zone.capacity or 1)


def _snapshot(live: _Live, now: datetime) -> ZoneSnapshot:
    if live.occupancy == 0:
        status = "idle"
    else:
        status = "overloaded" if live.occupancy > live.zone.capacity else "active"
    return ZoneSnapshot(
        zone=live.zone,
        generated_at=now,
        occupancy=live.occupancy,
        utilisation=_utilisation(live),
        status=status,
        metric=live.metric,
        recent_events=tuple(live.recent),
    )
