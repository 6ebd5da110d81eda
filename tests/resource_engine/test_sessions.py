"""Real sessions: one that is killed, and one that is stopped and comes back too late."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.resource_engine import ResourceEngine, Task
from tests.conftest import REPOSITORY, ended_at_last
from tests.resource_engine.kit import Hands, Time, engine_on, events, until

# Runs one task that ends as soon as a file is there; then works until that is told to it.
SESSION = """
import sys, time
from pathlib import Path
from engines.resource_engine import ResourceEngine
folder = Path(sys.argv[1])
engine = ResourceEngine(folder / "engine_state.jsonl", probe=lambda _: {"cpu": 0.0, "memory": 0.0, "disk": 0.0})
def patient():
    (folder / "begun").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return "late"
engine.register("patient", patient)
while not (folder / "over").exists():
    engine.run_cycle()
    time.sleep(0.01)
engine.stop()
"""
Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Start]:
    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SESSION, tmp_path],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
            text=True,
        )
        processes.append(process)
        return process

    with ended_at_last() as processes:
        yield start


def opened(folder: Path, later_s: float = 0.0) -> ResourceEngine:
    """The queue, by clocks that are so much further on."""
    return ResourceEngine(
        folder / "engine_state.jsonl",
        clock=lambda: time.time() + later_s,
        monotonic=lambda: time.monotonic() + later_s,
    )


def test_a_killed_session_is_found_by_its_lock_within_moments(
    session: Start, tmp_path: Path
) -> None:
    engine = opened(tmp_path)
    engine.submit_task(Task("t", payload={"call": "patient"}))
    process = session()
    until((tmp_path / "begun").exists, "a start")
    hands = Hands.of(engine)
    assert hands.claimed() == []
    process.kill()
    process.wait()
    assert until(hands.claimed, "a task to take over", within_s=10) == ["t"]
    (lost,) = events(tmp_path / "engine_state.jsonl", "session_lost")
    assert lost["why"] == "its processes have ended"


def test_what_a_stopped_session_says_when_it_goes_on_is_void(
    session: Start, tmp_path: Path
) -> None:
    """Its lease was given up: the task has another attempt, and that one's end counts."""
    opened(tmp_path).submit_task(Task("t", payload={"call": "patient"}))
    process = session()
    until((tmp_path / "begun").exists, "a start")
    os.kill(process.pid, signal.SIGSTOP)
    hands = Hands.of(opened(tmp_path, later_s=61.0))
    (lease,) = hands.claim()
    assert lease.tasks[0].attempts == 2
    (tmp_path / "go").touch()  # its worker, which was not stopped, ends now
    path = tmp_path / "engine_state.jsonl"
    joined = len(events(path, "session_joined"))
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: len(events(path, "session_joined")) > joined, "its joining anew")
    assert hands.end(lease, result="in time") == 0
    (tmp_path / "over").touch()
    assert process.wait(timeout=30) == 0
    (ended,) = events(path, "task_succeeded")
    assert ended["result"] == "in time"
    assert [e["why"] for e in events(path, "session_lost")] == ["no sign of life for 60 s"]


def test_a_session_whose_lock_file_is_gone_with_its_process_is_lost(tmp_path: Path) -> None:
    """As after the journals alone were restored; one whose process lives is not."""
    at = Time()
    engine = engine_on(tmp_path, at)
    child = os.fork()
    if not child:
        engine_on(tmp_path, at).join()
        os._exit(0)
    os.waitpid(child, 0)
    own = engine.join()
    for file in (tmp_path / "engine_state.sessions").iterdir():
        file.unlink()
    lost = {one["session"]: one["lost"] for one in engine.sessions()}
    assert lost.pop(own) is None
    assert list(lost.values()) == ["its processes have ended"]
