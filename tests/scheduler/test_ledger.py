"""Whatever is done in whatever order: each due time comes to be in exactly one state."""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.scheduler.policies import MISFIRES, OVERLAPS
from engines.checks import time_text
from engines.journal import RecordedJournal, verify
from tests.scheduler.conftest import Clock
from tests.scheduler.desk import Desk

seconds = st.one_of(st.integers(1, 900), st.integers(1, 20_000), st.just(300_000))
common = [
    st.tuples(st.just("advance"), seconds),
    st.tuples(st.just("turn"), st.none()),
    st.tuples(st.just("crash"), st.sampled_from(["before", "after"])),
    st.tuples(st.just("end"), st.sampled_from(["ok", "error"])),
    st.tuples(st.just("begin"), st.none()),
    st.tuples(st.just("pause"), st.none() | st.integers(1, 5000)),
    st.tuples(st.just("resume"), st.sampled_from([None, True, False])),
    st.tuples(st.just("run_now"), st.none()),
]
changes = st.tuples(st.just("change"), st.integers(1, 60))
setbacks = st.tuples(st.just("advance"), st.integers(-20_000, -1))
policies = st.fixed_dictionaries(
    {"misfire": st.sampled_from(MISFIRES), "overlap": st.sampled_from(OVERLAPS)},
    optional={
        "misfire_limit": st.integers(1, 4),
        "catchup_window_s": st.integers(0, 10_000),
        "grace_s": st.integers(0, 2000),
        "start_deadline_s": st.integers(1, 2000),
        "jitter_s": st.integers(0, 900),
        "catchup_spread_s": st.integers(0, 900),
    },
)


def lists(more: Any) -> Any:
    return st.lists(st.one_of(*common, more), max_size=25)


def do(desk: Desk, what: str, value: Any) -> None:
    jobs, clock = desk.jobs, desk.clock
    if what == "advance":
        clock.now += value
    elif what == "turn":
        desk.duty.turn()
    elif what == "crash":
        desk.crash(value)
    elif what == "end":
        desk.end(value)
    elif what == "begin":
        desk.begin()
    elif what == "pause":
        jobs.pause("tide", until=None if value is None else in_utc(clock.now + value))
    elif what == "resume":
        jobs.resume("tide", skip_missed=value)
    elif what == "run_now" and jobs.list_jobs()[0]["status"] != "paused":
        jobs.run_now("tide")
    elif what == "change":
        desk.add(minutes=value, replace=True)


def in_utc(moment: float) -> str:
    return time_text(moment) or ""


@given(policies, lists(changes))
@settings(max_examples=30)
def test_each_due_time_is_in_one_state_whatever_is_done(
    said: dict[str, Any], steps: list[Any]
) -> None:
    """Also when the job is changed meanwhile, and when turns are killed."""
    check(said, steps)


@given(policies, lists(setbacks))
@settings(max_examples=30)
def test_each_due_time_is_in_one_state_whatever_the_clock_does(
    said: dict[str, Any], steps: list[Any]
) -> None:
    check(said, steps)


def check(said: dict[str, Any], steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), Clock())
        desk.add(**said)
        for step in steps:
            do(desk, *step)
        desk.jobs.resume("tide")
        desk.duty.turn()
        desk.jobs.pause("tide")  # so that nothing new comes while the rest ends
        desk.finish_all()
        desk.duty.turn()
        assert verify(Path(folder) / "scheduler.jsonl").ok
        each_has_one_state(desk)
        each_run_ended_once(desk)
        again = Desk(Path(folder), desk.clock)
        assert again.jobs.list_jobs() == desk.jobs.list_jobs()


def each_has_one_state(desk: Desk) -> None:
    """What the journal says of the due times is the grid of each trigger, without gap or double."""
    found = decided(desk)
    grids = [(e["added"], e["trigger"]["everyMs"] / 1000) for e in triggers(desk)]
    earliest = min([grids[0][0], *(e["added"] for e in desk.events("job_replanned"))])
    grids[0] = earliest, grids[0][1]
    next_run = desk.jobs._find("tide").next_run or 0
    ends = [added for added, _ in grids[1:]] + [next_run - 0.001]
    expected: list[float] = []
    for (added, every), end in zip(grids, ends, strict=True):
        expected += [round(added + n * every, 3) for n in range(1, int((end - added) / every) + 1)]
    # A run that was asked for at the very moment of a due time is the run of both.
    asked = {e["due"] for e in desk.events("occurrence_recorded") if e["why"] == "requested"}
    both = asked & set(expected)
    assert sorted({due for due in found if due < next_run} | both) == expected
    # By a clock that was ahead some ran early; nothing that is still to come is given up.
    assert all(found[due] for due in found if due >= next_run)


def decided(desk: Desk) -> dict[float, bool]:
    """Due time → whether it runs; what was skipped by a clock that was ahead is open again."""
    found: dict[float, bool] = {}
    every = 0.0
    for event in RecordedJournal(desk.folder / "scheduler.jsonl").events():
        kind, dues = event["event_type"], []
        if kind in {"job_added", "job_changed"}:
            every = event["trigger"]["everyMs"] / 1000
        elif kind == "job_replanned":
            again = event["next_run"]
            found = {due: runs for due, runs in found.items() if runs or due < again}
        elif kind == "occurrence_recorded" and event["why"] != "requested":
            dues = [round(event["due"], 3)]
        elif kind == "occurrences_skipped" and event["why"] != "requested":
            assert round((event["last"] - event["first"]) / every) + 1 == event["count"]
            dues = [round(event["first"] + place * every, 3) for place in range(event["count"])]
        assert not found.keys() & set(dues)
        found |= dict.fromkeys(dues, kind == "occurrence_recorded")
    return found


def triggers(desk: Desk) -> list[dict[str, Any]]:
    """Each trigger the job had, with the moment it counts from."""
    first, *rest = [*desk.events("job_added"), *desk.events("job_changed")]
    return [
        first,
        *(new for old, new in pairwise([first, *rest]) if new["trigger"] != old["trigger"]),
    ]


def each_run_ended_once(desk: Desk) -> None:
    recorded = [event["task_id"] for event in desk.events("occurrence_recorded")]
    for kind in ("occurrence_submitted", "occurrence_ended"):
        assert Counter(e["task_id"] for e in desk.events(kind)) == Counter(recorded)
    assert sorted(task.task_id for task in desk.tasks.tasks()) == sorted(recorded)
    assert len(recorded) == len(set(recorded))
