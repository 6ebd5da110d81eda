"""
Zones at scale: points located in batches beside shapely's STRtree, positions tracked and journaled.

    python bench/zones.py [POINTS]        default: 1,000,000
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shapely
from side_by_side import in_turns, timed, verdict

from engines.journal import Journal
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary, ZonePolygon
from engines.zone.index import ZoneIndex
from engines.zone.tracking import TrackingRules

ACROSS = 100  # zones along an axis: 10,000 in all
OBJECTS = 10_000
FIXES = 40  # of each
SEED = 20270115


def main() -> None:
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chance = np.random.default_rng(SEED)
    zones = mixed(chance)
    locating(zones, chance.random((points, 2)) * ACROSS)
    tracking(chance)


def mixed(chance: np.random.Generator) -> list[ZoneBoundary | ZonePolygon]:
    """Boxes that touch, and polygons of 6 to 16 corners between them."""
    found: list[ZoneBoundary | ZonePolygon] = []
    for x in range(ACROSS):
        for y in range(ACROSS):
            corners = int(chance.integers(6, 17))
            angles = (np.arange(corners) + chance.random(corners) * 0.9) * (2 * np.pi / corners)
            reach = chance.uniform(0.25, 0.5, corners)
            ring = np.stack([x + 0.5 + reach * np.cos(angles), y + 0.5 + reach * np.sin(angles)], 1)
            box = ZoneBoundary(x, x + 1, y, y + 1)
            found.append(
                box if (x + y) % 2 else ZonePolygon(((tuple(map(tuple, ring.tolist())),),))
            )
    return found


def locating(zones: list[ZoneBoundary | ZonePolygon], points: np.ndarray) -> None:
    shapes = [
        shapely.Polygon(zone.polygons[0][0])
        if isinstance(zone, ZonePolygon)
        else shapely.box(zone.min_x, zone.min_y, zone.max_x, zone.max_y)
        for zone in zones
    ]
    built = {
        "ours": timed(lambda: ZoneIndex(zones)),
        "STRtree": timed(lambda: shapely.STRtree(shapes)),
    }
    index, tree = ZoneIndex(zones), shapely.STRtree(shapes)
    ready = shapely.points(points)
    contestants = {
        "ours, the zone of each point": lambda: index.locate(points),
        "ours, all zones of each point": lambda: index.pairs(points),
        "STRtree, points made before": lambda: tree.query(ready, predicate="intersects"),
        "STRtree, points from numbers": lambda: tree.query(
            shapely.points(points), predicate="intersects"
        ),
    }
    taken = in_turns(contestants, 3)
    found, theirs = set(pairs(index.pairs(points))), set(pairs(tree.query(ready, "intersects")))
    print(
        f"{len(zones):,} zones, half boxes and half polygons; {len(points):,} points in one batch"
    )
    print(f"  built in {built['ours']:.2f} s, STRtree in {built['STRtree']:.2f} s")
    for name, seconds in taken.items():
        print(f"  {name:<32} {len(points) / seconds:>12,.0f} points/s")
    print(f"  pairs (point, zone): {len(found):,}; STRtree differs in {len(found ^ theirs):,}")
    rate = len(points) / taken["ours, the zone of each point"]
    print(f"  points/s: {rate:,.0f}   {verdict(rate, 1e6, at_least=True)}")


def pairs(columns: tuple[np.ndarray, np.ndarray]) -> zip[tuple[int, int]]:
    return zip(*(column.tolist() for column in columns), strict=True)


def tracking(chance: np.random.Generator) -> None:
    """Objects that walk straight on among 10,000 zones, a hundredth of a zone's side at a time."""
    place, angle = chance.random((OBJECTS, 2)) * ACROSS, chance.random(OBJECTS) * 2 * np.pi
    step = np.stack([np.cos(angle), np.sin(angle)], 1) * 0.02
    points = np.concatenate([place + step * number for number in range(FIXES)]).round(6)
    objects = [f"vehicle-{number}" for number in range(OBJECTS)] * FIXES
    at = np.repeat(1.8e9 + np.arange(FIXES), OBJECTS)
    rules = {
        "plain": TrackingRules(),
        "margin, times, dwell, 2 s late": TrackingRules(0.05, 1, 1, 10, 2),
    }
    print(f"{len(at):,} positions of {OBJECTS:,} objects, journaled durably")
    for name, one in rules.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "zones.jsonl"
            registry = DynamicZoneRegistry(journal=Journal(path))
            registry.register_zones(grid())
            registry.locate_points(points[:1])
            began = time.process_time()
            track = timed(lambda: registry.track(objects, at, points, rules=one, finish=True))  # noqa: B023
            busy = time.process_time() - began
            moves = sum(len(s.recent_events) for s in registry.snapshot().values())
            size = path.stat().st_size / len(at)
            again: list[DynamicZoneRegistry] = []
            fold = timed(lambda: again.append(DynamicZoneRegistry(journal=Journal(path))))  # noqa: B023
            same = {n: s.occupancy for n, s in again[0].snapshot().items()} == {
                n: s.occupancy for n, s in registry.snapshot().items()
            }
            print(
                f"  {name:<32} {len(at) / track:>10,.0f} positions/s "
                f"({len(at) / busy:,.0f} in a second of processor time), {moves:,} moves, "
                f"{size:.0f} bytes each; folded in {fold:.1f} s, {'equal' if same else 'WRONG'}"
                f"   {verdict(len(at) / track, 2e5, at_least=True)}"
            )


def grid() -> list[Zone]:
    return [
        Zone(f"{x}-{y}", ZoneBoundary(x, x + 1, y, y + 1), 100)
        for x in range(ACROSS)
        for y in range(ACROSS)
    ]


if __name__ == "__main__":
    main()
