"""A workspace with skills for a model, which run in this process."""

from __future__ import annotations

from pathlib import Path

import pydantic_ai.models
import pytest

from dino_os.tool_sandbox.sandbox import Sandbox
from dino_os.workspace import Workspace
from tests.agent.kit import SKILLS, run_here


@pytest.fixture(autouse=True)
def _no_real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydantic_ai.models, "ALLOW_MODEL_REQUESTS", False)


@pytest.fixture(autouse=True)
def _no_plugins_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for them takes longer than a run does here."""
    monkeypatch.setenv("DINO_NO_PLUGINS", "1")


@pytest.fixture
def home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Its skill `save` is granted what it asks for."""
    monkeypatch.setattr(Sandbox, "run", run_here)
    (workspace / "skills" / "mine.py").write_text(f"from dino_os import skill\n{SKILLS}")
    (workspace / "out").mkdir()
    home = Workspace(workspace)
    home.admission.grant(home.plugins.skills().find("save"), by="tester")
    return home


@pytest.fixture
def saved(workspace: Path) -> Path:
    """Where `save` writes, a line a call."""
    return workspace / "out" / "saved"
