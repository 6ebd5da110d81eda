"""A run that dies at any of its steps is completed by the next one, or never happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from dino_os.workspace import Workspace
from engines.journal import verify
from tests.conftest import environment
from tests.cycles.duty import ADA, BO, DROPS, PUMP, events, lines, write_duty
from tests.cycles.receiver import Receiver

PROGRAM = Path(__file__).parent / "programs" / "killed.py"


def test_killed_at_each_of_its_steps_everything_is_done_once(
    duty: Path, receiver: Receiver
) -> None:
    """Each record is in one cycle; each assignment is one task or one delivery, and arrives."""
    cy = {"name": "Cy", "skills": ["check"], "available_hours": 500}
    write_duty(
        duty,
        agents=[PUMP, ADA, BO, {**cy, "outbox": f"webhook:{receiver.url}"}],
        sources=[DROPS, {**DROPS, "name": "moved", "glob": "p*.csv", "done": "move-to done"}],
    )
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), str(duty)],
        env=environment(PYTHONPATH=os.pathsep.join(sys.path)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    found = json.loads(ran.stdout)
    assert found["codes"] == [0, 0, 0], ran.stderr
    assert found["runs"] > 60
    check_record(duty, found["runs"])
    check_handed_over(duty, receiver)
    assert len(list((duty / "in").iterdir())) == found["runs"]
    assert len(list((duty / "done").iterdir())) == found["runs"]
    assert list(duty.glob("p*.csv")) == []
    assert all(verify(path).ok for path in Workspace(duty).journals())


def check_record(folder: Path, runs: int) -> None:
    """Every record of every file is planned once, its places told once, every run has an end."""
    planned = Counter(e["task_id"] for e in events(folder, "cycles", "task_planned"))
    wanted = [f"{c}-{run}{n}" for run in range(1, runs + 1) for c, n in NAMES]
    assert planned == dict.fromkeys(wanted, 1)
    for journal, kind in (("zones", "zone_event"), ("sectors", "sector_event")):
        told = Counter(event["metadata"]["cycle"] for event in events(folder, journal, kind))
        tasks = events(folder, "cycles", "cycle_completed")
        assert told == {event["cycle"]: event["tasks"] for event in tasks}
    started = [e["run"] for e in events(folder, "cycle_runs", "run_started")]
    ended = [
        e["run"] for k in ("run_handed_over", "run_undone") for e in events(folder, "cycle_runs", k)
    ]
    assert Counter(ended) == dict.fromkeys(started, 1)
    undone = {e["run"] for e in events(folder, "cycle_runs", "run_undone")}
    references = {e["reference"] for e in events(folder, "cycles", "cycle_completed")}
    assert references == set(started) - undone
    assert undone


NAMES = [("C", "-0"), ("C", "-1"), ("C", "-2"), ("P", "")]


def check_handed_over(folder: Path, receiver: Receiver) -> None:
    """By agent: what was assigned is where it belongs, once."""
    assigned: dict[str, list[str]] = {}
    for event in events(folder, "cycles", "task_planned"):
        name = f"cycle:{event['cycle']}:{event['task_id']}"
        assigned.setdefault(event["agent"], []).append(name)
    assert assigned.keys() == {"Robot", "Ada", "Bo", "Cy"}
    tasks = Counter(task.task_id for task in Workspace(folder).resources.tasks())
    assert tasks == dict.fromkeys(assigned["Robot"], 1)
    ada = Counter(line["delivery"] for line in lines(folder / "out" / "ada.jsonl"))
    assert ada == dict.fromkeys(assigned["Ada"], 1)
    messages = Workspace(folder).bus.channel_history("duty.bo", 10_000)
    assert Counter(m["message"]["delivery"] for m in messages) == dict.fromkeys(assigned["Bo"], 1)
    taken = Counter(json.loads(body)["delivery"] for body in receiver.taken.values())
    assert taken == dict.fromkeys(assigned["Cy"], 1)
    ended = Counter(e["delivery"] for e in events(folder, "outbox", "delivery_delivered"))
    assert ended == dict.fromkeys(assigned["Ada"] + assigned["Bo"] + assigned["Cy"], 1)
