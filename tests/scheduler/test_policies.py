"""What may be said about a job, and that it is said back as it was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.scheduler.policies import MISFIRES, NAMES, OVERLAPS, PRIORITIES, Policies, share
from tests.scheduler.desk import Desk

spans = st.floats(0, 1e6)
said = st.fixed_dictionaries(
    {},
    optional={
        "misfire": st.sampled_from(MISFIRES),
        "misfire_limit": st.integers(1, 1000),
        "overlap": st.sampled_from(OVERLAPS),
        "priority": st.sampled_from(PRIORITIES),
        "max_attempts": st.integers(1, 100),
        "timeout_s": st.floats(0.001, 1e6),
        "start_deadline_s": st.floats(0.001, 1e6),
        **dict.fromkeys(("grace_s", "catchup_window_s", "catchup_spread_s", "jitter_s"), spans),
    },
)


@given(said)
def test_what_was_said_is_what_is_kept(options: dict[str, Any]) -> None:
    policies = Policies.read(options)
    assert all(getattr(policies, name) == value for name, value in options.items())
    assert Policies.read(policies.as_dict()) == policies
    assert policies.as_dict().keys() <= options.keys()


def test_times_and_words_as_people_write_them(desk: Desk) -> None:
    """And only what differs from the defaults is shown."""
    desk.add(
        misfire="Fire-All",
        grace_s="5m",
        jitter_s="0s",
        timeout_s="2h",
        overlap=None,
        max_attempts=1,
    )
    (job,) = desk.jobs.list_jobs()
    assert job["policies"] == {"misfire": "fire_all", "grace_s": 300.0, "timeout_s": 7200.0}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"misfire": "fire_twice"}, "misfire is one of .* found 'fire_twice' .did you mean"),
        ({"overlap": 5}, "overlap is one of"),
        ({"priority": "urgent"}, "priority is one of"),
        ({"misfire_limit": 0}, "1 to 1000"),
        ({"misfire_limit": 1001}, "1 to 1000"),
        ({"misfire_limit": 1.5}, "whole number"),
        ({"max_attempts": True}, "must be a number"),
        ({"grace_s": -1}, "at least 0"),
        ({"grace_s": "soon"}, "expected a time"),
        ({"grace_s": float("nan")}, "finite"),
        ({"jitter_s": 1e12}, "at most"),
        ({"timeout_s": 0}, "more than 0"),
        ({"start_deadline_s": "0s"}, "more than 0"),
    ],
)
def test_what_is_no_policy_is_refused(desk: Desk, options: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        desk.add(**options)
    assert desk.jobs.job_count() == 0


def test_an_option_that_there_is_not_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="no 'misfires'"):
        desk.add(misfires="skip")
    with pytest.raises(InvalidInput, match=r"no 'misfires' .did you mean 'misfire'"):
        Policies.read({"misfires": "skip"})
    assert "overlap" in NAMES


@pytest.mark.parametrize(
    ("period_s", "grace_s"),
    [(1, 60), (120, 60), (600, 300), (14_400, 7200), (86_400, 7200), (None, 7200)],
)
def test_late_is_half_the_time_to_the_next_within_limits(
    period_s: float | None, grace_s: float
) -> None:
    """Rule 4: max(60 s, period / 2), at most two hours."""
    assert Policies().grace(period_s) == grace_s
    assert Policies(grace_s=5).grace(period_s) == 5


@given(st.text(), st.floats(0, 4e9), st.floats(0, 1e5))
def test_jitter_is_the_same_for_the_same_job_and_time(
    job_id: str, due: float, jitter_s: float
) -> None:
    """So that every process decides the same."""
    policies = Policies(jitter_s=jitter_s)
    assert 0 <= policies.jitter(job_id, due) <= jitter_s
    assert policies.jitter(job_id, due) == Policies(jitter_s=jitter_s).jitter(job_id, due)


def test_jitter_spreads() -> None:
    """Forty jobs that are due at noon do not start as one."""
    shares = [share(f"job-{number}", 43_200.0) for number in range(40)]
    assert len({int(found * 8) for found in shares}) == 8
