"""One cycle from signals to assignments: what users' code relies on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.assign import AgentProfile, DynamicAssignEngine
from engines.orchestrator import DynamicUsageOrchestrator, PersonaSignal
from engines.space import DynamicSpaceEngine, SpaceSector
from engines.zone import DynamicZoneRegistry, Zone, ZoneBoundary, ZoneNotFoundError

NOW = datetime(2027, 1, 15, 10, tzinfo=UTC)
BOX = ZoneBoundary(0, 9, 0, 9)
AVA = AgentProfile("Ava", ("Safety", "engineering"), 6, confidence=0.8)


def signal(severity: float = 0.6, **fields: Any) -> PersonaSignal:
    good = {"persona": "research", "summary": "Leak", "zone": "Hub", "sector": "Lunar"}
    return PersonaSignal(**{**good, "severity": severity, **fields})


@pytest.fixture
def orchestrator() -> DynamicUsageOrchestrator:
    orchestrator = DynamicUsageOrchestrator(clock=NOW.timestamp)
    orchestrator.register_zones([{"name": "Hub", "boundary": BOX, "capacity": 2}])
    orchestrator.register_sector({"name": "Lunar"})
    return orchestrator


def test_the_engines_handed_in_are_the_ones_used() -> None:
    """Also while they are still empty."""
    zones, space, assign = DynamicZoneRegistry(), DynamicSpaceEngine(), DynamicAssignEngine()
    orchestrator = DynamicUsageOrchestrator(
        zone_registry=zones, space_engine=space, assign_engine=assign
    )
    orchestrator.register_zone(Zone("Hub", BOX))
    cycle = orchestrator.plan_cycle([signal()], [AVA])
    assert zones.snapshot("Hub").occupancy == 1
    assert [sector.name for sector in space.sectors] == ["Lunar"]
    assert assign.history == list(cycle.assignments)


@pytest.mark.parametrize(
    ("severity", "kind", "occupancy", "grade"),
    [
        (0.0, "sample", 0, "info"),
        (0.34, "sample", 0, "info"),
        (0.35, "sample", 0, "advisory"),
        (0.54, "sample", 0, "advisory"),
        (0.55, "alert", 1, "alert"),
        (0.84, "alert", 1, "alert"),
        (0.85, "alert", 1, "critical"),
        (1.0, "alert", 1, "critical"),
    ],
)
def test_a_signal_strains_its_zone_and_sector_by_its_severity(
    orchestrator: DynamicUsageOrchestrator, severity: float, kind: str, occupancy: int, grade: str
) -> None:
    """The thresholds are 0.55 and 0.85 unless set."""
    moment = datetime(2026, 12, 31, tzinfo=UTC)
    cycle = orchestrator.plan_cycle([signal(severity, timestamp=moment)], [AVA])
    zone = cycle.zone_snapshots["Hub"]
    (here,), (there,) = zone.recent_events, cycle.space_overview.snapshots["Lunar"].recent_events
    assert (here.kind, zone.occupancy, zone.metric) == (kind, occupancy, severity)
    assert (there.severity, there.impact_score, there.description) == (grade, severity, "Leak")
    assert here.timestamp == there.timestamp == moment


def test_the_critical_threshold_never_lies_below_the_other() -> None:
    """Both are clamped to 0…1."""
    odd = DynamicUsageOrchestrator(alert_threshold=0.9, critical_threshold=0.2)
    assert (odd.alert_threshold, odd.critical_threshold) == (0.9, 0.9)
    assert DynamicUsageOrchestrator(alert_threshold=7).alert_threshold == 1.0


def test_a_signal_becomes_a_task(orchestrator: DynamicUsageOrchestrator) -> None:
    """Priority is the severity; the rest is taken over; the name may be the signal's own."""
    own = signal(
        0.3,
        task_identifier="T-9",
        required_skills=("LAW",),
        estimated_effort_hours=1.5,
        metadata={"line": 7},
    )
    made, named = orchestrator.plan_cycle([signal(), own], [AVA]).tasks
    assert (made.identifier, named.identifier) == ("hub-research-1", "T-9")
    assert (named.description, named.priority, named.required_skills) == ("Leak", 0.3, ("law",))
    assert named.estimated_effort_hours == 1.5
    assert named.metadata == {
        "source": "persona_signal",
        "line": 7,
        "persona": "research",
        "zone": "Hub",
        "sector": "Lunar",
        "severity": 0.3,
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Hub", "Hub 1", "hub-1", "Größe", "!!"]),
            st.sampled_from(["research", "r-1", "1", "?"]),
        ),
        max_size=8,
    )
)
def test_task_identifiers_are_unique(places: list[tuple[str, str]]) -> None:
    """Whatever zones and personas are called; each task is decided or left over, once."""
    signals = [
        signal(zone=zone, persona=persona, zone_configuration={}) for zone, persona in places
    ]
    cycle = DynamicUsageOrchestrator().plan_cycle(signals, [AVA])
    names = [task.identifier for task in cycle.tasks]
    assert len(set(names)) == len(places)
    outcomes = [outcome.task_id for outcome in (*cycle.assignments, *cycle.unassigned)]
    assert sorted(outcomes) == sorted(names)


def test_without_agents_a_plan_must_be_asked_for(orchestrator: DynamicUsageOrchestrator) -> None:
    """A ValueError that touches nothing, unless `allow_unassigned`; no signals need no agents."""
    with pytest.raises(ValueError, match="no agents"):
        orchestrator.plan_cycle([signal()], [])
    assert orchestrator.zone_registry.snapshot("Hub").recent_events == ()
    cycle = orchestrator.plan_cycle([signal()], [], allow_unassigned=True)
    assert [task.cause for task in cycle.unassigned] == ["no_agents"]
    assert orchestrator.plan_cycle([], []).tasks == ()


def test_an_unknown_zone_is_an_error_without_a_configuration(
    orchestrator: DynamicUsageOrchestrator,
) -> None:
    """A ZoneNotFoundError, which is a KeyError, and no signal of the cycle has an effect."""
    with pytest.raises(ZoneNotFoundError, match="'Leak': no zone named 'Pier'") as caught:
        orchestrator.plan_cycle([signal(), signal(zone="Pier")], [AVA])
    assert isinstance(caught.value, KeyError)
    assert orchestrator.zone_registry.snapshot("Hub").recent_events == ()
    assert orchestrator.last_cycle is None


@pytest.mark.parametrize(
    ("configuration", "zone"),
    [
        ({"capacity": 3}, Zone("Pier", ZoneBoundary(0, 1, 0, 1), 3)),
        ({"boundary": BOX, "name": "Other", "tags": ["X"]}, Zone("Pier", BOX, tags=("x",))),
        (Zone("Other", BOX, 4), Zone("Pier", BOX, 4)),
        ({}, Zone("Pier", ZoneBoundary(0, 1, 0, 1))),
    ],
    ids=["mapping", "mapping with a name", "zone", "empty"],
)
def test_an_unknown_zone_is_registered_from_its_configuration(
    orchestrator: DynamicUsageOrchestrator, configuration: Any, zone: Zone
) -> None:
    """Under the signal's name; the event goes to it."""
    orchestrator.plan_cycle([signal(zone="Pier", zone_configuration=configuration)], [AVA])
    assert orchestrator.zone_registry.get_zone("Pier") == zone
    assert orchestrator.zone_registry.snapshot("Pier").occupancy == 1


def test_a_known_place_keeps_its_description(orchestrator: DynamicUsageOrchestrator) -> None:
    """A configuration counts only for places not known yet."""
    known = signal(zone_configuration={"capacity": 99}, sector_configuration={"supply_level": 0})
    orchestrator.plan_cycle([known], [AVA])
    assert orchestrator.zone_registry.get_zone("Hub").capacity == 2
    assert orchestrator.space_engine.space.get_sector("Lunar") == SpaceSector("Lunar")


@pytest.mark.parametrize(
    ("configuration", "sector"),
    [
        (None, SpaceSector("Mars", hazard_index=0.6, supply_level=0.5)),
        ({"supply_level": 0.9, "name": "Other"}, SpaceSector("Mars", supply_level=0.9)),
        (SpaceSector("Other", hazard_index=0.1), SpaceSector("Mars", hazard_index=0.1)),
    ],
    ids=["none", "mapping", "sector"],
)
def test_an_unknown_sector_is_created(
    orchestrator: DynamicUsageOrchestrator, configuration: Any, sector: SpaceSector
) -> None:
    """From its configuration, or as dangerous as the signal is severe."""
    cycle = orchestrator.plan_cycle(
        [signal(0.6, sector="Mars", sector_configuration=configuration)], [AVA]
    )
    assert orchestrator.space_engine.space.get_sector("Mars") == sector
    assert "Mars" in cycle.space_overview.snapshots


def test_options_reach_the_parts(orchestrator: DynamicUsageOrchestrator) -> None:
    """`limit` and `min_skill_match` the assignment, `horizon` the overview."""
    signals = [signal(0.6, required_skills=("safety", "law")), signal(0.5, summary="Noise")]
    limited = orchestrator.plan_cycle(signals, [AVA], limit=1, horizon=1)
    assert [decision.task_id for decision in limited.assignments] == ["hub-research-1"]
    events = limited.space_overview.snapshots["Lunar"].recent_events
    assert [event.description for event in events] == ["Noise"]
    strict = orchestrator.plan_cycle(signals, [AVA], min_skill_match=0.6)
    assert [task.cause for task in strict.unassigned] == ["skill_match"]


def test_signals_and_agents_may_be_iterators(orchestrator: DynamicUsageOrchestrator) -> None:
    """What can be read only once is read only once; the agents' profiles stay as they are."""
    agent = AgentProfile("Bo", ("x",), 6)
    cycle = orchestrator.plan_cycle(iter([signal()]), iter([agent]))
    assert [decision.agent for decision in cycle.assignments] == ["Bo"]
    assert agent == AgentProfile("Bo", ("x",), 6)
    with pytest.raises(ValueError, match="no agents"):
        orchestrator.plan_cycle(iter([signal()]), iter([]))


def test_a_cycle_becomes_plain_data(orchestrator: DynamicUsageOrchestrator) -> None:
    """`as_dict` survives JSON and says everything once."""
    cycle = orchestrator.plan_cycle([signal()], [AVA])
    data = cycle.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert (data["cycle"], data["planned_at"]) == (1, "2027-01-15T10:00:00Z")
    assert data["counts"] == {"tasks": 1, "assigned": 1, "unassigned": 0}
    assert data["assignments"] == [cycle.assignments[0].as_dict()]
    assert data["zone_snapshots"]["Hub"]["occupancy"] == 1
    stability = cycle.space_overview.snapshots["Lunar"].stability_score
    assert data["space_overview"]["stability"] == {"Lunar": stability}
    assert data["space_overview"]["average_stability"] == stability
