"""A proof holds exactly as it was made: whatever is changed in it, it is no longer accepted."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.audit import NotSigned, Proof, SignerKey, VerifierKey
from engines.errors import DinoError
from engines.merkle import inclusion_proof
from tests.audit.office import Office

SIZE = 23


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    office = Office(tmp_path_factory.mktemp("proofs"))
    office.note(SIZE - 1, text="Grüße von der Mole")
    office.sign()
    return office


def prove(office: Office, seq: int) -> Proof:
    hashes = inclusion_proof(seq, SIZE, office.tree.hash_at)
    return Proof(seq, office.lines()[seq], tuple(hashes), office.sign().note)


@pytest.fixture(scope="module")
def text(office: Office) -> str:
    return str(prove(office, 13))


def accepted(text: str, keys: list[VerifierKey]) -> Proof | None:
    """The proof, if it is accepted; whatever is refused is refused with an error for people."""
    try:
        proof = Proof.parse(text)
        proof.check(keys)
    except DinoError:
        return None
    return proof


@pytest.mark.parametrize("seq", range(SIZE))
def test_every_line_can_be_proved_and_the_proof_keeps_its_form(office: Office, seq: int) -> None:
    proof = prove(office, seq)
    again = Proof.parse(str(proof))
    assert again == proof
    assert again.line == office.lines()[seq]
    checkpoint, signers = again.check([office.signer.verifier])
    assert (checkpoint.size, signers) == (SIZE, [office.signer.verifier])


def test_a_proof_says_nothing_to_who_has_another_key(office: Office, text: str) -> None:
    with pytest.raises(NotSigned):
        Proof.parse(text).check([SignerKey.new("dino.local/other").verifier])
    with pytest.raises(NotSigned, match="another key"):
        Proof.parse(text).check([SignerKey.new(office.signer.name).verifier])


def test_no_changed_byte_is_accepted(office: Office, text: str) -> None:
    """Each byte of it, changed to three others, removed, or doubled."""
    keys, chance, data = [office.signer.verifier], random.Random(7), text.encode()
    tried = 0
    for place in range(len(data)):
        byte = data[place : place + 1]
        others = [bytes([chance.randrange(256)]) for _ in range(2)] + [bytes([byte[0] ^ 1])]
        for new in (*others, b"", byte + byte):
            mutant = (data[:place] + new + data[place + 1 :]).decode("utf-8", "replace")
            if mutant != text:
                tried += 1
                assert accepted(mutant, keys) is None, mutant
    assert tried > 3500


def test_no_part_of_another_proof_is_accepted(office: Office, text: str) -> None:
    """Lines of it swapped, dropped, doubled, or taken from a proof of another line."""
    keys, lines = [office.signer.verifier], text.splitlines(keepends=True)
    others = str(prove(office, 6)).splitlines(keepends=True)
    mutants = {"".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines))}
    # The last is the signature, which says no more where it stands twice.
    mutants |= {"".join([*lines[:i], lines[i], *lines[i:]]) for i in range(len(lines) - 1)}
    mutants |= {
        "".join([*lines[:i], others[j], *lines[i + 1 :]])
        for i in range(len(lines))
        for j in range(len(others))
    }
    for i in range(len(lines)):
        for j in range(i):
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            mutants.add("".join(swapped))
    mutants -= {text, "".join(others)}
    assert len(mutants) > 250
    for mutant in mutants:
        assert accepted(mutant, keys) is None, mutant


@given(data=st.data())
@settings(max_examples=45)
def test_no_mutation_is_accepted(office: Office, text: str, data: st.DataObject) -> None:
    """Pieces cut out, moved or replaced by any text."""
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 60, len(text))))
    new = data.draw(st.one_of(st.text(max_size=20), st.just(text[begin:end][::-1])))
    mutant = text[:begin] + new + text[end:]
    found = accepted(mutant, [office.signer.verifier])
    assert found is None or str(found) == text


@pytest.mark.parametrize(
    "extra",
    ["", "\n", " ", "\n\n", "\ufeff", "\x00"],
)
def test_nothing_can_be_put_behind_or_before_it(office: Office, text: str, extra: str) -> None:
    """But signatures of whom nobody asked about, which change nothing."""
    keys = [office.signer.verifier]
    assert accepted(text, keys) is not None
    if extra:
        assert accepted(text + extra, keys) is None
        assert accepted(extra + text, keys) is None
    stranger = SignerKey.new("stranger.example").sign(Proof.parse(text).note.text).line()
    assert accepted(text + stranger, keys).line == Proof.parse(text).line


def test_a_line_in_another_base64_is_another_line(office: Office, text: str) -> None:
    """Unpadded, URL-safe, or with bits beyond the last byte: one line has one spelling."""
    spelled = text.split("extra ")[1].split("\n", maxsplit=1)[0]
    line = base64.b64decode(spelled)
    for other in (spelled.rstrip("="), f"{spelled}=", base64.b64encode(line + b"\n").decode()):
        if other != spelled:
            assert accepted(text.replace(spelled, other), [office.signer.verifier]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 99999999999999999999\n\na\n1\n\n— a AAAAAAAA\n",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 0\n" + "A\n" * 100_000 + "\na\n",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 0\n\n" + "\n" * 100_000,
        "\udc80" * 50,
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex 0\n\na\udc80\n1\n\n— a AAAAAAAA\n",
        "c2sp.org/tlog-proof@v1\nextra QQ==\nindex ٣\n\na\n1\n\n— a AAAAAAAA\n",
    ],
    ids=range(10),
)
def test_garbage_is_refused_with_a_sentence(office: Office, text: str) -> None:
    assert accepted(text, [office.signer.verifier]) is None


def test_a_note_that_is_not_unicode_is_refused_with_a_sentence(office: Office, text: str) -> None:
    """As a terminal without UTF-8 hands bytes on: with surrogates."""
    for place in ("w-17/notes", "— dino"):
        assert place in text
        assert accepted(text.replace(place, f"\udcff{place}"), [office.signer.verifier]) is None


def test_the_checkpoint_of_another_journal_proves_nothing_here(
    office: Office, tmp_path: Path
) -> None:
    other = Office(tmp_path / "other")
    other.note(SIZE - 1)
    forged = Proof(13, prove(office, 13).line, prove(office, 13).hashes, other.sign().note)
    assert accepted(str(forged), [other.signer.verifier]) is None
