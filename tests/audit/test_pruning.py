"""Pruning: what goes, what the journal says of it, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from engines.audit import CannotPrune
from engines.errors import NotFound
from engines.journal import RecordedJournal, files_of
from tests.audit.office import (
    ZONE,
    audited,
    drop_snapshot,
    flip,
    kinds,
    prune,
    state,
    zones,
)


def test_what_is_pruned_is_gone_and_the_rest_verifies(root: Path) -> None:
    before, was = files_of(zones(root)), state(root)
    done = prune(root)
    gone = [file for file in before if not file.exists()]
    assert tuple(file.name for file in gone) == done.files
    assert gone == before[: len(gone)]
    assert RecordedJournal(zones(root)).begin().seq == done.lines <= 20
    assert audited(root) == []
    found = Auditing(Workspace(root)).audit(zones(root)).report
    assert (found.pruned, found.segments) == (done.lines, len(before) - len(gone))
    assert state(root) == was
    drop_snapshot(root)
    assert state(root) == was


def test_the_journal_says_that_it_was_pruned(root: Path) -> None:
    done = prune(root)
    (event,) = (
        e
        for block in RecordedJournal(zones(root)).blocks(RecordedJournal(zones(root)).begin())
        for e in block.events
        if e["event_type"] == "journal_pruned"
    )
    assert (event["lines"], tuple(event["files"])) == (done.lines, done.files)
    assert event["checkpoint_size"] >= done.lines
    assert len(event["base_sha256"]) == 64


def test_life_goes_on_after_pruning(root: Path) -> None:
    """Writing, signing, pruning again; the state is that of all that ever was."""
    prune(root)
    for number in range(40):
        Workspace(root).zones.record_event(ZONE, kind="enter", note=f"later {number}")
    Auditing(Workspace(root)).checkpoint()
    was = state(root)
    again = prune(root, 60)
    assert 40 <= again.lines <= 60
    drop_snapshot(root)
    assert state(root) == was
    assert Workspace(root).zones.snapshot(ZONE).occupancy == 80
    assert audited(root) == []


@pytest.mark.parametrize("before", [0, 1, 3])
def test_nothing_is_removed_where_no_file_lies_wholly_before(root: Path, before: int) -> None:
    files = {file: file.read_bytes() for file in files_of(zones(root))}
    assert prune(root, before).files == ()
    assert {file: file.read_bytes() for file in files_of(zones(root))} == files


def test_every_sealed_file_that_lies_wholly_before_goes(root: Path) -> None:
    """The last of them too: what is kept is the live file."""
    *sealed, live = files_of(zones(root))
    assert prune(root, 10_000).files == tuple(file.name for file in sealed)
    assert files_of(zones(root)) == [live]
    drop_snapshot(root)
    assert Workspace(root).zones.snapshot(ZONE).occupancy == 40
    assert audited(root) == []


# --- refusals ----------------------------------------------------------------------------------


def never_signed(root: Path) -> None:
    for file in (root / "memory").glob("checkpoints*"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()


def signed_too_early(root: Path) -> None:
    """The only checkpoint covers three lines."""
    never_signed(root)
    kept = zones(root).read_bytes(), files_of(zones(root))
    for file in (*kept[1], zones(root).with_suffix(".head")):
        shutil.move(file, f"{file}.aside")
    first = Path(f"{kept[1][0]}.aside").read_bytes().splitlines(keepends=True)
    zones(root).write_bytes(b"".join(first[:3]))
    Auditing(Workspace(root)).checkpoint(["zones"])
    zones(root).unlink()
    zones(root).with_suffix(".head").unlink(missing_ok=True)
    for file in (*kept[1], zones(root).with_suffix(".head")):
        shutil.move(f"{file}.aside", file)


def without_index(root: Path) -> None:
    shutil.rmtree(zones(root).with_suffix(".tree"))


def with_a_damaged_index(root: Path) -> None:
    flip(zones(root).with_suffix(".tree") / "0", 5 * 32)


@pytest.mark.parametrize(
    ("lacking", "says"),
    [
        (never_signed, "no checkpoint covers"),
        (signed_too_early, "no checkpoint covers"),
    ],
)
def test_nothing_is_removed_where_what_must_outlast_it_is_not_there(
    root: Path, lacking: Callable[[Path], None], says: str
) -> None:
    lacking(root)
    files = {file: file.read_bytes() for file in files_of(zones(root))}
    with pytest.raises(CannotPrune, match=says) as caught:
        prune(root)
    assert caught.value.hint
    assert {file: file.read_bytes() for file in files_of(zones(root))} == files
    assert not zones(root).with_suffix(".base").exists()


def test_an_engines_journal_without_a_snapshot_is_not_pruned(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.engine.Engine.save_snapshot", lambda self: None)
    with pytest.raises(CannotPrune, match="no snapshot stands behind line"):
        prune(root)
    assert len(files_of(zones(root))) > 4


def test_an_order_whose_lines_were_pruned_is_shown_without_them(root: Path) -> None:
    book = Workspace(root).orders
    orders = [book.create(1250, "EUR").id for _ in range(12)]
    Auditing(Workspace(root)).checkpoint(["orders"])
    assert prune_journal(Workspace(root), "orders", 8).files
    assert Workspace(root).orders.history(orders[0]) == []
    assert len(Workspace(root).orders.history(orders[-1])) == 1


def test_a_journal_without_an_engine_needs_no_state(root: Path) -> None:
    journal = Workspace(root).journal("bus")
    for number in range(30):
        journal.append("ran", {"n": number, "pad": "x" * 100})
    Auditing(Workspace(root)).checkpoint(["bus"])
    done = prune_journal(Workspace(root), "bus", 20)
    assert done.lines > 0
    assert not (root / "memory" / "bus.base").exists()
    assert kinds(Auditing(Workspace(root)).audit(root / "memory" / "bus.jsonl")) == []
    with pytest.raises(NotFound, match="no journal named"):
        prune_journal(Workspace(root), "buss", 20)


def test_a_large_damaged_index_is_mended_before_lines_go(tmp_path: Path, root: Path) -> None:
    """Also a leaf below whole tiles: it will be all there is of its line."""
    journal = Workspace(root).journal("runs")
    for _ in range(12):
        journal.append_many([("ran", {"n": number}) for number in range(50)])
    Auditing(Workspace(root)).checkpoint(["runs"])
    line = journal.line(5)
    flip(root / "memory" / "runs.tree" / "0", 5 * 32)
    assert prune_journal(Workspace(root), "runs", 400).files
    auditing = Auditing(Workspace(root))
    auditing.prove("runs", 5, line).check([auditing.verifier()])
    assert auditing.audit(journal.path).ok


@pytest.mark.parametrize("damage", [without_index, with_a_damaged_index])
def test_a_damaged_index_is_mended_before_lines_go(
    root: Path, damage: Callable[[Path], None]
) -> None:
    line = RecordedJournal(zones(root)).line(2)
    damage(root)
    assert prune(root).files
    auditing = Auditing(Workspace(root))
    auditing.prove("zones", 2, line).check([auditing.verifier()])
    assert auditing.audit(zones(root)).ok
