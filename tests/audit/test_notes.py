"""Signed notes, checkpoints and proofs as texts: the published examples, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.audit import (
    Checkpoint,
    Note,
    NoteInvalid,
    NotSigned,
    Proof,
    SignerKey,
    VerifierKey,
    parse_note,
    verify_note,
)
from engines.merkle import ProofInvalid

# Of golang.org/x/mod/sumdb/note and of the C2SP specification.
NEUMANN = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
ENOCH = VerifierKey.parse("EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop")
SPECIFICATION = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNED_BY_BOTH = (
    TEXT + "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6K"
    "E6RyyBwJnAM=\n"
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1"
    "RvMc+QQ=\n"
)


def test_the_published_note_holds() -> None:
    note = parse_note(SIGNED_BY_BOTH)
    assert note.text == TEXT
    assert verify_note(note, [NEUMANN]) == [NEUMANN]
    assert verify_note(note, [ENOCH, NEUMANN]) == [NEUMANN, ENOCH]
    assert str(note) == SIGNED_BY_BOTH


def test_a_verifier_key_keeps_its_form() -> None:
    assert str(VerifierKey.parse(SPECIFICATION)) == SPECIFICATION
    assert VerifierKey.parse(SPECIFICATION).key_id.hex() == "530d903a"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        SPECIFICATION.replace("530d903a", "530d903b"),
        SPECIFICATION[:-4],
        SPECIFICATION.replace("+A", "+B"),
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("answer", "question"),
        ("x08go/ZJ", "x08go/ZK"),
        ("\n\n—", "\n \n\n—"),
    ],
)
def test_a_note_that_was_changed_no_longer_holds(old: str, new: str) -> None:
    assert old in SIGNED_BY_BOTH
    with pytest.raises(NotSigned):
        verify_note(parse_note(SIGNED_BY_BOTH.replace(old, new, 1)), [NEUMANN])


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT,
        TEXT + "\n",
        SIGNED_BY_BOTH[:-1],
        SIGNED_BY_BOTH.replace("— Peter", "- Peter"),
        SIGNED_BY_BOTH.replace("— PeterNeumann ", "— PeterNeumann"),
        SIGNED_BY_BOTH.replace("KqiBf", "", 1).replace("x08go/", "x08*o/"),
        SIGNED_BY_BOTH.replace("wJnAM=", "wJnAM"),
        SIGNED_BY_BOTH.replace("wJnAM=", "wJnAN="),  # other bits beyond the last byte
        SIGNED_BY_BOTH.replace("answer", "ans\twer"),
        SIGNED_BY_BOTH + "\n",
        TEXT + "\n" + "— a AAAAAAAA\n" * 101,
    ],
)
def test_what_is_not_a_signed_note_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        parse_note(text)


def test_signatures_of_others_are_passed_over() -> None:
    """A note may carry what we know nothing of; it still needs a signature of whom we ask for."""
    stranger = SignerKey.new("stranger.example")
    note = parse_note(SIGNED_BY_BOTH + stranger.sign(TEXT).line())
    assert verify_note(note, [NEUMANN]) == [NEUMANN]
    with pytest.raises(NotSigned, match="PeterNeumann"):
        verify_note(parse_note(SIGNED_BY_BOTH), [stranger.verifier])


def test_a_cosignature_says_when_and_is_not_a_signature() -> None:
    signer = SignerKey.new("witness.example")
    checkpoint = Checkpoint("dino.local/x/zones", 7, bytes(32))
    cosigned = Note(checkpoint.text, (signer.cosign(checkpoint.text, 1_795_000_000),))
    assert verify_note(cosigned, [signer.verifier.as_witness()]) == [signer.verifier.as_witness()]
    with pytest.raises(NotSigned):
        verify_note(cosigned, [signer.verifier])


@given(
    origin=st.from_regex(r"[a-z]+\.[a-z]+/[a-z0-9-]{1,20}", fullmatch=True),
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
)
def test_a_checkpoint_keeps_its_form(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert Checkpoint.parse(checkpoint.text + "an extension line\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        "\n5\n" + "A" * 43 + "=\n",
        "origin\n05\n" + "A" * 43 + "=\n",
        "origin\n-5\n" + "A" * 43 + "=\n",
        "origin\n5\nAAAA\n",
        "origin\n5\n" + "A" * 43 + "=",
        "origin\n5\n" + "A" * 42 + "B=\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteInvalid):
        Checkpoint.parse(text)


def test_a_proof_keeps_its_form() -> None:
    signer = SignerKey.new("dino.local/x")
    text = Checkpoint("dino.local/x/zones", 1, bytes(32)).text
    for hashes in ((), (b"\x01" * 32, b"\x02" * 32)):
        proof = Proof(3, b'{"seq":3}', hashes, Note(text, (signer.sign(text),)))
        assert Proof.parse(str(proof)) == proof


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 3", "index 03"),
        ("index 3", "index -3"),
        ("extra ", "extra"),
        ("\n\ndino", "\ndino"),
    ],
)
def test_what_is_not_a_proof_is_refused(old: str, new: str) -> None:
    signer = SignerKey.new("dino.local/x")
    text = Checkpoint("dino.local/x/zones", 4, bytes(32)).text
    proof = str(Proof(3, b'{"seq":3}', (bytes(32),), Note(text, (signer.sign(text),))))
    assert old in proof
    with pytest.raises((NoteInvalid, ProofInvalid)):
        Proof.parse(proof.replace(old, new, 1))
