"""What a sandboxed skill may do with the scheduler: jobs of its own, that run itself."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dino_os import broker as broker_module
from dino_os.errors import Denied, InvalidInput
from dino_os.scheduler.duty import SchedulerDuty
from dino_os.scheduler.jobs import Jobs
from dino_os.work.calls import own_calls
from dino_os.workspace import Workspace
from engines.journal import Journal
from tests.conftest import Dino
from tests.scheduler.conftest import Clock

# Makes the calls that it is told to make, past the face, and says what became of each.
SKILLS = """
from dino_os import inside, skill
from dino_os.errors import DinoError
from dino_os.scheduler import Scheduler

def told(call):
    try:
        return call()
    except DinoError as error:
        return f"{type(error).__name__}: {error.message}"

@skill
def asks(calls: list):
    broker = inside.connection()
    return [told(lambda: broker.call("scheduler", name, **given)) for name, given in calls]

@skill
def by_the_face(times: int = 0):
    jobs = Scheduler()
    added = told(lambda: jobs.add_job("again", by_the_face, "interval", minutes=5, params={"times": 1}))
    return [added, [[job.name, job.owner, job.params] for job in jobs.list_jobs()]]

@skill
def other(command: str = ""):
    return command
"""
PACK = """
import pathlib
def pack(command):
    pathlib.Path(command).write_text("outside")
"""
EVERY = {"kind": "interval", "everyMs": 60_000}
Ask = Callable[..., list[Any]]


@pytest.fixture
def asks(dino: Dino, workspace: Path) -> Ask:
    """`asks((method, arguments), …)`: what the skill was answered, through its sandbox."""
    (workspace / "skills" / "mine.py").write_text(SKILLS)
    for name in ("asks", "by_the_face"):
        dino("grant", name, "--permission", "schedule_write")

    def call(*calls: tuple[str, dict[str, Any]]) -> list[Any]:
        found = dino("run", "asks", "--calls", json.dumps(calls), "--json").json["result"]
        assert isinstance(found, list)
        return found

    return call


def add(name: str = "mine", func: str = "asks", trigger: Any = None, **more: Any) -> Any:
    given = {"name": name, "func": func, "trigger": trigger or EVERY, "params": {"calls": []}}
    return "add_job", given | more


def listed(dino: Dino) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in dino("scheduler", "list", "--json").json["jobs"]}


# --- attacks -------------------------------------------------------------------------------------


def test_nothing_runs_outside_the_sandbox_for_a_skill(
    dino: Dino, asks: Ask, workspace: Path, tmp_path: Path
) -> None:
    """Not even what the settings let programs run."""
    struck = tmp_path / "struck"
    (tmp_path / "opsfn.py").write_text(PACK)
    with (workspace / "config.yaml").open("a") as config:
        config.write('\nresources: {functions: ["opsfn:pack"]}\n')
    functions = ["opsfn:pack", "os:system", *sorted(own_calls())]
    said = asks(
        *(add(f"f{n}", f, params={"command": str(struck)}) for n, f in enumerate(functions))
    )
    assert [text.partition(":")[0] for text in said] == ["Denied"] * len(functions)
    assert listed(dino) == {}
    dino("scheduler", "tick", env={"PYTHONPATH": str(tmp_path)})
    assert not struck.exists()


def test_no_other_skill_runs_for_a_skill(dino: Dino, asks: Ask) -> None:
    """Under its grants, with parameters of somebody else's."""
    said = asks(
        add(func="other", params={"command": "mine"}),
        *(add(func=func) for func in ("Asks", " asks", "mine.asks", "", "mine:asks")),
        add(func=None),  # type: ignore[arg-type]
        add(func=["asks"]),  # type: ignore[arg-type]
    )
    assert [text.partition(":")[0] for text in said] == ["Denied"] * 8
    assert listed(dino) == {}


def test_the_operators_jobs_are_not_a_skills_to_change(dino: Dino, asks: Ask) -> None:
    """Neither by their names nor by their ids."""
    command = ("other", "--every", "15m", "--params", '{"command": "theirs"}')
    before = dino("scheduler", "add", "tide", *command, "--json").json
    changes = [
        ("run_now", {}),
        ("pause", {}),
        ("pause", {"until": "2999-01-01T00:00:00Z"}),
        ("resume", {}),
        ("remove_job", {}),
    ]
    said = asks(
        add("tide", replace=True),
        *((method, {"job_id": job} | more) for method, more in changes for job in ("tide", before["id"])),
    )  # fmt: skip
    assert said == ["Denied: the job 'tide' is the operator's, not skill:asks's"] * 11
    assert listed(dino) == {"tide": before}


def test_nor_are_those_of_another_skill(dino: Dino, asks: Ask) -> None:
    dino("run", "by_the_face")
    before = listed(dino)
    (said,) = asks(("remove_job", {"job_id": "again"}))
    assert said == "Denied: the job 'again' is skill:by_the_face's, not skill:asks's"
    assert listed(dino) == before


@pytest.mark.parametrize(
    "more", [{"entity": "skill:other"}, {"owner": None}, {"asker": ""}, {"by": "x"}, {"_asker": ""}]
)
def test_nobody_schedules_in_the_name_of_another(
    dino: Dino, asks: Ask, more: dict[str, Any]
) -> None:
    (said,) = asks(add(**more))
    assert said.startswith("InvalidInput: ")
    assert listed(dino) == {}


def test_parameters_of_others_are_not_shown(dino: Dino, asks: Ask, workspace: Path) -> None:
    """Nor errors, which may quote them."""
    dino("scheduler", "add", "tide", "other", "--every", "15m", "--params", '{"command": "canary"}')
    (workspace / "skills" / "mine.py").write_text(
        SKILLS.replace("    return command", "    raise ValueError(command)")
    )
    dino("scheduler", "run-now", "tide")
    dino("scheduler", "tick")
    assert "canary" in dino("scheduler", "history", "tide").out
    said = asks(
        add(), ("list_jobs", {}), ("history", {"job_id": "tide"}), ("history", {"job_id": "mine"})
    )
    assert "canary" not in json.dumps(said)
    assert [(job["name"], job.get("params")) for job in said[1]] == [
        ("tide", None),
        ("mine", {"calls": []}),
    ]
    assert (said[2][0]["state"], said[2][0]["reason"], said[3]) == ("ended", None, [])


def test_a_skill_asks_for_no_more_than_one_run_a_second(dino: Dino, asks: Ask) -> None:
    said = asks(
        *(
            add(trigger={"kind": "interval", **given})
            for given in ({"everyMs": 1}, {"everyMs": 999}, {"seconds": 0.5})
        ),
        add(trigger="interval", everyMs=1),
        add(trigger={"kind": "interval"}, seconds=0.999),
        add("fast", trigger="interval", seconds=1),
    )
    assert all("too short" in text for text in said[:5])
    assert list(listed(dino)) == ["fast"]


@pytest.mark.parametrize("every", ["1ms", "999ms", "0.5s"])
def test_nor_does_the_command_line(dino: Dino, asks: Ask, every: str) -> None:
    assert "too short" in dino("scheduler", "add", "tide", "other", "--every", every, code=2).err
    assert dino("scheduler", "add", "tide", "other", "--every", "1s").out


# --- what is its own -----------------------------------------------------------------------------


def test_a_skill_schedules_itself_and_its_job_names_it(
    dino: Dino, asks: Ask, workspace: Path
) -> None:
    said = asks(
        add(),
        add(replace=True, trigger="interval", minutes=2),
        ("pause", {"job_id": "mine"}),
        ("resume", {"job_id": "mine"}),
        ("run_now", {"job_id": "mine"}),
    )
    assert said == [said[0], said[0], True, True, True]
    job = listed(dino)["mine"]
    assert (job["func"], job["owner"], job["trigger"]["everyMs"]) == ("asks", "skill:asks", 120_000)
    assert "skill:asks" in dino("scheduler", "list").out
    dino("scheduler", "tick")
    assert dino("scheduler", "history", "mine", "--json").json["occurrences"][0]["outcome"] == "ok"
    assert asks(("remove_job", {"job_id": "mine"})) == [True]
    events = list(Journal(workspace / "memory" / "scheduler.jsonl").events())
    asked = {
        e["event_type"] for e in events if e.get("entity") == "skill:asks"
    }  # who ran what was due did not
    assert asked == {
        *("job_added", "job_changed", "job_paused", "job_resumed"),
        *("job_run_requested", "job_removed"),
    }


def test_by_the_face_as_in_a_program(dino: Dino, asks: Ask) -> None:
    dino("scheduler", "add", "tide", "other", "--every", "15m", "--params", '{"command": "theirs"}')
    added, shown = dino("run", "by_the_face", "--json").json["result"]
    assert added == listed(dino)["again"]["id"]
    assert shown == [["tide", None, {}], ["again", "skill:by_the_face", {"times": 1}]]


def test_what_the_operator_changes_is_the_operators(workspace: Path) -> None:
    """The skill that added it could otherwise run it with what is not its own."""
    jobs = Workspace(workspace).jobs
    mine = jobs.for_skill("asks", "skill:asks")
    job_id = mine.add_job("mine", "asks", EVERY)
    assert jobs.owner_of("mine") == "skill:asks"
    assert jobs.add_job("mine", "asks", EVERY, replace=True) == job_id
    assert jobs.owner_of("mine") is None
    for change in (mine.run_now, mine.remove_job):
        with pytest.raises(Denied, match="operator's"):
            change("mine")
    again = Workspace(workspace).jobs
    assert [job["owner"] for job in again.list_jobs()] == [None]


def test_a_refusal_leaves_nobody_elses_name_behind(workspace: Path) -> None:
    jobs = Workspace(workspace).jobs
    jobs.add_job("tide", "other", EVERY)
    with pytest.raises(Denied):
        jobs.for_skill("asks", "skill:asks").remove_job("tide")
    jobs.add_job("more", "other", EVERY)
    assert jobs.owner_of("more") is None
    assert jobs.remove_job("tide")


def test_a_skill_has_every_method_of_the_table_as_the_scheduler_takes_it() -> None:
    mine = Jobs().for_skill("asks", "skill:asks")
    for name in broker_module._CALLS["scheduler"]:
        theirs = inspect.signature(getattr(Jobs(), name))
        assert inspect.signature(getattr(mine, name)) == theirs


# --- what is nobody's ----------------------------------------------------------------------------


@pytest.mark.parametrize("func", sorted(own_calls()))
def test_no_job_calls_what_dino_calls_itself(func: str, workspace: Path, clock: Clock) -> None:
    """Nor does one that was recorded before that was refused."""
    own = Workspace(workspace)
    own.jobs.clock = clock
    with pytest.raises(InvalidInput, match="for Dino itself"):
        own.jobs.add_job("sly", func, "interval", minutes=1)
    with own.jobs.deciding():
        due = clock.now + 60
        own.jobs.record(
            "job_added", job_id="old", name="sly", func=func, trigger=EVERY, params={},
            added=clock.now, next_run=due,
        )  # fmt: skip
    clock.now += 60
    SchedulerDuty(own).turn()
    (one,) = own.jobs.history("sly")
    assert (one["outcome"], own.resources.tasks()) == ("blocked", [])
