"""What users' code relies on, by example."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dino_os import skill
from dino_os.errors import InvalidInput, NotFound
from dino_os.scheduler import Job, Scheduler
from engines.journal import RecordedJournal, verify
from tests.conftest import REPOSITORY, environment

FORMS = [
    ({"kind": "cron", "expr": "0 9 * * *"}, {}),
    ({"kind": "interval", "everyMs": 60000}, {}),
    ({"kind": "at", "at": "2999-01-15T10:00:00Z"}, {}),
    ("cron", {"hour": 9, "minute": 0}),
    ("interval", {"minutes": 5}),
    ("at", {"at": "2999-01-15T10:00:00Z"}),
]


@pytest.fixture
def scheduler(home: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    return Scheduler()


def test_the_guides_metrics(scheduler: Scheduler) -> None:
    assert {
        "jobs_scheduled": scheduler.job_count(),
        "agents_running": scheduler.running_jobs(),
    } == {"jobs_scheduled": 0, "agents_running": 0}


def test_looking_leaves_no_trace(home: Path, scheduler: Scheduler) -> None:
    assert scheduler.list_jobs() == []
    assert not (home / "memory").exists()


@pytest.mark.parametrize(("trigger", "more"), FORMS)
def test_every_form_of_trigger_is_a_job(scheduler: Scheduler, trigger: Any, more: Any) -> None:
    job_id = scheduler.add_job("daily", "hello", trigger, **more)
    (job,) = Scheduler().list_jobs()
    assert isinstance(job, Job)
    assert (job.id, job.name, job.func, job.status) == (job_id, "daily", "hello", "scheduled")
    assert job.next_run > datetime.now(UTC)
    assert job.last_run is None


def test_the_two_ways_to_say_it_are_one(scheduler: Scheduler) -> None:
    said, named = FORMS[0], FORMS[3]
    scheduler.add_job("said", "hello", said[0], **said[1])
    scheduler.add_job("named", "hello", named[0], **named[1])
    first, second = scheduler.list_jobs()
    assert (
        first.trigger
        == second.trigger
        == {
            "kind": "cron",
            "expr": "0 9 * * *",
            "tz": "Europe/Berlin",
        }
    )
    assert first.next_run == second.next_run


def test_each_method_by_example(scheduler: Scheduler) -> None:
    job_id = scheduler.add_job("tide", "hello", "interval", hours=1, params={"name": "Bo"})
    assert scheduler.list_jobs()[0].params == {"name": "Bo"}
    assert (scheduler.pause(job_id), scheduler.pause("tide")) == (True, False)
    (paused,) = scheduler.list_jobs()
    assert (paused.status, paused.next_run) == ("paused", None)
    assert (scheduler.resume("tide"), scheduler.resume(job_id)) == (True, False)
    (resumed,) = scheduler.list_jobs()
    before = datetime.now(UTC)
    assert resumed.next_run > before
    assert scheduler.run_now("tide")
    (due,) = scheduler.list_jobs()
    assert before <= due.next_run <= datetime.now(UTC)
    assert (scheduler.remove_job(job_id), scheduler.job_count()) == (True, 0)


@pytest.mark.parametrize("method", ["pause", "resume", "run_now", "remove_job"])
@pytest.mark.parametrize("wrong", ["tied", "", None, 7, ["tide"]], ids=str)
def test_a_job_that_is_not_there_is_an_error(scheduler: Scheduler, method: str, wrong: Any) -> None:
    scheduler.add_job("tide", "hello", "interval", hours=1)
    with pytest.raises(NotFound, match="no job"):
        getattr(scheduler, method)(wrong)
    assert [job.status for job in scheduler.list_jobs()] == ["scheduled"]


def test_the_error_knows_what_was_meant(scheduler: Scheduler) -> None:
    scheduler.add_job("tide", "hello", "interval", hours=1)
    with pytest.raises(NotFound, match="did you mean 'tide'"):
        scheduler.pause("tied")


# --- what a job runs -----------------------------------------------------------------------------


@skill
def weigh(cargo: str = "salt") -> str:
    return cargo


class Crane:
    @staticmethod
    def lift() -> None:
        """Lift."""

    def turn(self) -> None:
        """Turn."""


@pytest.mark.parametrize(
    ("func", "stored"),
    [
        ("hello", "hello"),
        ("pkg.module:Class.method", "pkg.module:Class.method"),
        ("harbour.hello", "harbour.hello"),
        (weigh, "weigh"),
        (json.dumps, "json:dumps"),
        (math.sqrt, "math:sqrt"),
        (Crane.lift, f"{__name__}:Crane.lift"),
    ],
)
def test_what_another_process_can_find_is_stored_by_its_name(
    scheduler: Scheduler, func: Any, stored: str
) -> None:
    scheduler.add_job("n", func, "interval", hours=1)
    assert scheduler.list_jobs()[0].func == stored


def decorated() -> None:
    """Replaced below, as a decorator that hides its function would."""


hidden = decorated
decorated = functools.partial(hidden)  # type: ignore[assignment]


def local() -> Any:
    def inner() -> None:
        """Only here."""

    return inner


@pytest.mark.parametrize(
    ("func", "what"),
    [
        (lambda: 1, "a lambda cannot be found by another process"),
        (local(), r"'local\.<locals>\.inner' of .* cannot be found"),
        (hidden, "cannot be found"),
        (decorated, "a job runs a skill or a function"),
        (Crane().turn, "a job runs a skill or a function"),
        (None, "a job runs a skill or a function"),
        ("", "a job runs a skill or a function"),
        ("two words", "a job runs a skill or a function"),
        ("module:", "a job runs a skill or a function"),
        ("rm -rf /", "a job runs a skill or a function"),
        ("a:b:c", "a job runs a skill or a function"),
        ("../x:y", "a job runs a skill or a function"),
    ],
)
def test_what_nobody_else_can_find_is_refused(scheduler: Scheduler, func: Any, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        scheduler.add_job("n", func, "interval", hours=1)
    assert scheduler.job_count() == 0


def test_a_script_s_own_function_is_refused(home: Path) -> None:
    """Another process would look for it in its own `__main__`."""
    code = (
        "from dino_os.scheduler import Scheduler\n"
        "def f(): pass\n"
        "try: Scheduler().add_job('n', f, 'interval', hours=1)\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the function 'f' of '__main__' cannot be found by another process" in done.stdout


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", None, 5, "x" * 201, "a\nb", "\ud800"], ids=ascii)
def test_what_is_no_name_is_refused(scheduler: Scheduler, name: Any) -> None:
    with pytest.raises(InvalidInput, match="job's name"):
        scheduler.add_job(name, "hello", "interval", hours=1)


def test_a_name_that_is_taken_is_refused(scheduler: Scheduler) -> None:
    """Not renamed, not replaced: a skill that adds its job twice learns of it."""
    scheduler.add_job("tide", "hello", "interval", hours=1)
    with pytest.raises(InvalidInput, match="job named 'tide' already"):
        scheduler.add_job(" tide", "hello", "interval", hours=2)
    scheduler.remove_job("tide")
    scheduler.add_job("tide", "hello", "interval", hours=2)
    assert [job.trigger["everyMs"] for job in scheduler.list_jobs()] == [7_200_000]


@pytest.mark.parametrize(
    "params",
    [[1], "x", {"a": float("nan")}, {"a": {1: 2}}, {"a": object()}, {"a": "x" * 70_000}],
    ids=range(6),
)
def test_what_are_no_params_is_refused(scheduler: Scheduler, params: Any) -> None:
    with pytest.raises(InvalidInput, match="params"):
        scheduler.add_job("n", "hello", "interval", hours=1, params=params)
    assert scheduler.job_count() == 0


def test_a_paused_job_is_not_run_now(scheduler: Scheduler) -> None:
    scheduler.add_job("tide", "hello", "interval", hours=1)
    scheduler.pause("tide")
    with pytest.raises(InvalidInput, match="'tide' is paused"):
        scheduler.run_now("tide")
    assert scheduler.list_jobs()[0].next_run is None


# --- other processes -----------------------------------------------------------------------------

ADDER = """
import sys
from dino_os.errors import InvalidInput
from dino_os.scheduler import Scheduler
scheduler, taken = Scheduler(), 0
for number in range(int(sys.argv[2])):
    try:
        scheduler.add_job(f"shared-{number}", "hello", "interval", hours=1)
    except InvalidInput:
        taken += 1
    scheduler.add_job(f"{sys.argv[1]}-{number}", "hello", "interval", hours=1)
    print(f"{sys.argv[1]}-{number}", flush=True)
print(taken)
"""


def adder(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ADDER, name, str(count)],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_add_at_once_and_one_is_killed(home: Path) -> None:
    """Each name is given once, whoever is first; what was acknowledged is there."""
    victim = adder(home, "victim", 100_000)
    others = [adder(home, name, 15) for name in "ab"]
    said = [victim.stdout.readline().strip() for _ in range(3)]
    victim.kill()
    said += victim.communicate()[0].split("\n")[:-1]
    for other in others:
        out, _ = other.communicate()
        assert other.returncode == 0
        said += out.split("\n")[:-2]
    Scheduler().add_job("next", "hello", "interval", hours=1)  # sets aside what was half done
    names = [job.name for job in Scheduler().list_jobs()]
    assert len(names) == len(set(names))
    assert set(said) <= set(names)
    assert {f"shared-{number}" for number in range(15)} <= set(names)
    journal = home / "memory" / "scheduler.jsonl"
    assert verify(journal).ok
    added = [e["name"] for e in RecordedJournal(journal).events() if e["event_type"] == "job_added"]
    assert added == names
