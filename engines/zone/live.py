"""A zone and what is known of it: folded state, events, snapshots."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from engines import checks
from engines.journal import Event
from engines.zone.model import Zone, ZoneEvent, ZoneEventType, ZoneSnapshot
from engines.zone.stays import MoveKind, ZoneMove
from engines.zone.usage import Usage

USUAL_CHANGE = {ZoneEventType.ENTER: 1, ZoneEventType.EXIT: -1}
OF_MOVE = {
    MoveKind.ENTER: ZoneEventType.ENTER,
    MoveKind.EXIT: ZoneEventType.EXIT,
    MoveKind.SILENT: ZoneEventType.EXIT,
    MoveKind.DWELL: ZoneEventType.SAMPLE,
}
CHANGE_OF_MOVE = {kind: USUAL_CHANGE.get(event, 0) for kind, event in OF_MOVE.items()}


class Moved(NamedTuple):
    """What becomes an event when somebody asks; most are forgotten before."""

    move: ZoneMove
    metric: float | None

    def event(self) -> ZoneEvent:
        at, name, kind, zone = self.move
        return ZoneEvent(
            zone=zone,
            kind=OF_MOVE[kind],
            change=USUAL_CHANGE.get(OF_MOVE[kind], 0),
            value=self.metric,
            note=None if kind.value == OF_MOVE[kind].value else kind.value,
            metadata={"object": name},
            timestamp=checks.from_epoch(at),
        )


@dataclass(slots=True)
class Live:
    """A zone as its events left it."""

    zone: Zone
    occupancy: int = 0
    metric: float | None = None
    recent: deque[ZoneEvent | Moved] = field(default_factory=deque)
    usage: Usage = field(default_factory=Usage)


def event_of(event: Event, metric: float | None) -> ZoneEvent:
    """What a line of the journal says happened, when the last reading was *metric*."""
    return ZoneEvent(
        zone=event["zone"],
        kind=ZoneEventType(event["kind"]),
        change=event["change"],
        value=metric,
        note=event.get("note"),
        metadata=event.get("metadata"),
        timestamp=checks.from_epoch(event.get("at", event["timestamp"])),
    )


def utilisation_of(live: Live) -> float:
    """Occupancy over capacity; the bare occupancy where the capacity is 0."""
    return live.occupancy / (live.zone.capacity or 1)


def snapshot_of(live: Live, now: datetime) -> ZoneSnapshot:
    """The zone as it is now."""
    if live.occupancy == 0:
        status = "idle"
    else:
        status = "overloaded" if live.occupancy > live.zone.capacity else "active"
    return ZoneSnapshot(
        zone=live.zone,
        generated_at=now,
        occupancy=live.occupancy,
        utilisation=utilisation_of(live),
        status=status,
        metric=live.metric,
        recent_events=tuple(e.event() if isinstance(e, Moved) else e for e in live.recent),
    )
