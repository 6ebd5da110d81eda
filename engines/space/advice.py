"""What can be asked of the sectors beyond how they are: flows, losses, forecasts, what to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from engines.engine import Engine
from engines.space.model import SpaceEvent
from engines.space.results import (
    CriticalRoutes,
    FlowReport,
    InterventionPlan,
    Relief,
    RouteLoss,
    StabilityForecast,
)
from engines.space.sectors import Space

SCENARIOS = 200


class Advice(Engine):
    """The queries of the engine of sectors that compute; its state is set by its heir."""

    space: Space
    intervention_threshold: float
    _recent: dict[str, deque[SpaceEvent]]

    def flows(self, sector: str) -> FlowReport:
        """
        How load spreads over the sector's routes by itself, and how it would at best.

        Raises:
            SectorNotFoundError: No sector has that name.
            InvalidInput: Its metadata says something of its network that cannot be.
        """
        from engines.space import flows  # noqa: PLC0415  numpy, for those who ask

        return flows.flows(self.space.get_sector(sector))

    def relief(self, sector: str) -> Relief:
        """What `relieve` would do; raises the same."""
        from engines.space import flows  # noqa: PLC0415  numpy, for those who ask

        return flows.relief(self.space.get_sector(sector))

    def critical_routes(self, sector: str, *, measure: int = 50) -> CriticalRoutes:
        """
        The sector's routes by what the loss of each would do; at most *measure* are tried.

        Raises:
            SectorNotFoundError: No sector has that name.
            InvalidInput: Its metadata says something of its network that cannot be.
        """
        from engines.space import flows  # noqa: PLC0415  numpy, for those who ask

        return flows.critical(self.space.get_sector(sector), measure=measure)

    def without_routes(self, sector: str, routes: Iterable[str]) -> RouteLoss:
        """
        What the sector would be without these routes.

        Raises:
            SectorNotFoundError: No sector has that name.
            InvalidInput: It has no such route, or its metadata says what cannot be.
        """
        from engines.space import flows  # noqa: PLC0415  numpy, for those who ask

        return flows.without(self.space.get_sector(sector), routes)

    def forecast(
        self,
        sector: str,
        *,
        ahead: int = 5,
        horizon: int = 5,
        level: float = 0.9,
        every: float | None = None,
    ) -> StabilityForecast:
        """
        The sector's stability *ahead* steps on, with intervals, tested on its own past.

        Args:
            horizon: By how many events each score is judged.
            level: Share of the truth that the intervals shall hold.
            every: Seconds of a step; None makes each event a step.

        Raises:
            SectorNotFoundError: No sector has that name.
            InvalidInput: A number cannot be.
        """
        from engines.space.outlook import outlook  # noqa: PLC0415  for those who ask

        return outlook(
            self.space.get_sector(sector),
            tuple(self._recent[sector]),
            ahead=ahead,
            horizon=horizon,
            threshold=self.intervention_threshold,
            level=level,
            every=every,
        )

    def interventions(
        self,
        *,
        limit: int | None = None,
        hours: float | None = None,
        ahead: int = 5,
        horizon: int = 5,
        target: float | None = None,
        scenarios: int = SCENARIOS,
        seed: int = 0,
    ) -> InterventionPlan:
        """
        What to do, best expected gain per hour first.

        Args:
            limit, hours: At most so many, within so many hours together.
            ahead: Further events that each scenario puts on a sector.
            target: The stability that is wanted; None takes the intervention threshold.

        Raises:
            InvalidInput: A number cannot be, or what a sector's metadata says.
        """
        from engines.space.deliberation import deliberate  # noqa: PLC0415  for those who ask

        return deliberate(
            [(sector, tuple(self._recent[sector.name])) for sector in self.space.sectors],
            limit=limit,
            hours=hours,
            ahead=ahead,
            horizon=horizon,
            target=self.intervention_threshold if target is None else target,
            scenarios=scenarios,
            seed=seed,
        )

    def look_ahead(self, ahead: int, horizon: int) -> dict[str, Any]:
        """What `network_overview` has more where it is asked to look ahead."""
        from engines.space.flows import bridges_of  # noqa: PLC0415  numpy, for those who ask

        return {
            "forecasts": {
                sector.name: self.forecast(sector.name, ahead=ahead, horizon=horizon)
                for sector in self.space.sectors
            },
            "bridges": {sector.name: bridges_of(sector) for sector in self.space.sectors},
        }
