"""A clock that was ahead and was set right: jobs go on by the right one, and nothing runs twice."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.work.duty import Duty
from dino_os.work.service import Service
from dino_os.workspace import Workspace
from engines.checks import time_text
from engines.journal import RecordedJournal
from tests.scheduler.conftest import Clock
from tests.scheduler.desk import Desk

RIGHT, AHEAD = "2027-01-15T08:46:00Z", "2028-01-15T08:45:00Z"
CRON = {"kind": "cron", "expr": "*/10 * * * *", "tz": "UTC"}
AT = {"kind": "at", "at": "2027-01-15T08:50:00Z"}


def test_a_job_goes_on_when_a_clock_that_was_ahead_is_set_right(desk: Desk, clock: Clock) -> None:
    """By any process, also one that did not see it: `tick` is a new one each minute."""
    desk.add()
    desk.at("2027-01-15T08:40:00Z")
    desk.end()
    desk.at(AHEAD)
    desk.end()
    other = Desk(desk.folder, clock)
    clock.set(RIGHT)
    assert other.duty.turn() == clock.now + 240
    for minute in ("08:50", "09:00"):
        other.at(f"2027-01-15T{minute}:00Z")
        other.end()
    other.duty.turn()
    assert other.runs == ["08:40", "08:40", "08:50", "09:00"]  # the second is of 2028
    assert other.states[-2:] == ["08:50 ended ok", "09:00 ended ok"]
    (jump,) = desk.events("clock_jumped")
    assert -365 * 86_400 <= jump["by_s"] < -364 * 86_400
    assert len(desk.events("job_replanned")) == 1


@pytest.mark.parametrize("trigger", [CRON, AT], ids=["cron", "at"])
@pytest.mark.parametrize("misfire", ["fire_once", "skip"])
def test_whatever_its_trigger(desk: Desk, trigger: Any, misfire: str) -> None:
    desk.jobs.add_job("tide", "m:f", trigger, misfire=misfire)
    desk.at(AHEAD)
    desk.end()
    desk.at(RIGHT)
    desk.at("2027-01-15T08:50:00Z")
    assert desk.runs[-1:] == ["08:50"]


@pytest.mark.parametrize("how", ["added", "changed"])
def test_an_interval_that_was_said_meanwhile_is_counted_from_the_right_time(
    desk: Desk, clock: Clock, how: str
) -> None:
    if how == "changed":
        desk.add(minutes=20)
    clock.set(AHEAD)
    desk.add(replace=True)
    desk.at(RIGHT)
    wake = desk.duty.turn()
    assert wake is not None
    assert wake - clock.now <= 600
    desk.at("2027-01-15T08:56:00Z")
    assert len(desk.runs) == 1


def test_what_ran_while_the_clock_was_ahead_does_not_run_again(desk: Desk) -> None:
    """Some of it was early; the times between, which were passed over, are still to come."""
    desk.add(overlap="queue_all")
    for minute in ("08:40", "09:30", "09:40", "08:46"):
        desk.at(f"2027-01-15T{minute}:00Z")
    for minute in range(50, 110, 10):
        desk.at(f"2027-01-15T{8 + minute // 60:02}:{minute % 60:02}:00Z")
    assert desk.runs == ["08:40", "09:30", "09:40", "08:50", "09:00", "09:10", "09:20"]
    desk.at("2027-01-15T09:50:00Z")
    assert desk.runs[7:] == ["09:50"]
    assert len(desk.events("clock_jumped")) == 1


def test_what_is_skipped_from_a_time_on_that_ran_leaves_it_told(desk: Desk) -> None:
    """It ran early, and was not done; then nobody served it for a while."""
    desk.add(grace_s=0, misfire="skip", catchup_window_s=2100)
    for minute in ("09:00", "08:35", "09:35"):
        desk.at(f"2027-01-15T{minute}:00Z")
    desk.end()
    desk.duty.turn()
    assert desk.jobs.open_tasks("submitted") == []
    assert "09:00 ended ok" in desk.states
    assert desk.jobs.list_jobs()[0]["counts"]["skipped:misfire"] == 2 + 3  # of 09:30, too


def test_a_clock_that_is_a_little_ahead_changes_no_plan(desk: Desk, clock: Clock) -> None:
    desk.add(seconds=30)
    desk.at("2027-01-15T08:40:00Z")
    before = clock.now
    desk.at("2027-01-15T08:36:00Z")
    assert desk.duty.turn() == before + 30
    assert desk.events("clock_jumped") == desk.events("job_replanned") == []


@given(st.lists(st.integers(min_value=-6, max_value=9), max_size=12), st.booleans())
def test_no_setting_of_the_clock_silences_a_job_or_runs_a_time_twice(
    steps: list[int], one_process: bool
) -> None:
    """After any of them, the next hour's times have all run: when they came, or early."""
    clock = Clock()
    start = clock.now
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), clock)
        job_id = desk.add()
        for step in [*steps, *[1] * 7]:
            clock.now = max(start, clock.now + step * 600)
            desk = desk if one_process else Desk(Path(folder), clock)
            desk.duty.turn()
            desk.end()
        ids = [task.task_id for task in desk.tasks.tasks()]
        hour = [f"job:{job_id}@{time_text(clock.now - ten * 600)}" for ten in range(6)]
        assert set(hour) <= set(ids)
        submitted = RecordedJournal(Path(folder) / "engine_state.jsonl").events()
        made = [event["task_id"] for event in submitted if event["event_type"] == "task_submitted"]
        assert len(made) == len(set(made))


class Counted(Duty):
    """Wants its next turn in an hour."""

    def __init__(self) -> None:
        self.turns = 0

    def turn(self) -> float | None:
        self.turns += 1
        return time.time() + 3600


def test_a_service_takes_turns_when_the_clock_was_set_back(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When they were due was said by the wrong clock."""
    now, steady, duty = [2_000_000_000.0], [1000.0], Counted()
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "monotonic", lambda: steady[0])
    service = Service(Workspace(workspace), [duty], workers=0)
    take: Callable[[], None] = lambda: service._take_turns(set(), all_of_them=False)  # noqa: E731
    for moved, turns in ((0, 1), (10, 1), (-86_400, 2), (10, 2), (3600, 3)):
        now[0] += moved
        steady[0] += max(moved, 0)
        take()
        assert duty.turns == turns
    service._close()
