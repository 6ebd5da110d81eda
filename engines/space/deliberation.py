"""From sectors and what shook them to a plan of interventions."""

from __future__ import annotations

from collections.abc import Sequence

from engines import checks
from engines.errors import InvalidInput
from engines.space.damping import stabilised
from engines.space.interventions import candidates, plan, prospect
from engines.space.model import SpaceEvent, SpaceSector
from engines.space.results import InterventionPlan

_GAP = 1e-4  # to weigh a relief, not to make it


def deliberate(
    sectors: Sequence[tuple[SpaceSector, Sequence[SpaceEvent]]],
    *,
    limit: int | None,
    hours: float | None,
    ahead: int,
    horizon: int,
    target: float,
    scenarios: int,
    seed: int,
) -> InterventionPlan:
    """See `DynamicSpaceEngine.interventions`; each sector comes with its events, oldest first."""
    target = checks.clamped(target, "target")
    for what, number, least in (("ahead", ahead, 0), ("horizon", horizon, 0)):
        if number < least:
            raise InvalidInput(f"{what} must be at least {least}, found {number}")
    if scenarios < 1:
        raise InvalidInput(f"scenarios must be at least 1, found {scenarios}")
    if limit is not None and limit < 0:
        raise InvalidInput(f"limit must be at least 0, found {limit}")
    if hours is not None:
        hours = checks.at_least(hours, 0, "hours")
    choices, prospects = [], {}
    for sector, events in sectors:
        choices += candidates(sector, _relieved(sector), stabilised(sector))
        prospects[sector.name] = prospect(
            sector,
            events,
            ahead=ahead,
            horizon=horizon,
            target=target,
            scenarios=scenarios,
            seed=seed,
        )
    return plan(choices, prospects, target=target, limit=limit, hours=hours)


def _relieved(sector: SpaceSector) -> SpaceSector | None:
    """The sector as `relieve` would leave it."""
    if not sector.routes:
        return None
    from engines.space import flows  # noqa: PLC0415  numpy, for those who have routes

    result = flows.relief(sector, gap=_GAP)
    moved, _ = flows.relieved(sector, result)
    congestion = {route["identifier"]: route["congestion"] for route in moved}
    return flows.with_congestion(sector, congestion) if moved else None
