"""A cycle writes three journals as if they were one: wholly or not at all, and once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from engines.assign import AgentProfile
from engines.engine import Engine
from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.orchestrator import DynamicUsageOrchestrator, PersonaSignal
from engines.space import DynamicSpaceEngine
from engines.zone import DynamicZoneRegistry, ZoneBoundary

JOURNALS = ("cycles", "zones", "sectors")
AVA = AgentProfile("Ava", ("safety",), 6)
LEAK = PersonaSignal("research", "Leak", "Hub", "Lunar", 0.6)
NOISE = PersonaSignal("research", "Noise", "Hub", "Lunar", 0.2)
NEW = PersonaSignal(
    "risk", "Flare", "Pier", "Mars", 0.7, zone_configuration={"capacity": 3}, metadata={"line": 1}
)


class PowerCut(Exception):
    """The process ends here."""


@dataclass(frozen=True)
class Site:
    """A folder of journals; each `open` is a process of its own."""

    folder: Path

    def open(self, **options: Any) -> DynamicUsageOrchestrator:
        cycles, zones, sectors = (Journal(self.folder / f"{name}.jsonl") for name in JOURNALS)
        return DynamicUsageOrchestrator(
            zone_registry=DynamicZoneRegistry(journal=zones),
            space_engine=DynamicSpaceEngine(journal=sectors),
            journal=cycles,
            **options,
        )

    def bytes(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(self.folder.glob("*.jsonl"))}

    def effects(self) -> dict[str, list[tuple[int, str]]]:
        """What each cycle did to places: (cycle, summary) by journal, in order."""
        return {
            name: [
                (event["metadata"]["cycle"], event.get("note") or event["description"])
                for event in Journal(self.folder / f"{name}.jsonl").events()
                if event["event_type"] in ("zone_event", "sector_event")
            ]
            for name in ("zones", "sectors")
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    orchestrator = site.open()
    orchestrator.register_zone({"name": "Hub", "boundary": ZoneBoundary(0, 1, 0, 1)})
    orchestrator.register_sector({"name": "Lunar"})
    return site


def state(orchestrator: DynamicUsageOrchestrator) -> Any:
    zones, space = orchestrator.zone_registry, orchestrator.space_engine
    live = [replace(s, generated_at=None) for s in zones.snapshot().values()]
    stability = {n: s.stability_score for n, s in space.network_overview().snapshots.items()}
    return live, space.sectors, stability, list(orchestrator.cycles)


def test_cycle_numbers_go_on_in_another_process(site: Site) -> None:
    """Whoever plans next takes the next number, also a process that was open all along."""
    early = site.open()
    assert [site.open().plan_cycle([LEAK], [AVA]).cycle for _ in range(2)] == [1, 2]
    assert early.plan_cycle([NOISE], [AVA]).cycle == 3
    late = site.open()
    assert state(late) == state(early)
    assert [summary.cycle for summary in late.cycles] == [1, 2, 3]
    assert late.last_cycle is not None
    assert (late.last_cycle.tasks, late.last_cycle.assigned) == (1, 1)
    assert all(verify(site.folder / f"{name}.jsonl").ok for name in JOURNALS)


def test_each_journal_can_be_read_alone(site: Site) -> None:
    """Cycles say who does what; zones and sectors what happened there, and in which cycle."""
    site.open().plan_cycle([LEAK, NEW], [AVA])
    tasks = site.open().recall(1)
    assert tasks is not None
    assert [(t["task_id"], t["agent"], t["zone"], t["sector"]) for t in tasks] == [
        ("pier-risk-2", "Ava", "Pier", "Mars"),
        ("hub-research-1", None, "Hub", "Lunar"),
    ]
    assert (tasks[1]["cause"], tasks[0]["metadata"]) == ("hours", {"line": 1})
    assert site.effects() == {name: [(1, "Leak"), (1, "Flare")] for name in ("zones", "sectors")}
    assert site.open().recall(2) is None


def cut_power(engine: Engine, *, after: bool) -> None:
    """The engine's next commit ends the process, before or after it reached the disk."""
    commit = engine.journal.commit

    def last() -> None:
        if after:
            commit()
        raise PowerCut

    engine.journal.commit = last


CUTS: list[Any] = [
    pytest.param(lambda o: cut_power(o, after=True), id="cycles written, then nothing"),
    pytest.param(lambda o: cut_power(o.zone_registry, after=False), id="zones not written"),
    pytest.param(lambda o: cut_power(o.zone_registry, after=True), id="zones written"),
    pytest.param(lambda o: cut_power(o.space_engine, after=False), id="sectors not written"),
    pytest.param(lambda o: cut_power(o.space_engine, after=True), id="sectors written"),
]
Cut = Callable[[DynamicUsageOrchestrator], None]


@pytest.mark.parametrize("cut", CUTS)
def test_a_crash_between_the_journals_is_completed_by_the_next_cycle_once(
    site: Site, cut: Cut
) -> None:
    """From the commit of the cycle on, its effects appear exactly once, before the next one's."""
    site.open().plan_cycle([NOISE], [AVA])
    doomed = site.open()
    cut(doomed)
    with pytest.raises(PowerCut):
        doomed.plan_cycle([LEAK, NOISE], [AVA])
    assert [site.open().plan_cycle([LEAK], [AVA]).cycle for _ in range(2)] == [3, 4]
    expected = [(1, "Noise"), (2, "Leak"), (2, "Noise"), (3, "Leak"), (4, "Leak")]
    assert site.effects() == {"zones": expected, "sectors": expected}
    assert site.open().zone_registry.snapshot("Hub").occupancy == 3
    assert all(verify(site.folder / f"{name}.jsonl").ok for name in JOURNALS)


def test_a_crash_after_new_places_were_registered_is_completed_too(site: Site) -> None:
    """Places that a signal brought are there before the cycle that needs them."""
    doomed = site.open()
    cut_power(doomed, after=True)
    with pytest.raises(PowerCut):
        doomed.plan_cycle([NEW], [AVA])
    site.open().plan_cycle([], [])
    assert site.effects() == {name: [(1, "Flare")] for name in ("zones", "sectors")}
    assert site.open().zone_registry.get_zone("Pier").capacity == 3


def test_a_completed_cycle_counts_by_its_own_thresholds(site: Site) -> None:
    """The process that completes it may have others."""
    doomed = site.open()
    cut_power(doomed, after=True)
    with pytest.raises(PowerCut):
        doomed.plan_cycle([LEAK], [AVA])
    site.open(alert_threshold=0.9).plan_cycle([], [])
    assert site.open().zone_registry.snapshot("Hub").occupancy == 1
    (event,) = site.open().space_engine.snapshot("Lunar").recent_events
    assert event.severity == "alert"


def test_a_zone_removed_since_the_crash_is_passed_over(site: Site) -> None:
    """Its part of the cycle has nowhere to go; the sector's part is done."""
    doomed = site.open()
    cut_power(doomed, after=True)
    with pytest.raises(PowerCut):
        doomed.plan_cycle([LEAK], [AVA])
    site.open().zone_registry.remove_zone("Hub")
    site.open().plan_cycle([], [])
    assert site.effects() == {"zones": [], "sectors": [(1, "Leak")]}


def test_a_cycle_that_was_not_committed_never_was(site: Site) -> None:
    """Before the commit of the cycle nothing of it is anywhere."""
    site.open().plan_cycle([NOISE], [AVA])
    before = site.bytes()
    doomed = site.open()
    cut_power(doomed, after=False)
    with pytest.raises(PowerCut):
        doomed.plan_cycle([LEAK], [AVA])
    assert site.bytes() == before
    assert state(doomed) == state(site.open())
    assert site.open().plan_cycle([LEAK], [AVA]).cycle == 2


TWIN = replace(NEW, task_identifier="T-1")
BAD_CYCLES: list[Any] = [
    pytest.param([TWIN, TWIN], {}, "two tasks are named 'T-1'", id="twin tasks"),
    pytest.param([NEW], {"agents": [AVA, AVA]}, "two agents are named 'Ava'", id="twin agents"),
    pytest.param([NEW], {"agents": []}, "no agents", id="no agents"),
    pytest.param([NEW], {"limit": -1}, "limit .* found -1", id="negative limit"),
    pytest.param([NEW], {"horizon": -1}, "horizon .* found -1", id="negative horizon"),
    pytest.param([NEW], {"min_skill_match": float("nan")}, "min_skill_match", id="NaN bar"),
    pytest.param([NEW, replace(LEAK, zone="Moor")], {}, "no zone named 'Moor'", id="no zone"),
    pytest.param(
        [replace(NEW, zone_configuration={"capacity": -1})], {}, "capacity", id="bad zone"
    ),
    pytest.param(
        [replace(NEW, sector_configuration={"bodies": [7]})], {}, "found 7", id="bad sector"
    ),
    pytest.param([replace(NEW, metadata={"x": {1}})], {}, "not a JSON value", id="not JSON"),
    pytest.param([NEW, replace(LEAK, summary="\ud800")], {}, "surrogate", id="surrogate"),
    pytest.param(
        [replace(NEW, sector_configuration={"metadata": {"x": {1}}})], {}, "JSON", id="sector"
    ),
]


@pytest.mark.parametrize(("signals", "options", "message"), BAD_CYCLES)
def test_a_failing_cycle_leaves_all_journals_as_they_were(
    site: Site, signals: list[PersonaSignal], options: dict[str, Any], message: str
) -> None:
    """Not a byte is added, new places included, and the live state is as before."""
    orchestrator = site.open()
    orchestrator.plan_cycle([LEAK], [AVA])
    before, alive = site.bytes(), state(orchestrator)
    with pytest.raises(InvalidInput, match=message):
        orchestrator.plan_cycle(signals, **{"agents": [AVA], **options})
    assert site.bytes() == before
    assert state(orchestrator) == alive == state(site.open())


@pytest.mark.parametrize(("signals", "options", "message"), BAD_CYCLES[:-1])
def test_a_failing_cycle_in_memory_changes_nothing(
    signals: list[PersonaSignal], options: dict[str, Any], message: str
) -> None:
    """Without journals as with them."""
    orchestrator = DynamicUsageOrchestrator()
    orchestrator.plan_cycle([replace(LEAK, zone_configuration={})], [AVA])
    alive, history = state(orchestrator), orchestrator.assign_engine.history
    with pytest.raises(InvalidInput, match=message):
        orchestrator.plan_cycle(signals, **{"agents": [AVA], **options})
    assert state(orchestrator) == alive
    assert orchestrator.assign_engine.history == history
