"""An audit holds a journal against what was signed of it: every kind of fault, with its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from engines.audit import (
    Checkpoint,
    Note,
    NoteInvalid,
    SignerKey,
    Statement,
    audit,
    since_checkpoint,
)
from engines.journal import Since
from tests.audit.office import FORGE, Office, flip, keys, kinds, overwrite, sealed_files

WITNESS = SignerKey.new("witness.example")


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Twenty lines, signed at ten and at twenty."""
    office = Office(tmp_path / "office")
    office.note(9)
    office.sign()
    office.note(10)
    office.sign()
    return office


def test_a_journal_that_nobody_signed_is_unanchored(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.note(3)
    found = office.audit()
    assert found.ok
    assert (found.anchors, found.anchored_to) == ((), 0)
    assert found.verdict == "internally consistent, unanchored"
    assert found.as_dict()["anchored"] is False


def test_own_checkpoints_do_not_anchor(office: Office) -> None:
    """Who can write the folder may hold the key as well."""
    found = office.audit()
    assert found.ok
    assert [a.checkpoint.size for a in found.anchors] == [10, 20]
    assert found.anchored_to == 0
    assert found.verdict.startswith("signed to line 20, unanchored")
    assert (found.as_dict()["signed_lines"], found.as_dict()["anchored_lines"]) == (20, 0)


def test_a_note_that_was_held_elsewhere_anchors(office: Office) -> None:
    first, _ = office.log.of("notes")
    found = office.audit(office.statement(first, external=True))
    assert found.ok
    assert found.anchored_to == 10
    assert found.verdict == f"anchored to line 10 ({office.signer.name})"


def test_a_cosignature_of_a_trusted_witness_anchors(office: Office) -> None:
    """One of somebody else does not."""
    first, _ = office.log.of("notes")
    note = Note(first.note.text, (*first.note.signatures, WITNESS.cosign(first.note.text, 7)))
    for witnesses, anchored in (([WITNESS.cosigner], 10), ([], 0), ([office.signer.cosigner], 0)):
        statement = Statement(note, keys(office.signer), witnesses=witnesses)
        assert office.audit(statement).anchored_to == anchored


Tamper = Callable[[list[bytes]], Sequence[bytes]]
# What is done to the lines, the kind of the chain's own fault, its line.
TAMPERINGS: list[tuple[Tamper, str, int]] = [
    (lambda ls: [*ls[:4], ls[4].replace(b"pump", b"pomp"), *ls[5:]], "edited", 5),
    (lambda ls: [*ls[:4], *ls[5:]], "removed", 5),
    (lambda ls: [*ls[:4], ls[2], *ls[4:]], "inserted", 5),
    (lambda ls: [*ls[:4], ls[5], ls[4], *ls[6:]], "reordered", 5),
    (lambda ls: [*ls[:4], FORGE.resealed(ls[4], n=77), *ls[5:]], "replaced", 6),
    (lambda ls: [*ls[:4], b"garbage\n", *ls[4:]], "malformed", 5),
    (lambda ls: ls[:15], "truncated", 16),
    (lambda ls: [*ls, b"half a li"], "torn", 21),
    (lambda ls: [*ls, FORGE.resealed(ls[-1], seq=20)], "replaced", 21),
]


@pytest.mark.parametrize(("tamper", "kind", "line"), TAMPERINGS)
def test_the_chains_own_fault_comes_first(
    office: Office, tamper: Tamper, kind: str, line: int
) -> None:
    """With its line; and with `jobs` or without, the same is found."""
    office.path.write_bytes(b"".join(tamper(FORGE.lines(office.path))))
    found = office.audit()
    assert (found.faults[0].kind, found.faults[0].line) == (kind, line)
    assert found.faults[0] == found.report.fault
    assert found.verdict.startswith(kind)
    document = found.as_dict()
    assert (document["ok"], document["faults"][0]["good_lines"]) == (False, line - 1)
    assert {a.checkpoint.size for a in found.anchors} == {s for s in (10, 20) if s < line}
    assert office.audit(jobs=2) == found


def test_whole_lines_past_the_end_are_found(office: Office) -> None:
    other = Office(office.folder / "other")
    other.path.write_bytes(office.path.read_bytes())
    other.note(1)
    with office.path.open("ab") as file:
        file.write(FORGE.lines(other.path)[-1])
    assert kinds(office.audit()) == ["unacknowledged"]


def test_another_journal_under_this_name_is_foreign(office: Office) -> None:
    lines = FORGE.rechained(FORGE.lines(office.path), 0, journal="zones")
    office.replace(lines)
    assert kinds(office.audit())[0] == "foreign"


@pytest.mark.parametrize("start", [1, 6, 9])
def test_a_complete_rewrite_is_a_fork_from_the_line_where_it_begins(
    office: Office, start: int
) -> None:
    """The chain stands, head and all; the index of hashes still knows the first line changed."""
    office.rewrite(start, n=1000)
    found = office.audit()
    assert found.report.ok
    assert kinds(found) == ["forked", "forked"]
    assert {fault.seq for fault in found.faults} == {start}
    assert f"line {start + 1} is not what was signed at 10 lines" in found.faults[0].what


def test_a_rewrite_behind_a_checkpoint_leaves_that_one_standing(office: Office) -> None:
    office.rewrite(12, n=1000)
    found = office.audit()
    assert kinds(found) == ["forked"]
    assert [a.checkpoint.size for a in found.anchors] == [10]


def test_a_fork_is_found_without_the_index_too(office: Office) -> None:
    office.rewrite(6, n=1000)
    office.tree.cut(0)
    found = office.audit()
    assert kinds(found) == ["forked", "forked"]
    assert "the first 20 lines are not what was signed" in found.faults[1].what


@pytest.mark.parametrize("left", [1, 9, 19])
def test_a_tail_cut_with_its_head_is_found_by_what_was_signed(office: Office, left: int) -> None:
    office.replace(FORGE.lines(office.path)[:left])
    found = office.audit()
    assert found.report.ok
    assert set(kinds(found)) == {"truncated"}
    assert found.faults[-1].what == f"20 lines were signed, {left} are there"
    assert found.faults[-1].good_lines == left


def test_a_note_that_nobody_trusted_signed_is_unsigned(office: Office) -> None:
    text = office.sign().note.text
    note = Note(text, (WITNESS.sign(text),))
    found = office.audit(Statement(note, keys(office.signer), external=True))
    assert kinds(found) == ["unsigned"]
    assert "witness.example" in found.faults[0].what
    assert found.anchored_to == 0


def test_a_note_in_the_name_of_somebody_trusted_has_the_wrong_key(office: Office) -> None:
    """Signed by another key of that name, or not this text."""
    first, second = office.log.of("notes")
    namesake = SignerKey.new(office.signer.name)
    notes = [
        Note(second.note.text, (namesake.sign(second.note.text),)),
        Note(second.note.text, first.note.signatures),
    ]
    for note in notes:
        found = office.audit(Statement(note, keys(office.signer), external=True))
        assert kinds(found) == ["wrong key"]


def test_a_note_that_says_another_root_is_a_fork(office: Office) -> None:
    """Signed by the owner: the note of another history, held elsewhere."""
    text = Checkpoint(office.origin, 15, bytes(32)).text
    note = Note(text, (office.signer.sign(text),))
    found = office.audit(Statement(note, keys(office.signer), external=True))
    assert kinds(found) == ["forked"]
    assert "15 lines" in found.faults[0].what


def test_what_is_not_a_checkpoint_is_refused(office: Office) -> None:
    note = Note("not a checkpoint\n", (office.signer.sign("not a checkpoint\n"),))
    with pytest.raises(NoteInvalid):
        office.audit(Statement(note, keys(office.signer)))


def test_a_checkpoint_of_nothing_holds_of_every_journal(office: Office) -> None:
    text = Checkpoint(office.origin, 0, office.tree.root(0)).text
    note = Note(text, (office.signer.sign(text),))
    assert office.audit(Statement(note, keys(office.signer))).ok
    forged = Checkpoint(office.origin, 0, bytes(32)).text
    note = Note(forged, (office.signer.sign(forged),))
    assert kinds(office.audit(Statement(note, keys(office.signer)))) == ["forked"]


@pytest.mark.parametrize("place", [0, 7, 19])
def test_an_index_that_differs_is_told_and_blames_no_line(office: Office, place: int) -> None:
    hashes = bytearray((office.tree_folder / "0").read_bytes())
    hashes[place * 32] ^= 1
    (office.tree_folder / "0").write_bytes(bytes(hashes))
    found = office.audit()
    assert kinds(found) == ["index"]
    assert found.faults[0].what.endswith("delete notes.tree/")


# --- beginning later ---------------------------------------------------------------------------


def since(office: Office, size: int) -> Since | None:
    signed = next(s for s in office.log.of("notes") if s.checkpoint.size == size)
    return since_checkpoint(office.path, signed.checkpoint, signed.behind)


def test_an_audit_can_begin_at_a_checkpoint(office: Office) -> None:
    """What lies before it is taken on its word; what lies behind it is found as ever."""
    assert office.audit(since=since(office, 10)).ok
    lines = FORGE.lines(office.path)
    before = [*lines[:4], lines[4].replace(b"pump", b"pomp"), *lines[5:]]
    office.path.write_bytes(b"".join(before))
    assert office.audit(since=since(office, 10)).ok
    behind = [*lines[:14], lines[14].replace(b"pump", b"pomp"), *lines[15:]]
    office.path.write_bytes(b"".join(behind))
    found = office.audit(since=since(office, 10))
    assert (found.faults[0].kind, found.faults[0].line) == ("edited", 15)


def test_an_audit_from_a_checkpoint_still_finds_another_root(office: Office) -> None:
    begin = since(office, 10)
    office.rewrite(14, n=1000)
    assert kinds(office.audit(since=begin)) == ["forked"]


def test_an_audit_does_not_begin_where_the_index_does_not_bear_it(office: Office) -> None:
    office.tree.cut(7)
    assert since(office, 10) is None
    first, _ = office.log.of("notes")
    forged = replace(first.checkpoint, root=bytes(32))
    assert since_checkpoint(office.path, forged, first.behind) is None


# --- several files -----------------------------------------------------------------------------


@pytest.fixture
def long(tmp_path: Path) -> Office:
    office = Office(tmp_path / "long", rotate_bytes=2000)
    for _ in range(3):
        office.note(20)
        office.sign()
    assert len(sealed_files(office.path)) > 4
    return office


@pytest.mark.parametrize("damage", ["none", "sealed", "live", "gone"])
def test_several_processes_find_what_one_finds(
    long: Office, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(import_module("engines.journal.spanning"), "_WORTH_A_PROCESS", 0)
    files = [*sealed_files(long.path), long.path]
    place = {"sealed": 2, "live": -1}.get(damage)
    if place:
        flip(files[place], 40)
    elif damage == "gone":
        files[1].unlink()
    alone, together = long.audit(), long.audit(jobs=2)
    assert together == alone
    assert alone.ok == (damage == "none")
    if damage == "sealed":
        assert alone.faults[0].file == files[2].name


def test_an_audit_can_begin_in_a_later_file(long: Office) -> None:
    """The files before it are not even looked at."""
    begin = since(long, long.log.of("notes")[1].checkpoint.size)
    first = sealed_files(long.path)[0]
    overwrite(first, first.read_bytes().replace(b"pump", b"pomp", 1))
    assert long.audit(since=begin).ok
    assert kinds(long.audit())[0] == "edited"


def test_progress_adds_up_to_the_journal(long: Office) -> None:
    steps: list[int] = []
    audit(long.path, [], on_progress=steps.append)
    total = sum(file.stat().st_size for file in [*sealed_files(long.path), long.path])
    assert sum(steps) == total
