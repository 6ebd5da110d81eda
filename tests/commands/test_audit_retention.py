"""`audit rotate`, `prune` and `export` as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal, rotate
from dino_os.workspace import Workspace
from engines.journal import RecordedJournal, files_of
from tests.audit.office import ZONE, told, with_zones
from tests.conftest import Dino
from tests.desk import write_desk


@pytest.fixture
def site(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Twenty lines of zones in three files, signed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    site = with_zones(workspace, 4)
    for _ in range(2):
        journal = site.journal("zones")
        with journal.locked():
            journal.rotate()
        for number in range(6):
            site.zones.record_event(ZONE, kind="enter", note=f"later {number}")
    Auditing(site).new_key(None)
    Auditing(site).checkpoint(["zones"])
    return site


def test_rotating_seals_and_packs(audit: Dino, workspace: Path) -> None:
    """One journal, or all; what there is to seal is sealed once."""
    with_zones(workspace).states.capture({"state": "morale", "intensity": 0.5})
    memory = workspace / "memory"
    assert audit("rotate", "zones", "--json").json == {
        "journals": [{"journal": "zones", "sealed_files": 1}]
    }
    assert [file.name for file in files_of(memory / "zones.jsonl")] == [
        "zones.000001.jsonl.zst",
        "zones.jsonl",
    ]
    lines = audit("rotate").out.splitlines()
    assert [line.split() for line in lines] == [
        ["journal", "sealed", "files"],
        ["states", "1"],
        ["zones", "2"],
    ]
    assert audit("verify", "--json").json["ok"]
    assert "'zone'" in told(audit("rotate", "zone", code=2))


def test_packing_can_be_switched_off(audit: Dino, workspace: Path) -> None:
    with_zones(workspace)
    audit("rotate", env={"DINO_MEMORY__COMPRESS": "false"})
    assert (workspace / "memory" / "zones.000001.jsonl").exists()


def test_pruning_removes_what_lies_before_a_line(audit: Dino, site: Workspace) -> None:
    nothing = audit("prune", "zones", "--before-line", 3).out
    assert nothing == "zones: no sealed file lies wholly before that; nothing removed\n"
    kept = RecordedJournal(site.memory / "zones.jsonl").line(4)
    done = audit("prune", "zones", "--before-line", 8, "--json").json
    assert done == {
        "journal": "zones",
        "pruned_lines": 6,
        "removed_files": ["zones.000001.jsonl"],
    }
    assert audit("verify", "zones").out.startswith("ok      zones: 21 lines in 2 files, 6 pruned")
    assert "--line FILE" in told(audit("prove", "zones", 4, code=2))
    (site.root / "kept.json").write_bytes(kept + b"\n")
    audit("prove", "zones", 4, "--line", "kept.json", "--out", "p")
    key = str(Auditing(site).verifier())
    assert json.loads(audit("check", "p", "--key", key, "--json").json["line"])["seq"] == 4
    shown = audit("log", "zones", "-n", 0, "--json").out.splitlines()
    assert json.loads(shown[0])["seq"] == 6


def test_pruning_removes_what_lies_before_a_time(audit: Dino, site: Workspace) -> None:
    assert "nothing removed" in audit("prune", "zones", "--before", "1h").out
    text = audit("prune", "zones", "--before", "3000-01-01").out
    assert text.startswith("zones: removed zones.000001.jsonl")


def test_what_commands_read_is_the_same_after_pruning(
    dino: Dino, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zones, sectors, cycles: each command that read them before reads them after."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    write_desk(workspace)
    for _ in range(2):
        dino("plan-cycle", "scenario.yaml")
        rotate(Workspace(workspace), [])
    auditing = Auditing(Workspace(workspace))
    auditing.new_key(None)
    auditing.checkpoint()
    dino("plan-cycle", "scenario.yaml")
    asked = (("zone", "list"), ("sector", "list"), ("cycle", "list"), ("cycle", "show", 3))

    def answers() -> list[dict]:
        return [timeless(dino(*words, "--json").json) for words in asked]

    before = answers()
    for name in ("zones", "sectors", "cycles"):
        length = RecordedJournal(workspace / "memory" / f"{name}.jsonl").length()
        assert prune_journal(Workspace(workspace), name, length).files
        (workspace / "memory" / f"{name}.snapshot").unlink()
    assert answers() == before
    assert "were pruned" in dino("cycle", "show", 2, code=2).err


def timeless(document: dict) -> dict:
    """*document* without the times at which places were looked at."""
    for place in (*document.get("zones", ()), *document.get("sectors", ())):
        place.pop("generated_at", None)
        place.pop("timestamp", None)
    return document


BAD = {
    "neither": ("prune zones", "either --before TIME or --before-line"),
    "both": ("prune zones --before 1h --before-line 3", "either --before TIME or --before-line"),
    "a-journal-unknown": ("prune zone --before-line 3", "did you mean 'zones'"),
    "no-time": ("prune zones --before soon", "neither a time"),
    "below-zero": ("prune zones --before-line -3", "-3"),
    "export-into-a-full-folder": ("export skills", "not empty"),
    "export-a-journal-unknown": ("export out zone", "did you mean 'zones'"),
    "rotate-a-journal-unknown": ("rotate zone", "did you mean 'zones'"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_told(inside: Dino, site: Workspace, words: str, says: str) -> None:
    (site.root / "skills" / "letter").write_text("mine")
    files = files_of(site.memory / "zones.jsonl")
    assert says in told(inside(*words.split(), code=2))
    assert files_of(site.memory / "zones.jsonl") == files


def test_what_nobody_signed_is_not_pruned(audit: Dino, workspace: Path) -> None:
    with_zones(workspace)
    audit("rotate")
    with_zones(workspace)
    audit("rotate")
    error = audit("prune", "zones", "--before-line", 99, "--json", code=1).error
    assert (error["code"], error["hint"]) == (
        "cannot_prune",
        "sign them first: `audit checkpoint zones`",
    )


def test_an_export_is_made_and_verified_as_it_says(audit: Dino, site: Workspace) -> None:
    """With the very line that is printed, after the original is gone."""
    out = site.root / "stick" / "2026-11"
    told_how = audit("export", out).out
    assert f"verify with: audit --home {out} verify" in told_how
    document = audit("export", site.root / "two", "zones", "--json").json
    assert document["folder"] == str(site.root / "two")
    assert all(Path(file).is_file() for file in document["files"])
    shutil.rmtree(site.memory)
    assert audit("--home", out, "verify").out.count("ok  ") == 2
    readme = (out / "README.txt").read_text()
    assert "audit --home . verify" in readme
    assert audit("--home", ".", "verify", "--json", cwd=out).json["ok"]
