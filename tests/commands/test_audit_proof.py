"""`audit prove`, `check` and `consistency`: a line's presence, shown to who has only a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import SignerKey
from engines.journal import RecordedJournal
from tests.audit.office import ZONE, told, with_zones
from tests.conftest import Dino


@pytest.fixture
def signed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Five lines of zones and seven, each signed; its key lies in a file too."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    site = with_zones(workspace)
    auditing = Auditing(site)
    (workspace / "site.vkey").write_text(f"{auditing.new_key(None)}\n")
    auditing.checkpoint(["zones"])
    site.zones.record_event(ZONE, kind="enter")
    site.zones.record_event(ZONE, kind="exit", note="\u202eü")
    auditing.checkpoint(["zones"])
    return site


def test_a_proof_is_checked_anywhere(audit: Dino, signed: Workspace, tmp_path: Path) -> None:
    """Without workspace or journal; it holds the line itself."""
    made = audit("prove", "zones", 6, "--out", "p")
    assert made.out == ""
    document = audit("prove", "zones", 6, "--json").json
    assert document == {
        "journal": "zones",
        "seq": 6,
        "proof": (signed.root / "p").read_text(),
        "file": None,
    }
    assert audit("prove", "zones", 6).out == document["proof"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    key = (signed.root / "site.vkey").read_text().strip()
    found = audit("check", signed.root / "p", "--key", key, "--json", cwd=elsewhere).json
    assert found == {
        "ok": True,
        "origin": signed.origin("zones"),
        "seq": 6,
        "lines": 7,
        "signed_by": [signed.origin()],
        "line": RecordedJournal(signed.memory / "zones.jsonl").line(6).decode(),
    }
    text = audit("check", "p", "--key", "site.vkey").out
    assert text.startswith(f"ok    line 6 of 7 in {signed.origin('zones')}\n")
    assert "\u202e" not in text  # what a line says does not turn a terminal round


def test_a_proof_that_does_not_hold_exits_1(audit: Dino, signed: Workspace) -> None:
    proof = Auditing(signed).prove("zones", 3)
    (signed.root / "p").write_text(str(proof).replace("index 3", "index 2"))
    error = audit("check", "p", "--key", "site.vkey", "--json", code=1).error
    assert error["code"] == "proof_invalid"
    (signed.root / "p").write_text(str(proof))
    stranger = SignerKey.new("dino.local/other").verifier
    namesake = SignerKey.new(signed.origin()).verifier
    assert audit("check", "p", "--key", stranger, "--json", code=1).error["code"] == "not_signed"
    assert audit("check", "p", "--key", namesake, "--json", code=1).error["code"] == "wrong_key"
    keys = ("--key", stranger, "--key", "site.vkey")
    assert audit("check", "p", *keys, "--json").json["signed_by"] == [signed.origin()]


def test_one_checkpoint_is_shown_to_extend_another(audit: Dino, signed: Workspace) -> None:
    text = audit("consistency", "zones", 5).out
    assert text.startswith("old 5\n")
    assert text.endswith(Auditing(signed).log.latest_or_raise("zones").text)
    assert audit("consistency", "zones", 5, 7).out == text
    document = audit("consistency", "zones", 5, "--out", "c", "--json").json
    assert document == {"journal": "zones", "old_lines": 5, "proof": text, "file": "c"}
    assert (signed.root / "c").read_text() == text
    first = audit("consistency", "zones", 0, 5).out
    assert first == f"old 0\n\n{Auditing(signed).log.of('zones')[0].text}"


BAD = {
    "prove-a-journal-unknown": ("prove zone 1", "did you mean 'zones'"),
    "prove-a-journal-that-was-not-signed": ("prove checkpoints 0", "has no checkpoint"),
    "prove-a-line-too-far": ("prove zones 7", "covers lines 0 to 6"),
    "prove-below-zero": ("prove zones -1", "-1"),
    "prove-another-line": ("prove zones 3 --line config.yaml", "is not line 3"),
    "prove-with-no-file": ("prove zones 3 --line nothing", "nothing: cannot be read"),
    "prove-with-a-binary-line": ("prove zones 3 --line binary", "not UTF-8"),
    "prove-into-a-folder-that-is-not": ("prove zones 3 --out no/p", "no/p: cannot be written"),
    "prove-json-into-no-folder": ("prove zones 3 --json --out no/p", "cannot be written"),
    "check-nothing": ("check nothing --key site.vkey", "nothing: cannot be read"),
    "check-a-folder": ("check . --key site.vkey", "cannot be read"),
    "check-binary": ("check binary --key site.vkey", "not UTF-8"),
    "check-garbage": ("check config.yaml --key site.vkey", "not a proof"),
    "check-stdin": ("check - --key site.vkey", "not a proof"),
    "check-without-key": ("check p", "--key"),
    "check-with-a-binary-key": ("check p --key binary", "binary"),
    "check-with-no-key": ("check p --key nothing.vkey", "not a verifier key"),
    "consistency-too-far": ("consistency zones 8", "fewer than 8"),
    "consistency-without-checkpoint": ("consistency zones 2 6", "no checkpoint of 'zones' has 6"),
    "consistency-backwards": ("consistency zones 7 5", "fewer than 7"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_told(inside: Dino, signed: Workspace, words: str, says: str) -> None:
    """On standard error alone: nothing that looks like a result."""
    (signed.root / "binary").write_bytes(bytes(range(256)))
    (signed.root / "p").write_text(str(Auditing(signed).prove("zones", 3)))
    outcome = inside(*words.split(), code=2)
    if "--json" in words:
        assert outcome.out == ""
        assert says in outcome.error["message"]
    else:
        assert says in told(outcome)
