"""Sectors: networks of routes, what shakes them, and which need attention."""

from engines.space.engine import DynamicSpaceEngine
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
from engines.space.results import (
    CriticalRoutes,
    FlowReport,
    ForecastStep,
    InterventionPlan,
    NetworkFlows,
    RankedIntervention,
    Relief,
    RouteFlow,
    RouteLoss,
    StabilityForecast,
)
from engines.space.sectors import Space

__all__ = [
    "BodyKind",
    "CelestialBody",
    "CriticalRoutes",
    "DynamicSpaceEngine",
    "FlowReport",
    "ForecastStep",
    "InterventionPlan",
    "NetworkFlows",
    "OrbitalRoute",
    "RankedIntervention",
    "Relief",
    "RouteFlow",
    "RouteLoss",
    "SectorNotFoundError",
    "Space",
    "SpaceEvent",
    "SpaceEventSeverity",
    "SpaceNetworkOverview",
    "SpaceSector",
    "SpaceSnapshot",
    "StabilityForecast",
]
