"""plan-cycle writes three journals; a kill between any two of its steps leaves one truth."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from dino_os.workspace import Workspace
from engines.journal import Journal, verify
from tests.crash.nursery import Nursery

SIGNALS = 40


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
    scenario: Path, nursery: Nursery, when: str, history: int
) -> None:
    """Killed at each of its calls in turn, plan-cycle leaves every recorded cycle exactly once."""
    for _ in range(history):
        assert plan(nursery, scenario, 0, when) == 0
    moment = 1
    while (ended := plan(nursery, scenario, moment, when)) == -signal.SIGKILL:
        moment += 1
        for path in Workspace(scenario).journals():
            # A torn tail is what a crash may leave; what was acknowledged stands.
            assert verify(path).ok or verify(path).fault.kind in {"torn", "unacknowledged"}
    assert ended == 0
    assert moment > 10
    completed = [e for e in events(scenario, "cycles") if e["event_type"] == "cycle_completed"]
    expected = dict.fromkeys(range(1, len(completed) + 1), SIGNALS)
    assert [event["cycle"] for event in completed] == list(expected)
    assert per_cycle(scenario, "cycles", "task_planned") == expected
    assert per_cycle(scenario, "zones", "zone_event") == expected
    assert per_cycle(scenario, "sectors", "sector_event") == expected
    assert all(verify(path).ok for path in Workspace(scenario).journals())


def plan(nursery: Nursery, workspace: Path, moment: int, when: str) -> int:
    """Plan a cycle; the process dies at its call number *moment* (0: never); how it ended."""
    life = nursery.start("cycles", "plan", workspace, moment, when)
    return life.wait() or life.said[0]["code"]


def events(workspace: Path, name: str) -> list[dict[str, object]]:
    return [dict(event) for event in Journal(workspace / "memory" / f"{name}.jsonl").events()]


def per_cycle(workspace: Path, journal: str, kind: str) -> Counter[int]:
    found = [event for event in events(workspace, journal) if event["event_type"] == kind]
    return Counter(event.get("cycle") or event["metadata"]["cycle"] for event in found)
