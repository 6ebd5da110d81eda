"""plan-cycle writes three journals; a kill between any two of its steps leaves one truth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from engines.journal import Journal, verify

SIGNALS = 40

# Ends the process for good just before or just after its nth call that changes a file.
KILLED_AT = """
import os, signal, sys

moment, when = int(sys.argv.pop(1)), sys.argv.pop(1)
calls = 0

def deadly(call):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == moment and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*args, **kwargs)
        finally:
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)
    return wrapped

for name in ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "mkdir"):
    setattr(os, name, deadly(getattr(os, name)))

from dino_os.commands import dino
dino(prog_name="dino")
"""


@pytest.fixture
def scenario(workspace: Path) -> Path:
    """A workspace with a scenario of so many signals, over two zones and two sectors."""
    edges = {"min_x": 0, "max_x": 1, "min_y": 0, "max_y": 1}
    parts = {
        "zones": [{"name": name, "boundary": edges} for name in ("north", "south")],
        "sectors": [{"name": "S1"}, {"name": "S2"}],
        "agents": [{"name": "E1", "skills": ["fire"], "available_hours": 50}],
        "signals": [
            {
                "summary": f"call {number}",
                "zone": ("north", "south")[number % 2],
                "sector": ("S1", "S2")[number % 2],
                "severity": 0.9,
                "required_skills": ["fire"],
            }
            for number in range(SIGNALS)
        ],
    }
    (workspace / "scenario.yaml").write_text(json.dumps(parts))
    return workspace


@pytest.mark.parametrize("history", [0, 1], ids=["new-workspace", "with-history"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_cycle_is_wholly_there_or_wholly_absent(
    scenario: Path, when: str, history: int
) -> None:
    """Killed at each of its calls in turn, plan-cycle leaves every recorded cycle exactly once."""
    for _ in range(history):
        assert plan(scenario, 0, when).returncode == 0
    moment = 1
    while (killed := plan(scenario, moment, when)).returncode == -signal.SIGKILL:
        moment += 1
        for path in Workspace(scenario).journals():
            # A torn tail is what a crash may leave; what was acknowledged stands.
            assert verify(path).ok or verify(path).fault.kind in {"torn", "unacknowledged"}
    assert killed.returncode == 0, killed.stderr
    assert moment > 10
    completed = [e for e in events(scenario, "cycles") if e["event_type"] == "cycle_completed"]
    expected = dict.fromkeys(range(1, len(completed) + 1), SIGNALS)
    assert [event["cycle"] for event in completed] == list(expected)
    assert per_cycle(scenario, "cycles", "task_planned") == expected
    assert per_cycle(scenario, "zones", "zone_event") == expected
    assert per_cycle(scenario, "sectors", "sector_event") == expected
    assert all(verify(path).ok for path in Workspace(scenario).journals())


def plan(workspace: Path, moment: int, when: str) -> subprocess.CompletedProcess[str]:
    """Plan a cycle; the process dies at its call number *moment* (0: never)."""
    command = [sys.executable, "-c", KILLED_AT, str(moment), when, "plan-cycle", "scenario.yaml"]
    path = os.pathsep.join(sys.path)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "DINO_NO_PLUGINS": "1", "USER": "tester"}
    return subprocess.run(
        [*command, "--json"], cwd=workspace, env=env, capture_output=True, text=True, check=False
    )


def events(workspace: Path, name: str) -> list[dict[str, object]]:
    return [dict(event) for event in Journal(workspace / "memory" / f"{name}.jsonl").events()]


def per_cycle(workspace: Path, journal: str, kind: str) -> Counter[int]:
    found = [event for event in events(workspace, journal) if event["event_type"] == kind]
    return Counter(event.get("cycle") or event["metadata"]["cycle"] for event in found)
