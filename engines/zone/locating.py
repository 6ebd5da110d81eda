"""Names of zones around points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engines.zone.index import ZoneIndex
from engines.zone.model import Zone


class Locator:
    """
    An index over zones as they are now.

    Args:
        zones: In any order.
        depths: How many zones each one is a part of, where it is a part.
    """

    def __init__(self, zones: Iterable[Zone], depths: Mapping[str, int]) -> None:
        ordered = sorted(
            zones, key=lambda zone: (-depths.get(zone.name, 0), zone.boundary.volume(), zone.name)
        )
        self.zones = [(zone.name, zone.boundary) for zone in ordered]
        self.index = ZoneIndex([boundary for _, boundary in self.zones])

    def names(self, points: Any) -> list[str | None]:
        """The name of the preferred zone around each point."""
        names = [*(name for name, _ in self.zones), None]  # -1 is the last of them
        return [names[number] for number in self.index.locate(points).tolist()]

    def all_names(self, points: Any) -> list[tuple[str, ...]]:
        """The names of all zones around each point, preferred ones first."""
        found: list[list[str]] = [[] for _ in points]
        for point, zone in zip(
            *(column.tolist() for column in self.index.pairs(points)), strict=True
        ):
            found[point].append(self.zones[zone][0])
        return [tuple(names) for names in found]
