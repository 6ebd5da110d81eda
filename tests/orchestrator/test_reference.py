"""A cycle may carry its caller's name for it; by that it is found after a crash."""

from __future__ import annotations

from pathlib import Path

from dino_os.workspace import Workspace
from engines.assign import AgentProfile
from engines.personas import PersonaSignal
from tests.desk import ZONES


def plan(root: Path, reference: str | None) -> int:
    signal = PersonaSignal("risk", "smoke", "Mole", "North", 0.9, zone_configuration=ZONES[0])
    agents = [AgentProfile("Ada", ("pump",), 8)]
    found = Workspace(root).orchestrator().plan_cycle([signal], agents, reference=reference)
    return found.cycle


def test_a_cycle_is_found_by_its_callers_name(tmp_path: Path) -> None:
    """One without a name has none, and what was never recorded is not there."""
    assert [plan(tmp_path, name) for name in ("a", None, "b")] == [1, 2, 3]
    found = Workspace(tmp_path).orchestrator()
    assert [found.cycle_of(name) for name in ("a", "b", "c", "None")] == [1, 3, None, None]
