"""An audit holds the files of large values against the lines that name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import export, rotate
from dino_os.workspace import Workspace
from engines.audit import Audit
from engines.filed import FOLDERS
from tests.audit.drivers import DRIVERS
from tests.resource_engine.kit import Hands, task

DAMAGE: dict[str, Callable[[Path], object]] = {
    "is gone": Path.unlink,
    "is another": lambda file: file.write_bytes(file.read_bytes().replace(b'"', b"'", 1)),
    "was cut off": lambda file: file.write_bytes(file.read_bytes()[:-1]),
}


def audit(root: Path, journal: str) -> Audit:
    return Auditing(Workspace(root)).audit(root / "memory" / f"{journal}.jsonl")


def transcript(workspace: Workspace) -> None:
    for step in DRIVERS["agent_log"]():
        step(workspace)


def results(workspace: Workspace) -> None:
    hands = Hands.of(workspace.resources)
    for number in range(2):
        workspace.resources.submit_task(task(f"t{number}"))
        hands.run(result="x" * 70_000 + str(number))


WRITES = {"agent_log": transcript, "engine_state": results}


@pytest.fixture(params=sorted(FOLDERS))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A journal that names files."""
    WRITES[request.param](Workspace(tmp_path))
    return str(request.param)


@pytest.mark.parametrize("how", DAMAGE)
def test_each_file_is_as_it_was_recorded(tmp_path: Path, journal: str, how: str) -> None:
    found = audit(tmp_path, journal)
    assert found.ok, found.faults
    files = [*(tmp_path / "memory" / FOLDERS[journal]).iterdir()]
    assert files
    for file in files:
        content = file.read_bytes()
        DAMAGE[how](file)
        (fault,) = audit(tmp_path, journal).faults
        assert (fault.kind, str(file) in fault.what) == ("file", True)
        line = (tmp_path / "memory" / f"{journal}.jsonl").read_text().splitlines()[fault.seq]
        assert file.stem in line
        file.write_bytes(content)
    assert audit(tmp_path, journal).ok


@pytest.mark.parametrize("packed", [False, True])
def test_an_export_has_them_and_verifies_alone(tmp_path: Path, journal: str, packed: bool) -> None:
    if packed:
        rotate(Workspace(tmp_path), [journal])
    export(Workspace(tmp_path), tmp_path / "out", [journal])
    assert audit(tmp_path / "out", journal).ok
    (tmp_path / "memory" / FOLDERS[journal]).rename(tmp_path / "lost")
    export(Workspace(tmp_path), tmp_path / "evidence", [journal])
    (fault,) = audit(tmp_path / "evidence", journal).faults
    assert fault.kind == "file"


def test_what_no_line_names_is_no_fault(tmp_path: Path, journal: str) -> None:
    (tmp_path / "memory" / FOLDERS[journal] / "notes.txt").write_text("left here")
    assert audit(tmp_path, journal).ok
