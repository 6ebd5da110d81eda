"""
Every example of the earlier system's users' guide runs here after changing only its import lines.

The examples stand as they were printed; the table is the one users are given.
"""

from __future__ import annotations

from typing import Any

import pytest

IMPORTS = {
    "dynamic.platform.engines": "engines",
    "dynamic_zone.zone": "engines.zone",
    "dynamic_space.engine": "engines.space",
    "dynamic_assign.engine": "engines.assign",
    "dynamic.intelligence.ai_apps.agents": "engines.personas",
}

SHIM = """
from dynamic.platform.engines import DynamicSpaceEngine, DynamicStateEngine
"""

PERSONAS = """
from dynamic.intelligence.ai_apps.agents import (
    configure_dynamic_start_agents,
    get_dynamic_start_agents,
    prime_dynamic_start_agents,
)

agents = get_dynamic_start_agents()
execution_agent = agents["execution"]
"""

ZONES = """
from dynamic_zone.zone import DynamicZoneRegistry, Zone, ZoneBoundary

registry = DynamicZoneRegistry()
registry.register_zone(
    Zone(
        name="Operations Hub",
        boundary=ZoneBoundary(min_x=0, max_x=50, min_y=0, max_y=30),
        capacity=12,
        tags=("mission-control", "level-1"),
    )
)
registry.record_event("Operations Hub", kind="enter")
status = registry.snapshot("Operations Hub")
"""

SECTORS = """
from dynamic_space.engine import DynamicSpaceEngine

space_engine = DynamicSpaceEngine(intervention_threshold=0.6)
space_engine.upsert_sector({
    "name": "Lunar Logistics",
    "hazard_index": 0.3,
    "supply_level": 0.8,
    "energy_output_gw": 2.4,
})
overview = space_engine.network_overview(horizon=8)
critical = space_engine.prioritise_interventions(limit=2)
"""

ASSIGNMENTS = """
from dynamic_assign.engine import (
    AgentProfile,
    AssignableTask,
    DynamicAssignEngine,
)

engine = DynamicAssignEngine()
assignments = engine.recommend_assignments(
    tasks=[
        AssignableTask(
            identifier="launch-sequence",
            description="Prepare the orbital launch",
            priority=0.9,
            required_skills=("aerodynamics", "safety"),
        )
    ],
    agents=[
        AgentProfile(
            name="Ava",
            skills=("aerodynamics", "propulsion"),
            available_hours=6,
            confidence=0.8,
        )
    ],
)
"""

CYCLE = """
from dynamic.platform.engines import DynamicUsageOrchestrator, PersonaSignal
from dynamic_assign.engine import AgentProfile
from dynamic_zone.zone import ZoneBoundary

orchestrator = DynamicUsageOrchestrator()

# Register environment primitives once.
orchestrator.register_zone(
    {
        "name": "Operations Hub",
        "boundary": ZoneBoundary(0, 12, 0, 8),
        "capacity": 6,
        "tags": ("level-1", "mission-control"),
    }
)
orchestrator.register_sector(
    {
        "name": "Lunar Logistics",
        "hazard_index": 0.45,
        "supply_level": 0.7,
        "energy_output_gw": 1.2,
    }
)

# Convert persona output into a single usage cycle.
cycle = orchestrator.plan_cycle(
    signals=(
        PersonaSignal(
            persona="research",
            summary="Fuel leak risk within the operations hub",
            zone="Operations Hub",
            sector="Lunar Logistics",
            severity=0.82,
            required_skills=("safety", "engineering"),
        ),
    ),
    agents=(
        AgentProfile(
            name="Ava",
            skills=("safety", "engineering"),
            available_hours=6,
            confidence=0.8,
        ),
    ),
)

for decision in cycle.assignments:
    print(decision.as_dict())
"""


def run(example: str) -> dict[str, Any]:
    """The example's names after it ran with its import lines changed by the table."""
    lines = []
    for line in example.splitlines():
        words = line.split()
        if words[:1] == ["from"]:
            line = line.replace(words[1], IMPORTS[words[1]])  # noqa: PLW2901
        lines.append(line)
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    return names


def test_section_1_the_shim_gives_the_engines() -> None:
    """The names are those of the packages themselves."""
    from engines import space, state

    names = run(SHIM)
    assert names["DynamicSpaceEngine"] is space.DynamicSpaceEngine
    assert names["DynamicStateEngine"] is state.DynamicStateEngine


def test_section_2_personas_come_by_name() -> None:
    """The execution persona runs."""
    names = run(PERSONAS)
    assert tuple(names["agents"]) == ("research", "execution", "risk")
    assert names["execution_agent"].run({"map": None}).agent == "execution"


def test_section_3_a_zone_counts_who_is_in_it() -> None:
    """One of twelve places is taken."""
    status = run(ZONES)["status"]
    assert (status.occupancy, status.utilisation, status.status) == (1, 1 / 12, "active")
    assert status.zone.tags == ("mission-control", "level-1")


def test_section_4_a_sector_is_overseen() -> None:
    """One calm sector: nothing to attend to, and it is the worst there is."""
    names = run(SECTORS)
    overview, critical = names["overview"], names["critical"]
    assert overview.sectors_requiring_attention == ()
    assert overview.total_energy_output_gw == 2.4
    assert [snapshot.sector_name for snapshot in critical] == ["Lunar Logistics"]
    assert overview.average_stability == critical[0].stability_score


def test_section_5_a_task_finds_its_agent() -> None:
    """Ava has one of the two skills."""
    (decision,) = run(ASSIGNMENTS)["assignments"]
    assert (decision.task_id, decision.agent) == ("launch-sequence", "Ava")
    assert (decision.skill_match, decision.load_factor) == (0.5, 4 / 6)


def test_section_6_a_cycle_links_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    """The signal strains its zone and sector, becomes a task, and Ava gets it."""
    cycle = run(CYCLE)["cycle"]
    (task,), (decision,) = cycle.tasks, cycle.assignments
    assert (decision.task_id, decision.agent) == (task.identifier, "Ava")
    assert task.identifier == "operations-hub-research-1"
    assert cycle.zone_snapshots["Operations Hub"].occupancy == 1
    (event,) = cycle.space_overview.snapshots["Lunar Logistics"].recent_events
    assert (event.severity, event.impact_score) == ("alert", 0.82)
    assert capsys.readouterr().out.strip() == str(decision.as_dict())
