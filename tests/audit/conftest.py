"""A workspace whose zones fill several files, signed: what pruning and export are tried on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal
from tests.audit.office import ZONE, zones
from tests.desk import ZONES


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; its key lies within it, so that it can be copied whole."""
    root = tmp_path_factory.mktemp("made")
    (root / "config.yaml").write_text(
        "memory:\n  rotate_bytes: 2000\n  compress: false\nsecurity:\n  signing_key: w.key\n"
    )
    workspace = Workspace(root)
    Auditing(workspace).new_key(None)
    workspace.zones.register_zones(ZONES)
    for number in range(40):
        workspace.zones.record_event(ZONE, kind="enter", note=f"call {number}")
    Auditing(workspace).checkpoint()
    return root


@pytest.fixture
def root(tmp_path: Path, made: Path) -> Path:
    return shutil.copytree(made, tmp_path / "w")


@pytest.fixture
def kept(root: Path) -> list[bytes]:
    """The lines, by somebody who keeps a copy of them."""
    return [line for block in RecordedJournal(zones(root)).blocks() for line in block.lines]
