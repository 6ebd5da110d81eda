"""
The network of sectors: what shakes them, which need attention, and relief for crowded routes.

Its state is a fold over `sectors.jsonl`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engines import checks
from engines.errors import InvalidInput
from engines.journal import Event, Journal
from engines.space.advice import Advice
from engines.space.damping import FACTOR, THRESHOLD, damped
from engines.space.model import (
    CelestialBody,
    OrbitalRoute,
    SpaceEvent,
    SpaceEventSeverity,
    SpaceNetworkOverview,
    SpaceSector,
    SpaceSnapshot,
)
from engines.space.results import Relief
from engines.space.sectors import Space
from engines.space.stability import stability


class DynamicSpaceEngine(Advice):
    """
    Sectors, their events and their stability.

    Args:
        sectors: Registered at once.
        max_events: How many events each sector remembers.
        intervention_threshold: A sector below this stability, 0…1, needs attention.
        journal: Where events go and state comes from; None keeps them in memory.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        sectors: Iterable[SpaceSector | Mapping[str, Any]] | None = None,
        *,
        max_events: int = 256,
        intervention_threshold: float = 0.5,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if max_events < 1:
            raise InvalidInput(f"max_events must be at least 1, found {max_events}")
        self._max_events = max_events
        self._initial_threshold = checks.clamped(intervention_threshold, "intervention_threshold")
        super().__init__(journal, clock=clock)
        for sector in sectors or ():
            self.upsert_sector(sector)

    def reset(self) -> None:
        self.space = Space()
        self._recent: dict[str, deque[SpaceEvent]] = {}
        self.intervention_threshold = self._initial_threshold
        self.last_batch: str | None = None

    # --- commands ----------------------------------------------------------------------------

    def upsert_sector(self, sector: SpaceSector | Mapping[str, Any]) -> SpaceSector:
        """Add a sector, or change the one of that name; its events stay."""
        new = checks.built(SpaceSector, sector, "sector")
        with self.deciding():
            if new.name not in self.space or self.space.get_sector(new.name) != new:
                self.record("sector_upserted", **new.as_dict())
        return new

    def record_event(self, event: SpaceEvent | Mapping[str, Any]) -> SpaceEvent:
        """
        Record what shook a sector.  One that nobody has described yet gets a placeholder.

        Raises:
            InvalidInput: The event is not one.
        """
        new = checks.built(SpaceEvent, event, "sector event")
        payload: dict[str, Any] = {
            "description": new.description,
            "impact_score": new.impact_score,
            "severity": new.severity.value,
        }
        if new.timestamp:
            payload["at"] = new.timestamp.timestamp()
        if new.metadata:
            payload["metadata"] = new.metadata
        with self.deciding():
            if new.sector_name not in self.space:
                self.upsert_sector({"name": new.sector_name, "metadata": {"placeholder": True}})
            self.record("sector_event", sector=new.sector_name, **payload)
            return self._recent[new.sector_name][-1]

    def ingest_events(self, events: Iterable[SpaceEvent | Mapping[str, Any]]) -> list[SpaceEvent]:
        """Record several events, all or none."""
        new = [checks.built(SpaceEvent, event, "sector event") for event in events]
        with self.deciding():
            return [self.record_event(event) for event in new]

    def stabilise(
        self,
        sector: str,
        *,
        congestion_threshold: float = THRESHOLD,
        damping_factor: float = FACTOR,
    ) -> SpaceSector:
        """
        Relieve the sector's crowded routes.

        A route more congested than *congestion_threshold* has its congestion multiplied by
        *damping_factor* and moves half as much of the way towards full stability; where any was
        relieved the hazard is damped too.

        Raises:
            SectorNotFoundError: No sector has that name.
        """
        threshold = checks.clamped(congestion_threshold, "congestion_threshold")
        damping = checks.clamped(damping_factor, "damping_factor")
        with self.deciding():
            known = self.space.get_sector(sector)
            routes = [damped(route, threshold, damping) for route in known.routes]
            relieved = [
                new.identifier for new, old in zip(routes, known.routes, strict=True) if new != old
            ]
            if relieved:
                self.record(
                    "sector_stabilised",
                    sector=sector,
                    relieved=relieved,
                    routes=[
                        {
                            "identifier": route.identifier,
                            "congestion": route.congestion,
                            "stability": route.stability,
                        }
                        for route in routes
                    ],
                    hazard_index=known.hazard_index * damping,
                )
            return self.space.get_sector(sector)

    def relieve(self, sector: str) -> Relief:
        """
        Move the sector's load to where the total cost of its routes is least.

        What the routes carried is kept as what wants to travel, in the sector's metadata; stability
        and hazard stay.  Where nothing would move nothing is recorded.

        Raises:
            SectorNotFoundError: No sector has that name.
            InvalidInput: Its metadata says something of its network that cannot be.
        """
        from engines.space import flows  # noqa: PLC0415  numpy, for those who ask

        with self.deciding():
            known = self.space.get_sector(sector)
            result = flows.relief(known)
            if result.moved:
                routes, metadata = flows.relieved(known, result)
                self.record("sector_relieved", sector=sector, routes=routes, metadata=metadata)
            return result

    def configure_intervention_threshold(self, value: float) -> None:
        """Set the stability, 0…1, below which a sector needs attention."""
        threshold = checks.clamped(value, "intervention_threshold")
        with self.deciding():
            self.record("threshold_configured", intervention_threshold=threshold)

    def close_batch(self, batch: str) -> None:
        """Note that all events of *batch* are in, so that nobody records them a second time."""
        with self.deciding():
            self.record("sector_batch_closed", batch=batch)

    # --- queries -----------------------------------------------------------------------------

    @property
    def sectors(self) -> tuple[SpaceSector, ...]:
        return self.space.sectors

    def snapshot(
        self, sector: str, *, horizon: int = 5, expected: Sequence[SpaceEvent] = ()
    ) -> SpaceSnapshot:
        """
        A sector as it is now, or after what is *expected*, judged by its last *horizon* events.

        Raises:
            SectorNotFoundError: No sector has that name.
        """
        known = self.space.get_sector(sector)
        if horizon < 0:
            raise InvalidInput(f"horizon must be at least 0, found {horizon}")
        remembered = (*self._recent[sector], *expected)
        recent = remembered[-min(horizon, self._max_events) :] if horizon else ()
        return SpaceSnapshot(
            sector_name=sector,
            timestamp=checks.from_epoch(self.clock()),
            stability_score=stability(known, recent),
            traffic_load=known.traffic_load,
            hazard_index=known.hazard_index,
            energy_output_gw=known.energy_output_gw,
            recent_events=recent,
        )

    def network_overview(
        self,
        *,
        horizon: int = 5,
        ahead: int = 0,
        expected: Mapping[str, Sequence[SpaceEvent]] | None = None,
    ) -> SpaceNetworkOverview:
        """
        All sectors together; without any the average stability is 1.

        Args:
            ahead: Forecast that many events ahead too, and name each sector's bridges.
            expected: Sector → events that are not recorded yet, oldest first: it is then as it
                will be after them.
        """
        coming = expected or {}
        snapshots = {
            sector.name: self.snapshot(
                sector.name, horizon=horizon, expected=coming.get(sector.name, ())
            )
            for sector in self.sectors
        }
        scores = [snapshot.stability_score for snapshot in snapshots.values()]
        worst_first = sorted(snapshots.values(), key=_worst_first)
        return SpaceNetworkOverview(
            average_stability=sum(scores) / len(scores) if scores else 1.0,
            total_energy_output_gw=sum(sector.energy_output_gw for sector in self.sectors),
            sectors_requiring_attention=tuple(
                snapshot.sector_name
                for snapshot in worst_first
                if snapshot.stability_score < self.intervention_threshold
            ),
            snapshots=snapshots,
            **(self.look_ahead(ahead, horizon) if ahead else {}),
        )

    def prioritise_interventions(
        self, *, limit: int = 3, horizon: int = 5
    ) -> tuple[SpaceSnapshot, ...]:
        """The *limit* least stable sectors, worst first."""
        overview = self.network_overview(horizon=horizon)
        return tuple(sorted(overview.snapshots.values(), key=_worst_first)[: max(limit, 0)])

    def export_state(self, *, horizon: int = 5) -> dict[str, Any]:
        """The overview as plain data."""
        overview = self.network_overview(horizon=horizon)
        return {
            "average_stability": overview.average_stability,
            "total_energy_output_gw": overview.total_energy_output_gw,
            "intervention_threshold": self.intervention_threshold,
            "sectors_requiring_attention": overview.sectors_requiring_attention,
            "snapshots": {
                name: snapshot.as_dict() for name, snapshot in overview.snapshots.items()
            },
        }

    # --- folding -----------------------------------------------------------------------------

    def fold_settings(self) -> tuple[Any, ...]:
        return (self._max_events, self._initial_threshold)

    def apply_sector_upserted(self, event: Event) -> None:
        sector = SpaceSector(
            name=event["name"],
            bodies=tuple(CelestialBody(**body) for body in event["bodies"]),
            routes=tuple(OrbitalRoute(**route) for route in event["routes"]),
            hazard_index=event["hazard_index"],
            supply_level=event["supply_level"],
            energy_output_gw=event["energy_output_gw"],
            metadata=event["metadata"],
        )
        self.space._sectors[sector.name] = sector  # noqa: SLF001  the engine owns its space
        self._recent.setdefault(sector.name, deque(maxlen=self._max_events))

    def apply_sector_event(self, event: Event) -> None:
        self._recent[event["sector"]].append(
            SpaceEvent(
                sector_name=event["sector"],
                description=event["description"],
                impact_score=event["impact_score"],
                severity=SpaceEventSeverity(event["severity"]),
                timestamp=checks.from_epoch(event.get("at", event["timestamp"])),
                metadata=event.get("metadata"),
            )
        )

    def apply_sector_stabilised(self, event: Event) -> None:
        sector = self.space.get_sector(event["sector"])
        routes = tuple(
            replace(route, congestion=new["congestion"], stability=new["stability"])
            for route, new in zip(sector.routes, event["routes"], strict=True)
        )
        self.space._sectors[sector.name] = replace(  # noqa: SLF001
            sector, routes=routes, hazard_index=event["hazard_index"]
        )

    def apply_sector_relieved(self, event: Event) -> None:
        sector = self.space.get_sector(event["sector"])
        congestion = {route["identifier"]: route["congestion"] for route in event["routes"]}
        routes = tuple(
            replace(route, congestion=congestion.get(route.identifier, route.congestion))
            for route in sector.routes
        )
        self.space._sectors[sector.name] = replace(  # noqa: SLF001
            sector, routes=routes, metadata=event["metadata"]
        )

    def apply_threshold_configured(self, event: Event) -> None:
        self.intervention_threshold = event["intervention_threshold"]

    def apply_sector_batch_closed(self, event: Event) -> None:
        self.last_batch = event["batch"]


def _worst_first(snapshot: SpaceSnapshot) -> tuple[float, str]:
    return snapshot.stability_score, snapshot.sector_name
