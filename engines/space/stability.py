"""
The stability score: how calm a sector is, from what it is made of and what shook it of late.

    base     = 0.40 route stability + 0.25 (1 - hazard) + 0.20 supply + 0.15 (1 - traffic)
    strain   = 1 - Π (1 - weight(severity) · impact · 0.85^age)      over the last *horizon* events
    score    = base · (1 - 0.6 · strain)

The product is a noisy-or (Pearl 1988): events add up without ever passing 1, and which came first
matters only through its age, counted in events.  The wall clock plays no part, so reading twice
gives the same score twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.space.model import SpaceEvent, SpaceEventSeverity, SpaceSector

_WEIGHT = {
    SpaceEventSeverity.INFO: 0.1,
    SpaceEventSeverity.ADVISORY: 0.3,
    SpaceEventSeverity.ALERT: 0.6,
    SpaceEventSeverity.CRITICAL: 1.0,
}
ROUTES, HAZARD, SUPPLY, TRAFFIC = 0.40, 0.25, 0.20, 0.15
_FADING = 0.85
_DEEPEST_FALL = 0.6


def stability(sector: SpaceSector, recent: Sequence[SpaceEvent]) -> float:
    """Return the score, 0…1, of *sector* after its *recent* events (oldest first)."""
    routes, hazard, supply, traffic = parts(sector)
    # Not sum(), which from Python 3.12 on rounds otherwise.
    return (routes + hazard + supply + traffic) * steadiness(recent)


def parts(sector: SpaceSector) -> tuple[float, float, float, float]:
    """What routes, hazard, supply and traffic add to the score of a sector that nothing shook."""
    return (
        ROUTES * sector.route_stability,
        HAZARD * (1 - sector.hazard_index),
        SUPPLY * sector.supply_level,
        TRAFFIC * (1 - sector.traffic_load),
    )


def steadiness(recent: Sequence[SpaceEvent]) -> float:
    """The share, 0…1, of its score that the *recent* events leave a sector."""
    calm = 1.0
    for age, event in enumerate(reversed(recent)):
        calm *= 1 - _WEIGHT[event.severity] * event.impact_score * _FADING**age
    return 1 - _DEEPEST_FALL * (1 - calm)
