"""`Scheduler().start()`: what is due runs while a program goes on with its own work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dino_os import inside
from dino_os.scheduler import Scheduler, SchedulerError
from tests.conftest import REPOSITORY, environment

HARBOUR = """
import os
def measure(place):
    return [place, os.getpid()]
"""
PROGRAM = """
import os, threading
import harbour
from dino_os.scheduler import Scheduler
from dino_os.workspace import Workspace

scheduler = Scheduler()
scheduler.add_job("mine", harbour.measure, "interval", hours=1, params={"place": "Mole"})
scheduler.add_job("skill", "greet", "interval", hours=1)
scheduler.add_job("named", "os:getcwd", "interval", hours=1)
scheduler.start()
scheduler.start()
for name in ("mine", "skill", "named"):
    scheduler.run_now(name)
outcomes = {}
while len(outcomes) < 2:
    outcomes = {j.name: j.last_outcome for j in scheduler.list_jobs() if j.last_outcome}
print(outcomes)
(task,) = [t for t in Workspace.shared().resources.tasks() if t.does == "call:harbour:measure"]
print(task.result[0], task.result[1] != os.getpid())
print(scheduler.stop(), scheduler.stop())
scheduler.start()
"""


def test_a_program_s_functions_and_skills_run_in_the_background(home: Path, tmp_path: Path) -> None:
    """In processes of their own; a function that was only named is not for us to import."""
    (home / "skills" / "greet.py").write_text(
        "from dino_os import skill\n@skill\ndef greet() -> str:\n    return 'hello'\n"
    )
    (tmp_path / "harbour.py").write_text(HARBOUR)
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")],
        env=environment(PYTHONPATH=str(REPOSITORY), DINO_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "{'mine': 'ok', 'skill': 'ok'}",
        "Mole True",
        "True False",
    ]


def test_a_skill_does_not_serve_the_scheduler(home: Path) -> None:
    assert Scheduler().stop() is False

    class Broker:
        def call(self, part: str, method: str, /, **arguments: object) -> None:
            raise AssertionError

    inside.connect(Broker())
    try:
        with pytest.raises(SchedulerError, match="not what serves them"):
            Scheduler().start()
    finally:
        inside.connect(None)
    assert os.environ["DINO_HOME"] == str(home)
