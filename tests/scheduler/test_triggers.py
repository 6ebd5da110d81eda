"""When jobs are due: what may be said, and the next time, over changes of the clock too."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.scheduler.jobs import Jobs
from dino_os.scheduler.triggers import local_zone, next_time, read_trigger
from engines.journal import RecordedJournal
from tests.scheduler.conftest import Clock

BERLIN = ZoneInfo("Europe/Berlin")


def due(trigger: Any, after: str, **options: Any) -> str | None:
    """The next time in the zone of *after*."""
    moment = datetime.fromisoformat(after)
    found = next_time(read_trigger(trigger, options), after=moment.timestamp(), since=0)
    return found and datetime.fromtimestamp(found, BERLIN).isoformat()


# --- cron ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expr", "after", "then"),
    [
        ("0 9 * * *", "2027-01-15T08:59:59+01:00", "2027-01-15T09:00:00+01:00"),
        ("0 9 * * *", "2027-01-15T09:00:00+01:00", "2027-01-16T09:00:00+01:00"),
        ("0 9 * * *", "2027-03-27T12:00:00+01:00", "2027-03-28T09:00:00+02:00"),
        ("*/15 * * * *", "2027-01-15T08:50:00+01:00", "2027-01-15T09:00:00+01:00"),
        ("0 0 29 2 *", "2027-01-15T08:50:00+01:00", "2028-02-29T00:00:00+01:00"),
        ("30 8 * * mon-fri", "2027-01-15T09:00:00+01:00", "2027-01-18T08:30:00+01:00"),
        # The gap of spring: what falls into it runs at its end.
        ("30 2 * * *", "2027-03-28T00:00:00+01:00", "2027-03-28T03:00:00+02:00"),
        ("30 2 * * *", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00"),
        # The hour that comes twice in autumn: fixed times in its first pass only.
        ("30 2 * * *", "2026-10-25T00:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"),
        ("30 2 * * *", "2026-10-25T02:15:00+01:00", "2026-10-26T02:30:00+01:00"),
        ("*/30 * * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00"),
    ],
)
def test_cron_is_debians(expr: str, after: str, then: str) -> None:
    assert due({"kind": "cron", "expr": expr, "tz": "Europe/Berlin"}, after) == then


@given(st.integers(0, 2**32), st.integers(0, 59), st.integers(0, 23))
def test_the_next_time_of_cron_lies_ahead_and_fits(after: int, minute: int, hour: int) -> None:
    """Within two days, and at the time that was said unless that is in a gap."""
    trigger = read_trigger("cron", {"hour": hour, "minute": minute, "tz": "Europe/Berlin"})
    found = next_time(trigger, after=after, since=0)
    assert after < found <= after + 50 * 3600
    there = datetime.fromtimestamp(found, BERLIN)
    in_a_gap = there.utcoffset() != (there - timedelta(hours=1)).utcoffset()
    assert (there.hour, there.minute) == (hour, minute) or in_a_gap


@pytest.mark.parametrize(
    ("fields", "expr"),
    [
        ({"hour": 9, "minute": 0}, "0 9 * * *"),
        ({"hour": 9}, "0 9 * * *"),
        ({"minute": 30}, "30 * * * *"),
        ({"minute": "*/5", "hour": "8-18"}, "*/5 8-18 * * *"),
        ({"day": 1}, "0 0 1 * *"),
        ({"month": 3}, "0 0 1 3 *"),
        ({"day_of_week": "mon-fri", "hour": 9}, "0 9 * * mon-fri"),
        ({"day_of_week": "SUN"}, "0 0 * * SUN"),
        ({"month": "jun", "day_of_week": "mon,wed"}, "0 0 * jun mon,wed"),
    ],
)
def test_fields_by_name_are_an_expression(fields: dict[str, Any], expr: str) -> None:
    """Finer ones than those named are at their first value: hour=9 is nine o'clock sharp."""
    assert read_trigger("cron", {**fields, "tz": "UTC"}) == {
        "kind": "cron",
        "expr": expr,
        "tz": "UTC",
    }


# --- intervals and moments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "every_ms"),
    [
        ({"everyMs": 1}, 1),
        ({"minutes": 1}, 60_000),
        ({"weeks": 1, "days": 1, "hours": 1, "seconds": 1}, 694_801_000),
        ({"seconds": 1.005}, 1005),
        ({"hours": 0.5, "minutes": 0}, 1_800_000),
    ],
)
def test_intervals_in_any_unit(said: dict[str, Any], every_ms: int) -> None:
    assert read_trigger("interval", said) == {"kind": "interval", "everyMs": every_ms}


@given(st.integers(1, 10**12), st.integers(0, 10**12), st.integers(-(10**6), 10**13))
def test_intervals_are_counted_from_their_begin(every: int, since_ms: int, later_ms: int) -> None:
    """The next is the first after now on the grid that began with the job, never the begin itself."""
    trigger = {"kind": "interval", "everyMs": every}
    after_ms = since_ms + later_ms
    found = round(next_time(trigger, after=after_ms / 1000, since=since_ms / 1000) * 1000)
    assert (found - since_ms) % every == 0
    assert max(after_ms, since_ms) < found <= max(after_ms, since_ms) + every


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"at": "2027-01-15T10:00:00Z"}, "2027-01-15T10:00:00Z"),
        ({"at": "2027-01-15T10:00:00.25+02:00"}, "2027-01-15T08:00:00.250000Z"),
        ({"at": "2027-01-15T10:00", "tz": "Europe/Berlin"}, "2027-01-15T09:00:00Z"),
        ({"at": "2027-07-15 10:00", "tz": "Europe/Berlin"}, "2027-07-15T08:00:00Z"),
        ({"at": "2026-10-25T02:30:00", "tz": "Europe/Berlin"}, "2026-10-25T00:30:00Z"),
    ],
)
def test_a_moment_is_kept_in_utc(said: dict[str, Any], at: str) -> None:
    assert read_trigger("at", said) == {"kind": "at", "at": at}


def test_a_moment_comes_once() -> None:
    said = {"kind": "at", "at": "2027-01-15T10:00:00Z"}
    assert due(said, "2027-01-15T09:59:59Z") == "2027-01-15T11:00:00+01:00"
    assert due(said, "2027-01-15T10:00:00Z") is None


# --- what is refused -----------------------------------------------------------------------------

CRON: dict[str, Any] = {"kind": "cron", "tz": "UTC"}


@pytest.mark.parametrize(
    ("trigger", "options", "what"),
    [
        ("corn", {}, "cron, interval or at, found 'corn' .did you mean 'cron'"),
        (None, {}, "must be like"),
        (5, {}, "must be like"),
        ({}, {}, "found None"),
        ({"kind": ["cron"]}, {}, "cron, interval or at"),
        ({"kind": "cron", "expr": "* * * * *", "sec": 1}, {}, "no 'sec'"),
        ({"kind": "cron", 5: 1}, {}, "no 5"),
        ({"kind": "interval", "everyMs": 5}, {"everyMs": 6}, "says 'everyMs' twice"),
        ("interval", {"minuets": 5}, "no 'minuets' .did you mean 'minutes'"),
        ("interval", {"tz": "UTC", "minutes": 5}, "no 'tz'"),
        ("interval", {}, "needs everyMs"),
        ("interval", {"everyMs": 0}, "1 to .* whole milliseconds"),
        ("interval", {"everyMs": 0.5}, "1 to .* whole milliseconds"),
        ("interval", {"everyMs": -5}, "at least 0"),
        ("interval", {"everyMs": True}, "must be a number"),
        ("interval", {"everyMs": "60000"}, "must be a number"),
        ("interval", {"everyMs": float("inf")}, "must be finite"),
        ("interval", {"everyMs": 10**400}, "too large"),
        ("interval", {"weeks": 10**6}, "1 to .* whole milliseconds"),
        ("cron", {"tz": "UTC"}, "needs expr"),
        ("cron", {"expr": "* * * * *", "hour": 5}, "needs expr"),
        ({**CRON, "expr": "0 9 * *"}, {}, "five fields"),
        ({**CRON, "expr": "0 0 9 * * *"}, {}, "five fields"),
        ({**CRON, "expr": "@daily"}, {}, "five fields"),
        ({**CRON, "expr": "61 9 * * *"}, {}, "not a cron expression: '61 9 . . .': Bad minute"),
        ({**CRON, "expr": "a b c d e"}, {}, "not a cron expression"),
        ({**CRON, "expr": "0 0 30 2 *"}, {}, "not a cron expression.*Bad day-of-month"),
        ({**CRON, "expr": "0 0 * * 5L/2"}, {}, "not a cron expression"),
        ({**CRON, "expr": "*/0 * * * *"}, {}, "not a cron expression"),
        ({**CRON, "expr": "9-5 * * * *"}, {}, "not a cron expression"),
        ({**CRON, "expr": "/" * 190 + " * * * *"}, {}, "not a cron expression"),
        ({**CRON, "expr": "1," * 200 + "1 * * * *"}, {}, "short text"),
        ({**CRON, "expr": 5}, {}, "short text"),
        ({**CRON, "expr": "٣ * * * *"}, {}, "not a cron expression"),
        ("cron", {"hour": 9.5, "tz": "UTC"}, "hour must be"),
        ("cron", {"hour": True, "tz": "UTC"}, "hour must be"),
        ("cron", {"hour": "9 *", "tz": "UTC"}, "hour must be"),
        ("cron", {"hour": 24, "tz": "UTC"}, "not a cron expression"),
        ("cron", {"day_of_week": 0, "tz": "UTC"}, "must name days"),
        ("cron", {"day_of_week": "0-4", "tz": "UTC"}, "must name days"),
        ("cron", {"day_of_week": "payday", "tz": "UTC"}, "not a cron expression"),
        ("cron", {"hour": 9, "tz": "Europe/Berlim"}, "no time zone 'Europe/Berlim'"),
        ("cron", {"hour": 9, "tz": "../../etc/passwd"}, "no time zone"),
        ("cron", {"hour": 9, "tz": "Europe"}, "no time zone"),
        ("cron", {"hour": 9, "tz": ""}, "no time zone"),
        ("cron", {"hour": 9, "tz": 5}, "no time zone"),
        ("at", {}, "needs a time"),
        ("at", {"at": 1789412345}, "needs a time"),
        ("at", {"at": "tomorrow"}, "not a time"),
        ("at", {"at": "2027-02-30T10:00:00Z"}, "not a time"),
        ("at", {"at": "2027-01-15T10:00:00Z", "tz": "UTC"}, "tz is one too many"),
        (
            "at",
            {"at": "2027-03-28T02:30:00", "tz": "Europe/Berlin"},
            "does not exist in Europe/Berlin",
        ),
        ("at", {"at": "0001-01-01T00:00:00+14:00"}, "out of range"),
        ("at", {"at": "9999-12-31T23:59:59", "tz": "America/New_York"}, "out of range"),
    ],
    ids=range(54),
)
def test_what_never_comes_or_is_no_trigger_is_refused(
    jobs: Jobs, journal: Path, trigger: Any, options: Any, what: str
) -> None:
    with pytest.raises(InvalidInput, match=what):
        jobs.add_job("n", "hello", trigger, **options)
    assert not journal.exists()


@given(st.text(max_size=30))
def test_any_text_is_a_cron_expression_or_an_error(text: str) -> None:
    try:
        trigger = read_trigger("cron", {"expr": text, "tz": "UTC"})
    except InvalidInput:
        return
    assert len(trigger["expr"].split()) == 5


# --- the machine's own zone ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"]
)
def test_the_variable_comes_first(said: str, tmp_path: Path) -> None:
    assert local_zone({"TZ": said}, tmp_path / "none", tmp_path / "none") == "Europe/Berlin"


def test_then_what_the_system_has_set(tmp_path: Path) -> None:
    zones = tmp_path / "share" / "zoneinfo" / "Asia"
    zones.mkdir(parents=True)
    (zones / "Tokyo").write_bytes(b"")
    link, text = tmp_path / "localtime", tmp_path / "timezone"
    link.symlink_to(zones / "Tokyo")
    text.write_text("Europe/Paris\n")
    assert local_zone({}, link, text) == "Asia/Tokyo"
    link.unlink()
    link.write_bytes(b"a copy, no link")
    assert local_zone({}, link, text) == "Europe/Paris"
    link.unlink()
    text.unlink()
    assert local_zone({}, link, text) == "UTC"


@pytest.mark.parametrize("said", ["CET-1CEST", "/etc/secret", "Europe/Berlim"])
def test_a_zone_without_a_name_has_to_be_said(said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="does not name its time zone") as refused:
        local_zone({"TZ": said}, tmp_path / "none", tmp_path / "none")
    assert "tz=" in (refused.value.hint or "")


def test_a_copy_that_nothing_names_has_to_be_said(tmp_path: Path) -> None:
    (tmp_path / "localtime").write_bytes(b"a copy, no link")
    with pytest.raises(InvalidInput, match="does not name its time zone"):
        local_zone({}, tmp_path / "localtime", tmp_path / "none")


# --- over time -----------------------------------------------------------------------------------


def next_run(jobs: Jobs) -> str | None:
    (job,) = jobs.list_jobs()
    found: str | None = job["next_run"]
    return found


def test_a_job_is_due_from_when_it_was_added(jobs: Jobs) -> None:
    jobs.add_job("tide", "hello", "interval", hours=6)
    assert next_run(jobs) == "2027-01-15T14:30:00Z"


def test_a_moment_that_is_past_is_refused(jobs: Jobs, clock: Clock) -> None:
    with pytest.raises(InvalidInput, match="2027-01-15T08:30:00Z is past"):
        jobs.add_job("late", "hello", "at", at="2027-01-15T08:30:00Z")


def test_a_resumed_job_skips_what_it_missed_and_keeps_its_grid(jobs: Jobs, clock: Clock) -> None:
    jobs.add_job("tide", "hello", "interval", hours=6)
    jobs.pause("tide")
    clock.set("2027-01-17T09:00:00Z")
    jobs.resume("tide")
    assert next_run(jobs) == "2027-01-17T14:30:00Z"


def test_a_moment_that_passed_during_a_pause_is_due_when_resumed(jobs: Jobs, clock: Clock) -> None:
    jobs.add_job("once", "hello", "at", at="2027-01-16T00:00:00Z")
    jobs.pause("once")
    clock.set("2027-01-17T09:00:00Z")
    jobs.resume("once")
    assert next_run(jobs) == "2027-01-17T09:00:00Z"


def test_what_was_decided_is_what_the_next_process_sees(
    jobs: Jobs, opened: Callable[[], Jobs], clock: Clock, journal: Path
) -> None:
    """When a job is due is recorded: folding asks neither the clock nor the zones' data."""
    job_id = jobs.add_job("daily", "hello", "cron", hour=9, tz="Europe/Berlin", params={"n": 1})
    jobs.add_job("tide", "hello", "interval", hours=6)
    jobs.run_now("tide")
    jobs.pause("daily")
    clock.set("2031-01-01T00:00:00Z")
    assert opened().list_jobs() == jobs.list_jobs()
    daily, tide = opened().list_jobs()
    assert (daily["id"], daily["status"], daily["next_run"]) == (job_id, "paused", None)
    assert tide["next_run"] == "2027-01-15T08:30:00Z"
    kinds = [event["event_type"] for event in RecordedJournal(journal).events()][1:]
    assert kinds == ["job_added", "job_added", "job_run_requested", "job_paused"]


def test_what_changes_nothing_records_nothing(jobs: Jobs, journal: Path) -> None:
    jobs.add_job("tide", "hello", "interval", hours=6)
    before = journal.read_bytes()
    assert not jobs.resume("tide")
    assert (jobs.job_count(), jobs.running_jobs()) == (1, 0)
    assert journal.read_bytes() == before


def test_ids_come_from_outside(clock: Clock) -> None:
    """Given the same ids and clock, the same is decided."""

    def made() -> list[dict[str, Any]]:
        ids = iter(["a", "b"])
        jobs = Jobs(clock=clock, new_id=lambda: next(ids))
        jobs.add_job("one", "hello", "interval", hours=1)
        jobs.add_job("two", "hello", "cron", hour=9, tz="UTC")
        return jobs.list_jobs()

    assert made() == made()
    assert [job["id"] for job in made()] == ["a", "b"]


def test_the_zone_of_this_machine_has_a_name_here_or_is_an_error() -> None:
    try:
        name = local_zone()
    except InvalidInput:
        assert not os.environ.get("TZ") or "/" not in os.environ["TZ"]
        return
    assert datetime.now(ZoneInfo(name)).utcoffset() == datetime.now(UTC).astimezone().utcoffset()


@given(
    every_ms=st.integers(1, 10_000),
    since_ms=st.integers(1_700_000_000_000, 1_900_000_000_000),
    step=st.integers(1, 1_000_000),
    off_s=st.floats(-0.0011, 0.0011),
)
@example(every_ms=40, since_ms=1_795_000_000_000, step=7, off_s=-0.0004)
@example(every_ms=40, since_ms=1_795_000_000_000, step=7, off_s=0.0)
def test_an_intervals_next_time_is_the_first_later_one_to_the_last_digit(
    every_ms: int, since_ms: int, step: int, off_s: float
) -> None:
    """Also within the millisecond before it: it is not over because it is nearly there."""
    trigger = {"kind": "interval", "everyMs": every_ms}
    dues = [(since_ms + n * every_ms) / 1000 for n in range(step, step + 4)]
    after = max(dues[0] + off_s, since_ms / 1000)
    found = next_time(trigger, after=after, since=since_ms / 1000)
    assert found is not None
    assert found > after
    assert found == next(
        due
        for n in range(max(step - 3, 1), step + 5)
        if (due := (since_ms + n * every_ms) / 1000) > after
    )
