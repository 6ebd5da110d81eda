"""Journals as runs of skills leave them, without the runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from engines.journal import Journal


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def run(
    folder: Path,
    run_id: str,
    *,
    read: dict[str, str] | None = None,
    wrote: dict[str, str] | None = None,
    outcome: str = "ok",
    **more: Any,
) -> None:
    """The lines of one run in `runs.jsonl`; memory by key and value."""
    touched = {
        verb: [["", key, digest(value)] for key, value in (entries or {}).items()]
        for verb, entries in (("read", read), ("wrote", wrote))
    }
    begin = {
        "run_id": run_id,
        "skill": "tide",
        "source_sha256": digest("source"),
        "params_sha256": digest("{}"),
        "permissions": {},
        "timeout_s": 60.0,
        **more,
    }
    end = {
        "run_id": run_id,
        "skill": "tide",
        "outcome": outcome,
        "duration_s": 0.5,
        "result_sha256": digest(run_id) if outcome == "ok" else None,
        "memory": {verb: entries for verb, entries in touched.items() if entries},
    }
    journal = Journal(folder / "memory" / "runs.jsonl", by="ada@terminal")
    journal.append_many([("run_started", begin), ("run_finished", end)])
    journal.close()


def three_runs(folder: Path) -> None:
    """The tide is read, a plan made of it, and a report of that."""
    run(folder, "aa" * 16, wrote={"tide": "low"})
    run(folder, "bb" * 16, read={"tide": "low"}, wrote={"plan": "sail"})
    run(folder, "cc" * 16, read={"plan": "sail", "crew": "Ada"}, wrote={"report": "fine"})
