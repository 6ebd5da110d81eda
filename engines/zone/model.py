"""What a zone is: its boundary, what happens in it, and how it looks at a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from engines import checks
from engines.errors import InvalidInput, NotFound

Position = Sequence[float] | Mapping[str, float]
"""(x, y) or (x, y, z), or a mapping with those keys."""


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
class ZoneBoundary:
    """
    An axis-aligned box, its faces included; a flat zone has equal z limits.

    Raises:
        InvalidInput: A limit is not finite, or a minimum lies above its maximum.
    """

    min_x: float
    max_x: float
    min_y: float
    max_y: float
    min_z: float = 0.0
    max_z: float = 0.0
    coordinate_system: str = "cartesian"

    def __post_init__(self) -> None:
        for axis in "xyz":
            low, high = (
                checks.finite(getattr(self, side + axis), side + axis) for side in ("min_", "max_")
            )
            if low > high:
                raise InvalidInput(
                    f"boundary upside down: min_{axis} {low:g} > max_{axis} {high:g}"
                )
            object.__setattr__(self, f"min_{axis}", low)
            object.__setattr__(self, f"max_{axis}", high)
        system = checks.name(self.coordinate_system, "coordinate_system").lower()
        object.__setattr__(self, "coordinate_system", system)

    @property
    def width(self) -> float:
        return self.max_x - self.min_x

    @property
    def height(self) -> float:
        return self.max_y - self.min_y

    @property
    def depth(self) -> float:
        return self.max_z - self.min_z

    def area(self) -> float:
        return self.width * self.height

    def volume(self) -> float:
        """Area times depth; a flat zone's volume is its area."""
        return self.area() * (self.depth or 1.0)

    def contains(self, position: Position, *, altitude: float | None = None) -> bool:
        """Whether the position lies in the box or on its faces; z is 0 where none is given."""
        x, y, z = coordinates(position, altitude)
        return (
            self.min_x <= x <= self.max_x
            and self.min_y <= y <= self.max_y
            and self.min_z <= z <= self.max_z
        )


def coordinates(position: Position, altitude: float | None = None) -> tuple[float, float, float]:
    """
    Return *position* as (x, y, z).

    Raises:
        InvalidInput: x or y is missing, or a coordinate is not a finite number.
    """
    try:
        if isinstance(position, Mapping):
            x, y = position["x"], position["y"]
            z = position.get("z", altitude)
        else:
            x, y = position[0], position[1]
            z = position[2] if len(position) > 2 else altitude  # noqa: PLR2004
    except (KeyError, IndexError, TypeError):
        raise InvalidInput(f"a position needs x and y, found {position!r}") from None
    return checks.finite(x, "x"), checks.finite(y, "y"), checks.finite(z or 0.0, "z")


@dataclass(frozen=True, slots=True)
class Zone:
    """
    A place with limited room.

    Attributes:
        name: Unique in its registry.
        boundary: Where it is; a mapping is taken for a `ZoneBoundary`.
        capacity: How much it holds at once, at least 0.
        sensitivity: How much its events matter, 0…1.
        tags: Lower-case words, for example ("level-1", "critical").
        metadata: Anything JSON, kept as given.
    """

    name: str
    boundary: ZoneBoundary
    capacity: int = 1
    sensitivity: float = 0.5
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        label = checks.name(self.name, "a zone's name")
        object.__setattr__(self, "name", label)
        object.__setattr__(
            self, "boundary", checks.built(ZoneBoundary, self.boundary, f"zone {label!r}: boundary")
        )
        capacity = checks.at_least(checks.whole(self.capacity, "capacity"), 0, "capacity")
        object.__setattr__(self, "capacity", int(capacity))
        object.__setattr__(self, "sensitivity", checks.clamped(self.sensitivity, "sensitivity"))
        object.__setattr__(self, "tags", checks.words(self.tags, "tags"))
        object.__setattr__(self, "metadata", checks.mapping(self.metadata, "metadata"))

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "tags": list(self.tags)}


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
