"""`dino cycle run` as cron has it: one at a time, once each, and what is shown of it."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from dino_os.planning.assignments import FIELDS
from dino_os.planning.handover import planned_assignments, recalled_assignments
from dino_os.planning.runs import CycleRuns
from dino_os.workspace import Workspace
from tests.conftest import REPOSITORY, Dino
from tests.cycles.conftest import Run
from tests.cycles.duty import ADA, ALERTS, BO, CALLS, PUMP, alert, check, events, lines, write_duty
from tests.cycles.receiver import Receiver
from tests.desk import calls_text, contents

Started = Callable[..., "Popen[str]"]


def test_each_assignment_goes_where_its_agent_says(duty: Path, run: Run) -> None:
    """A task for a skill-agent, a line or a message for people; the rest is left to be read."""
    cy = {"name": "Cy", "skills": ["check"], "available_hours": 500}
    write_duty(duty, agents=[PUMP, ADA, BO, cy])
    (duty / "calls.csv").write_text(calls_text([{}, *(check(f"D-{n}") for n in range(9))]))
    report = run()
    handed = report.handed
    assert (handed.tasks, handed.deliveries, handed.without_outbox) == (1, 6, 3)
    assert report.sent is not None
    assert report.sent.delivered == 6
    workspace = Workspace(duty)
    (task,) = workspace.resources.tasks(source="cycle:1")
    assert (task.task_id, task.priority, task.payload["skill"]) == ("cycle:1:C-1", 0, "work")
    params = task.payload["params"]
    assert params.keys() == {"task", "zone", "severity", "assignment"}
    assert params["assignment"]["rationale"].startswith("has 1 of 1 skills")
    (first, *_) = lines(duty / "out" / "ada.jsonl")
    assert first.items() >= {"agent": "Ada", "zone": "Mole", "sector": "North", "cycle": 1}.items()
    assert first["delivery"] == f"cycle:1:{first['task']}"
    message = workspace.bus.channel_history("duty.bo")[0]["message"]
    assert message.keys() == first.keys()
    assert message["id"] != first["id"]


def test_what_is_recalled_is_what_was_planned(duty: Path, run: Run) -> None:
    """So that a run that crashed hands over the very same."""
    plan = run().plan
    assert plan is not None
    recalled = recalled_assignments(Workspace(duty).orchestrator(), 1)
    assert all(assignment.keys() == set(FIELDS) for assignment in recalled)
    assert sorted(map(json.dumps, recalled)) == sorted(map(json.dumps, planned_assignments(plan)))


def test_a_task_that_cannot_be_made_is_told_and_keeps_back_no_other(duty: Path, dino: Dino) -> None:
    (duty / "skills" / "more.py").write_text(
        'from dino_os import skill\n\n\n@skill(needs={"moon": 1})\ndef greedy(task: str):\n    pass\n'
    )
    agents = [{**PUMP, "skill": "greedy"}, {**PUMP, "name": "Ed"}]
    write_duty(duty, agents=[{**agent, "available_hours": 2} for agent in agents])
    (duty / "calls.csv").write_text(calls_text([{}, {"id": "C-2", "hours": "1"}]))
    report = dino("cycle", "run", "--json").json["handed_over"]
    assert (report["tasks"], len(report["refused"])) == (1, 1)
    assert "which is no pool" in report["refused"][0]["reason"]
    assert report["refused"][0]["agent"] == "Robot"


def test_the_work_of_a_skill_agent_is_done(duty: Path, dino: Dino) -> None:
    """By whoever runs tasks."""
    dino("cycle", "run")
    dino("engine", "work", "--once")
    shown = dino("engine", "show", "cycle:1:C-1", "--json").json
    assert "succeeded" in json.dumps(shown)


def test_the_example_runs(workspace: Path, dino: Dino) -> None:
    """From its own folder's files, its outbox in the workspace."""
    shutil.copytree(REPOSITORY / "examples", workspace / "examples")
    report = dino("cycle", "run", "examples/fire-duty/cycle.yaml", "--json").json
    assert (report["counts"]["signals"], report["counts"]["rejected"]) == (39, 4)
    assert len(lines(workspace / "out" / "assignments.jsonl")) == report["counts"]["assigned"]


def test_a_dry_run_changes_nothing(duty: Path, dino: Dino) -> None:
    """And says what would be handed over."""
    before = contents(duty)
    report = dino("cycle", "run", "--dry-run", "--json").json
    assert contents(duty) == before
    assert (report["recorded"], report["counts"]["assigned"], report["run"]) == (False, 2, "")
    assert report["handed_over"]["tasks"] + report["handed_over"]["deliveries"] == 2


def test_status_shows_sources_last_run_and_outbox(duty: Path, dino: Dino) -> None:
    """And the cycles there were, as ever."""
    write_duty(duty, agents=[{**ADA, "skills": ["pump"], "outbox": "webhook:http://127.0.0.1:9/"}])
    dino("cycle", "run")
    shown = dino("cycle", "--json").json
    assert [cycle["cycle"] for cycle in shown["cycles"]] == [1]
    assert shown["configured"]["sources"] == [
        {"source": "calls", "kind": "file", "where": "calls.csv"}
    ]
    assert (shown["last_run"]["outcome"], shown["last_run"]["stage"]) == ("ok", "handed_over")
    assert "marks" not in json.dumps(shown["last_run"])
    assert shown["outbox"] == {"queued": 1, "delivered": 0, "given_up": 0}
    text = dino("cycle").out
    assert "Sources of cycle.yaml" in text
    assert ", cycle 1\n" in text
    assert "outbox: 1 queued, 0 delivered, 0 given up" in text
    (duty / "cycle.yaml").unlink()
    assert "configured: none (cycle.yaml says" in dino("cycle").out
    assert "no such file" in dino("cycle", "run", code=2).err


def test_what_waits_is_sent_later(duty: Path, dino: Dino, receiver: Receiver) -> None:
    """A cycle whose deliveries wait is done; they are shown, tried again, and sent once."""
    receiver.answers = [500]
    bo = {**BO, "skills": ["pump"], "outbox": f"webhook:{receiver.url}"}
    write_duty(duty, agents=[bo, ADA])
    first = dino("cycle", "run", "--json").json["delivery"]
    assert first == {"delivered": 1, "failed": 1, "given_up": 0, "waiting": 1}
    (waiting,) = dino("cycle", "outbox", "--json").json["deliveries"]
    assert (waiting["delivery"], waiting["attempts"]) == ("cycle:1:C-1", 1)
    assert "answered with status 500" in dino("cycle", "outbox").out
    assert len(receiver.requests) == 1
    receiver.answers = [200]
    assert dino("cycle", "resend", "cycle:1:C-1").out == "cycle:1:C-1 is due now\n"
    assert dino("cycle", "deliver").out == "outbox: 1 delivered, 0 waiting\n"
    assert dino("cycle", "resend", "cycle:1:C-1", "--json").json["queued"] is False
    assert "no delivery 'x'" in dino("cycle", "resend", "x", code=2).err
    assert len(dino("cycle", "outbox", "--all", "--json").json["deliveries"]) == 2
    assert len(receiver.taken) == 1


def test_alerts_come_in_by_standard_input(duty: Path, dino: Dino) -> None:
    write_duty(duty, sources=[ALERTS])
    (duty / "payload.json").write_text(json.dumps({"version": "4", "alerts": [alert("a")]}))
    report = dino("cycle", "run", "--alertmanager", "payload.json", "--json").json
    assert [a["task_id"] for a in report["assignments"]] == ["a"]
    (duty / "payload.json").write_text("{}")
    before = contents(duty)
    refused = dino("cycle", "run", "--alertmanager", "payload.json", code=2).err
    assert "--alertmanager: not what Alertmanager sends" in refused
    assert contents(duty) == before


def test_signals_without_agents_are_refused_before_anything_is_recorded(
    duty: Path, dino: Dino
) -> None:
    write_duty(duty, agents=[])
    assert "no agents to answer them" in dino("cycle", "run", code=2).err
    assert {path.name for path in (duty / "memory").iterdir()} <= {"cycle.lock"}
    write_duty(duty, agents=[], options={"allow_unassigned": True})
    assert dino("cycle", "run", "--json").json["counts"]["unassigned"] == 2


# --- overlapping and crashing ------------------------------------------------------------------


def hanging(duty: Path, receiver: Receiver, started: Started) -> Popen[str]:
    """A run that is under way: it waits for an address to answer."""
    receiver.answers = ["hang", 404]
    web = {"name": "web", "http": {"url": receiver.url, "timeout": "30s"}, "map": "map.yaml"}
    write_duty(duty, sources=[web, CALLS])
    process = started("cycle", "run", "--json")
    assert receiver.asked.wait(60)
    return process


def test_a_second_run_is_told_that_one_is_under_way(
    duty: Path, dino: Dino, receiver: Receiver, started: Started
) -> None:
    """By whom and since when; one that waits comes after it, and counts nothing twice."""
    first = hanging(duty, receiver, started)
    busy = dino("cycle", "run", "--json", code=4).error
    assert busy["code"] == "busy"
    assert f"tester@script (process {first.pid}) since 20" in busy["message"]
    assert dino("cycle", "run", "--wait", "10ms", code=4).out == ""
    assert dino("cycle", "run", "--dry-run", "--json").json["counts"]["signals"] == 2
    second = started("cycle", "run", "--wait", "60s", "--json")
    receiver.released.set()
    reports = [json.loads(process.communicate(timeout=60)[0]) for process in (first, second)]
    assert [report["outcome"] for report in reports] == ["ok", "ok_no_action"]
    assert len(events(duty, "cycles", "cycle_completed")) == 1


def test_while_one_sends_another_may_run(
    duty: Path, dino: Dino, receiver: Receiver, started: Started
) -> None:
    """A receiver that takes its time holds up nobody's cycle."""
    receiver.answers = ["hang", 200]
    bo = {**BO, "skills": ["pump"], "outbox": f"webhook:{receiver.url}"}
    write_duty(duty, agents=[bo, ADA])
    first = started("cycle", "run", "--json")
    assert receiver.asked.wait(60)
    (duty / "calls.csv").write_text(calls_text([check("C-9")]))
    second = dino("cycle", "run", "--json").json
    assert (second["counts"]["assigned"], second["delivery"]) == (1, None)
    receiver.released.set()
    assert json.loads(first.communicate(timeout=60)[0])["delivery"]["waiting"] >= 1
    dino("cycle", "resend", "cycle:1:C-1")
    assert dino("cycle", "deliver", "--json").json["waiting"] == 0


def test_the_lock_of_a_killed_run_is_free(
    duty: Path, dino: Dino, receiver: Receiver, started: Started
) -> None:
    """Whatever its file says."""
    process = hanging(duty, receiver, started)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert dino("cycle", "run", "--json").json["counts"]["signals"] == 2


@pytest.fixture
def crash(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run the cycle and die right behind the record of a stage."""

    def crash(stage: str) -> None:
        original = getattr(CycleRuns, stage)

        def die(self: CycleRuns, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(CycleRuns, stage, die)
            with pytest.raises(KeyboardInterrupt):
                run()

    return crash


@pytest.mark.parametrize(
    ("stage", "how"),
    [("start", "undone"), ("planned", "completed"), ("queued", "completed")],
)
def test_the_next_run_says_what_became_of_one_that_crashed(
    duty: Path, dino: Dino, crash: Callable[[str], None], stage: str, how: str
) -> None:
    """It is completed as it was meant, although the file says another thing by now."""
    crash(stage)
    left = Workspace(duty).cycle_runs.open
    assert left is not None
    assert left.as_dict()["outcome"] is None
    other = {**BO, "skills": ["pump"], "outbox": "bus:elsewhere"}
    write_duty(duty, agents=[other])
    said = dino("cycle", "run").out.splitlines()[0]
    assert (how == "undone") == ("it was undone" in said)
    tasks = [task.task_id for task in Workspace(duty).resources.tasks()]
    assert tasks == ([] if how == "undone" else ["cycle:1:C-1"])
    assert len(events(duty, "cycles", "cycle_completed")) == 1
