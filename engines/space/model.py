"""What a sector is: bodies, the routes between them, and the events that shake it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from engines import checks
from engines.errors import InvalidInput, NotFound
from engines.space.results import StabilityForecast


class SectorNotFoundError(NotFound):
    """No sector has that name."""


class _Word(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str) and value.lower() in cls._value2member_map_:
            return cls(value.lower())
        raise InvalidInput(f"{value!r} is none of {', '.join(cls)}")


class BodyKind(_Word):
    """What a body is."""

    PLANET = "planet"
    MOON = "moon"
    STATION = "station"
    ASTEROID = "asteroid"
    COMET = "comet"
    ARTIFICIAL = "artificial"


class SpaceEventSeverity(_Word):
    """How grave an event is, in four steps."""

    INFO = "info"
    ADVISORY = "advisory"
    ALERT = "alert"
    CRITICAL = "critical"


def _set(instance: object, **values: object) -> None:
    for attribute, value in values.items():
        object.__setattr__(instance, attribute, value)


@dataclass(frozen=True, slots=True)
class CelestialBody:
    """A node of a sector's network: a place that routes join."""

    name: str
    kind: BodyKind
    mass_kg: float
    velocity_kms: float
    resource_index: float = 0.5
    habitability: float = 0.0
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _set(
            self,
            name=checks.name(self.name, "a body's name"),
            kind=BodyKind(self.kind),
            mass_kg=checks.at_least(self.mass_kg, 0, "mass_kg"),
            velocity_kms=checks.finite(self.velocity_kms, "velocity_kms"),
            resource_index=checks.clamped(self.resource_index, "resource_index"),
            habitability=checks.clamped(self.habitability, "habitability"),
            tags=checks.words(self.tags, "tags"),
        )


@dataclass(frozen=True, slots=True)
class OrbitalRoute:
    """A connection between two bodies, with its cost, congestion 0…1 and stability 0…1."""

    identifier: str
    origin: str
    destination: str
    delta_v_kms: float
    congestion: float = 0.0
    stability: float = 1.0

    def __post_init__(self) -> None:
        _set(
            self,
            identifier=checks.name(self.identifier, "a route's identifier"),
            origin=checks.name(self.origin, "a route's origin"),
            destination=checks.name(self.destination, "a route's destination"),
            delta_v_kms=checks.at_least(self.delta_v_kms, 0, "delta_v_kms"),
            congestion=checks.clamped(self.congestion, "congestion"),
            stability=checks.clamped(self.stability, "stability"),
        )


@dataclass(frozen=True, slots=True)
class SpaceSector:
    """
    A network of bodies and routes that is kept stable.

    Attributes:
        bodies, routes: Mappings are taken for their classes.
        hazard_index: Standing danger, 0…1.
        supply_level: How well it is supplied, 0…1.
        energy_output_gw: Gigawatts, at least 0.
    """

    name: str
    bodies: tuple[CelestialBody, ...] = ()
    routes: tuple[OrbitalRoute, ...] = ()
    hazard_index: float = 0.25
    supply_level: float = 0.6
    energy_output_gw: float = 0.0
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        label = checks.name(self.name, "a sector's name")
        bodies = tuple(
            checks.built(CelestialBody, body, f"sector {label!r}: body") for body in self.bodies
        )
        routes = tuple(
            checks.built(OrbitalRoute, route, f"sector {label!r}: route") for route in self.routes
        )
        _no_twins(label, "body", (body.name for body in bodies))
        _no_twins(label, "route", (route.identifier for route in routes))
        _set(
            self,
            name=label,
            bodies=bodies,
            routes=routes,
            hazard_index=checks.clamped(self.hazard_index, "hazard_index"),
            supply_level=checks.clamped(self.supply_level, "supply_level"),
            energy_output_gw=checks.at_least(self.energy_output_gw, 0, "energy_output_gw"),
            metadata=checks.mapping(self.metadata, "metadata"),
        )

    @property
    def traffic_load(self) -> float:
        """Mean congestion of the routes, 0 without any."""
        return _mean([route.congestion for route in self.routes], default=0.0)

    @property
    def route_stability(self) -> float:
        """Mean stability of the routes, 1 without any."""
        return _mean([route.stability for route in self.routes], default=1.0)

    @property
    def dominant_body(self) -> CelestialBody | None:
        """The heaviest body, or None."""
        return max(self.bodies, key=lambda body: body.mass_kg, default=None)

    def get_body(self, name: str) -> CelestialBody:
        """
        The body of that name.

        Raises:
            NotFound: There is none.
        """
        for body in self.bodies:
            if body.name == name:
                return body
        raise NotFound(f"sector {self.name!r} has no body named {name!r}")

    def with_routes(self, routes: Iterable[OrbitalRoute | Mapping[str, Any]]) -> SpaceSector:
        """The same sector with other routes."""
        what = f"sector {self.name!r}: route"
        built = tuple(checks.built(OrbitalRoute, route, what) for route in routes)
        return replace(self, routes=built)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SpaceEvent:
    """Something that shook a sector; *impact_score* 0…1."""

    sector_name: str
    description: str
    impact_score: float
    severity: SpaceEventSeverity = SpaceEventSeverity.INFO
    timestamp: datetime | None = None
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _set(
            self,
            sector_name=checks.name(self.sector_name, "a sector's name"),
            description=checks.name(self.description, "an event's description"),
            impact_score=checks.clamped(self.impact_score, "impact_score"),
            severity=SpaceEventSeverity(self.severity),
            timestamp=checks.utc(self.timestamp) if self.timestamp else None,
            metadata=checks.mapping(self.metadata, "metadata"),
        )


@dataclass(frozen=True, slots=True)
class SpaceSnapshot:
    """A sector at a moment; *stability_score* 0…1, higher is calmer."""

    sector_name: str
    timestamp: datetime
    stability_score: float
    traffic_load: float
    hazard_index: float
    energy_output_gw: float
    recent_events: tuple[SpaceEvent, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "sector_name": self.sector_name,
            "timestamp": checks.rfc3339(self.timestamp),
            "stability_score": self.stability_score,
            "traffic_load": self.traffic_load,
            "hazard_index": self.hazard_index,
            "energy_output_gw": self.energy_output_gw,
            "recent_events": [
                {
                    "description": event.description,
                    "severity": event.severity.value,
                    "impact_score": event.impact_score,
                    "timestamp": checks.rfc3339(event.timestamp or datetime.now(UTC)),
                }
                for event in self.recent_events
            ],
        }


@dataclass(frozen=True, slots=True)
class SpaceNetworkOverview:
    """
    All sectors at a moment; those *requiring_attention* are below the threshold, worst first.

    Attributes:
        forecasts, bridges: By sector, where a look ahead was asked for: what its stability will be,
            and the routes whose loss parts what they join.
    """

    average_stability: float
    total_energy_output_gw: float
    sectors_requiring_attention: tuple[str, ...]
    snapshots: Mapping[str, SpaceSnapshot] = field(default_factory=dict)
    forecasts: Mapping[str, StabilityForecast] = field(default_factory=dict)
    bridges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _no_twins(sector: str, what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"sector {sector!r}: two {what} entries named {name!r}")
        seen.add(name)
