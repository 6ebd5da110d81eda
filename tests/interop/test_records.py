"""What the real `audit` records, exports and prunes, read by the stranger."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import verifier

from engines.journal import verify
from tests.interop.conftest import (
    HERE,
    Audit,
    all_lines,
    by_dino,
    judged_alike,
    more,
    new_key,
    refused,
    signed,
)
from tests.interop.hands import lines_of


def test_an_endorsed_key_can_be_followed_from_the_first(audit: Audit, workspace: Path) -> None:
    more(workspace, 3)
    keys = [new_key(audit), new_key(audit, "rotate"), new_key(audit, "rotate")]
    signed(audit)
    events = [json.loads(line) for line in lines_of(workspace / "memory" / "checkpoints.jsonl")]
    introduced = [event for event in events if event["event_type"] == "key_introduced"]
    assert [event["key"] for event in introduced] == keys
    assert introduced[0]["endorsement"] is None
    for before, event in zip(keys, introduced[1:], strict=False):
        assert verifier.open_note(event["endorsement"], [before])[0] == f"{event['key']}\n"
    last = [event for event in events if event["event_type"] == "checkpoint_signed"][-1]
    assert verifier.open_note(last["note"], keys[2:])
    assert refused(verifier.open_note, last["note"], keys[:2]) == "wrong key"


def test_what_was_signed_is_recorded_as_the_document_says(audit: Audit, workspace: Path) -> None:
    memory = workspace / "memory"
    more(workspace, 9)
    key = new_key(audit)
    signed(audit)
    events = [json.loads(line) for line in lines_of(memory / "checkpoints.jsonl")]
    event = next(
        e for e in events if e["event_type"] == "checkpoint_signed" and e["journal"] == "notes"
    )
    lines = all_lines(memory)
    assert event["size"] == len(lines)
    assert event["offset"] == sum(len(line) + 1 for line in lines)
    assert event["head_hash"] == json.loads(lines[-1])["event_hash"]
    text, _ = verifier.open_note(event["note"], [key])
    assert text == f"{event['origin']}\n{event['size']}\n{event['root']}\n"
    leaves = (memory / "notes.tree" / "0").read_bytes()
    assert leaves == b"".join(map(verifier.leaf_hash, lines))


def test_an_exported_folder_verifies_alone(audit: Audit, workspace: Path, tmp_path: Path) -> None:
    more(workspace, 20)
    key = new_key(audit)
    signed(audit)
    audit("export", tmp_path / "out")
    memory = next((tmp_path / "out").rglob("notes.jsonl")).parent
    said = next((tmp_path / "out").rglob("notes.note"))

    def run() -> int:
        program = [sys.executable, str(HERE / "verifier.py"), str(memory), "notes", str(said), key]
        return subprocess.run(program, capture_output=True, check=False).returncode

    assert judged_alike(memory).sound
    assert run() == 0
    lines = lines_of(memory / "notes.jsonl")
    (memory / "notes.jsonl").chmod(0o644)
    (memory / "notes.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    (memory / "notes.head").unlink(missing_ok=True)
    assert judged_alike(memory).sound  # nobody can tell, without the note
    assert run() == 1


def test_a_pruned_journal_is_held_against_what_was_signed(audit: Audit, workspace: Path) -> None:
    memory = workspace / "memory"
    more(workspace, 30)
    key = new_key(audit)
    before = signed(audit)["notes"]
    lines = all_lines(memory)
    audit("prune", "notes", "--before-line", 12)
    more(workspace, 3)
    after = signed(audit)["notes"]
    assert len(all_lines(memory)) < after["lines"]
    statements = [(each["note"], [key]) for each in (before, after)]
    verdict = verifier.verify_journal(memory, "notes", statements)
    assert verdict.fault is None
    assert (verdict.lines, verdict.roots[after["lines"]].hex()) == (after["lines"], after["root"])
    assert by_dino(memory, "notes").sound
    (workspace / "kept").write_bytes(lines[3] + b"\n")
    proof = audit("prove", "notes", 3, "--line", workspace / "kept").out
    assert verifier.check_proof(proof, [key]) == lines[3]
    index = memory / "notes.tree" / "0"
    index.write_bytes(bytes(32) + index.read_bytes()[32:])
    assert verifier.verify_journal(memory, "notes", statements).fault.kind == "forked"


def test_the_root_of_a_pruned_journal_is_told_truly_or_not_at_all(
    audit: Audit, workspace: Path
) -> None:
    path = workspace / "memory" / "notes.jsonl"
    more(workspace, 30)
    new_key(audit)
    signed(audit)
    audit("prune", "notes", "--before-line", 12)
    said = signed(audit)["notes"]
    told = verify(path, sizes=[said["lines"]]).roots.get(said["lines"])
    assert told in {None, bytes.fromhex(said["root"])}
