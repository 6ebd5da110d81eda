"""Zones refuse what cannot be, say what was wrong, and record nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidInput
from engines.journal import Journal
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary

NAN, INF = float("nan"), float("inf")
HUB = ZoneBoundary(0, 50, 0, 30)


@pytest.fixture
def registry(tmp_path: Path) -> DynamicZoneRegistry:
    registry = DynamicZoneRegistry(journal=Journal(tmp_path / "zones.jsonl"))
    registry.register_zone(Zone("Hub", HUB))
    return registry


def case(name: str, make: Callable[[], Any], message: str) -> Any:
    return pytest.param(make, message, id=name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        case("x upside down", lambda: ZoneBoundary(5, 2, 0, 1), "min_x 5 > max_x 2"),
        case("y upside down", lambda: ZoneBoundary(0, 1, 3, 1), "min_y 3 > max_y 1"),
        case("z upside down", lambda: ZoneBoundary(0, 1, 0, 1, 1, 0), "min_z 1 > max_z 0"),
        case("NaN limit", lambda: ZoneBoundary(NAN, 1, 0, 1), "min_x must be finite, found nan"),
        case("infinite limit", lambda: ZoneBoundary(0, INF, 0, 1), "max_x must be finite"),
        case("text limit", lambda: ZoneBoundary("0", 1, 0, 1), "min_x must be a number"),
        case("flag limit", lambda: ZoneBoundary(0, max_x=True, min_y=0, max_y=1), "found True"),
        case("huge limit", lambda: ZoneBoundary(0, 10**400, 0, 1), "max_x is too large"),
        case("no system", lambda: ZoneBoundary(0, 1, 0, 1, coordinate_system=" "), "' '"),
        case("empty name", lambda: Zone("", HUB), "a zone's name must not be empty"),
        case("blank name", lambda: Zone(" \t", HUB), "must not be empty"),
        case("number as name", lambda: Zone(7, HUB), "found 7"),
        case("no boundary", lambda: Zone("Z", None), "'Z': boundary must be a ZoneBoundary"),
        case(
            "wrong boundary",
            lambda: Zone("Z", {"min_x": 0, "west": 1}),
            "unexpected keyword argument 'west'",
        ),
        case("capacity below 0", lambda: Zone("Z", HUB, capacity=-1), "at least 0, found -1"),
        case("half a place", lambda: Zone("Z", HUB, capacity=1.5), "whole number, found 1.5"),
        case("NaN capacity", lambda: Zone("Z", HUB, capacity=NAN), "capacity must be finite"),
        case("NaN sensitivity", lambda: Zone("Z", HUB, sensitivity=NAN), "sensitivity must be"),
        case("one text as tags", lambda: Zone("Z", HUB, tags="level-1"), "found the text"),
        case("blank tag", lambda: Zone("Z", HUB, tags=("a", "")), "tags must not be empty"),
        case("list as metadata", lambda: Zone("Z", HUB, metadata=[1]), "found \\[1\\]"),
        case("history 0", lambda: DynamicZoneRegistry(history=0), "at least 1, found 0"),
    ],
)
def test_a_wrong_value_is_a_value_error_that_names_it(
    make: Callable[[], Any], message: str
) -> None:
    """The error is an InvalidInput, and so a ValueError."""
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"kind": "leave"}, "'leave' \\(one of enter, exit, sample, alert\\)"),
        ({"kind": ""}, "no kind of zone event: ''"),
        ({"kind": None}, "no kind of zone event: None"),
        ({"kind": "enter", "change": 1.5}, "whole number, found 1.5"),
        ({"kind": "enter", "change": INF}, "finite, found inf"),
        ({"kind": "enter", "change": NAN}, "finite, found nan"),
        ({"kind": "enter", "change": "2"}, "must be a number, found '2'"),
        ({"kind": "sample", "value": NAN}, "value must be finite, found nan"),
        ({"kind": "sample", "value": -INF}, "value must be finite, found -inf"),
        ({"kind": "sample", "value": "high"}, "found 'high'"),
        ({"kind": "sample", "metadata": {"at": datetime(2027, 1, 1, tzinfo=UTC)}}, "not a JSON"),
        ({"kind": "sample", "metadata": {"depth": NAN}}, "metadata.depth: nan"),
        ({"kind": "sample", "metadata": {1: "one"}}, "key 1 is not text"),
        ({"kind": "sample", "metadata": [1]}, "metadata must be a mapping"),
        ({"kind": "sample", "note": "\ud800"}, "lone surrogate"),
        ({"kind": "sample", "timestamp": "2027-01-01"}, "datetime, found '2027-01-01'"),
        ({"kind": "sample", "timestamp": datetime.max.replace(tzinfo=UTC)}, "out of range: 9999"),
        ({"kind": "sample", "zone": ""}, "a zone's name must not be empty"),
        ({"kind": "sample", "zone": None}, "found None"),
        ({"kind": "sample", "zone": "Pier"}, "no zone named 'Pier'"),
    ],
)
def test_a_wrong_event_records_nothing(
    registry: DynamicZoneRegistry, event: dict[str, Any], message: str
) -> None:
    """Neither the state nor a byte of the journal changes."""
    assert isinstance(registry.journal, Journal)
    file = registry.journal.path
    before, state = file.read_bytes(), registry.snapshot("Hub").recent_events
    with pytest.raises(InvalidInput, match=message):
        registry.record_event(**{"zone": "Hub", **event})
    assert file.read_bytes() == before
    assert registry.snapshot("Hub").recent_events == state


@pytest.mark.parametrize(
    "bad",
    [{"name": ""}, {"boundary": None}, {"room": 3}, 5],
    ids=["empty name", "no boundary", "unknown field", "not a zone"],
)
def test_zones_are_registered_all_or_none(registry: DynamicZoneRegistry, bad: Any) -> None:
    """One wrong zone among good ones leaves all of them out."""
    good = {"name": "Pier", "boundary": HUB}
    with pytest.raises(InvalidInput):
        registry.register_zones([good, {**good, **bad} if isinstance(bad, dict) else bad])
    assert [zone.name for zone in registry.list_zones()] == ["Hub"]


@pytest.mark.parametrize("position", [(), (1,), {"x": 1}, None, 5, (NAN, 0), ("1", 0), (0, INF)])
def test_a_position_needs_two_finite_numbers(registry: DynamicZoneRegistry, position: Any) -> None:
    """What is no position is an error, not outside."""
    with pytest.raises(InvalidInput):
        registry.contains("Hub", position)
    with pytest.raises(InvalidInput):
        registry.locate(position)
