"""What was pruned stays provable, and what stays of it is held against the record."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.audit import Proof, pruning
from engines.errors import InvalidInput, JournalBroken, NotFound
from engines.journal import RecordedJournal, Sealed, files_of, verify
from engines.journal.spanning import Spanning
from engines.merkle import leaf_hash
from tests.audit.office import (
    ZONE,
    audited,
    drop_snapshot,
    flip,
    overwrite,
    prune,
    state,
    zones,
)

# --- what was pruned stays provable ------------------------------------------------------------


def test_who_kept_a_line_can_prove_it_after_it_was_pruned(root: Path, kept: list[bytes]) -> None:
    before = str(Auditing(Workspace(root)).prove("zones", 7))
    prune(root)
    auditing = Auditing(Workspace(root))
    proof = auditing.prove("zones", 7, kept[7])
    assert str(proof) == before
    Proof.parse(str(proof)).check([auditing.verifier()])
    with pytest.raises(NotFound, match="was pruned") as caught:
        auditing.prove("zones", 7)
    assert "--line" in caught.value.hint
    for other in (kept[8], kept[7] + b" ", b""):
        with pytest.raises(InvalidInput, match="is not line 7"):
            auditing.prove("zones", 7, other)
    assert auditing.prove("zones", len(kept) - 1).line == kept[-1]


@pytest.mark.parametrize("signed", [False, True])
def test_what_is_pruned_while_it_is_verified_is_no_fault(
    root: Path, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    listed, waiting = Spanning._sealed_before, [prune]

    def meanwhile(self: Spanning) -> list[Sealed]:
        found = listed(self)
        while waiting:
            waiting.pop()(root)
        return found

    monkeypatch.setattr(Spanning, "_sealed_before", meanwhile)
    if signed:
        assert Auditing(Workspace(root)).audit(zones(root)).ok
    else:
        assert verify(zones(root)).ok
    assert not waiting


def test_who_had_not_read_what_was_pruned_goes_on_from_what_was_kept_of_it(root: Path) -> None:
    here, there = Workspace(root).zones, Workspace(root)
    for number in range(40):
        there.zones.record_event(ZONE, kind="enter", note=f"late {number}")
    Auditing(there).checkpoint(["zones"])
    begin = RecordedJournal(zones(root)).live_begin()
    assert prune_journal(there, "zones", begin.seq).lines > here._folded_to.seq
    here.refresh()
    assert {name: getattr(here, name) for name in here._state_names} == state(root)
    here.record_event(ZONE, kind="enter")
    assert audited(root) == []


def test_checkpoints_go_on_over_pruned_lines(root: Path) -> None:
    """The new ones extend the old ones, as a witness can check."""
    size = RecordedJournal(zones(root)).length()
    prune(root)
    (signed,) = Auditing(Workspace(root)).checkpoint(["zones"])
    assert signed.checkpoint.size == size + 1
    message = Auditing(Workspace(root)).prove_consistency("zones", size, None)
    assert message.startswith(f"old {size}\n")
    assert audited(root) == []


@pytest.mark.parametrize("lost", [1, 7, 32, 100])
def test_a_power_cut_that_shortens_the_index_costs_no_proof(
    root: Path, kept: list[bytes], lost: int
) -> None:
    """It was synced when lines were pruned; what was added since is made again from the lines."""
    prune(root)
    Workspace(root).zones.record_event(ZONE, kind="enter")
    Auditing(Workspace(root)).checkpoint(["zones"])
    hashes = zones(root).with_suffix(".tree") / "0"
    hashes.write_bytes(hashes.read_bytes()[:-lost])
    assert set(audited(root)) <= {"index"}
    Workspace(root).zones.record_event(ZONE, kind="enter")
    Auditing(Workspace(root)).checkpoint(["zones"])
    assert Auditing(Workspace(root)).prove("zones", 7, kept[7]).line == kept[7]
    assert audited(root) == []


def test_the_hashes_of_pruned_lines_are_never_thrown_away(root: Path, kept: list[bytes]) -> None:
    """Whatever is wrong with others of them, and whatever is tried: they cannot be made again."""
    prune(root)
    hashes = zones(root).with_suffix(".tree") / "0"
    flip(hashes, len(hashes.read_bytes()) - 40)
    with contextlib.suppress(JournalBroken):  # what cannot be held against anything is not signed
        Auditing(Workspace(root)).checkpoint(["zones"])
    content = hashes.read_bytes()
    assert content[7 * 32 : 8 * 32] == leaf_hash(kept[7])


# --- tampering with what stays -----------------------------------------------------------------


def test_an_altered_base_is_found(root: Path) -> None:
    prune(root)
    base = pruning.base_path(zones(root))
    base.write_bytes(base.read_bytes().replace(b"call 3", b"call 4"))
    assert audited(root) == ["snapshot"]


@pytest.mark.parametrize("snapshot", ["kept", "gone"])
def test_a_base_that_is_gone_is_found(root: Path, snapshot: str) -> None:
    """The journal names its hash: without it the state of the pruned lines is lost."""
    prune(root)
    if snapshot == "gone":
        drop_snapshot(root)
    pruning.base_path(zones(root)).unlink()
    found = Auditing(Workspace(root)).audit(zones(root))
    assert not found.ok
    assert "zones.base" in f"{found.faults[0].file} {found.faults[0].what}"


def test_the_base_of_an_earlier_pruning_does_not_stand_for_a_later_one(root: Path) -> None:
    prune(root, 10)
    base = pruning.base_path(zones(root))
    earlier = base.read_bytes()
    prune(root, 30)
    base.write_bytes(earlier)
    assert audited(root) == ["snapshot"]


def test_a_pruned_journal_without_its_index_is_not_called_forked(root: Path) -> None:
    """Its lines are those that were signed; that they cannot be held against it is said."""
    prune(root)
    shutil.rmtree(zones(root).with_suffix(".tree"))
    assert audited(root) == ["index"]


def test_more_files_gone_than_were_pruned_is_a_fault(root: Path) -> None:
    prune(root)
    files_of(zones(root))[0].unlink()
    assert "missing" in audited(root)


def test_an_edited_line_behind_the_pruned_ones_is_found(root: Path) -> None:
    prune(root)
    first = files_of(zones(root))[0]
    overwrite(first, first.read_bytes().replace(b'"note":"call', b'"note":"cull', 1))
    found = Auditing(Workspace(root)).audit(zones(root))
    assert found.faults[0].kind == "edited"
    assert found.faults[0].file == first.name
