"""`audit verify`: what it says of a journal, what it finds, and what it cannot be told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import SignerKey
from tests.audit.office import flip, told, with_zones
from tests.conftest import Dino
from tests.journal.conftest import Forge

FORGE = Forge()


@pytest.fixture
def signed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with nine signed lines of zones; its last note and key lie elsewhere too."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(workspace / "xdg"))
    site = with_zones(workspace, 7)
    auditing = Auditing(site)
    (workspace / "site.vkey").write_text(f"{auditing.new_key(None)}\n")
    auditing.checkpoint(["zones"])
    shutil.copy(auditing.note_file("zones"), workspace / "held.note")
    return site


def test_a_sound_journal_says_how_far_it_is_anchored(audit: Dino, signed: Workspace) -> None:
    signed.zones.save_snapshot()
    alone = audit("verify", "zones", "--json").json
    (found,) = alone["journals"]
    assert alone["ok"]
    assert (found["lines"], found["signed_lines"], found["anchored"]) == (9, 9, False)
    assert found["faults"] == []
    held = ("--checkpoint", "held.note", "--key", "site.vkey")
    (found,) = audit("verify", "zones", *held, "--json").json["journals"]
    assert (found["anchored"], found["anchored_lines"]) == (True, 9)
    assert list(found)[:3] == ["journal", "file", "ok"]
    origin = signed.origin()
    assert audit("verify", "zones", *held).out == (
        f"ok      zones: 9 lines, anchored to line 9 ({origin})\n"
    )
    assert "ok      checkpoints: 3 lines, internally consistent" in audit("verify").out


def test_nothing_is_sound_in_an_empty_workspace(audit: Dino) -> None:
    assert audit("verify").out == "no journals yet\n"
    assert audit("verify", "--json").json == {"ok": True, "journals": []}


def edited(memory: Path) -> None:
    lines = FORGE.lines(memory / "zones.jsonl")
    lines[4] = lines[4].replace(b"call 2", b"call 3")
    (memory / "zones.jsonl").write_bytes(b"".join(lines))


def forked(memory: Path) -> None:
    path = memory / "zones.jsonl"
    path.write_bytes(b"".join(FORGE.rechained(FORGE.lines(path), 4, note="nobody")))
    path.with_suffix(".head").unlink()


def cut(memory: Path) -> None:
    path = memory / "zones.jsonl"
    path.write_bytes(b"".join(FORGE.lines(path)[:6]))
    path.with_suffix(".head").unlink()


def gone(memory: Path) -> None:
    (memory / "zones.jsonl").unlink()


def index(memory: Path) -> None:
    flip(memory / "zones.tree" / "0", 40)


def snapshot(memory: Path) -> None:
    Workspace(memory.parent).zones.save_snapshot()
    file = memory / "zones.snapshot"
    file.write_bytes(file.read_bytes().replace(b"call 2", b"call 3"))


FAULTS: list[tuple[Callable[[Path], None], str, str]] = [
    (edited, "edited", "zones.jsonl:5; 4 lines before it stand"),
    (forked, "forked", "zones.jsonl; 4 lines before it stand"),
    (cut, "truncated", "zones.jsonl; 6 lines before it stand"),
    (gone, "missing", "zones.jsonl:1; 0 lines before it stand"),
    (index, "index", "delete zones.tree/"),
    (snapshot, "snapshot", "zones.snapshot; 9 lines before it stand"),
]


@pytest.mark.parametrize(("tamper", "kind", "place"), FAULTS)
def test_every_fault_is_named_with_its_place(
    inside: Dino, signed: Workspace, tamper: Callable[[Path], None], kind: str, place: str
) -> None:
    """And the exit code is 1, however it is asked for."""
    tamper(signed.memory)
    told = inside("verify", "--json", "--jobs", 2, code=1).json
    broken = [journal for journal in told["journals"] if not journal["ok"]]
    assert [journal["journal"] for journal in broken] == ["zones"]
    assert (told["ok"], broken[0]["faults"][0]["kind"]) == (False, kind)
    text = inside("verify", "zones", code=1).out
    assert text.startswith("BROKEN  zones: ")
    assert place in text
    assert f"        {kind}: " in text


@pytest.mark.parametrize(
    ("name", "kind"), [("{origin}", "wrong key"), ("dino.local/other", "unsigned")]
)
def test_a_key_that_did_not_sign_is_a_fault(
    inside: Dino, signed: Workspace, name: str, kind: str
) -> None:
    key = SignerKey.new(name.format(origin=signed.origin())).verifier
    (found,) = inside("verify", "zones", "--key", key, "--json", code=1).json["journals"]
    assert {fault["kind"] for fault in found["faults"]} == {kind}


def test_an_audit_can_begin_later(audit: Dino, signed: Workspace) -> None:
    """At the last checkpoint before that line; what was changed before it is not looked at."""
    edited(signed.memory)
    assert audit("verify", "zones", "--since", 9, "--json").json["ok"]
    assert not audit("verify", "zones", "--since", 8, "--json", code=1).json["ok"]


BAD = {
    "no-note": (("--checkpoint", "nothing.note"), "nothing.note: cannot be read"),
    "a-folder": (("--checkpoint", "."), "cannot be read"),
    "a-binary-note": (("--checkpoint", "binary"), "not UTF-8"),
    "a-garbage-note": (("--checkpoint", "config.yaml"), "not a signed note"),
    "an-empty-note": (("--checkpoint", "-"), "not a signed note"),
    "no-key": (("--key", "x"), "not a verifier key"),
    "a-key-file-with-something-else": (("--key", "config.yaml"), "not a verifier key"),
    "a-binary-key-file": (("--key", "binary"), "not"),
    "a-long-key": (("--key", "k" * 5000), "not a verifier key"),
    "a-journal-unknown": (("zone",), "did you mean 'zones'"),
    "a-line-below-zero": (("--since", "-1"), "--since"),
    "no-processes": (("--jobs", "0"), "--jobs"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_told(
    inside: Dino, signed: Workspace, words: tuple[str, ...], says: str
) -> None:
    (signed.root / "binary").write_bytes(bytes(range(256)))
    assert says in told(inside("verify", *words, code=2))


@pytest.mark.parametrize("journals", [(), ("zones",)])
def test_a_note_that_belongs_to_no_journal_here_is_not_passed_over(
    inside: Dino, signed: Workspace, journals: tuple[str, ...]
) -> None:
    """Whoever brought it must not believe that it was held against anything."""
    stranger = SignerKey.new("dino.local/other")
    held = (signed.root / "held.note").read_text()
    text = held.replace(signed.origin(), stranger.name).partition("\n\n")[0] + "\n"
    (signed.root / "other.note").write_text(f"{text}\n{stranger.sign(text).line()}")
    outcome = inside("verify", *journals, "--checkpoint", "other.note", code=2)
    assert "no journal here is dino.local/other/zones" in told(outcome)


def test_a_last_note_that_was_spoilt_is_told(audit: Dino, signed: Workspace) -> None:
    """It is a copy of what the record has."""
    (signed.memory / "checkpoints" / "zones.note").write_bytes(b"\xff")
    assert "writes it anew" in told(audit("verify", code=2))
    Auditing(signed).checkpoint(["zones"])
    assert audit("verify", "--json").json["ok"]
