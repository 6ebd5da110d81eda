"""What must hold once an operation met a fault, and what the next process then does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dino_os.auditing import Auditing, Held
from dino_os.workspace import Workspace
from engines.journal import Journal, RecordedJournal, verify
from tests.crash.programs import operations
from tests.crash.programs.operations import APPENDING, OF_A_WORKSPACE


def check_end(operation: str, end: dict[str, Any]) -> None:
    """It succeeded, or says why not: an append in an error of ours, the others in an OSError too."""
    assert end["end"] in {"done", "refused"}, end["what"]
    assert end["end"] == "done" or end["dino"] or operation not in APPENDING, end


def check_after(folder: Path, operation: str, said: list[dict[str, Any]]) -> None:
    """The next process finds what was acknowledged, and does all of it again with success."""
    again: list[dict[str, Any]] = []
    for path in journals(folder):
        before = list(events_of(path))
        Journal(path).append("reopened")
        check_journal(path, before)
    getattr(operations, operation)(folder, say=lambda **m: again.append(m), gate=lambda: None)
    if operation == "pack":
        assert all(s.compressed for s in RecordedJournal(operations.notes_of(folder)).sealed())
    there = Counter(e["event_hash"] for path in journals(folder) for e in events_of(path))
    assert [h for m in [*said, *again] for h in m.get("acked", ()) if there[h] != 1] == []
    if operation in OF_A_WORKSPACE:
        check_signed(folder, [m["signed"] for m in [*said, *again] if "signed" in m])


def journals(folder: Path) -> list[Path]:
    new = folder / "new" / "notes.jsonl"
    return [*Workspace(folder).journals(), *([new] if new.parent.exists() else [])]


def events_of(path: Path) -> Iterable[Any]:
    journal = RecordedJournal(path)
    for events, _ in journal.read(journal.begin()):
        yield from events


def check_journal(path: Path, before: list[Any]) -> None:
    report = verify(path)
    assert report.ok, report.verdict
    events = list(events_of(path))
    assert events[: len(before)] == before
    noted = [event for event in events if event["event_type"] == "noted"]
    assert Counter(e["batch"] for e in noted) == {e["batch"]: e["of"] for e in noted}


def check_signed(folder: Path, handed_out: list[str]) -> None:
    """Every note that anybody got, and every one that is on record, speaks of one history."""
    auditing = Auditing(Workspace(folder))
    notes = [Held(text, auditing.log.keys) for text in handed_out]
    for path in Workspace(folder).journals():
        held = [note for note in notes if f"/{path.stem}\n" in note.text]
        found = auditing.audit(path, held=held)
        assert found.ok, (path.name, found.faults)
        known = [signed.text for signed in auditing.log.of(path.stem)]
        assert all(note.text in known for note in held)
