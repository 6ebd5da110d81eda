"""What users' code relies on in `engines.space`: names, defaults and behaviour."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest

from engines.space import (
    BodyKind,
    CelestialBody,
    DynamicSpaceEngine,
    OrbitalRoute,
    SectorNotFoundError,
    SpaceEvent,
    SpaceEventSeverity,
    SpaceNetworkOverview,
    SpaceSector,
    SpaceSnapshot,
)

REQUIRED = object()
NOW = datetime(2027, 1, 15, 10, tzinfo=UTC)


def shape(cls: type) -> dict[str, Any]:
    return {f.name: REQUIRED if f.default is MISSING else f.default for f in fields(cls)}


def required(*names: str, **defaults: Any) -> dict[str, Any]:
    return {**dict.fromkeys(names, REQUIRED), **defaults}


def route(name: str, congestion: float = 0.0, stability: float = 1.0) -> OrbitalRoute:
    return OrbitalRoute(name, "Earth", "Moon", 3.9, congestion, stability)


@pytest.fixture
def engine() -> DynamicSpaceEngine:
    routes = (route("slow", 0.9, 0.6), route("free", 0.2))
    lunar = SpaceSector("Lunar", routes=routes, hazard_index=0.4, energy_output_gw=2.0)
    return DynamicSpaceEngine([lunar, {"name": "Belt"}], clock=NOW.timestamp)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (
            CelestialBody,
            required(
                "name",
                "kind",
                "mass_kg",
                "velocity_kms",
                resource_index=0.5,
                habitability=0,
                tags=(),
            ),
        ),
        (
            OrbitalRoute,
            required(
                "identifier", "origin", "destination", "delta_v_kms", congestion=0, stability=1
            ),
        ),
        (
            SpaceSector,
            required(
                "name",
                bodies=(),
                routes=(),
                hazard_index=0.25,
                supply_level=0.6,
                energy_output_gw=0,
                metadata=None,
            ),
        ),
        (
            SpaceEvent,
            required(
                "sector_name",
                "description",
                "impact_score",
                severity="info",
                timestamp=None,
                metadata=None,
            ),
        ),
        (
            SpaceSnapshot,
            required(
                "sector_name",
                "timestamp",
                "stability_score",
                "traffic_load",
                "hazard_index",
                "energy_output_gw",
                recent_events=(),
            ),
        ),
    ],
)
def test_fields_stand_in_the_promised_order_with_the_promised_defaults(
    cls: type, expected: dict[str, Any]
) -> None:
    """Positional and keyword construction of earlier code goes on working."""
    assert list(shape(cls).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (BodyKind, ["planet", "moon", "station", "asteroid", "comet", "artificial"]),
        (SpaceEventSeverity, ["info", "advisory", "alert", "critical"]),
    ],
)
def test_words_are_taken_in_any_case(words: Any, expected: list[str]) -> None:
    """The words are the promised ones, in order."""
    assert [word.value for word in words] == expected
    assert [words(text.upper()) for text in expected] == list(words)


def test_nested_bodies_and_routes_may_be_mappings() -> None:
    """A sector read from a file is the same as one made of objects."""
    sector = SpaceSector(
        "Lunar",
        bodies=({"name": "Moon", "kind": "moon", "mass_kg": 7e22, "velocity_kms": 1.0},),
        routes=[{"identifier": "r", "origin": "E", "destination": "M", "delta_v_kms": 4}],
    )
    assert sector.bodies == (CelestialBody("Moon", BodyKind.MOON, 7e22, 1.0),)
    assert sector.routes == (OrbitalRoute("r", "E", "M", 4),)


def test_a_sector_answers_about_its_parts() -> None:
    """Traffic is the mean congestion; the heaviest body dominates; bodies are found by name."""
    moon, dock = CelestialBody("Moon", "moon", 7e22, 1), CelestialBody("Dock", "station", 4e5, 7)
    sector = SpaceSector("Lunar", (dock, moon), (route("a", 0.2), route("b", 0.4)))
    assert sector.traffic_load == pytest.approx(0.3)
    assert sector.dominant_body is sector.get_body("Moon") is moon
    with pytest.raises(KeyError, match="'Mars'"):
        sector.get_body("Mars")
    assert SpaceSector("Empty").traffic_load == 0
    assert SpaceSector("Empty").dominant_body is None


def test_with_routes_makes_another_sector() -> None:
    """The sector itself stays; the other takes objects and mappings."""
    sector = SpaceSector("Lunar", routes=(route("a"),))
    other = sector.with_routes([route("b"), {**route_fields("c"), "congestion": 0.5}])
    assert [r.identifier for r in other.routes] == ["b", "c"]
    assert [r.identifier for r in sector.routes] == ["a"]
    assert other.routes[1].congestion == 0.5


def route_fields(name: str) -> dict[str, Any]:
    return {"identifier": name, "origin": "E", "destination": "M", "delta_v_kms": 1}


def test_sectors_are_added_and_changed_by_name(engine: DynamicSpaceEngine) -> None:
    """`upsert_sector` takes both forms; what shook the sector stays."""
    engine.record_event({"sector_name": "Belt", "description": "dust", "impact_score": 0.2})
    engine.upsert_sector(SpaceSector("Belt", supply_level=0.9))
    assert [sector.name for sector in engine.sectors] == ["Lunar", "Belt"]
    assert engine.space.get_sector("Belt").supply_level == 0.9
    assert len(engine.snapshot("Belt").recent_events) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda e: e.space.get_sector("Lunr"),
        lambda e: e.snapshot("Lunr"),
        lambda e: e.stabilise("Lunr"),
    ],
    ids=["get_sector", "snapshot", "stabilise"],
)
def test_an_unknown_sector_is_a_key_error_that_suggests_a_name(
    engine: DynamicSpaceEngine, ask: Any
) -> None:
    """The message has the name that was asked for and the one that was meant."""
    with pytest.raises(SectorNotFoundError, match=r"'Lunr' \(did you mean 'Lunar'\?\)") as caught:
        ask(engine)
    assert isinstance(caught.value, KeyError)


def test_an_event_for_an_unknown_sector_registers_a_placeholder(
    engine: DynamicSpaceEngine,
) -> None:
    """The placeholder has the defaults and says what it is."""
    event = engine.record_event(SpaceEvent("Mars", "flare", 0.7, SpaceEventSeverity.ALERT))
    assert engine.space.get_sector("Mars") == SpaceSector("Mars", metadata={"placeholder": True})
    assert engine.snapshot("Mars").recent_events == (event,)
    assert event.timestamp == NOW


def test_events_are_remembered_up_to_the_limit_and_seen_up_to_the_horizon() -> None:
    """`max_events` bounds the memory, `horizon` the look at it, newest events kept."""
    engine = DynamicSpaceEngine([{"name": "Belt"}], max_events=3)
    engine.ingest_events(
        {"sector_name": "Belt", "description": f"e{n}", "impact_score": 0.1} for n in range(5)
    )
    seen = {
        horizon: [e.description for e in engine.snapshot("Belt", horizon=horizon).recent_events]
        for horizon in (0, 2, 9)
    }
    assert seen == {0: [], 2: ["e3", "e4"], 9: ["e2", "e3", "e4"]}


def test_stabilise_relieves_crowded_routes_only(engine: DynamicSpaceEngine) -> None:
    """Congestion and hazard are damped, stability moves up; quiet routes stay."""
    slow, free = engine.stabilise("Lunar").routes
    assert slow.congestion == pytest.approx(0.9 * 0.85)
    assert slow.stability == pytest.approx(0.6 + 0.4 * 0.15 / 2)
    assert free == route("free", 0.2)
    assert engine.space.get_sector("Lunar").hazard_index == pytest.approx(0.4 * 0.85)


def test_stabilise_ends_below_the_threshold(engine: DynamicSpaceEngine) -> None:
    """Repeated relief comes to rest once no route is crowded, and then changes nothing."""
    for _ in range(40):
        engine.stabilise("Lunar", congestion_threshold=0.3)
    rest = engine.space.get_sector("Lunar")
    assert max(r.congestion for r in rest.routes) <= 0.3
    assert engine.stabilise("Lunar", congestion_threshold=0.3) == rest


def test_without_sectors_the_network_is_calm() -> None:
    """An empty overview has full stability and nothing to attend to."""
    assert DynamicSpaceEngine().network_overview() == SpaceNetworkOverview(1.0, 0, (), {})


def test_the_threshold_decides_who_needs_attention(engine: DynamicSpaceEngine) -> None:
    """0.5 unless set; sectors strictly below it are named, worst first."""
    assert engine.intervention_threshold == 0.5
    engine.configure_intervention_threshold(1.0)
    overview = engine.network_overview()
    assert overview.sectors_requiring_attention == ("Lunar", "Belt")
    assert overview.total_energy_output_gw == 2.0
    worst = overview.snapshots["Lunar"].stability_score
    engine.configure_intervention_threshold(worst)
    assert engine.network_overview().sectors_requiring_attention == ()


def test_the_state_exports_as_plain_data(engine: DynamicSpaceEngine) -> None:
    """`export_state` is the overview, each snapshot as a dict with RFC 3339 times."""
    event = engine.record_event(SpaceEvent("Belt", "dust", 0.2))
    exported = engine.export_state(horizon=3)
    assert exported["intervention_threshold"] == 0.5
    assert exported["average_stability"] == engine.network_overview(horizon=3).average_stability
    assert exported["snapshots"]["Belt"] == engine.snapshot("Belt", horizon=3).as_dict()
    assert exported["snapshots"]["Belt"]["recent_events"] == [
        {
            "description": event.description,
            "severity": "info",
            "impact_score": 0.2,
            "timestamp": "2027-01-15T10:00:00Z",
        }
    ]
