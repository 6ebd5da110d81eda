"""Which due times run and which are skipped, held against a walk through all of them."""

from __future__ import annotations

from itertools import islice, takewhile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dino_os.scheduler.due import Row, Times, decide, just_after
from dino_os.scheduler.policies import MISFIRES, Policies
from dino_os.scheduler.triggers import next_time, times_after

BEGIN = 1_792_800_000.0  # two days before the clocks of Berlin go back
EXPRESSIONS = ["* * * * *", "*/7 * * * *", "30 2 * * *", "*/30 1-3 * * *", "0 0 * * mon"]
triggers = st.one_of(
    st.builds(lambda ms: {"kind": "interval", "everyMs": ms}, st.integers(1, 10_000_000)),
    st.builds(
        lambda expr: {"kind": "cron", "expr": expr, "tz": "Europe/Berlin"},
        st.sampled_from(EXPRESSIONS),
    ),
    st.just({"kind": "at", "at": "2026-10-24T10:00:00Z"}),
)
policies = st.builds(
    Policies,
    misfire=st.sampled_from(MISFIRES),
    misfire_limit=st.integers(1, 5),
    grace_s=st.none() | st.integers(0, 10_000),
    catchup_window_s=st.integers(0, 400_000),
    start_deadline_s=st.none() | st.integers(1, 10_000),
)


@given(triggers, st.integers(0, 200_000), st.integers(1, 300))
def test_times_one_after_the_other_are_those_found_one_by_one(
    trigger: dict[str, Any], later: int, count: int
) -> None:
    """Also over a change of the clock: a walk and single steps agree."""
    found = list(islice(times_after(trigger, after=BEGIN + later, since=BEGIN), count))
    step: float | None = BEGIN + later
    for time in found:
        step = next_time(trigger, after=step or 0, since=BEGIN)
        assert step == time
    assert found == sorted(set(found))


@given(triggers, policies, st.floats(1, 400_000))
def test_every_time_that_has_come_is_in_one_place(
    trigger: dict[str, Any], said: Policies, late: float
) -> None:
    times = Times(trigger, BEGIN)
    first = times.after(BEGIN)
    now = BEGIN + late
    if first is None or first > now or trigger.get("everyMs", 10**6) < 20_000:
        return
    found = decide(times, said, "job", first, now)
    passed = list(takewhile(lambda t: t <= now, times.all_after(first - 0.001)))
    placed = [run.due for run in found.runs]
    for row in found.rows:
        inside = [time for time in passed if row.first <= time <= row.last]
        assert (inside[0], inside[-1]) == (row.first, row.last)
        assert row.count == len(inside)
        placed += inside
    assert sorted(placed) == passed
    assert found.next_run == times.after(now)
    fits(found.runs, found.rows, said, now)


def fits(runs: list[Any], rows: list[Row], said: Policies, now: float) -> None:
    """What runs is on time, or made good as the policy has it; what is skipped says why."""
    good = [run for run in runs if run.why == "catch_up"]
    most = {"skip": 0, "fire_once": 1, "fire_all": said.misfire_limit}[said.misfire]
    assert len(good) <= most
    if said.grace_s is not None:
        assert all(now - run.due <= said.grace_s for run in runs if run.why == "due")
        assert all(now - run.due > said.grace_s for run in good)
    if said.start_deadline_s is not None:
        assert all(now - run.due <= said.start_deadline_s for run in runs)
    for row in rows:
        if row.reason == "too_old":
            assert now - row.last > said.catchup_window_s


def test_a_row_of_a_millisecond_s_times_is_counted_and_not_walked() -> None:
    """A year of them, on the spot."""
    times = Times({"kind": "interval", "everyMs": 1}, BEGIN)
    now = BEGIN + 366 * 86_400
    found = decide(times, Policies(misfire="fire_all"), "job", BEGIN + 0.001, now)
    assert sum(row.count for row in found.rows) + len(found.runs) == 366 * 86_400_000
    assert len(found.runs) == 1010


def test_a_row_of_cron_s_times_is_counted_so_far_only() -> None:
    """Ten years of minutes are not walked through while others wait for the lock."""
    times = Times({"kind": "cron", "expr": "* * * * *", "tz": "UTC"}, BEGIN)
    now = BEGIN + 10 * 366 * 86_400
    found = decide(times, Policies(), "job", BEGIN + 60, now)
    (old, missed) = found.rows
    assert (old.reason, old.more, old.first) == ("too_old", True, BEGIN + 60)
    assert (missed.reason, missed.more) == ("misfire", False)
    assert [run.due for run in found.runs] == [now - 60, now]


def test_where_a_time_is_no_longer_on_the_clock_it_still_runs() -> None:
    """The data of time zones changed since it was promised."""
    times = Times({"kind": "cron", "expr": "0 9 * * *", "tz": "UTC"}, BEGIN)
    promised = next_time(times.trigger, after=BEGIN, since=0) or 0.0
    found = decide(times, Policies(), "job", promised - 3600, promised - 3600)
    assert [run.due for run in found.runs] == [promised - 3600]
    assert found.next_run == promised
    assert just_after(promised) > promised
