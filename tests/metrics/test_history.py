"""Readings: what was measured survives the process, ever more coarsely."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.workspace import Workspace
from engines.journal import Journal
from engines.metrics import MOST_NAMES, MetricsLog
from engines.metrics.readings import Readings
from engines.resource_engine import Task
from tests.conftest import Dino
from tests.metrics.desk import NOON, Clock


def test_what_does_not_change_is_read_once_an_hour(memory: Path, clock: Clock) -> None:
    path = memory / "metrics_log.jsonl"
    log = MetricsLog(Journal(path, clock=clock), clock=clock)
    assert not log.take({"flow": None})
    assert not path.exists()  # of nothing there is no record
    taken = []
    for minute in range(180):
        value = 50.0001 if minute < 90 else 60.0
        taken.append(log.take({"flow": value, "lock": None}, every_s=30))
        clock.go(60)
    assert not log.take({"flow": 99.0}, every_s=3600)
    assert [minute for minute, told in enumerate(taken) if told] == [0, 60, 90, 120, 150]
    again = MetricsLog(Journal(path, clock=clock), clock=clock)
    told = [(one["at"] - NOON, one["value"]) for one in again.history("flow", NOON)]
    assert told == [(0, 50), (3600, 50), (5400, 60), (9000, 60)]
    assert again.readings["flow"].at(NOON + 5399) == 50
    assert again.readings["flow"].last == 60


def test_old_readings_become_hours_and_days_that_still_tell_least_and_most() -> None:
    readings = Readings()
    for minute in range(40 * 24 * 60):
        readings.add(NOON + 60 * minute, 100.0 if minute == 100 else float(minute % 60))
    found = readings.since(0)
    assert len(readings.points) == 1500
    assert len(found) < 1500 + 24 * 31 + 42
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    assert found[0]["most"] == 100  # of the first day
    assert found[-2000]["readings"] == 60
    assert sum(one["readings"] for one in found) >= 40 * 24 * 60


def test_what_is_read_no_more_makes_room(memory: Path, clock: Clock) -> None:
    path = memory / "metrics_log.jsonl"
    log = MetricsLog(Journal(path, clock=clock), clock=clock)
    for day in range(3):
        for hour in range(2):
            names = {f"rule{day}-{n}": float(hour) for n in range(MOST_NAMES - 60)}
            assert log.take({"flat": 1.0, "none": None, **names})
            clock.go(3600)
    kept = MetricsLog(Journal(path, clock=clock), clock=clock).readings
    assert len(kept) == MOST_NAMES
    assert {"flat", "none", *names} <= kept.keys()
    assert [value for _, value in kept["flat"].points] == [1.0] * 6


@given(st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(-1e9, 1e9)), max_size=40))
def test_no_reading_is_lost_whatever_the_clock_does(
    steps: list[tuple[float, float | None]],
) -> None:
    readings = Readings()
    for at, value in steps:
        readings.add(at, value)
    found = [(one["at"], one["value"]) for one in readings.since(-1)]
    assert found == sorted(steps, key=itemgetter(0))
    if steps:
        assert readings.at(1e9) == readings.last == steps[-1][1]


@pytest.mark.parametrize("wrong_s", [1e8, -1e8])
def test_a_clock_that_was_wrong_for_a_moment_makes_nothing_of_what_grew_before(
    wrong_s: float,
) -> None:
    readings = Readings()
    for minute in range(60):
        at = NOON + 60 * minute
        readings.add(at + wrong_s if minute == 30 else at, float(minute))
    assert readings.grown(NOON + 3600, 600, 60.0) == 10
    assert readings.grown(NOON + 1800 + wrong_s, 600, 60.0) <= 60


def test_history_is_shown_as_a_line_and_as_rows(workspace: Path, dino: Dino) -> None:
    assert "nothing was read yet" in dino("metrics", "history").out
    assert dino("metrics", "history", "resource_flow", "--json").json["readings"] == []
    Workspace(workspace).resources.submit_task(Task("a"))
    dino("metrics", "record")
    found = dino("metrics", "history", "resource_flow", "--since", "1h", "--json").json
    assert [one["value"] for one in found["readings"]] == [0]
    assert found["readings"][0]["at"] > found["since"]
    lines = dino("metrics", "history", "resource_flow").out.splitlines()
    assert lines[0].endswith("▁  0 to 0")
    assert lines[2].split()[1] == "0"
    assert dino("metrics", "history", "--json").json["resource_flow"]["last"] == 0
    assert "did you mean 'resource_flow'" in dino("metrics", "history", "resource_flo", code=2).err


@pytest.mark.parametrize("since", ["yesterday", "-1h"])
def test_a_time_that_is_none_is_refused(workspace: Path, dino: Dino, since: str) -> None:
    assert (
        "neither a time"
        in dino("metrics", "history", "resource_flow", f"--since={since}", code=2).err
    )
