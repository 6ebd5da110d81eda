"""An audit holds the files of large values against the lines that name them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import export, prune_journal, rotate
from dino_os.workspace import Workspace
from engines.audit import Audit
from engines.filed import FOLDERS
from engines.journal import RecordedJournal
from tests.audit.agent_driver import steps
from tests.resource_engine.kit import Hands, task

DAMAGE: dict[str, Callable[[Path], object]] = {
    "is gone": Path.unlink,
    "is another": lambda file: file.write_bytes(file.read_bytes().replace(b'"', b"'", 1)),
    "was cut off": lambda file: file.write_bytes(file.read_bytes()[:-1]),
}


def audit(root: Path, journal: str) -> Audit:
    return Auditing(Workspace(root)).audit(root / "memory" / f"{journal}.jsonl")


def transcript(workspace: Workspace, mark: str = "a") -> None:
    for step in steps(mark * 70):
        step(workspace)


def results(workspace: Workspace, mark: str = "a") -> None:
    hands = Hands.of(workspace.resources)
    for number in range(2):
        workspace.resources.submit_task(task(f"{mark}{number}"))
        hands.run(result=mark * 70_000 + str(number))


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


def test_what_is_pruned_is_gone_with_its_files_but_for_what_the_state_still_has(
    tmp_path: Path, journal: str
) -> None:
    with (tmp_path / "config.yaml").open("a") as config:
        config.write(f"security: {{signing_key: {tmp_path / 'key'}}}\n")
    folder = tmp_path / "memory" / FOLDERS[journal]
    before = {*folder.iterdir()}
    Auditing(Workspace(tmp_path)).new_key(None)
    rotate(Workspace(tmp_path), [journal])
    WRITES[journal](Workspace(tmp_path), "b")
    Auditing(Workspace(tmp_path)).checkpoint([journal])
    fresh = {*folder.iterdir()} - before
    begin = RecordedJournal(tmp_path / "memory" / f"{journal}.jsonl").live_begin()
    assert prune_journal(Workspace(tmp_path), journal, begin.seq).files
    left = {*folder.iterdir()}
    assert fresh <= left
    assert audit(tmp_path, journal).ok
    if journal == "agent_log":
        assert len(left & before) == 1 < len(before)  # of a run that is parked
    else:
        kept = Workspace(tmp_path).resources.task("a0")
        assert kept
        assert kept.result == "a" * 70_000 + "0"


def test_what_no_line_names_is_no_fault(tmp_path: Path, journal: str) -> None:
    (tmp_path / "memory" / FOLDERS[journal] / "notes.txt").write_text("left here")
    assert audit(tmp_path, journal).ok
