"""Sectors: networks of routes, what shakes them, and which need attention."""

from engines.space.engine import DynamicSpaceEngine, Space
from engines.space.model import (
    BodyKind,
    CelestialBody,
    OrbitalRoute,
    SectorNotFoundError,
    SpaceEvent,
    SpaceEventSeverity,
    SpaceNetworkOverview,
    SpaceSector,
    SpaceSnapshot,
)

__all__ = [
    "BodyKind",
    "CelestialBody",
    "DynamicSpaceEngine",
    "OrbitalRoute",
    "SectorNotFoundError",
    "Space",
    "SpaceEvent",
    "SpaceEventSeverity",
    "SpaceNetworkOverview",
    "SpaceSector",
    "SpaceSnapshot",
]
