"""What users' code relies on in `engines.zone`: names, defaults and behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.zone import (
    DynamicZoneRegistry,
    Zone,
    ZoneBoundary,
    ZoneEvent,
    ZoneEventType,
    ZoneNotFoundError,
    ZoneSnapshot,
)

REQUIRED = object()
NOW = datetime(2027, 1, 15, 10, tzinfo=UTC)
HUB = ZoneBoundary(0, 50, 0, 30)


def shape(cls: type) -> dict[str, Any]:
    return {f.name: REQUIRED if f.default is MISSING else f.default for f in fields(cls)}


@pytest.fixture
def registry() -> DynamicZoneRegistry:
    return DynamicZoneRegistry([Zone("Hub", HUB, capacity=2)], clock=NOW.timestamp)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            ZoneBoundary,
            {
                **dict.fromkeys(("min_x", "max_x", "min_y", "max_y"), REQUIRED),
                "min_z": 0,
                "max_z": 0,
                "coordinate_system": "cartesian",
            },
        ),
        (
            Zone,
            {
                "name": REQUIRED,
                "boundary": REQUIRED,
                "capacity": 1,
                "sensitivity": 0.5,
                "tags": (),
                "metadata": None,
            },
        ),
        (
            ZoneEvent,
            {
                "zone": REQUIRED,
                "kind": REQUIRED,
                "change": 0,
                "value": None,
                "note": None,
                "metadata": None,
                "timestamp": REQUIRED,  # made at the moment, see the test below
            },
        ),
    ],
)
def test_fields_stand_in_the_promised_order_with_the_promised_defaults(
    cls: type, expected: dict[str, Any]
) -> None:
    """Positional and keyword construction of earlier code goes on working."""
    assert list(shape(cls).items()) == list(expected.items())


def test_a_snapshot_has_the_promised_attributes(registry: DynamicZoneRegistry) -> None:
    """A snapshot starts with its promised fields, in order, and becomes plain data."""
    assert tuple(shape(ZoneSnapshot)) == (
        "zone",
        "generated_at",
        "occupancy",
        "utilisation",
        "status",
        "metric",
        "recent_events",
    )
    registry.record_event("Hub", kind="sample", value=0.25)
    assert registry.snapshot("Hub").as_dict() == {
        "zone": "Hub",
        "generated_at": "2027-01-15T10:00:00Z",
        "occupancy": 0,
        "capacity": 2,
        "utilisation": 0.0,
        "status": "idle",
        "metric": 0.25,
        "tags": [],
    }


def test_an_event_without_a_time_is_of_now() -> None:
    """`timestamp` defaults to the moment of construction, in UTC."""
    before = datetime.now(UTC)
    assert before <= ZoneEvent("Hub", ZoneEventType.ENTER).timestamp <= datetime.now(UTC)


def test_there_are_four_kinds_of_event() -> None:
    """The kinds are words, taken in any case."""
    assert [kind.value for kind in ZoneEventType] == ["enter", "exit", "sample", "alert"]
    assert ZoneEventType("ENTER") is ZoneEventType.ENTER
    assert issubclass(ZoneNotFoundError, KeyError)


def test_a_boundary_measures_itself() -> None:
    """Width, height and depth are differences; a flat boundary's volume is its area."""
    box = ZoneBoundary(-1, 3, 0, 5, 0, 2)
    assert (box.width, box.height, box.depth) == (4, 5, 2)
    assert (box.area(), box.volume()) == (20, 40)
    assert HUB.volume() == HUB.area() == 1500


coordinate = st.floats(-1e6, 1e6)


@given(x=coordinate, y=coordinate, z=coordinate, low=coordinate, size=st.floats(0, 1e6))
def test_a_position_is_inside_exactly_when_every_axis_is(
    x: float, y: float, z: float, low: float, size: float
) -> None:
    """Faces belong to the box; tuples, mappings and an altitude say the same position."""
    box = ZoneBoundary(*(low, low + size) * 3)
    inside = all(low <= value <= low + size for value in (x, y, z))
    assert box.contains((x, y, z)) == inside
    assert box.contains({"x": x, "y": y, "z": z}) == inside
    assert box.contains((x, y), altitude=z) == inside
    assert box.contains((low, low + size, low))


def test_a_zone_is_cleaned_when_made() -> None:
    """Names lose outer space, tags become lower-case words without doubles, indices are clamped."""
    zone = Zone(" Hub ", {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}, tags=("A", "a", "B"))
    assert (zone.name, zone.tags, zone.boundary) == ("Hub", ("a", "b"), ZoneBoundary(0, 1, 0, 1))
    assert Zone("Hub", HUB, sensitivity=7).sensitivity == 1.0


@pytest.mark.parametrize("form", ["zone", "mapping", "nested mapping"])
def test_a_zone_may_be_given_as_a_mapping(form: str) -> None:
    """`register_zone` takes a Zone or its fields, and returns the Zone."""
    forms: dict[str, Any] = {
        "zone": Zone("Hub", HUB),
        "mapping": {"name": "Hub", "boundary": HUB},
        "nested mapping": {
            "name": "Hub",
            "boundary": {"min_x": 0, "max_x": 50, "min_y": 0, "max_y": 30},
        },
    }
    registry = DynamicZoneRegistry()
    assert registry.register_zone(forms[form]) == Zone("Hub", HUB)
    assert registry.list_zones() == (Zone("Hub", HUB),)


def test_zones_are_listed_in_the_order_of_registration_and_can_be_removed() -> None:
    """Removal forgets the zone; asking for it afterwards is an error."""
    registry = DynamicZoneRegistry([Zone("B", HUB), Zone("A", HUB)])
    registry.register_zones([{"name": "C", "boundary": HUB}])
    assert [zone.name for zone in registry.list_zones()] == ["B", "A", "C"]
    registry.remove_zone("A")
    assert [zone.name for zone in registry.list_zones()] == ["B", "C"]
    with pytest.raises(ZoneNotFoundError, match="'A'"):
        registry.snapshot("A")


def test_changing_a_zone_keeps_what_happened_in_it(registry: DynamicZoneRegistry) -> None:
    """A second registration of a name replaces the definition only."""
    registry.record_event("Hub", kind="enter", change=3)
    registry.register_zone(Zone("Hub", HUB, capacity=6))
    assert registry.utilisation("Hub") == 0.5
    assert len(registry.snapshot("Hub").recent_events) == 1


@pytest.mark.parametrize(
    ("kind", "change", "occupancy"),
    [
        ("enter", None, 6),
        ("enter", 0, 6),  # as earlier code has it: 0 stands for the usual change
        ("enter", 4, 9),
        ("exit", None, 4),
        ("exit", -2, 3),
        ("exit", -99, 0),
        ("sample", None, 5),
        ("sample", 2, 7),
        ("alert", None, 5),
        ("alert", 1, 6),
    ],
)
def test_an_event_moves_occupancy(
    registry: DynamicZoneRegistry, kind: str, change: int | None, occupancy: int
) -> None:
    """Enter is +1, exit -1, the others 0 unless they say; occupancy never falls below 0."""
    registry.record_event("Hub", kind="enter", change=5)
    registry.record_event("Hub", kind=kind, change=change)
    assert registry.snapshot("Hub").occupancy == occupancy


@pytest.mark.parametrize(
    ("capacity", "inside", "utilisation", "status"),
    [(2, 0, 0.0, "idle"), (2, 1, 0.5, "active"), (2, 2, 1.0, "active"), (2, 3, 1.5, "overloaded")],
)
def test_status_follows_occupancy(
    capacity: int, inside: int, utilisation: float, status: str
) -> None:
    """A full zone is active; one more makes it overloaded."""
    registry = DynamicZoneRegistry([Zone("Hub", HUB, capacity=capacity)])
    if inside:
        registry.record_event("Hub", kind="enter", change=inside)
    snapshot = registry.snapshot("Hub")
    assert (snapshot.utilisation, snapshot.status) == (utilisation, status)
    assert registry.utilisation("Hub") == utilisation


def test_a_zone_without_room_counts_its_occupancy() -> None:
    """Nothing is divided by a capacity of 0."""
    registry = DynamicZoneRegistry([Zone("Closed", HUB, capacity=0)])
    registry.record_event("Closed", kind="enter", change=3)
    assert registry.utilisation("Closed") == 3


def test_the_metric_is_the_last_reading(registry: DynamicZoneRegistry) -> None:
    """An event without a reading leaves the metric, and carries it."""
    registry.record_event("Hub", kind="sample", value=0.4)
    event = registry.record_event("Hub", kind="enter", note=" in ", metadata={"id": 7})
    assert registry.snapshot("Hub").metric == event.value == 0.4
    assert (event.note, event.metadata, event.timestamp) == ("in", {"id": 7}, NOW)


def test_only_the_latest_events_are_remembered() -> None:
    """`history` bounds the memory, not the occupancy."""
    registry = DynamicZoneRegistry([Zone("Hub", HUB)], history=2)
    for _ in range(5):
        registry.record_event("Hub", kind="enter")
    snapshot = registry.snapshot("Hub")
    assert (len(snapshot.recent_events), snapshot.occupancy) == (2, 5)


def test_snapshot_without_a_name_is_of_all_zones() -> None:
    """The keys are the names in the order of registration."""
    registry = DynamicZoneRegistry([Zone("B", HUB), Zone("A", HUB)], clock=NOW.timestamp)
    assert registry.snapshot() == {name: registry.snapshot(name) for name in ("B", "A")}


def test_the_smallest_zone_around_a_point_is_found() -> None:
    """`contains` asks one zone, `locate` all of them."""
    registry = DynamicZoneRegistry([Zone("City", ZoneBoundary(0, 9, 0, 9)), Zone("Hub", HUB)])
    registry.register_zone(Zone("Ward", ZoneBoundary(0, 2, 0, 2)))
    assert registry.contains("City", (9, 9))
    assert not registry.contains("City", {"x": 9.5, "y": 0})
    found = [registry.locate(point) for point in ((1, 1), (5, 5), (20, 20), (-1, 0))]
    assert [zone.name if zone else None for zone in found] == ["Ward", "City", "Hub", None]


@pytest.mark.parametrize(
    "ask",
    [
        lambda r: r.snapshot("Hbu"),
        lambda r: r.utilisation("Hbu"),
        lambda r: r.contains("Hbu", (0, 0)),
        lambda r: r.record_event("Hbu", kind="enter"),
        lambda r: r.remove_zone("Hbu"),
        lambda r: r.get_zone("Hbu"),
    ],
    ids=["snapshot", "utilisation", "contains", "record_event", "remove_zone", "get_zone"],
)
def test_an_unknown_zone_is_a_key_error_that_suggests_a_name(
    registry: DynamicZoneRegistry, ask: Callable[[DynamicZoneRegistry], Any]
) -> None:
    """The message has the name that was asked for and the one that was meant."""
    with pytest.raises(ZoneNotFoundError, match=r"'Hbu' \(did you mean 'Hub'\?\)"):
        ask(registry)
    assert registry.snapshot("Hub").recent_events == ()
