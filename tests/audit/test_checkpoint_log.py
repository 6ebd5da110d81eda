"""The log of checkpoints: what may be signed, what it costs, and what is never signed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.audit import CheckpointLog, Forked, NotSigned, SignerKey, verify_note
from engines.durable import sync_data
from engines.errors import JournalBroken, JournalWriteFailed, NotFound
from engines.journal import Journal, RecordedJournal
from engines.merkle import leaf_hashes
from tests.audit.office import FORGE, NAME, Office, keys


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path / "office")
    office.note(9)
    return office


def test_a_checkpoint_says_what_the_journal_is(office: Office, tmp_path: Path) -> None:
    """Size and root of its lines, the place behind them, and who stands by it."""
    signed = office.sign()
    lines = office.lines()
    tree = Office(tmp_path / "other").tree
    tree.extend(leaf_hashes(lines))
    assert (signed.checkpoint.size, signed.checkpoint.root) == (10, tree.root(10))
    assert signed.checkpoint.origin == office.origin
    assert signed.behind.offset == office.path.stat().st_size
    assert verify_note(signed.note, keys(office.signer)) == keys(office.signer)
    assert office.recorded.holds(signed.behind)


def test_a_journal_without_lines_is_not_signed(office: Office) -> None:
    nothing = RecordedJournal(office.folder / "nothing.jsonl")
    assert office.log.sign(nothing, f"{NAME}/nothing", office.signer) is None
    with pytest.raises(NotFound, match="no checkpoint"):
        office.log.latest_or_raise("nothing")


def test_an_unchanged_journal_is_not_signed_twice(office: Office) -> None:
    first = office.sign()
    before = (office.folder / "checkpoints.jsonl").read_bytes()
    assert office.sign() == first
    assert (office.folder / "checkpoints.jsonl").read_bytes() == before
    office.note(1)
    assert office.sign().checkpoint.size == 11
    assert [s.checkpoint.size for s in office.log.of("notes")] == [10, 11]


def test_the_log_is_the_same_in_the_next_process(office: Office) -> None:
    office.log.introduce(office.signer.verifier)
    office.sign()
    again = CheckpointLog(Journal(office.folder / "checkpoints.jsonl"))
    assert again.of("notes") == office.log.of("notes")
    assert again.keys == keys(office.signer)
    assert list(again) == ["notes"]


def test_a_new_key_signs_the_same_lines_anew(office: Office) -> None:
    """Under the old one the old note stays good; the new one is endorsed by the old."""
    old, new = office.signer, SignerKey.new(NAME)
    office.log.introduce(old.verifier)
    first = office.sign(old)
    office.log.introduce(new.verifier, endorsement=old.endorse(new.verifier))
    second = office.sign(new)
    assert second.checkpoint == first.checkpoint
    assert verify_note(second.note, keys(old, new)) == keys(new)
    assert verify_note(office.log.of("notes")[0].note, keys(old)) == keys(old)
    assert office.log.keys == keys(old, new)
    introduced = list(Journal(office.folder / "checkpoints.jsonl").events())[3]
    endorsement = introduced["endorsement"]
    assert endorsement.startswith(f"{new.verifier}\n\n")
    assert verify_note(old.endorse(new.verifier), keys(old)) == keys(old)
    with pytest.raises(NotSigned):
        verify_note(first.note, keys(new))


def rewritten(office: Office) -> None:
    office.rewrite(4, text="pump is ok!!")


def rewritten_longer(office: Office) -> None:
    office.rewrite(4, text="pump was never gone at all")


def shortened(office: Office) -> None:
    office.replace(FORGE.lines(office.path)[:5])


def cut_and_regrown(office: Office) -> None:
    shortened(office)
    office.note(40)


def swapped(office: Office) -> None:
    """For a journal of that name from elsewhere, as sound as this one."""
    other = Office(office.folder / "elsewhere")
    other.note(30)
    office.replace(FORGE.lines(other.path))


FORGERIES = [rewritten, rewritten_longer, shortened, cut_and_regrown, swapped]


@pytest.mark.parametrize("more", [0, 3])
@pytest.mark.parametrize("index", ["kept", "deleted"])
@pytest.mark.parametrize("forge", FORGERIES)
def test_what_does_not_extend_what_was_signed_is_a_fork(
    office: Office, forge: Callable[[Office], None], index: str, more: int
) -> None:
    """Nothing is signed then, whatever comes after it, and whether the index is there or not."""
    office.sign()
    before = (office.folder / "checkpoints.jsonl").read_bytes()
    forge(office)
    office.note(more)
    if index == "deleted":
        office.tree.cut(0)
    for _ in range(2):  # a refusal leaves nothing by which the next attempt would pass
        with pytest.raises(JournalBroken):
            office.sign()
    assert (office.folder / "checkpoints.jsonl").read_bytes() == before


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_fork_is_called_a_fork(office: Office, forge: Callable[[Office], None]) -> None:
    """Where the index was lost too, all lines are read again and held against what was signed."""
    office.sign()
    forge(office)
    office.tree.cut(0)
    with pytest.raises(Forked, match="not those that were signed"):
        office.sign()


def test_a_line_that_does_not_stand_is_not_signed(office: Office) -> None:
    office.sign()
    office.note(5)
    lines = FORGE.lines(office.path)
    lines[12] = lines[12].replace(b"pump", b"pomp")
    office.path.write_bytes(b"".join(lines))
    with pytest.raises(JournalBroken, match="edited"):
        office.sign()
    assert len(office.log.of("notes")) == 1


@pytest.mark.parametrize("call", ["write_all", "sync_data"])
def test_a_note_is_in_the_record_before_anybody_gets_it(
    office: Office, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Where the disk does not take the record, there is no note; the next process signs anew."""
    office.sign()
    office.note(2)

    def fault(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"engines.journal.journal.{call}", fault)
        with pytest.raises(JournalWriteFailed):
            office.sign()
    del office.log
    assert office.sign().checkpoint.size == 12
    recorded = list(Journal(office.folder / "checkpoints.jsonl").events())
    assert recorded[-1]["note"] == office.sign().text


def test_the_record_is_synced_before_the_note_is_handed_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, synced = office.folder / "checkpoints.jsonl", []

    def watched(fd: int) -> None:
        sync_data(fd)
        synced.append(os.pread(fd, 1 << 20, 0))

    office.log.introduce(office.signer.verifier)
    monkeypatch.setattr("engines.journal.journal.sync_data", watched)
    signed = office.sign()
    assert signed.text.splitlines()[2].encode() in synced[-1]
    assert synced[-1] == file.read_bytes()


def test_cosignatures_of_trusted_witnesses_are_kept_once(office: Office) -> None:
    """Those for an earlier checkpoint go to it; what others signed is not kept."""
    one, other, stranger = (SignerKey.new(f"witness.example/{n}") for n in range(3))
    for witness in (one, other):
        office.log.trust_witness(witness.cosigner)
        office.log.trust_witness(witness.cosigner)
    assert office.log.witnesses == [one.cosigner, other.cosigner]
    text = office.sign().checkpoint.text
    early = one.cosign(text, 1_795_000_000)
    office.note(1)
    later = office.sign()
    late = other.cosign(later.checkpoint.text, 1_795_000_001)
    assert office.log.add_cosignatures("notes", [early]) == [one.cosigner]
    assert office.log.add_cosignatures("notes", [late, stranger.cosign(text, 1)]) == [
        other.cosigner
    ]
    before = (office.folder / "checkpoints.jsonl").read_bytes()
    assert office.log.add_cosignatures("notes", [late]) == [other.cosigner]
    assert (office.folder / "checkpoints.jsonl").read_bytes() == before
    with pytest.raises(NotSigned):
        office.log.add_cosignatures("notes", [stranger.cosign(text, 1)])
    first, second = office.log.of("notes")
    assert first.note.signatures[1:] == (early,)
    assert second.note.signatures[1:] == (late,)
    with pytest.raises(NotFound):
        office.log.add_cosignatures("zones", [late])
