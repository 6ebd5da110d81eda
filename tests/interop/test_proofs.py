"""What the real `audit` signs, proves, cosigns and exports, checked by the stranger; and his by it."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from pathlib import Path

import pytest
import verifier
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.interop.conftest import (
    Audit,
    all_lines,
    judged_alike,
    more,
    new_key,
    refused,
    signed,
)


def vkey(name: str, private: Ed25519PrivateKey, algorithm: int = 1) -> str:
    material = bytes([algorithm]) + private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(material).decode()}"


def note(text: str, name: str, private: Ed25519PrivateKey) -> str:
    """A signed note by the document alone."""
    key_id = bytes.fromhex(vkey(name, private).split("+")[1])
    signature = base64.b64encode(key_id + private.sign(text.encode())).decode()
    return f"{text}\n\u2014 {name} {signature}\n"


def test_signed_checkpoints_and_their_proofs_hold(audit: Audit, workspace: Path) -> None:
    memory = workspace / "memory"
    more(workspace, 9)
    key = new_key(audit)
    first = signed(audit)["notes"]
    more(workspace, 12)
    second = signed(audit)
    for name, each in second.items():
        verdict = verifier.verify_journal(memory, name, [(each["note"], [key])])
        assert verdict.fault is None
        assert verdict.roots[each["lines"]].hex() == each["root"]
        assert (memory / "checkpoints" / f"{name}.note").read_text() == each["note"]
        assert judged_alike(memory, name).sound
    both = [(first["note"], [key]), (second["notes"]["note"], [key])]
    verdict = verifier.verify_journal(memory, "notes", both)
    assert {size: root.hex() for size, root in verdict.roots.items()} == {
        each["lines"]: each["root"] for each in (first, second["notes"])
    }
    lines = all_lines(memory)
    for seq in (0, 7, len(lines) - 1):
        assert verifier.check_proof(audit("prove", "notes", seq).out, [key]) == lines[seq]
    proof = audit("consistency", "notes", first["lines"]).out
    old, said = verifier.check_consistency(proof, bytes.fromhex(first["root"]), [key])
    assert (old, said.size, said.root.hex()) == (
        first["lines"],
        second["notes"]["lines"],
        second["notes"]["root"],
    )
    assert refused(verifier.check_consistency, proof, bytes(32), [key]) == "forked"
    from_nothing = audit("consistency", "notes", 0).out
    assert verifier.check_consistency(from_nothing, b"", [key]) == (0, said)


def test_a_changed_proof_or_note_is_refused(audit: Audit, workspace: Path) -> None:
    more(workspace, 12)
    key = new_key(audit)
    text = signed(audit)["notes"]["note"]
    proof = audit("prove", "notes", 5).out
    line = verifier.check_proof(proof, [key])
    stranger = vkey("stranger", Ed25519PrivateKey.generate())
    namesake = vkey(key.split("+")[0], Ed25519PrivateKey.generate())
    assert refused(verifier.check_proof, proof, [stranger]) == "unsigned"
    assert refused(verifier.check_proof, proof, [namesake]) == "wrong key"
    assert verifier.check_proof(proof, [stranger, key, namesake]) == line
    hashes = re.findall(r"^[A-Za-z0-9+/]{43}=$", proof.partition("\n\n")[0], re.MULTILINE)
    other = base64.b64encode(line.replace(b'"timestamp":1', b'"timestamp":2')).decode()
    changed = {
        "index": proof.replace("index 5", "index 4"),
        "beyond": proof.replace("index 5", "index 500"),
        "line": re.sub("extra .*", f"extra {other}", proof),
        "hash gone": proof.replace(hashes[0] + "\n", "", 1),
        "hash twice": proof.replace(hashes[0], f"{hashes[0]}\n{hashes[0]}", 1),
        "hashes swapped": proof.replace(hashes[0], "?")
        .replace(hashes[1], hashes[0])
        .replace("?", hashes[1]),
        "version": proof.replace("@v1", "@v2"),
        "size": re.sub(r"/notes\n\d+", "/notes\n400", proof),
    }
    for what, other_proof in changed.items():
        assert other_proof != proof, what
        refused(verifier.check_proof, other_proof, [key])
        (workspace / "changed.tlog-proof").write_text(other_proof)
        assert audit("check", "changed.tlog-proof", "--key", key, code=None).code != 0, what
    assert refused(verifier.open_note, text.replace("/notes", "/votes"), [key]) == "wrong key"


def test_a_witness_cosigns_what_the_stranger_can_check(audit: Audit, workspace: Path) -> None:
    memory, site_b = workspace / "memory", workspace / "site-b"
    (site_b / "skills").mkdir(parents=True)
    (site_b / "config.yaml").write_text("system:\n  name: b\n")
    more(workspace, 9)
    key = new_key(audit)
    mine = signed(audit)["notes"]
    new_key(audit, cwd=site_b)
    witness = audit("witness", "key", cwd=site_b).out.strip()
    audit("witness", "trust", mine["origin"], key, cwd=site_b)
    (workspace / "request").write_text(audit("consistency", "notes", 0).out)
    signatures = audit("cosign", workspace / "request", cwd=site_b).out
    before = verifier.open_note(mine["note"], [key, witness])[1]
    text, signers = verifier.open_note(mine["note"] + signatures, [key, witness])
    assert mine["note"].startswith(text)
    assert before == {key.split("+")[0]: None}
    name = witness.split("+")[0]
    assert signers.keys() == {*before, name}
    assert abs(signers[name] - time.time()) < 60
    assert (
        refused(verifier.open_note, mine["note"] + signatures.replace(" ", "  "), [key])
        == "malformed"
    )
    data = bytearray(base64.b64decode(signatures.split()[2]))
    data[11] ^= 1  # one second later than it was
    other = signatures.replace(signatures.split()[2], base64.b64encode(data).decode())
    assert refused(verifier.open_note, mine["note"] + other, [witness]) == "wrong key"
    audit("witness", "rely", witness)
    (workspace / "answer").write_text(signatures)
    audit("witness", "accept", "notes", workspace / "answer")
    kept = (memory / "checkpoints" / "notes.note").read_bytes().decode()
    assert verifier.open_note(kept, [key, witness])[1] == signers
    for folder in (memory, site_b / "memory"):
        for file in folder.glob("*.head"):
            assert judged_alike(folder, file.stem).sound


# --- the other way round ---------------------------------------------------------------------------


def test_a_checkpoint_and_a_proof_made_by_hand_hold_in_dino(audit: Audit, workspace: Path) -> None:
    memory = workspace / "memory"
    more(workspace, 9, None)
    ours = new_key(audit).split("+")[0]
    private = Ed25519PrivateKey.generate()
    lines = all_lines(memory)[:6]
    leaves = [verifier.leaf_hash(line) for line in lines]
    root = base64.b64encode(verifier.root_of(leaves)).decode()
    said = note(f"{ours}/notes\n6\n{root}\n", "auditor", private)
    (workspace / "by-hand.note").write_bytes(said.encode())
    (workspace / "by-hand.vkey").write_text(vkey("auditor", private) + "\n")
    held = ("notes", "--checkpoint", "by-hand.note", "--key", "by-hand.vkey")
    assert "anchored to line 6 (auditor)" in audit("verify", *held).out
    assert (
        verifier.verify_journal(memory, "notes", [(said, [vkey("auditor", private)])]).fault is None
    )
    # RFC 6962's tree of six: ((0 1)(2 3))(4 5), and the way up from 4.
    path = [leaves[5], verifier.root_of(leaves[:4])]
    hashes = "".join(base64.b64encode(each).decode() + "\n" for each in path)
    extra = base64.b64encode(lines[4]).decode()
    proof = f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex 4\n{hashes}\n{said}"
    assert verifier.check_proof(proof, [vkey("auditor", private)]) == lines[4]
    (workspace / "by-hand.tlog-proof").write_bytes(proof.encode())
    found = audit("check", "by-hand.tlog-proof", "--key", "by-hand.vkey", "--json").json
    assert (found["ok"], found["seq"], found["line"]) == (True, 4, lines[4].decode())


@pytest.mark.parametrize(
    ("size", "root", "kind"), [(6, bytes(32), "forked"), (600, bytes(32), "truncated")]
)
def test_what_was_never_so_is_named_alike(
    audit: Audit, workspace: Path, size: int, root: bytes, kind: str
) -> None:
    more(workspace, 9, None)
    ours = new_key(audit).split("+")[0]
    private = Ed25519PrivateKey.generate()
    said = note(f"{ours}/notes\n{size}\n{base64.b64encode(root).decode()}\n", "auditor", private)
    (workspace / "false.note").write_bytes(said.encode())
    key = vkey("auditor", private)
    verdict = verifier.verify_journal(workspace / "memory", "notes", [(said, [key])])
    assert verdict.fault.kind == kind
    found = audit(
        "verify", "notes", "--checkpoint", "false.note", "--key", key, "--json", code=1
    ).json
    assert found["journals"][0]["verdict"] == kind
