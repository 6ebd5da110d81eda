"""What a turn makes of due times: tasks, when they start, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.scheduler.duty import SchedulerDuty
from dino_os.scheduler.jobs import Jobs
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal
from engines.resource_engine import Task, TaskState, table
from tests.scheduler.conftest import Clock
from tests.scheduler.desk import Desk

SKILL = """
from dino_os import skill

@skill(retries=2)
def measure(place: str) -> str:
    return place
"""


def test_a_turn_says_when_the_next_one_is(desk: Desk, clock: Clock) -> None:
    assert desk.duty.turn() is None
    desk.add()
    assert desk.duty.turn() == clock.now + 600
    assert desk.at("2027-01-15T08:40:00Z") == clock.now + 600
    desk.jobs.pause("tide")
    assert desk.duty.turn() is None
    desk.jobs.pause("tide", until="2027-01-15T09:00:00Z")
    assert desk.duty.turn() == clock.now + 1200


def test_a_turn_with_nothing_to_do_writes_nothing(desk: Desk) -> None:
    desk.add()
    desk.at("2027-01-15T08:40:00Z")
    desk.begin()
    files = [path for path in desk.folder.iterdir() if path.is_file()]
    before = [path.read_bytes() for path in files]
    for _ in range(3):
        desk.duty.turn()
    assert [path.read_bytes() for path in files] == before


def test_jitter_holds_a_task_back_and_it_is_submitted_on_time(desk: Desk, clock: Clock) -> None:
    """What holds it back is durable: the task is there before its time."""
    desk.add(jitter_s=300)
    desk.at("2027-01-15T08:40:00Z")
    (task,) = desk.tasks.tasks()
    assert task.state is TaskState.DELAYED
    assert task.not_before is not None
    assert 0 < task.not_before - clock.now < 300


def test_what_is_made_good_is_spread_and_in_order(desk: Desk, clock: Clock) -> None:
    """Rule 4: catch-up spread; each has a part of it of its own."""
    desk.add(misfire="fire_all", misfire_limit=4, catchup_spread_s=400, grace_s=0)
    desk.at("2027-01-15T10:05:00Z")
    waits = [(task.not_before or 0) - clock.now for task in desk.tasks.tasks()]
    assert desk.runs == ["09:30", "09:40", "09:50", "10:00"]
    assert [int(wait // 100) for wait in waits] == [0, 1, 2, 3]


def test_a_task_that_cannot_start_in_time_is_blocked_and_the_job_goes_on(
    desk: Desk, clock: Clock
) -> None:
    """Rule 4: start deadline."""
    desk.add(start_deadline_s=30)
    desk.at("2027-01-15T08:40:00Z")
    clock.now += 31
    assert desk.begin() == {}
    desk.duty.turn()
    assert desk.states == ["08:40 ended blocked"]
    desk.at("2027-01-15T08:50:00Z")
    assert desk.states[1:] == ["08:50 submitted"]


def test_one_may_wait_behind_the_one_that_runs(desk: Desk) -> None:
    """Rule 5: queue_one; the second begins when the first has ended."""
    desk.add(overlap="queue_one")
    for minute in ("08:40", "08:50", "09:00"):
        desk.at(f"2027-01-15T{minute}:00Z")
    first = desk.begin()
    assert (len(first), desk.begin()) == (1, {})
    desk.finish(first)
    assert len(desk.begin()) == 1


def test_beside_one_another_where_that_is_allowed(desk: Desk) -> None:
    desk.add(overlap="allow")
    for minute in ("08:40", "08:50"):
        desk.at(f"2027-01-15T{minute}:00Z")
    assert len(desk.begin()) == 2


def test_a_run_that_goes_on_is_cancelled_when_the_next_takes_its_place(desk: Desk) -> None:
    """Rule 8: it is asked to stop, and the next begins once it has."""
    desk.add(overlap="cancel_other")
    desk.at("2027-01-15T08:40:00Z")
    first = desk.begin()
    desk.at("2027-01-15T08:50:00Z")
    assert desk.tasks.exchange(desk.session).stop == list(first)
    assert desk.begin() == {}
    desk.finish(first, "cancelled")
    assert len(desk.begin()) == 1
    desk.duty.turn()
    assert desk.states == ["08:40 ended cancelled", "08:50 submitted"]


def test_a_run_that_the_engine_has_forgotten_is_not_made_again(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn that submitted it was killed, and came back after very many other tasks."""
    monkeypatch.setattr(table, "_KEPT", 1)
    monkeypatch.setattr(table, "_KEPT_NAMES", 3)
    job_id = desk.add()
    clock.set("2027-01-15T08:40:00Z")
    desk.crash("after")
    desk.end()
    for name in "abcdefgh":
        desk.tasks.submit_task(Task(name))
        desk.end()
    other = Desk(desk.folder, clock)
    for _ in range(2):
        other.duty.turn()
    assert (other.under_way(), other.states) == ([], ["08:40 ended ok"])
    submitted = RecordedJournal(desk.folder / "engine_state.jsonl").events()
    ids = [event["task_id"] for event in submitted if event["event_type"] == "task_submitted"]
    assert ids.count(f"job:{job_id}@2027-01-15T08:40:00Z") == 1


def test_run_now_runs_beside_the_plan(desk: Desk, clock: Clock) -> None:
    """Once for each time that it is asked for, and the other times stay as they are."""
    desk.add(overlap="allow")
    for _ in range(2):
        desk.jobs.run_now("tide")
    assert desk.duty.turn() == clock.now + 600
    desk.jobs.run_now("tide")
    desk.duty.turn()
    assert len(desk.runs) == 2
    desk.at("2027-01-15T08:40:00Z")
    assert len(desk.runs) == 3
    assert [one["why"] for one in desk.jobs.history("tide")] == ["due", "requested", "requested"]


def test_run_now_at_the_very_moment_that_is_due_is_one_run(desk: Desk, clock: Clock) -> None:
    desk.add()
    clock.set("2027-01-15T08:40:00Z")
    desk.jobs.run_now("tide")
    desk.duty.turn()
    desk.duty.turn()
    assert desk.runs == ["08:40"]


def test_a_pause_that_ends_by_itself_skips_what_it_covers(desk: Desk) -> None:
    """Rule 10: `pause --until` skips instead of making good."""
    desk.add()
    desk.jobs.pause("tide", until="2027-01-15T09:05:00Z")
    desk.at("2027-01-15T09:10:00Z")
    assert desk.states == ["08:40-09:00 x3 skipped paused", "09:10 submitted"]
    (job,) = desk.jobs.list_jobs()
    assert (job["status"], job["paused_until"]) == ("running", None)
    with pytest.raises(InvalidInput, match="is past"):
        desk.jobs.pause("tide", until="2027-01-15T09:10:00Z")


@pytest.mark.parametrize(
    ("skip_missed", "runs", "states"),
    [
        (None, ["09:15"], ["08:40 skipped paused", "09:15 submitted"]),
        (True, [], ["08:40 skipped paused"]),
        (False, ["08:40"], ["08:40 submitted"]),
    ],
)
def test_a_moment_that_passed_during_a_pause(
    desk: Desk, clock: Clock, *, skip_missed: bool | None, runs: list[str], states: list[str]
) -> None:
    """Rule 10: late is better than silently never, unless it was said to be skipped."""
    desk.add("at", at="2027-01-15T08:40:00Z")
    desk.jobs.pause("tide")
    clock.set("2027-01-15T09:15:00Z")
    desk.jobs.resume("tide", skip_missed=skip_missed)
    desk.duty.turn()
    assert (desk.runs, desk.states) == (runs, states)
    assert desk.duty.turn() is None


def test_what_was_asked_for_before_a_pause_is_kept_or_skipped_with_it(desk: Desk) -> None:
    desk.add(overlap="allow")
    for skip_missed, count in ((True, 0), (False, 1)):
        desk.jobs.run_now("tide")
        desk.jobs.pause("tide")
        desk.jobs.resume("tide", skip_missed=skip_missed)
        desk.duty.turn()
        assert len(desk.runs) == count


def test_a_job_that_is_removed_leaves_what_was_decided_to_be_submitted(
    desk: Desk, clock: Clock
) -> None:
    """Its due time has a state, and that is what happens."""
    desk.add()
    clock.set("2027-01-15T08:40:00Z")
    desk.crash("before")
    desk.jobs.remove_job("tide")
    assert desk.jobs.list_jobs() == []
    desk.duty.turn()
    assert desk.runs == ["08:40"]
    desk.end()
    desk.duty.turn()
    again = Desk(desk.folder, clock)
    assert again.jobs.open_tasks("recorded") == again.jobs.open_tasks("submitted") == []


def test_the_history_is_bounded_and_what_is_open_is_never_forgotten(
    desk: Desk, clock: Clock
) -> None:
    desk.add(overlap="queue_all")
    for _ in range(30):
        clock.now += 600
        desk.duty.turn()
    assert len(desk.jobs.open_tasks("submitted")) == 30
    desk.end()
    desk.duty.turn()
    clock.now += 600
    desk.duty.turn()
    assert len(desk.jobs.history("tide", 100)) == 20
    assert len(desk.jobs.history("tide", 3)) == 3
    assert desk.jobs.list_jobs()[0]["counts"] == {"ok": 30}


def test_running_is_what_runs(clock: Clock) -> None:
    """Not what waits: somebody knows which of the tasks have begun."""
    begun: set[str] = set()
    jobs = Jobs(clock=clock, is_running=begun.__contains__)
    jobs.add_job("tide", "m:f", "interval", minutes=10)
    clock.now += 600
    jobs.decide_due()
    jobs.submit(lambda wanted: {one.task_id: None for one in wanted})
    assert (jobs.running_jobs(), jobs.list_jobs()[0]["status"]) == (0, "scheduled")
    begun.update(jobs.open_tasks("submitted"))
    assert (jobs.running_jobs(), jobs.list_jobs()[0]["status"]) == (1, "running")
    jobs.pause("tide")
    assert (jobs.running_jobs(), jobs.list_jobs()[0]["status"]) == (1, "paused")


# --- skills --------------------------------------------------------------------------------------


@pytest.fixture
def wharf(workspace: Path, clock: Clock) -> Workspace:
    """A workspace with a skill; what is scheduled goes by the test's clock."""
    (workspace / "skills" / "measure.py").write_text(SKILL)
    found = Workspace(workspace)
    found.jobs.clock = clock
    return found


def states(wharf: Workspace) -> dict[str, tuple[Any, Any]]:
    return {
        job["name"]: (one["outcome"] or one["state"], one["reason"])
        for job in wharf.jobs.list_jobs()
        for one in wharf.jobs.history(job["name"])
    }


def test_a_skill_runs_with_its_mark_but_is_tried_as_the_job_says(
    wharf: Workspace, clock: Clock
) -> None:
    wharf.jobs.add_job("tide", "measure", "interval", minutes=1, params={"place": "Mole"})
    clock.now += 60
    SchedulerDuty(wharf).turn()
    (task,) = wharf.resources.tasks()
    assert task.payload == {"skill": "measure", "params": {"place": "Mole"}}
    assert (task.max_attempts, task.source) == (1, f"job:{wharf.jobs.list_jobs()[0]['id']}")


def test_what_cannot_be_submitted_is_recorded_and_stops_nothing(
    wharf: Workspace, clock: Clock
) -> None:
    """A skill that is gone, parameters that no longer fit: never silently."""
    add = wharf.jobs.add_job
    add("gone", "no_such_skill", "interval", minutes=1)
    add("wrong", "measure", "interval", minutes=1, params={"plaice": "Mole"})
    add("fine", "measure", "interval", minutes=1, params={"place": "Mole"})
    clock.now += 60
    SchedulerDuty(wharf).turn()
    found = states(wharf)
    assert found["gone"] == ("blocked", "no skill named 'no_such_skill'")
    assert found["wrong"][0] == "blocked"
    assert "no parameter 'plaice'" in found["wrong"][1]
    assert found["fine"] == ("submitted", None)
    assert [job["counts"] for job in wharf.jobs.list_jobs()] == [{"blocked": 1}] * 2 + [{}]


def test_what_the_engine_refuses_is_recorded_and_stops_nothing(
    wharf: Workspace, clock: Clock
) -> None:
    """It needs more of a pool than there ever is."""
    greedy = SKILL.replace("retries=2", "needs={'compute': 1000}").replace("measure", "greedy")
    (wharf.skills_folder / "greedy.py").write_text(greedy)
    for name in ("greedy", "measure"):
        wharf.jobs.add_job(name, name, "interval", minutes=1, params={"place": "Mole"})
    clock.now += 60
    SchedulerDuty(wharf).turn()
    found = states(wharf)
    assert found["greedy"][0] == "blocked"
    assert "1000 of compute" in found["greedy"][1]
    assert found["measure"] == ("submitted", None)
