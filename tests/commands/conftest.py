"""A desk and a site whose commands are tried, and the example as a user has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from tests.audit.office import audit_door, inside_door, with_zones
from tests.conftest import REPOSITORY, Dino
from tests.desk import write_desk


@pytest.fixture
def desk(workspace: Path) -> Path:
    """A workspace with the desk's files."""
    write_desk(workspace)
    return workspace


@pytest.fixture
def duty(workspace: Path) -> Path:
    """A workspace with the example beside it; its scenario."""
    shutil.copytree(REPOSITORY / "examples", workspace / "examples")
    return workspace / "examples" / "fire-duty" / "scenario.yaml"


@pytest.fixture
def audit(dino: Dino, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Dino:
    """`audit …` as a process of its own, its keys in the workspace."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    return audit_door(dino, workspace)


@pytest.fixture
def inside(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Dino:
    """The same within this process, where there is much to ask."""
    return inside_door(workspace, capsys, monkeypatch)


@pytest.fixture
def site(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a key and five lines of zones, signed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    site = with_zones(workspace)
    Auditing(site).new_key(None)
    Auditing(site).checkpoint(["zones"])
    return site
