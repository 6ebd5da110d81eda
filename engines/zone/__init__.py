"""Zones: places with limited room, what happens in them, and how full they are."""

from engines.zone.boundary import Position, ZoneBoundary
from engines.zone.model import (
    Zone,
    ZoneEvent,
    ZoneEventType,
    ZoneNotFoundError,
    ZoneSnapshot,
)
from engines.zone.polygon import ZonePolygon
from engines.zone.registry import DynamicZoneRegistry

__all__ = [
    "DynamicZoneRegistry",
    "Position",
    "Zone",
    "ZoneBoundary",
    "ZoneEvent",
    "ZoneEventType",
    "ZoneNotFoundError",
    "ZonePolygon",
    "ZoneSnapshot",
]
