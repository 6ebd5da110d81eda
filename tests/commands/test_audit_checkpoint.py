"""`audit key` and `audit checkpoint`: who signs, with what, and what the others get to see."""

from __future__ import annotations

import itertools
import stat
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import VerifierKey, parse_note, verify_note
from tests.audit.office import ZONE, told, with_zones
from tests.audit.test_pruning_crashes import Crash, deadly
from tests.conftest import Dino
from tests.journal.conftest import Forge

PASSPHRASE = "correct horse battery staple"
SEALED = {"DINO_KEY_PASSPHRASE": PASSPHRASE}


def test_a_key_is_made_shown_and_replaced(audit: Dino, workspace: Path) -> None:
    """Outside the workspace's memory, for its owner only; the old one is set aside, not lost."""
    with_zones(workspace)
    made = audit("key", "new", "--json").json
    file = Path(made["file"])
    assert file.parent == workspace / "xdg" / "dino" / "keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made["sealed"] is False
    assert audit("key", "show", "--json").json == audit("key", "--json").json == made
    shown = audit("key", "show")
    assert (shown.out, shown.err) == (f"{made['verifier_key']}\n", "")
    assert "there is a key already" in told(audit("key", "new", code=2))
    audit("checkpoint")
    rotated = audit("key", "rotate")
    assert "is not sealed by a passphrase" in rotated.err
    new, old = VerifierKey.parse(rotated.out), VerifierKey.parse(made["verifier_key"])
    assert (new.name, new != old) == (old.name, True)
    assert sorted(f.name for f in file.parent.iterdir()) == [
        file.name,
        f"{file.name}.{old.key_id.hex()}",
    ]
    audit("checkpoint", "zones")
    notes = [signed.note for signed in Workspace(workspace).checkpoints.of("zones")]
    assert [verify_note(note, [old, new]) for note in notes] == [[old], [new]]
    assert audit("verify", "--json").json["ok"]


def test_a_sealed_key_signs_only_with_its_passphrase(audit: Dino, workspace: Path) -> None:
    """Which nothing says again; its public half needs none."""
    with_zones(workspace)
    outcomes = [made := audit("key", "new", "--json", env=SEALED)]
    assert made.json["sealed"] is True
    outcomes.append(audit("key", "show"))
    assert outcomes[-1].out.strip() == made.json["verifier_key"]
    outcomes.append(audit("checkpoint", code=1))
    assert "is sealed" in told(outcomes[-1])
    assert "$DINO_KEY_PASSPHRASE" in outcomes[-1].err
    wrong = audit("checkpoint", "--json", code=1, env={"DINO_KEY_PASSPHRASE": "wrong horse"})
    assert wrong.error["code"] == "wrong_passphrase"
    outcomes += [wrong, signed := audit("checkpoint", "--json", env=SEALED)]
    assert len(signed.json["checkpoints"]) == 2
    assert not any(PASSPHRASE in o.out + o.err or "wrong horse" in o.err for o in outcomes)


def test_how_a_new_key_is_sealed_is_never_asked_in_a_script(audit: Dino) -> None:
    assert "no terminal" in told(audit("key", "new", "--passphrase", code=2))
    assert audit("key", "new", "--no-passphrase", "--json", env=SEALED).json["sealed"] is False


def test_without_a_key_nothing_is_signed(audit: Dino, workspace: Path) -> None:
    """And what makes one is said."""
    with_zones(workspace)
    for words in (("checkpoint",), ("key", "show"), ("key", "rotate"), ("witness", "key")):
        assert "make one: `audit key new`" in told(audit(*words, code=2))
    error = audit("checkpoint", "--json", code=2).error
    assert (error["code"], error["hint"]) == ("not_found", "make one: `audit key new`")
    assert not (workspace / "memory" / "checkpoints").exists()


def test_a_checkpoint_is_a_note_to_hand_on(audit: Dino, workspace: Path) -> None:
    with_zones(workspace)
    key = Auditing(Workspace(workspace)).new_key(None)
    document = audit("checkpoint", "zones", "--json").json
    (made,) = document["checkpoints"]
    assert list(made) == ["journal", "origin", "lines", "root", "note", "file"]
    assert (made["journal"], made["lines"]) == ("zones", 5)
    assert made["origin"] == f"{key.name}/zones"
    assert Path(made["file"]).read_text() == made["note"]
    assert verify_note(parse_note(made["note"]), [key]) == [key]
    assert audit("checkpoint", "zones", "--json").json == document
    text = audit("checkpoint").out
    assert all(name in text for name in ("zones", "checkpoints", made["file"]))
    assert "did you mean 'zones'" in told(audit("checkpoint", "zone", code=2))


def test_there_may_be_nothing_to_sign(audit: Dino, workspace: Path) -> None:
    Auditing(Workspace(workspace)).new_key(None)
    (workspace / "memory" / "checkpoints.jsonl").unlink()
    (workspace / "memory" / "checkpoints.head").unlink()
    # Whoever signs says with which key: that is the first line there is.
    document = audit("checkpoint", "--json").json
    assert [c["journal"] for c in document["checkpoints"]] == ["checkpoints"]


def test_a_fork_is_refused_and_told(audit: Dino, workspace: Path, forge: Forge) -> None:
    """Journals before it in the list were signed; of this one the last note stays."""
    with_zones(workspace, 9)
    auditing = Auditing(Workspace(workspace))
    auditing.new_key(None)
    note = auditing.checkpoint(["zones"])[0].text
    path = workspace / "memory" / "zones.jsonl"
    path.write_bytes(b"".join(forge.rechained(forge.lines(path), 3, note="nobody called")))
    path.with_suffix(".head").unlink()
    (path.with_suffix(".tree") / "0").unlink()
    error = audit("checkpoint", "zones", "--json", code=1).error
    assert error["code"] == "forked"
    assert "audit verify" in error["hint"]
    assert auditing.note_file("zones").read_text() == note


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.mark.parametrize("content", [b"", b"5", b"null", b"\xff\x00", b"{}", b"[" * 10_000])
def test_what_is_not_a_key_is_told(inside: Dino, workspace: Path, content: bytes) -> None:
    with_zones(workspace)
    key = Workspace(workspace).signing_key
    key.parent.mkdir(parents=True)
    key.write_bytes(content)
    assert "not a signing key" in told(inside("checkpoint", code=2))


def test_the_key_lies_where_the_settings_say(audit: Dino, workspace: Path) -> None:
    (workspace / "config.yaml").write_text("security:\n  signing_key: safe/w.key\n")
    assert audit("key", "new", "--json").json["file"] == str(workspace / "safe" / "w.key")
    assert not (workspace / "xdg").exists()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["replace", "hardlink_to", "unlink"])
def test_a_rotation_that_was_interrupted_leaves_a_key_that_signs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """At each change of a name in turn: the old one or the new one, which the record knows."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    site = with_zones(workspace)
    Auditing(site).new_key(None)
    for moment in itertools.count(1):
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, deadly(getattr(Path, step), moment, when))
            try:
                Auditing(Workspace(workspace)).rotate_key(None)
                break
            except Crash:
                pass
        auditing = Auditing(Workspace(workspace))
        assert auditing.verifier() in auditing.log.keys
        site.zones.record_event(ZONE, kind="enter")
        assert [s.journal for s in auditing.checkpoint(["zones"])] == ["zones"]
        assert auditing.audit(workspace / "memory" / "zones.jsonl").ok
    assert Auditing(Workspace(workspace)).verifier() == Workspace(workspace).checkpoints.keys[-1]
    assert moment < 10
