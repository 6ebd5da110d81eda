"""What is done behind a command that wrote: signing, sealing, packing, and never a failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.journal import files_of
from tests.audit.office import ZONE, with_zones
from tests.conftest import Dino, Outcome

EVENT = ("zone", "event", ZONE, "enter", "--json")


@pytest.fixture
def wrote(dino: Dino, workspace: Path) -> Callable[..., Outcome]:
    """A command that writes one line of zones."""

    def call(**variables: object) -> Outcome:
        env = {name: str(value) for name, value in variables.items()}
        return dino(*EVENT, env={"XDG_CONFIG_HOME": str(workspace / "xdg"), **env})

    return call


def sizes(workspace: Path) -> list[int]:
    return [s.checkpoint.size for s in Workspace(workspace).checkpoints.of("zones")]


def test_so_many_lines_make_a_checkpoint_due(
    site: Workspace, wrote: Callable[..., Outcome]
) -> None:
    often = {"DINO_SECURITY__CHECKPOINT_EVENTS": 2, "DINO_SECURITY__CHECKPOINT_S": 0}
    for expected in ([5], [5, 7], [5, 7]):
        wrote(**often)
        assert sizes(site.root) == expected
    note = Auditing(site).note_file("zones").read_text()
    assert note == Workspace(site.root).checkpoints.latest_or_raise("zones").text


def test_so_much_time_makes_a_checkpoint_due(
    site: Workspace, wrote: Callable[..., Outcome]
) -> None:
    wrote()
    assert sizes(site.root) == [5]
    note = Auditing(site).note_file("zones")
    hour_ago = note.stat().st_mtime - 3601
    os.utime(note, (hour_ago, hour_ago))
    wrote()
    assert sizes(site.root) == [5, 7]


@pytest.mark.parametrize("signed", [True, False])
def test_nothing_is_due_where_both_are_0(
    site: Workspace, wrote: Callable[..., Outcome], signed: bool
) -> None:
    """0 is never."""
    if not signed:
        Auditing(site).note_file("zones").unlink()
    never = {"DINO_SECURITY__CHECKPOINT_EVENTS": 0, "DINO_SECURITY__CHECKPOINT_S": 0}
    wrote(**never)
    assert sizes(site.root) == [5]


def test_a_sealed_key_signs_by_itself_only_with_its_passphrase(
    workspace: Path, wrote: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody is asked for it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    Auditing(with_zones(workspace)).new_key("horse")
    assert wrote().err == ""
    assert sizes(workspace) == []
    said = wrote(DINO_KEY_PASSPHRASE="wrong").err
    assert said.startswith("dino: no checkpoint was made: ")
    assert said.endswith("the passphrase does not open the key\n")
    assert sizes(workspace) == []
    wrote(DINO_KEY_PASSPHRASE="horse")
    assert sizes(workspace) == [8]


def key_is(content: bytes) -> Callable[[Workspace], None]:
    return lambda site: site.signing_key.write_bytes(content) and None


def key_named(name: str) -> Callable[[Workspace], None]:
    def spoil(site: Workspace) -> None:
        (site.root / "config.yaml").write_text(f"security:\n  signing_key: {name}\n")

    return spoil


def key_is_a_folder(site: Workspace) -> None:
    site.signing_key.unlink()
    site.signing_key.mkdir()


def no_place_for_notes(site: Workspace) -> None:
    for file in (site.memory / "checkpoints").iterdir():
        file.unlink()
    (site.memory / "checkpoints").rmdir()
    (site.memory / "checkpoints").touch()


def broken_record(site: Workspace) -> None:
    (site.memory / "checkpoints.jsonl").write_bytes(b"garbage\n")


def no_index(site: Workspace) -> None:
    """A file where the index of hashes belongs."""
    tree = site.memory / "zones.tree"
    (tree / "0").unlink()
    tree.rmdir()
    tree.touch()


SPOILED = {
    "key-empty": key_is(b""),
    "key-a-number": key_is(b"5"),
    "key-nested": key_is(b"[" * 100_000),
    "key-of-another-kind": key_is(b'{"name": "a", "public": "AAAA", "private": "AAAA"}'),
    "key-a-folder": key_is_a_folder,
    "key-with-a-long-name": key_named("k" * 300),
    "key-of-nobody": key_named("~nobody-here/w.key"),
    "notes-nowhere": no_place_for_notes,
    "record-broken": broken_record,
    "index-a-file": no_index,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_keeps_from_signing_never_fails_the_command(
    site: Workspace, wrote: Callable[..., Outcome], spoil: Callable[[Workspace], None]
) -> None:
    """It is done, and says so, whatever is wrong with what comes behind it."""
    spoil(site)
    occupancy = Workspace(site.root).zones.snapshot(ZONE).occupancy
    done = wrote(DINO_SECURITY__CHECKPOINT_EVENTS=1)
    assert done.json["occupancy"] == occupancy + 1
    assert done.err.startswith("dino: no checkpoint was made: ")
    assert done.err.count("\n") == 1


def test_files_are_sealed_and_packed_by_themselves(
    workspace: Path, wrote: Callable[..., Outcome]
) -> None:
    """At the size in the settings; a command that only reads seals nothing."""
    with_zones(workspace, 4)
    path = workspace / "memory" / "zones.jsonl"
    wrote(DINO_MEMORY__ROTATE_BYTES=100, DINO_MEMORY__COMPRESS="false")
    assert [f.name for f in files_of(path)] == ["zones.000001.jsonl", "zones.jsonl"]
    wrote(DINO_MEMORY__ROTATE_BYTES=100)
    assert [f.name for f in files_of(path)] == [
        "zones.000001.jsonl.zst",
        "zones.000002.jsonl.zst",
        "zones.jsonl",
    ]
    wrote(DINO_MEMORY__ROTATE_BYTES=0)
    assert len(files_of(path)) == 3
    wrote(DINO_MEMORY__ROTATE_S=0.001)
    assert len(files_of(path)) == 4
    assert Workspace(workspace).zones.snapshot(ZONE).occupancy == 8


def test_what_cannot_be_packed_stays_as_it_is(
    workspace: Path, wrote: Callable[..., Outcome]
) -> None:
    """A folder in the way of the packed file's draft."""
    with_zones(workspace, 4)
    (workspace / "memory" / ".zones.000001.jsonl.zst.tmp").mkdir()
    done = wrote(DINO_MEMORY__ROTATE_BYTES=100)
    assert done.json["occupancy"] == 5
    assert done.err.startswith("dino: sealed files were not packed: ")
    assert (workspace / "memory" / "zones.000001.jsonl").exists()
