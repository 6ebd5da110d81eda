"""What a zone is, what happens in it, and how it looks at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from engines import checks
from engines.errors import InvalidInput, NotFound
from engines.zone.boundary import ZoneBoundary
from engines.zone.polygon import ZonePolygon

Boundary = ZoneBoundary | ZonePolygon


class ZoneNotFoundError(NotFound):
    """No zone has that name."""


class ZoneEventType(StrEnum):
    """What can happen in a zone."""

    ENTER = "enter"
    EXIT = "exit"
    SAMPLE = "sample"
    ALERT = "alert"

    @classmethod
    def _missing_(cls, value: object) -> ZoneEventType | None:
        if isinstance(value, str) and value.lower() in cls._value2member_map_:
            return cls(value.lower())
        kinds = ", ".join(cls)
        raise InvalidInput(f"no kind of zone event: {value!r} (one of {kinds})")


@dataclass(frozen=True, slots=True)
class Zone:
    """
    A place with limited room.

    Attributes:
        name: Unique in its registry.
        boundary: Where it is; a mapping is taken for a `ZoneBoundary`, or, where it has
            `polygons`, for a `ZonePolygon`.
        capacity: How much it holds at once, at least 0.
        sensitivity: How much its events matter, 0…1.
        tags: Lower-case words, for example ("level-1", "critical").
        metadata: Anything JSON, kept as given.
    """

    name: str
    boundary: Boundary
    capacity: int = 1
    sensitivity: float = 0.5
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        label = checks.name(self.name, "a zone's name")
        object.__setattr__(self, "name", label)
        object.__setattr__(self, "boundary", _boundary(self.boundary, f"zone {label!r}: boundary"))
        capacity = checks.at_least(checks.whole(self.capacity, "capacity"), 0, "capacity")
        object.__setattr__(self, "capacity", int(capacity))
        object.__setattr__(self, "sensitivity", checks.clamped(self.sensitivity, "sensitivity"))
        object.__setattr__(self, "tags", checks.words(self.tags, "tags"))
        object.__setattr__(self, "metadata", checks.mapping(self.metadata, "metadata"))

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "tags": list(self.tags)}


def _boundary(given: Any, what: str) -> Boundary:
    if isinstance(given, ZonePolygon):
        return given
    if isinstance(given, Mapping) and "polygons" in given:
        return checks.built(ZonePolygon, given, what)
    return checks.built(ZoneBoundary, given, what)


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """Something that happened in a zone: *change* moves its occupancy, *value* is a reading."""

    zone: str
    kind: ZoneEventType
    change: int = 0
    value: float | None = None
    note: str | None = None
    metadata: Mapping[str, Any] | None = None
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class ZoneSnapshot:
    """
    A zone at a moment.

    Attributes:
        occupancy: What is in it now, never below 0.
        utilisation: Occupancy over capacity; over 1 where the capacity is 0.
        status: idle, active or overloaded.
        metric: The last reading, or None before the first.
        recent_events: Oldest first, as many as the registry remembers.
    """

    zone: Zone
    generated_at: datetime
    occupancy: int
    utilisation: float
    status: str
    metric: float | None = None
    recent_events: tuple[ZoneEvent, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "zone": self.zone.name,
            "generated_at": checks.rfc3339(self.generated_at),
            "occupancy": self.occupancy,
            "capacity": self.zone.capacity,
            "utilisation": self.utilisation,
            "status": self.status,
            "metric": self.metric,
            "tags": list(self.zone.tags),
        }
