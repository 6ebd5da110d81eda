"""A witness signs what extends what it saw, never two that fork, and keeps the evidence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.audit import (
    Checkpoint,
    ForkFound,
    Note,
    NotSigned,
    Signature,
    SignerKey,
    StaleSize,
    UnknownLog,
    Witness,
    WrongKey,
    verify_note,
)
from engines.errors import InvalidInput, JournalWriteFailed
from engines.journal import Journal, verify
from engines.merkle import EMPTY_ROOT, ProofInvalid, consistency_proof, fold, leaf_hash, root
from tests.conftest import REPOSITORY

LOG = SignerKey.new("dino.local/a")
OURS = SignerKey.new("dino.local/b")
ORIGIN = "dino.local/a/zones"


class History:
    """The tree of a journal that never was written: its notes and proofs."""

    def __init__(self, name: str) -> None:
        self._leaves = [leaf_hash(f"{name} {number}".encode()) for number in range(64)]

    def hash_at(self, level: int, index: int) -> bytes:
        return fold(b"".join(self._leaves[index << level : (index + 1) << level]))

    def note(self, size: int, origin: str = ORIGIN, signer: SignerKey = LOG) -> Note:
        text = Checkpoint(origin, size, root(size, self.hash_at)).text
        return Note(text, (signer.sign(text),))

    def proof(self, old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, self.hash_at)


TRUE, FALSE = History("true"), History("false")


class Desk:
    """A witness in a folder, opened anew as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "witness.jsonl"
        self.reopen()

    def reopen(self) -> None:
        self.witness = Witness(Journal(self.file), clock=lambda: 1_795_000_000.9)

    def cosign(self, note: Note, old: int, proof: list[bytes] | None = None) -> Signature:
        return self.witness.cosign(note, OURS, old_size=old, proof=proof or [])

    def saw(self, size: int) -> bool:
        """Whether *size* is what this process, and the next one, know as the last."""
        return {self.witness.size_of(ORIGIN), Witness(Journal(self.file)).size_of(ORIGIN)} == {size}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.witness.trust(ORIGIN, LOG.verifier)
    return desk


def test_the_first_note_is_signed_and_remembered(desk: Desk) -> None:
    """With the time at which it was seen."""
    note = TRUE.note(10)
    signature = desk.cosign(note, 0)
    cosigned = Note(note.text, (*note.signatures, signature))
    assert verify_note(cosigned, [OURS.cosigner]) == [OURS.cosigner]
    assert int.from_bytes(signature.data[:8]) == 1_795_000_000
    assert desk.saw(10)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("sizes", [(1, 2), (10, 10), (7, 8, 8, 9), (0, 5), (0, 0, 1, 33)])
def test_what_extends_what_was_seen_is_signed(
    desk: Desk, sizes: tuple[int, ...], restart: bool
) -> None:
    """The same note again too: a signature that got lost is made once more."""
    old = 0
    for size in sizes:
        proof = TRUE.proof(old, size)
        signature = desk.cosign(TRUE.note(size), old, proof)
        assert OURS.cosigner.made(signature, TRUE.note(size).text)
        assert desk.saw(size)
        old = size
        if restart:
            desk.reopen()
    assert desk.witness.forks == []


def test_an_origin_that_nobody_named_is_not_vouched_for(desk: Desk) -> None:
    """Nor one that only begins alike; what lies below a name is."""
    for origin in ("dino.local/a", "dino.local/a/zones2", "dino.local/a/zone", "x"):
        with pytest.raises(UnknownLog, match="no key is trusted"):
            desk.cosign(TRUE.note(3, origin), 0)
    desk.cosign(TRUE.note(3, f"{ORIGIN}/below"), 0)
    desk.witness.trust("dino.local/a", LOG.verifier)
    desk.cosign(TRUE.note(3, "dino.local/a/sectors"), 0)


def test_what_the_log_did_not_sign_is_not_looked_at(desk: Desk) -> None:
    stranger, namesake = SignerKey.new("dino.local/z"), SignerKey.new(LOG.name)
    with pytest.raises(NotSigned):
        desk.cosign(TRUE.note(3, signer=stranger), 0)
    with pytest.raises(WrongKey):
        desk.cosign(TRUE.note(3, signer=namesake), 0)
    with pytest.raises(WrongKey):
        desk.cosign(Note(TRUE.note(4).text, TRUE.note(3).signatures), 0)
    assert desk.saw(0)


def test_each_of_several_keys_of_a_log_counts(desk: Desk) -> None:
    """As after its key was rotated."""
    new = SignerKey.new(LOG.name)
    desk.witness.trust(ORIGIN, new.verifier)
    desk.witness.trust(ORIGIN, new.verifier)
    desk.cosign(TRUE.note(3), 0)
    desk.cosign(TRUE.note(5, signer=new), 3, TRUE.proof(3, 5))
    assert desk.witness.keys == {ORIGIN: [LOG.verifier, new.verifier]}


@pytest.mark.parametrize("old", [0, 9, 11])
def test_who_thinks_of_another_size_is_told_the_last(desk: Desk, old: int) -> None:
    desk.cosign(TRUE.note(10), 0)
    with pytest.raises(StaleSize) as caught:
        desk.cosign(TRUE.note(20), old, TRUE.proof(old, 20))
    assert caught.value.size == 10
    assert desk.saw(10)
    assert desk.witness.forks == []


def test_a_shorter_tree_is_not_signed(desk: Desk) -> None:
    desk.cosign(TRUE.note(10), 0)
    with pytest.raises(InvalidInput, match="larger"):
        desk.cosign(TRUE.note(5), 10)
    with pytest.raises(StaleSize):
        desk.cosign(TRUE.note(5), 0)
    assert desk.saw(10)


@pytest.mark.parametrize("restart", [False, True])
def test_two_trees_of_one_size_are_a_fork_and_proof_of_it(desk: Desk, restart: bool) -> None:
    """The first stays the one that was seen; the evidence is kept once, with both notes."""
    desk.cosign(TRUE.note(10), 0)
    for _ in range(2):
        if restart:
            desk.reopen()
        with pytest.raises(ForkFound, match="both signed") as caught:
            desk.cosign(FALSE.note(10), 10)
        found = (caught.value.held, caught.value.submitted)
        assert found == (str(TRUE.note(10)), str(FALSE.note(10)))
    (fork,) = Witness(Journal(desk.file)).forks
    assert (fork.origin, fork.held, fork.submitted, fork.proven) == (ORIGIN, *found, True)
    assert desk.saw(10)
    desk.cosign(TRUE.note(12), 10, TRUE.proof(10, 12))


@pytest.mark.parametrize(
    "proof",
    [
        [],
        TRUE.proof(10, 20)[:-1],
        [*TRUE.proof(10, 20), EMPTY_ROOT],
        TRUE.proof(9, 20),
        TRUE.proof(10, 21),
        FALSE.proof(10, 20),
        [EMPTY_ROOT] * 63,
    ],
    ids=["none", "short", "long", "from-9", "to-21", "another-tree", "63-hashes"],
)
@pytest.mark.parametrize("history", [TRUE, FALSE], ids=["true", "false"])
def test_a_proof_that_does_not_hold_is_refused_and_kept(
    desk: Desk, history: History, proof: list[bytes]
) -> None:
    """As not proven: perhaps only the proof was wrong.  With the right one it is signed."""
    desk.cosign(TRUE.note(10), 0)
    with pytest.raises(ProofInvalid):
        desk.cosign(history.note(20), 10, proof)
    (fork,) = Witness(Journal(desk.file)).forks
    assert (fork.submitted, fork.proven) == (str(history.note(20)), False)
    assert desk.saw(10)
    desk.cosign(TRUE.note(20), 10, TRUE.proof(10, 20))
    assert desk.saw(20)


def test_a_first_note_needs_no_proof_and_none_is_taken(desk: Desk) -> None:
    with pytest.raises(ProofInvalid, match="needs no proof"):
        desk.cosign(TRUE.note(10), 0, TRUE.proof(5, 10))
    assert desk.saw(0)


@pytest.mark.parametrize("call", ["write_all", "sync_data"])
def test_what_was_seen_is_durable_before_a_signature_leaves(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    desk.cosign(TRUE.note(10), 0)

    def fault(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"engines.journal.journal.{call}", fault)
        with pytest.raises(JournalWriteFailed):
            desk.cosign(TRUE.note(20), 10, TRUE.proof(10, 20))
    desk.reopen()
    seen = desk.witness.size_of(ORIGIN)
    assert seen in ({10} if call == "write_all" else {10, 20})
    desk.cosign(TRUE.note(30), seen, TRUE.proof(seen, 30))
    assert verify(desk.file).ok


COSIGN = """
import sys
from engines.audit import ForkFound, SignerKey, StaleSize, Witness, parse_note
from engines.journal import Journal

witness, signer, notes = Witness(Journal(sys.argv[1])), SignerKey.new("dino.local/b"), sys.argv[2:]
print("ready", flush=True)
sys.stdin.readline()
for file in notes:
    note = parse_note(open(file, encoding="utf-8").read())
    try:
        witness.cosign(note, signer, old_size=0)
        print("signed", file, flush=True)
    except (ForkFound, StaleSize) as refusal:
        print(type(refusal).__name__, flush=True)
"""


def test_two_processes_at_once_never_sign_two_that_fork(desk: Desk, tmp_path: Path) -> None:
    """Each is handed one of two histories of eight logs: of each log one is signed, once."""
    files: dict[str, list[str]] = {"true": [], "false": []}
    for number in range(8):
        origin = f"{ORIGIN}/{number}"
        for name, history in (("true", TRUE), ("false", FALSE)):
            file = tmp_path / f"{name}-{number}"
            file.write_text(str(history.note(5, origin)), encoding="utf-8")
            files[name].append(str(file))
    orders = (files["true"], files["false"][::-1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COSIGN, str(desk.file), *order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for order in orders
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    signed = [Path(line.split()[1]).name for told in said for line in told if " " in line]
    assert sorted(name.split("-")[1] for name in signed) == [str(n) for n in range(8)]
    seen = Witness(Journal(desk.file)).seen
    for name in signed:
        kind, number = name.split("-")
        note = {"true": TRUE, "false": FALSE}[kind].note(5, f"{ORIGIN}/{number}")
        assert seen[f"{ORIGIN}/{number}"][1] == str(note)
    assert verify(desk.file).ok
