"""`audit cosign` and `audit witness`: two sites that vouch for each other, by stick."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import Note, SignerKey, VerifierKey, parse_note, parse_signatures, verify_note
from tests.audit.office import ZONE, told
from tests.conftest import Dino


@pytest.fixture
def other(site: Workspace) -> Workspace:
    """Site B, with a key, told to vouch for A."""
    root = site.root / "b"
    root.mkdir()
    (root / "config.yaml").touch()
    other = Workspace(root)
    Auditing(other).new_key(None)
    other.witness.trust(site.origin(), Auditing(site).verifier())
    return other


def test_two_sites_vouch_for_each_other_by_stick(audit: Dino, site: Workspace) -> None:
    """As in the guide: trust, rely, ask, sign, accept; then a rewrite at A would be found at B."""
    b = site.root / "b"
    b.mkdir()
    key = audit("key", "show").out
    (site.root / "a.vkey").write_text(key)
    assert audit("--home", b, "witness", "trust", site.origin(), "a.vkey").out == (
        f"trusted for {site.origin()}\n"
    )
    audit("--home", b, "key", "new")
    (site.root / "b.vkey").write_text(audit("--home", b, "witness", "key").out)
    relied = audit("witness", "rely", "b.vkey", "--json").json
    assert VerifierKey.parse(relied["key"]).algorithm == 4
    (site.root / "request").write_text(audit("consistency", "zones", 0).out)
    signed = audit("--home", b, "cosign", "request").out
    assert len(parse_signatures(signed)) == 1
    (site.root / "sig").write_text(signed)
    accepted = audit("witness", "accept", "zones", "sig", "--json").json
    assert accepted == {"journal": "zones", "cosigned_by": [Workspace(b).origin()]}
    found = audit("verify", "zones", "--json").json["journals"][0]
    assert (found["anchored"], found["anchored_lines"]) == (True, 5)
    seen = audit("--home", b, "witness", "--json").json
    assert seen == {
        "trusted_logs": {site.origin(): [key.strip()]},
        "seen": [{"origin": site.origin("zones"), "lines": 5}],
        "forks": 0,
        "trusted_witnesses": [],
    }
    assert audit("witness", "show", "--json").json["trusted_witnesses"] == [relied["key"]]
    text = audit("--home", b, "witness").out
    assert f"trusted log: {site.origin()} (" in text


def test_the_whole_cosigned_note_is_accepted_as_well(
    audit: Dino, site: Workspace, other: Workspace
) -> None:
    """And a bare note is signed, where it is the first that is seen."""
    site.checkpoints.trust_witness(Auditing(other).verifier().as_witness())
    note = Auditing(site).note_file("zones")
    made = audit("--home", other.root, "cosign", note, "--json").json["signatures"]
    (site.root / "whole").write_text(note.read_text() + made)
    audit("witness", "accept", "zones", "whole")
    kept = parse_note(note.read_text())
    assert verify_note(kept, [Auditing(other).verifier().as_witness()])
    assert len(kept.signatures) == 2


def test_a_fork_is_refused_kept_and_shown(audit: Dino, site: Workspace, other: Workspace) -> None:
    note = Auditing(site).note_file("zones")
    audit("--home", other.root, "cosign", note)
    assert audit("--home", other.root, "witness", "forks").out == "no contradictions\n"
    text = parse_note(note.read_text()).text.splitlines()
    forged = "\n".join([*text[:2], "A" * 43 + "=", ""])
    (site.root / "forged").write_text(str(Note(forged, (Auditing(site).signer().sign(forged),))))
    (site.root / "again").write_text(f"old 5\n\n{(site.root / 'forged').read_text()}")
    error = audit("--home", other.root, "cosign", "again", "--json", code=1).error
    assert (error["code"], "forks" in error["hint"]) == ("fork_found", True)
    (fork,) = audit("--home", other.root, "witness", "forks", "--json", code=1).json["forks"]
    assert fork == {
        "origin": site.origin("zones"),
        "proven": True,
        "held": note.read_text(),
        "submitted": (site.root / "forged").read_text(),
    }
    shown = audit("--home", other.root, "witness", "forks", code=1).out
    assert f"{site.origin('zones')}: forked" in shown
    assert forged in shown
    assert (
        "1 contradiction: `audit witness forks`"
        in audit("--home", other.root, "witness", "show").out
    )


def stale(site: Workspace, other: Workspace) -> str:
    del other
    site.zones.record_event(ZONE, kind="enter")
    Auditing(site).checkpoint(["zones"])
    return Auditing(site).prove_consistency("zones", 0, None)


def no_proof(site: Workspace, other: Workspace) -> str:
    return stale(site, other).replace("old 0\n", "old 5\n")


def bad_hash(site: Workspace, other: Workspace) -> str:
    return stale(site, other).replace("old 0\n", "old 5\nAAAA\n")


def unknown(site: Workspace, other: Workspace) -> str:
    site.journal("runs").append("ran")
    (signed,) = Auditing(site).checkpoint(["runs"])
    return signed.text.replace(site.origin(), "dino.local/x")


def unsigned(site: Workspace, other: Workspace) -> str:
    text = Auditing(site).log.latest_or_raise("zones").note.text
    return str(Note(text, (SignerKey.new("dino.local/x").sign(text),)))


def larger(site: Workspace, other: Workspace) -> str:
    return f"old 6\n\n{Auditing(site).log.latest_or_raise('zones').text}"


REFUSALS: list[tuple[Callable[[Workspace, Workspace], str], str, int]] = [
    (stale, "stale_size", 1),
    (no_proof, "proof_invalid", 1),
    (bad_hash, "proof_invalid", 1),
    (unknown, "unknown_log", 2),
    (unsigned, "not_signed", 1),
    (larger, "invalid_input", 2),
    (lambda site, other: "", "note_invalid", 2),
    (lambda site, other: "old 5\n", "note_invalid", 2),
    (lambda site, other: "old -1\n\nx\n", "note_invalid", 2),
]


@pytest.mark.parametrize(("message", "kind", "code"), REFUSALS)
def test_what_a_witness_does_not_sign_is_told(
    inside: Dino,
    site: Workspace,
    other: Workspace,
    *,
    message: Callable[[Workspace, Workspace], str],
    kind: str,
    code: int,
) -> None:
    inside("--home", other.root, "cosign", Auditing(site).note_file("zones"))
    (site.root / "request").write_text(message(site, other))
    outcome = inside("--home", other.root, "cosign", "request", "--json", code=code)
    assert (outcome.out, outcome.error["code"]) == ("", kind)
    assert Workspace(other.root).witness.size_of(site.origin("zones")) == 5


BAD = {
    "trust-no-key": ("witness trust dino.local/x config.yaml", "not a verifier key"),
    "trust-a-binary-key": ("witness trust dino.local/x binary", "binary"),
    "rely-on-nothing": ("witness rely nothing.vkey", "not a verifier key"),
    "accept-nothing": ("witness accept zones nothing", "cannot be read"),
    "accept-garbage": ("witness accept zones config.yaml", "not a signature line"),
    "accept-for-a-journal-unknown": ("witness accept zone sig", "'zone'"),
    "cosign-binary": ("cosign binary", "not UTF-8"),
    "submit-to-no-address": ("witness submit site-b:7080", "not a witness's address"),
    "submit-to-a-file": ("witness submit file:///etc/passwd", "not a witness's address"),
    "submit-a-journal-unknown": ("witness submit http://127.0.0.1:9 zone", "'zone'"),
    "serve-beyond-ports": ("witness serve --port 65536", "65536"),
    "serve-nowhere": ("witness serve --host 203.0.113.7", "cannot listen"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_told(inside: Dino, site: Workspace, words: str, says: str) -> None:
    (site.root / "binary").write_bytes(bytes(range(256)))
    signature = SignerKey.new("witness.example").cosign("x", 1).line()
    (site.root / "sig").write_text(signature)
    assert says in told(inside(*words.split(), code=2))


def test_signatures_of_nobody_who_is_relied_on_are_not_taken(audit: Dino, site: Workspace) -> None:
    text = site.checkpoints.latest_or_raise("zones").checkpoint.text
    (site.root / "sig").write_text(SignerKey.new("witness.example").cosign(text, 1).line())
    error = audit("witness", "accept", "zones", "sig", "--json", code=1).error
    assert error["code"] == "not_signed"
    assert "witness.example" in error["message"]
