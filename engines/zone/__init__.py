"""Zones: places with limited room, what happens in them, and how full they are."""

from engines.zone.model import (
    Position,
    Zone,
    ZoneBoundary,
    ZoneEvent,
    ZoneEventType,
    ZoneNotFoundError,
    ZoneSnapshot,
)
from engines.zone.registry import DynamicZoneRegistry

__all__ = [
    "DynamicZoneRegistry",
    "Position",
    "Zone",
    "ZoneBoundary",
    "ZoneEvent",
    "ZoneEventType",
    "ZoneNotFoundError",
    "ZoneSnapshot",
]
