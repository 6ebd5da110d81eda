"""`dino scheduler` as an operator meets it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from tests.conftest import Dino

SKILL = """
from dino_os import skill

@skill
def measure(place: str = "Mole") -> str:
    \"\"\"Measure the tide.\"\"\"
    return place
"""


@pytest.fixture(autouse=True)
def _skill(workspace: Path) -> None:
    (workspace / "skills" / "measure.py").write_text(SKILL)


def test_a_job_from_being_added_to_its_run(dino: Dino) -> None:
    added = dino("scheduler", "add", "tide", "measure", "--every", "15m", "--json").json
    assert added["trigger"] == {"kind": "interval", "everyMs": 900_000}
    assert "no service runs" in dino("scheduler").out
    assert "none of its times" in dino("scheduler", "history", "tide").out
    assert "`dino scheduler tick` runs it" in dino("scheduler", "run-now", "tide").out
    ticked = dino("scheduler", "tick", "--json").json
    assert (len(ticked["submitted"]), ticked["worked"]) == (1, True)
    (one,) = dino("scheduler", "history", "tide", "--json").json["occurrences"]
    assert (one["state"], one["outcome"], one["why"]) == ("ended", "ok", "requested")
    assert dino("scheduler", "tick", "--json").json["submitted"] == []
    (job,) = dino("scheduler", "status", "--json").json["jobs"]
    assert (job["last_outcome"], job["counts"]) == ("ok", {"ok": 1})
    dino("scheduler", "remove", "tide")
    assert dino("scheduler", "list", "--json").json == {"jobs": []}


def test_all_that_can_be_said_about_a_job(dino: Dino) -> None:
    dino(
        *("scheduler", "add", "report", "measure", "--cron", "0 9 * * mon-fri"),
        *("--tz", "Europe/Berlin", "--params", '{"place": "Pier"}', "--misfire", "fire_all"),
        *("--misfire-limit", "3", "--grace", "5m", "--catchup-window", "2h"),
        *("--catchup-spread", "1m", "--overlap", "queue_one", "--jitter", "30s"),
        *("--start-deadline", "1h", "--max-attempts", "2", "--timeout", "90s"),
        *("--priority", "low"),
    )
    (job,) = dino("scheduler", "list", "--json").json["jobs"]
    assert job["policies"] == {
        "misfire": "fire_all",
        "misfire_limit": 3,
        "grace_s": 300.0,
        "catchup_window_s": 7200.0,
        "catchup_spread_s": 60.0,
        "overlap": "queue_one",
        "jitter_s": 30.0,
        "start_deadline_s": 3600.0,
        "max_attempts": 2,
        "timeout_s": 90.0,
        "priority": "low",
    }
    shown = dino("scheduler", "list").out
    assert "0 9 * * mon-fri (Europe/Berlin)" in shown
    assert "overlap=queue_one" in shown
    nexts = dino("scheduler", "next", "report", "-n", "3").out.split()
    assert len(nexts) == 3
    assert all(text[10:] in {"T09:00:00+01:00", "T09:00:00+02:00"} for text in nexts)


def test_a_job_is_changed_paused_and_resumed_by_its_name(dino: Dino) -> None:
    add = ("scheduler", "add", "tide", "measure", "--every")
    first = dino(*add, "15m", "--json").json["id"]
    assert "there is a job named 'tide' already" in dino(*add, "1h", code=2).err
    changed = dino(*add, "1h", "--replace", "--json").json
    assert (changed["id"], changed["trigger"]["everyMs"]) == (first, 3_600_000)
    assert "is paused" in dino("scheduler", "pause", "tide").out
    assert "was paused already" in dino("scheduler", "pause", "tide").out
    assert dino("scheduler", "pause", "tide", "--until", "2999-01-01T00:00:00Z", "--json").json
    (job,) = dino("scheduler", "status", "--json").json["jobs"]
    assert (job["status"], job["paused_until"]) == ("paused", "2999-01-01T00:00:00Z")
    assert "is paused" in dino("scheduler", "run-now", "tide", code=2).err
    assert "goes on" in dino("scheduler", "resume", "tide", "--skip-missed").out
    assert "was not paused" in dino("scheduler", "resume", "tide").out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("measure",), "say when: one of --cron, --every and --at"),
        (("measure", "--every", "5m", "--cron", "* * * * *"), "say when: one of"),
        (("measure", "--every", "soon"), "--every: expected a time"),
        (("measure", "--every", "5m", "--tz", "UTC"), "no 'tz'"),
        (("measure", "--cron", "* * *", "--tz", "UTC"), "five fields"),
        (("measure", "--at", "2001-01-01T00:00:00Z"), "is past"),
        (("measur", "--every", "5m"), "no skill named 'measur' (did you mean 'measure'?)"),
        (("measure", "--every", "5m", "--params", "{"), "--params: not JSON"),
        (("measure", "--every", "5m", "--params", "[]"), "--params: expected a JSON object"),
        (("measure", "--every", "5m", "--params", '{"plaice": 1}'), "no parameter 'plaice'"),
        (("measure", "--every", "5m", "--grace", "soon"), "grace_s: expected a time"),
        (("measure", "--every", "5m", "--overlap", "maybe"), "'maybe' is not one of"),
    ],
    ids=range(12),
)
def test_a_mistake_is_told(dino: Dino, words: tuple[str, ...], what: str) -> None:
    outcome = dino("scheduler", "add", "tide", *words, code=2)
    assert what in outcome.err
    assert dino("scheduler", "list", "--json").json == {"jobs": []}


def test_a_function_that_no_worker_would_run_is_pointed_out(dino: Dino) -> None:
    outcome = dino("scheduler", "add", "tide", "harbour:measure", "--every", "5m")
    assert "no worker runs 'harbour:measure'" in outcome.err
    assert "next run" in outcome.out


def test_names_of_jobs_are_completed(dino: Dino) -> None:
    for name in ("tide", "tidy", "wind"):
        dino("scheduler", "add", name, "measure", "--every", "5m")
    words = {"COMP_WORDS": "dino scheduler pause ti", "COMP_CWORD": "3"}
    out = dino(env={**words, "_DINO_COMPLETE": "bash_complete"}).out
    assert [line.partition(",")[2] for line in out.split()] == ["tide", "tidy"]


# --- the service ---------------------------------------------------------------------------------


@pytest.fixture
def service(started: Callable[..., subprocess.Popen[str]]) -> Iterator[subprocess.Popen[str]]:
    process = started("scheduler", "start", "--workers", "1")
    assert process.stderr
    assert "scheduler serves" in process.stderr.readline()
    return process


def until_it_ran(dino: Dino) -> None:
    """Look until the job's run is recorded; the test's own time limit ends what never comes."""
    while not dino("scheduler", "status", "--json").json["jobs"][0]["last_run"]:
        pass


def test_a_service_runs_what_is_asked_for_and_stops_when_told(
    dino: Dino, service: subprocess.Popen[str]
) -> None:
    dino("scheduler", "add", "tide", "measure", "--every", "1h")
    assert dino("scheduler", "run-now", "tide", "--json").json["served"]
    until_it_ran(dino)
    assert dino("scheduler", "tick", "--json").json["worked"] is False
    status = dino("scheduler", "status", "--json").json
    assert status["service_pid"] == service.pid
    assert status["jobs"][0]["last_outcome"] == "ok"
    second = dino("scheduler", "start", code=1)
    assert f"running here already, as process {service.pid}" in second.err
    assert f"process {service.pid} has stopped" in dino("scheduler", "stop").out
    assert service.wait(30) == 0
    assert "no scheduler runs here" in dino("scheduler", "stop").out


def test_a_service_that_was_killed_is_known_to_be_gone(
    dino: Dino, service: subprocess.Popen[str]
) -> None:
    """Its lock went with it; nothing has to be cleaned up."""
    assert dino("scheduler", "status", "--json").json["service_pid"] == service.pid
    service.send_signal(signal.SIGKILL)
    service.wait()
    assert dino("scheduler", "status", "--json").json["service_pid"] is None
    assert dino("scheduler", "stop", "--json").json == {"stopped_pid": None}


def test_a_tick_says_what_it_did_as_a_whole(dino: Dino, workspace: Path) -> None:
    """Also where no job had a part in it."""
    dino("entity", "spawn", "e", "--skill", "measure", "--every", "1h", "--awake")
    assert dino("scheduler", "tick").out == (
        "0 runs submitted by the scheduler, 1 attempt at tasks worked off; "
        "the scheduler's next run: never\n"
    )
    dino("scheduler", "add", "tide", "measure", "--every", "1h")
    dino("scheduler", "run-now", "tide")
    ticked = dino("scheduler", "tick", "--json").json
    assert (len(ticked["submitted"]), ticked["attempts"]) == (1, 1)


def test_a_tick_that_runs_nothing_looks_after_entities_too(dino: Dino, workspace: Path) -> None:
    """Whoever works beside it would wait in vain for what comes of them."""
    dino("entity", "spawn", "e", "--skill", "measure", "--every", "1h", "--awake")
    ticked = dino("scheduler", "tick", "--submit-only", "--json").json
    assert (ticked["worked"], ticked["attempts"]) == (False, 0)
    (task,) = Workspace(workspace).resources.tasks(source="entity:e")
    assert task.state.value == "queued"


def test_a_tick_does_all_it_can_and_then_fails(dino: Dino, workspace: Path) -> None:
    """A record that does not stand stops only what is kept there."""
    Workspace(workspace).journal("outbox").append("delivery_planned", {})
    file = workspace / "memory" / "outbox.jsonl"
    file.write_bytes(file.read_bytes().replace(b"delivery_planned", b"delivery_plamned"))
    dino("scheduler", "add", "tide", "measure", "--every", "1h")
    dino("scheduler", "run-now", "tide")
    failed = dino("scheduler", "tick", code=1)
    assert failed.err.count("outbox.jsonl") == 1
    (one,) = dino("scheduler", "history", "tide", "--json").json["occurrences"]
    assert (one["state"], one["outcome"]) == ("ended", "ok")
