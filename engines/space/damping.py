"""Relief by a constant factor: what `stabilise` does to a crowded route."""

from __future__ import annotations

from dataclasses import replace

from engines.space.model import OrbitalRoute, SpaceSector

THRESHOLD, FACTOR = 0.65, 0.85


def damped(route: OrbitalRoute, threshold: float, damping: float) -> OrbitalRoute:
    if route.congestion <= threshold:
        return route
    steadier = route.stability + (1 - route.stability) * (1 - damping) / 2
    return replace(route, congestion=route.congestion * damping, stability=steadier)


def stabilised(sector: SpaceSector) -> SpaceSector:
    """The sector as `stabilise` would leave it, with what it does where nothing is said."""
    routes = tuple(damped(route, THRESHOLD, FACTOR) for route in sector.routes)
    if routes == sector.routes:
        return sector
    return replace(sector, routes=routes, hazard_index=sector.hazard_index * FACTOR)
