"""A workspace with one order, its task and run, and two cycles: what reports are made of."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from dino_os.auditing import Auditing
from dino_os.workspace import Workspace
from engines.audit import Note, SignerKey, VerifierKey
from engines.audit.archive import pack, unpack
from engines.audit.bundle import MANIFEST, MANIFEST_NOTE, manifest_text, signed_text

RUN, OTHER_RUN = "5" * 32, "6" * 32
TASK = "order:o1:fulfil"
CANARY = "sesame-4711"
HOSTILE = "</code><script>alert(1)</script><img src=http://x.invalid/ onerror=a()>\u202etxt\x07'\"&"

LINES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "runs": [
        (
            "run_started",
            {
                "run_id": RUN,
                "skill": "pack",
                "source_sha256": "ab",
                "params_sha256": "ee",
                "timeout_s": 60,
                "task_id": TASK,
            },
        ),
        ("run_started", {"run_id": OTHER_RUN, "skill": "hello", "source_sha256": "cd"}),
        (
            "run_finished",
            {
                "run_id": RUN,
                "outcome": "ok",
                "duration_s": 1.5,
                "peak_memory_bytes": 9_000_000,
                "memory": {"wrote": [["", "k", "aa"]], "read": [["n", "k", "bb"], "odd"]},
            },
        ),
        ("run_finished", {"run_id": OTHER_RUN, "outcome": "error", "duration_s": 9.0}),
    ],
    "engine_state": [
        ("task_submitted", {"task_id": TASK, "payload": {"note": CANARY}}),
        ("task_submitted", {"task_id": "job:j1@2026-11-01T00:00:00Z"}),
        ("lease_granted", {"session": "s", "tasks": [TASK, "job:j1@2026-11-01T00:00:00Z"]}),
        (
            "task_failed",
            {"task_id": "cycle:1:A", "outcome": "error", "error": {"run_id": OTHER_RUN}},
        ),
    ],
    "orders": [
        ("order_created", {"order_id": "o1", "amount": 1250, "currency": "EUR", "key": "cart"}),
        ("payment_wanted", {"order_id": "o1", "number": 1, "key": "pay-1", "amount": 1250}),
        ("payment_answered", {"order_id": "o1", "number": 1, "state": "confirmed"}),
        ("fulfilment_requested", {"order_id": "o1", "task_id": TASK, "note": HOSTILE}),
        ("order_created", {"order_id": "o2", "amount": 1, "currency": "EUR", "key": "pay-2"}),
    ],
    "sandbox_payments": [
        ("sandbox_entered", {"reference": "sandbox_1", "key": "pay-1"}),
        ("sandbox_entered", {"reference": "sandbox_2", "key": "pay-2"}),
    ],
    "security_log": [
        ("skill_granted", {"entity": "ada", "skill": "pack", "source_sha256": "ab"}),
        ("skill_granted", {"entity": "ada", "skill": "hello", "source_sha256": "cd"}),
        ("run_denied", {"entity": "skill:pack", "source_sha256": "ab"}),
    ],
    "cycles": [
        ("task_planned", {"cycle": 1, "task_id": "A", "agent": "E1", "estimated_effort_hours": 2}),
        ("task_planned", {"cycle": 2, "task_id": "A", "agent": "E1", "estimated_effort_hours": 3}),
        ("cycle_completed", {"cycle": 1, "tasks": 1}),
    ],
    "zones": [
        ("zone_event", {"zone": "Mole", "metadata": {"cycle": 1}}),
        ("zone_event", {"zone": "Mole", "metadata": {"cycle": 2}}),
        ("zone_batch_closed", {"batch": "cycle-1"}),
    ],
    "cycle_runs": [
        ("run_started", {"run": "c0ffee", "name": "duty"}),
        ("run_planned", {"run": "c0ffee", "cycle": 1}),
    ],
    "memory_log": [
        ("memory_added", {"key": "k", "sha256": "aa"}),
        ("memory_added", {"key": "k", "sha256": "bb"}),
        ("memory_changed", {"entries_changed": [{"namespace": "n", "key": "k", "sha256": "bb"}]}),
    ],
    "bus": [
        ("message_published", {"channel": "tea", "message": {"for": "nobody"}}),
        ("message_published", {"channel": "tea", "message": 1, "run": RUN}),
    ],
}


def furnish(root: Path) -> Path:
    """The workspace in *root*, whose key lies within it."""
    (root / "config.yaml").write_text(
        "system:\n  name: 'north <pier>'\nsecurity:\n  signing_key: w.key\n"
    )
    workspace = Workspace(root)
    Auditing(workspace).new_key(None)
    for name, lines in LINES.items():
        workspace.own_journal(name).append_many(lines)
    return root


def key_of(root: Path) -> VerifierKey:
    return Auditing(Workspace(root)).verifier()


def files(report: bytes) -> dict[str, bytes]:
    return {member.name: member.data for member in unpack(report)}


def with_file(report: bytes, name: str, data: bytes | None) -> bytes:
    """The report with one file changed, or without it; its manifest says what it said."""
    found = {**files(report), name: data}
    return pack({name: data for name, data in found.items() if data is not None})


def as_it_was_signed(report: bytes, changed: dict[str, bytes], key: SignerKey) -> bytes:
    """The report with *changed* files, and a manifest by *key* that says they belong there."""
    found = {**files(report), **changed}
    manifest = json.loads(found[MANIFEST])
    manifest["files"] = {
        name: sha256(data).hexdigest()
        for name, data in found.items()
        if name not in {MANIFEST, MANIFEST_NOTE}
    }
    text = manifest_text(manifest)
    signed = signed_text(manifest["origin"], text)
    note = str(Note(signed, (key.sign(signed),))).encode()
    return pack({**found, MANIFEST: text, MANIFEST_NOTE: note})
