"""An export verifies alone, by the plain command line, whatever becomes of the original."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.errors import InvalidInput, NotFound
from dino_os.retention import export, rotate
from dino_os.workspace import Workspace
from engines.audit import VerifierKey
from engines.journal import Journal, RecordedJournal, files_of
from tests.audit.office import ZONE, audited, prune, state, zones
from tests.conftest import Dino


@pytest.mark.parametrize("pruned", [False, True])
def test_an_export_verifies_alone(root: Path, tmp_path: Path, dino: Dino, pruned: bool) -> None:
    """Also what was pruned, and after the original is changed, and gone."""
    if pruned:
        prune(root)
    was, out = state(root), tmp_path / "stick" / "2026-11"
    files = export(Workspace(root), out, [])
    assert all(file.is_file() for file in files)
    Workspace(root).zones.record_event(ZONE, kind="enter")
    shutil.rmtree(root)
    told = dino("verify", "--json", door="audit", cwd=out).json
    assert told["ok"]
    assert {j["journal"] for j in told["journals"]} == {"zones", "checkpoints"}
    assert all(j["signed_lines"] > 0 for j in told["journals"])
    assert state(out) == was


def test_an_export_holds_what_its_note_says_under_a_key_one_got_elsewhere(
    root: Path, tmp_path: Path, dino: Dino
) -> None:
    key, out = str(Auditing(Workspace(root)).verifier()), tmp_path / "out"
    export(Workspace(root), out, ["zones"])
    note = out / "memory" / "checkpoints" / "zones.note"
    told = dino("verify", "--checkpoint", note, "--key", key, "--json", door="audit", cwd=out).json
    (found,) = (j for j in told["journals"] if j["journal"] == "zones")
    assert (found["anchored"], found["anchored_lines"]) == (True, found["signed_lines"])
    assert VerifierKey.parse((out / "verifier.keys").read_text()) == VerifierKey.parse(key)
    last = files_of(zones(out))[-1]
    last.write_bytes(last.read_bytes().replace(b"call 39", b"call 93"))
    dino("verify", "--checkpoint", note, "--key", key, door="audit", cwd=out, code=1)


def test_an_export_carries_no_private_key(root: Path, tmp_path: Path) -> None:
    export(Workspace(root), tmp_path / "out", [])
    private = (root / "w.key").read_text().split('"private": "')[1].split('"')[0].encode()
    content = [file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(content) > 10
    assert not any(private in data for data in content)


def test_only_what_was_asked_for_is_exported(root: Path, tmp_path: Path) -> None:
    """And the record of checkpoints, without which there is nothing to hold it against."""
    Workspace(root).journal("runs").append("ran")
    export(Workspace(root), tmp_path / "out", ["runs"])
    assert {p.stem for p in Workspace(tmp_path / "out").journals()} == {"runs", "checkpoints"}
    assert not list((tmp_path / "out").rglob("zones*"))


def test_what_was_never_acknowledged_is_not_exported(root: Path, tmp_path: Path) -> None:
    lines = RecordedJournal(zones(root)).length()
    with zones(root).open("ab") as file:
        file.write(b'{"seq":99')
    export(Workspace(root), tmp_path / "out", [])
    assert RecordedJournal(zones(tmp_path / "out")).length() == lines
    assert audited(tmp_path / "out") == []


def test_what_is_sealed_packed_and_signed_while_it_is_exported_verifies_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(zones(root))
    with journal.locked():
        journal.rotate()  # and not packed
    journal.close()
    copy, waiting = shutil.copy2, [rotate]

    def meanwhile(source: Path, target: Path) -> object:
        while waiting and source.name.startswith("zones"):
            waiting.pop()(Workspace(root), ["zones"])
            Workspace(root).zones.record_event(ZONE, kind="enter")
            Auditing(Workspace(root)).checkpoint(["zones"])
        return copy(source, target)

    monkeypatch.setattr("dino_os.retention.shutil.copy2", meanwhile)
    monkeypatch.setenv("DINO_MEMORY__COMPRESS", "true")
    export(Workspace(root), tmp_path / "out", [])
    assert not waiting
    assert audited(tmp_path / "out") == []


@pytest.mark.parametrize("name", ["north", "north: pier", "17", "# 1", "a\nb", "'quoted'", "null"])
def test_an_export_of_a_workspace_of_any_name_verifies(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DINO_SYSTEM__NAME", f'"{name}"'.replace("\n", "\\n"))
    export(Workspace(root), tmp_path / "out", [])
    monkeypatch.delenv("DINO_SYSTEM__NAME")
    assert Workspace(tmp_path / "out").config.settings.system.name == name
    assert audited(tmp_path / "out") == []


def test_an_export_goes_to_a_new_folder_only(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter").write_text("mine")
    with pytest.raises(InvalidInput, match="not empty"):
        export(Workspace(root), tmp_path / "out", [])
    with pytest.raises(NotFound, match="no journal named 'zone'"):
        export(Workspace(root), tmp_path / "new", ["zone"])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["letter"]
