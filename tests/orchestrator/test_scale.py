"""Many signals: taken in parts, the same comes of them as of all at once, also over crashes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import spool
from engines.assign import AgentProfile
from engines.errors import InvalidInput
from engines.journal import Journal, verify
from engines.names import Names
from engines.orchestrator import (
    DynamicUsageOrchestrator,
    PersonaSignal,
    orchestrator,
    strain,
    translation,
)
from engines.space import DynamicSpaceEngine, SpaceEvent
from engines.spool import Spool
from engines.zone import ZoneBoundary
from tests.orchestrator.test_cycle_record import JOURNALS, PowerCut, Site, state

STAFF = [AgentProfile("Ava", ("safety",), 6), AgentProfile("Bo", ("safety", "law"), 4)]
PLACES = ("Hub", "Pier", "Moor")
ADDED = {"seq", "parent_hash", "event_hash", "timestamp"}


def signals(count: int, begin: int = 0) -> list[PersonaSignal]:
    """Each of a severity of its own, over three zones and two sectors."""
    return [
        PersonaSignal(
            persona="research",
            summary=f"call {number}",
            zone=PLACES[number % 3],
            sector=("Lunar", "Mars")[number % 2],
            severity=(number * 37 % 100) / 100,
            required_skills=("law",) if number % 4 == 0 else (),
            estimated_effort_hours=1,
            task_identifier=f"C-{number}",
            metadata={"line": number, "nested": {"of": [number, None]}},
        )
        for number in range(begin, begin + count)
    ]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of two or three signals."""
    monkeypatch.setattr(spool, "_TOGETHER", 3)
    monkeypatch.setattr(strain, "AT_ONCE", 2)
    monkeypatch.setattr(orchestrator, "AT_ONCE", 2)
    monkeypatch.setattr(orchestrator, "_SIGNALS_REMEMBERED", 2)


def furnished(folder: Path) -> Site:
    folder.mkdir(exist_ok=True)
    site = Site(folder)
    plan = site.open()
    plan.register_zones([{"name": n, "boundary": ZoneBoundary(0, 1, 0, 1)} for n in PLACES])
    plan.register_sector({"name": "Lunar"})
    return site


def recorded(site: Site, name: str) -> list[dict[str, Any]]:
    """What a journal says, but for how far its parts reach."""
    return [
        {key: value for key, value in event.items() if key not in ADDED}
        for event in Journal(site.folder / f"{name}.jsonl").events()
        if event["event_type"] != "journal_created" and ":" not in event.get("batch", "")
    ]


def test_signals_in_parts_come_to_the_same_as_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same plan, the same state and the same lines, whatever the parts."""
    found = []
    for parts in (None, 1, 2, 5):
        if parts:
            monkeypatch.setattr(spool, "_TOGETHER", parts)
            monkeypatch.setattr(strain, "AT_ONCE", parts)
            monkeypatch.setattr(orchestrator, "AT_ONCE", parts)
            monkeypatch.setattr(orchestrator, "_SIGNALS_REMEMBERED", parts)
        site = furnished(tmp_path / f"of-{parts}")
        plan = site.open()
        cycles = [plan.plan_cycle(iter(signals(10, 10 * n)), STAFF).as_dict() for n in range(2)]
        assert state(plan)[1:3] == state(site.open())[1:3]
        assert all(verify(site.folder / f"{name}.jsonl").ok for name in JOURNALS)
        assert [len(site.open().recall(number) or ()) for number in (1, 2)] == [10, 10]
        found.append((without_times(cycles), [recorded(site, name) for name in JOURNALS]))
    assert found[1:] == found[:1] * 3


@pytest.mark.parametrize("limit", [None, 0, 3])
def test_a_cycle_too_large_to_be_held_comes_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """The greedy plan, word for word; its tasks are read when they are asked for."""
    found = []
    for held in (translation.HELD_UP_TO, 4):
        monkeypatch.setattr(translation, "HELD_UP_TO", held)
        monkeypatch.setattr(spool, "_TOGETHER", 3)
        site = furnished(tmp_path / str(held))
        plan = site.open()
        cycle = plan.plan_cycle(iter(signals(25)), STAFF, limit=limit)
        shown = without_times(cycle.as_dict())
        bound = shown.pop("quality")["bound"]
        assert (bound is not None) == (held > 4)  # it looks at every pair
        written = recorded(site, "cycles")
        assert written[-1].pop("quality")["bound"] == bound
        found.append((shown, written))
        assert len(cycle.tasks) == len(list(cycle.tasks)) == 25
        assert [cycle.tasks[place].identifier for place in (0, -1)] == ["C-0", "C-24"]
        assert [task.identifier for task in cycle.tasks[2:20:9]] == ["C-2", "C-11"]
        assert cycle.named({"C-7", "C-70"}) == {"C-7": cycle.tasks[7]}
        left = list(cycle.unassigned)
        assert sum(cycle.left_over().values()) == len(left) == len(cycle.unassigned)
        assert [cycle.unassigned[3], cycle.unassigned[-1]] == [left[3], left[-1]]
        assert list(cycle.unassigned[1:4]) == left[1:4]
        assert {d.task_id for d in cycle.assignments}.isdisjoint(task.task_id for task in left)
        with pytest.raises(InvalidInput, match="two tasks are named 'C-1'"):
            plan.plan_cycle([*signals(9), *signals(1, 1)], STAFF)
        assert len(plan.cycles) == 1
    assert found[0] == found[1]


@given(st.lists(st.sampled_from([*"abcde", None, "\ud800"]), max_size=30))
def test_names_that_come_again_are_found(given_names: list[str | None]) -> None:
    """Each with the first place of its name; nobody's name is no name."""
    names = Names()
    first: dict[str, int] = {}
    expected = {}
    for place, name in enumerate(given_names):
        names.append(name)
        if name is not None and first.setdefault(name, place) != place:
            expected[place] = first[name]
    assert names.twins() == expected
    assert list(names) == given_names


def without_times(data: Any) -> Any:
    times = {"planned_at", "issued_at", "generated_at", "timestamp"}
    if isinstance(data, dict):
        return {key: without_times(value) for key, value in data.items() if key not in times}
    return [without_times(item) for item in data] if isinstance(data, list) else data


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_commit_of_a_large_cycle_leaves_each_signal_once(
    tmp_path: Path, small_parts: None, *, after: bool
) -> None:
    """Wholly there or wholly absent, whichever part of which journal was the last."""
    moment, finished = 0, False
    while not finished:
        moment += 1
        site = furnished(tmp_path / str(moment))
        site.open().plan_cycle(signals(3), STAFF)
        doomed = site.open()
        finished = not dies(doomed, moment, after=after)
        next_one = site.open()
        number = next_one.plan_cycle(signals(1, 90), STAFF).cycle
        wanted = [(1, f"call {n}") for n in range(3)]
        if number == 3:
            wanted += [(2, f"call {n}") for n in range(10, 17)]
        wanted += [(number, "call 90")]
        effects = site.effects()
        assert effects == {"zones": wanted, "sectors": wanted}
        tasks = next_one.recall(2)
        assert tasks is not None
        assert len(tasks) == (7 if number == 3 else 1)
        assert state(next_one)[1:] == state(site.open())[1:]
    assert moment > 10


def dies(doomed: DynamicUsageOrchestrator, moment: int, *, after: bool) -> bool:
    """Plan seven signals in a process that ends at its commit number *moment*, if it has one."""
    commits = 0

    def deadly(commit: Any) -> Any:
        def last() -> None:
            nonlocal commits
            commits += 1
            if commits > moment or (commits == moment and not after):
                raise PowerCut
            commit()
            if commits == moment:
                raise PowerCut

        return last

    for engine in (doomed, doomed.zone_registry, doomed.space_engine):
        engine.journal.commit = deadly(engine.journal.commit)  # type: ignore[method-assign]
    try:
        doomed.plan_cycle(signals(7, 10), STAFF)
    except PowerCut:
        return True
    return False


def test_a_cycle_begun_and_never_completed_is_not_recalled(
    tmp_path: Path, small_parts: None
) -> None:
    """Its number is used again, and only the tasks of the one that was completed are told."""
    site = furnished(tmp_path)
    assert dies(site.open(), 3, after=True)
    assert site.open().last_cycle is None
    assert site.open().recall(1) is None
    assert site.open().plan_cycle(signals(2, 50), STAFF).cycle == 1
    tasks = site.open().recall(1)
    assert tasks is not None
    assert {task["task_id"] for task in tasks} == {"C-50", "C-51"}


def test_the_state_does_not_grow_with_the_signals_of_a_cycle(
    tmp_path: Path, small_parts: None
) -> None:
    """What a crash might ask for is in the journal."""
    plan = furnished(tmp_path).open()
    plan.plan_cycle(signals(9), STAFF)
    assert len(plan._last_signals) == 2


@given(order=st.permutations(range(8)))
@settings(max_examples=15, deadline=None)
def test_the_order_of_signals_of_one_time_does_not_matter(order: list[int]) -> None:
    """Where severities differ the plan goes by them, and a zone's load is a sum."""
    given_ones = signals(8)

    def planned(those: Iterator[PersonaSignal]) -> Any:
        plan = DynamicUsageOrchestrator(clock=lambda: 0.0)
        plan.register_zones([{"name": n, "boundary": ZoneBoundary(0, 1, 0, 1)} for n in PLACES])
        cycle = plan.plan_cycle(those, STAFF)
        load = {name: zone.occupancy for name, zone in cycle.zone_snapshots.items()}
        return cycle.assignments, cycle.unassigned, load

    assert planned(given_ones[i] for i in order) == planned(iter(given_ones))


def test_what_is_expected_of_a_sector_is_what_comes() -> None:
    """An overview with events that are expected is that after them."""
    space = DynamicSpaceEngine(max_events=3, clock=lambda: 5.0)
    space.upsert_sector({"name": "Lunar"})
    space.record_event(SpaceEvent("Lunar", "old", 0.9, "alert"))
    coming = [SpaceEvent("Lunar", f"new {n}", 0.2 * n, "critical") for n in range(4)]
    for horizon in (0, 1, 2, 9):
        before = space.network_overview(horizon=horizon, expected={"Lunar": coming})
        after = DynamicSpaceEngine([{"name": "Lunar"}], max_events=3, clock=lambda: 5.0)
        after.ingest_events([SpaceEvent("Lunar", "old", 0.9, "alert"), *coming])
        overview = after.network_overview(horizon=horizon)
        assert before.average_stability == overview.average_stability
        assert before.sectors_requiring_attention == overview.sectors_requiring_attention


def test_a_spool_gives_back_what_it_was_given(small_parts: None) -> None:
    """In its order, as often as wanted, also two at a time."""
    for count in range(8):
        kept = Spool(range(count))
        assert (len(kept), list(kept), list(kept)) == (count, [*range(count)], [*range(count)])
        assert list(zip(kept, kept, strict=True)) == [(n, n) for n in range(count)]
    models = Spool(signals(7))
    assert list(models) == signals(7)
    assert replace(next(iter(models)), severity=1.0) == replace(signals(1)[0], severity=1.0)
