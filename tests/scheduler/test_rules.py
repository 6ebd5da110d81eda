"""The twelve rules of a scheduler, each by example; the other files here go further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from dino_os.errors import InvalidInput, SchedulerError
from dino_os.scheduler.jobs import Jobs
from dino_os.scheduler.triggers import local_zone
from tests.scheduler.conftest import Clock
from tests.scheduler.desk import Desk


def test_rule_1_a_time_is_said_as_cron_interval_or_moment(desk: Desk) -> None:
    """Rule 1: five fields in a named zone, an interval anchored at creation, or one moment."""
    jobs = desk.jobs
    jobs.add_job("cron", "m:f", {"kind": "cron", "expr": "0 9 * * *", "tz": "Asia/Tokyo"})
    jobs.add_job("local", "m:f", "cron", hour=9)
    jobs.add_job("every", "m:f", "interval", minutes=15)
    jobs.add_job("once", "m:f", "at", at="2027-01-15T10:00:00Z")
    zones = [job["trigger"].get("tz") for job in jobs.list_jobs()]
    assert zones[:2] == ["Asia/Tokyo", local_zone()]
    assert jobs.next_runs("every", 2) == ["2027-01-15T08:45:00+00:00", "2027-01-15T09:00:00+00:00"]
    assert jobs.next_runs("once") == ["2027-01-15T10:00:00+00:00"]
    assert jobs.next_runs("cron", 1) == ["2027-01-16T09:00:00+09:00"]


@pytest.mark.parametrize(
    ("expr", "tz", "since", "then"),
    [
        ("30 2 * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", ["03:00+02:00", "02:30+02:00"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", ["02:30+02:00", "02:30+01:00"]),
        (
            "*/30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T23:50:00Z",
            ["02:00+02:00", "02:30+02:00", "02:00+01:00"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:50:00Z",
            ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00", "03:00+01:00"],
        ),
        (
            "*/30 * * * *",
            "Europe/Berlin",
            "2027-03-28T00:10:00Z",
            ["01:30+01:00", "03:00+02:00", "03:30+02:00"],
        ),
        ("30 2 * * *", "America/New_York", "2027-03-14T05:00:00Z", ["03:00-04:00", "02:30-04:00"]),
        ("30 1 * * *", "America/New_York", "2027-11-07T04:00:00Z", ["01:30-04:00", "01:30-05:00"]),
        # Half an hour is put forward in October, and back in April.
        ("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T15:00:00Z", ["02:30+11:00"]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2027-04-03T14:00:00Z",
            ["01:45+11:00", "01:45+10:30"],
        ),
    ],
)
def test_rule_2_where_clocks_are_put_on_or_back_jobs_run_as_debians_cron_runs_them(
    desk: Desk, clock: Clock, *, expr: str, tz: str, since: str, then: list[str]
) -> None:
    """Rule 2: a gap's times once at its end, a fold's fixed ones once, wildcards each interval."""
    clock.set(since)
    desk.jobs.add_job("tide", "m:f", "cron", expr=expr, tz=tz)
    found = [text[11:16] + text[-6:] for text in desk.jobs.next_runs("tide", len(then))]
    assert found == then


def test_rule_3_a_due_time_is_recorded_before_it_is_submitted_and_only_once(
    desk: Desk, clock: Clock
) -> None:
    """Rule 3: UNIQUE(job, due time), and one terminal state for each."""
    job_id = desk.add()
    clock.set("2027-01-15T08:40:00Z")
    desk.crash("before")
    assert (desk.states, desk.runs) == (["08:40 recorded"], [])
    for _ in range(3):
        desk.duty.turn()
    assert [task.task_id for task in desk.tasks.tasks()] == [f"job:{job_id}@2027-01-15T08:40:00Z"]
    desk.end()
    desk.duty.turn()
    assert desk.states == ["08:40 ended ok"]
    assert len(desk.events("occurrence_recorded")) == 1


@pytest.mark.parametrize(
    ("policies", "states"),
    [
        ({}, ["08:40-09:50 x8 skipped misfire", "10:00 submitted"]),
        ({"misfire": "skip"}, ["08:40-09:50 x8 skipped misfire", "10:00 submitted"]),
        (
            {"misfire": "fire_all", "misfire_limit": 2, "overlap": "queue_all"},
            [
                "08:40-09:30 x6 skipped misfire",
                *("09:40 submitted", "09:50 submitted", "10:00 submitted"),
            ],
        ),
        ({"grace_s": 0}, ["08:40-09:50 x8 skipped misfire", "10:00 submitted"]),
        ({"grace_s": 0, "misfire": "skip"}, ["08:40-10:00 x9 skipped misfire"]),
        (
            {"catchup_window_s": 1500},
            [
                "08:40-09:30 x6 skipped too_old",
                *("09:40-09:50 x2 skipped misfire", "10:00 submitted"),
            ],
        ),
        (
            {"start_deadline_s": 1, "misfire": "fire_all"},
            ["08:40-10:00 x9 skipped too_late"],
        ),
    ],
)
def test_rule_4_each_job_says_what_becomes_of_missed_times(
    desk: Desk, policies: dict[str, Any], states: list[str]
) -> None:
    """Rule 4: misfire policy, grace, catch-up window, start deadline."""
    desk.add(**policies)
    desk.at("2027-01-15T10:00:02Z")
    assert desk.states == states


@pytest.mark.parametrize(
    ("overlap", "states"),
    [
        ("skip", ["08:40 submitted", "08:50-09:00 x2 skipped overlap"]),
        ("queue_one", ["08:40 submitted", "08:50 submitted", "09:00 skipped overlap"]),
        ("queue_all", ["08:40 submitted", "08:50 submitted", "09:00 submitted"]),
        ("allow", ["08:40 submitted", "08:50 submitted", "09:00 submitted"]),
        ("cancel_other", ["08:40 ended cancelled", "08:50 ended cancelled", "09:00 submitted"]),
    ],
)
def test_rule_5_each_job_says_what_becomes_of_times_at_which_it_is_not_done(
    desk: Desk, overlap: str, states: list[str]
) -> None:
    """Rule 5: overlap; what is skipped for it is recorded."""
    job_id = desk.add(overlap=overlap)
    for minute in ("08:40", "08:50", "09:00"):
        desk.at(f"2027-01-15T{minute}:00Z")
    desk.duty.turn()
    assert desk.states == states
    limits = {} if overlap == "allow" else {f"job:{job_id}": 1}
    assert all(task.limits == limits for task in desk.tasks.tasks())


@pytest.mark.parametrize("when", ["before", "after"])
def test_rule_6_a_turn_that_was_killed_is_made_again_and_makes_one_task(
    desk: Desk, clock: Clock, when: str
) -> None:
    """Rule 6: at least once, for a task whose id makes it once."""
    desk.add()
    clock.set("2027-01-15T08:40:00Z")
    desk.crash(when)
    other = Desk(desk.folder, clock)
    other.duty.turn()
    assert (other.states, other.runs) == (["08:40 submitted"], ["08:40"])
    desk.duty.turn()
    assert len(desk.events("occurrence_submitted")) == 1


def test_rule_7_a_run_is_tried_as_often_as_the_job_says_which_is_once(desk: Desk) -> None:
    """Rule 7: one attempt for what a schedule starts, unless told; how it failed is recorded."""
    desk.add()
    desk.jobs.add_job(
        "often", "m:f", "interval", minutes=10, max_attempts=4, timeout_s="30s", priority="high"
    )
    desk.at("2027-01-15T08:40:00Z")
    once, often = desk.tasks.tasks()
    assert (once.max_attempts, once.timeout_s, once.priority) == (1, None, 2)
    assert (often.max_attempts, often.timeout_s, often.priority) == (4, 30.0, 1)
    desk.end("timeout")
    desk.duty.turn()
    assert desk.states == ["08:40 ended timeout"]
    tide = desk.jobs.list_jobs()[0]
    assert (tide["last_outcome"], tide["counts"]) == ("timeout", {"timeout": 1})


def test_rule_8_what_takes_the_place_of_another_cancels_it(desk: Desk) -> None:
    """Rule 8: by the engine's own cancelling, and the new one waits until it has ended."""
    desk.add(overlap="cancel_other")
    desk.at("2027-01-15T08:40:00Z")
    desk.at("2027-01-15T08:50:00Z")
    first, second = desk.tasks.tasks()
    assert (first.outcome, second.outcome) == ("cancelled", None)
    assert list(second.limits.values()) == [1]


def test_rule_9_a_clock_that_goes_back_fires_nothing_twice_and_its_jump_is_recorded(
    desk: Desk, clock: Clock
) -> None:
    """Rule 9: recorded occurrences are never fired again; more than five minutes is noted."""
    desk.add(overlap="allow")
    desk.at("2027-01-15T08:40:00Z")
    desk.at("2027-01-15T08:50:00Z")
    for minute in ("08:20", "08:40", "08:50"):
        desk.at(f"2027-01-15T{minute}:00Z")
    assert desk.runs == ["08:40", "08:50"]
    desk.at("2027-01-15T09:00:00Z")
    assert desk.runs == ["08:40", "08:50", "09:00"]
    (jump,) = desk.events("clock_jumped")
    assert jump["by_s"] == -1800
    desk.steady -= 301
    desk.duty.turn()
    assert [event["by_s"] for event in desk.events("clock_jumped")] == [-1800, 301]


def test_rule_10_a_pause_keeps_history_and_an_edit_never_fires_for_the_past(
    desk: Desk, clock: Clock
) -> None:
    """Rule 10: resume leaves what was missed to the policy, or skips it; upsert by name."""
    job_id = desk.add()
    desk.at("2027-01-15T08:40:00Z")
    desk.end()
    desk.jobs.pause("tide")
    desk.at("2027-01-15T09:05:00Z")
    assert desk.states == ["08:40 ended ok"]
    desk.jobs.resume("tide", skip_missed=False)
    desk.duty.turn()
    assert desk.states[1:] == ["08:50 skipped misfire", "09:00 submitted"]
    clock.set("2027-01-15T09:31:00Z")
    assert desk.add(minutes=60, replace=True) == job_id
    assert desk.jobs.next_runs("tide", 1) == ["2027-01-15T10:31:00+00:00"]
    desk.duty.turn()
    assert desk.states[3:] == ["09:10-09:30 x3 skipped changed"]
    assert desk.runs == ["08:40", "09:00"]


def test_rule_11_a_tick_from_cron_uses_the_same_ledger_as_the_service(
    desk: Desk, clock: Clock
) -> None:
    """Rule 11: who comes second finds the due time decided (see `test_export.py` for the line)."""
    desk.add()
    other = Desk(desk.folder, clock)
    desk.at("2027-01-15T08:40:00Z")
    other.duty.turn()
    assert (other.runs, other.states) == (["08:40"], ["08:40 submitted"])
    assert (desk.submitted != [], other.submitted) == (True, [])


def test_rule_12_many_schedulers_on_one_workspace_are_one(desk: Desk, clock: Clock) -> None:
    """Rule 12: here in turn, with real processes in `test_processes.py`."""
    desk.add(overlap="allow")
    many = [desk, *(Desk(desk.folder, clock) for _ in range(7))]
    for minute in ("08:40", "08:50", "09:00"):
        clock.set(f"2027-01-15T{minute}:00Z")
        for one in many:
            one.duty.turn()
    assert many[-1].runs == ["08:40", "08:50", "09:00"]


def test_there_are_only_so_many_jobs(clock: Clock) -> None:
    """One more is refused, with what to do; changing one that is there is not one more."""
    jobs = Jobs(clock=clock, max_jobs=2)
    for name in "ab":
        jobs.add_job(name, "m:f", "interval", minutes=1)
    with pytest.raises(SchedulerError, match="2 jobs, as many as there may be") as refused:
        jobs.add_job("c", "m:f", "interval", minutes=1)
    assert "scheduler.max_jobs" in (refused.value.hint or "")
    jobs.add_job("b", "m:g", "interval", minutes=1, replace=True)
    jobs.remove_job("a")
    jobs.add_job("c", "m:f", "interval", minutes=1)
    assert [job["func"] for job in jobs.list_jobs()] == ["m:g", "m:f"]


def test_a_moment_is_no_offence_in_an_upsert_that_says_nothing_new(
    desk: Desk, clock: Clock
) -> None:
    """A program that declares its jobs each time it starts does not have to know what is past."""
    desk.add("at", at="2027-01-15T09:00:00Z")
    desk.at("2027-01-15T09:00:00Z")
    before = desk.jobs.journal.end  # type: ignore[union-attr]
    desk.add("at", at="2027-01-15T09:00:00Z", replace=True)
    assert desk.jobs.journal.end == before
    with pytest.raises(InvalidInput, match="is past"):
        desk.add("at", at="2027-01-15T08:59:00Z", replace=True)
    assert datetime.fromisoformat(desk.jobs.history("tide")[0]["due"]).hour == 9
