"""Two processes at one moment, brought about at will: neither takes from the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engines.journal import Journal, RecordedJournal, Rotation, verify
from engines.journal.head import HeadFile
from tests.crash import strace
from tests.crash.nursery import Nursery
from tests.crash.programs import operations
from tests.crash.strace import Call

READS: dict[str, Callable[[RecordedJournal], Any]] = {
    "events": lambda journal: [e["event_hash"] for e in journal.events()][:5],
    "tail": lambda journal: bool(journal.tail(5)),
    "length": lambda journal: journal.length() >= 20,
    "line": lambda journal: journal.line(3),
}


@pytest.mark.parametrize("read", READS)
def test_a_reader_whom_a_rotation_overtakes_is_told_of_no_fault(
    path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """It has opened the live file, and before it reads the head the file is sealed."""
    writer = Journal(path)
    for number in range(20):
        writer.append("noted", {"n": number})
    expected = READS[read](RecordedJournal(path))
    read_head = HeadFile.read

    def overtaken(head: HeadFile) -> Any:
        monkeypatch.undo()
        with writer.locked():
            writer.rotate()
        writer.append("noted")
        return read_head(head)

    monkeypatch.setattr(HeadFile, "read", overtaken)
    assert READS[read](RecordedJournal(path)) == expected


@pytest.mark.skipif(bool(strace.why_not()), reason=strace.why_not())
def test_a_packer_that_is_killed_takes_nothing_from_another_that_packs_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: Nursery
) -> None:
    """It dies in its first write, when the other has read its own copy back and found it good."""
    operations.prepare_journal(tmp_path)
    path = operations.notes_of(tmp_path)
    lines = verify(path).lines
    chmod = Path.chmod

    def meanwhile(file: Path, mode: int) -> None:
        monkeypatch.undo()
        other = nursery.start("operations", "pack", tmp_path, stopped=True)
        strace.inject(other, tmp_path / "log", Call("write", 1, ""), "signal=KILL")
        chmod(file, mode)

    monkeypatch.setattr(Path, "chmod", meanwhile)
    journal = Journal(path, rotation=Rotation())
    with journal.locked():
        pass
    journal.compress_sealed()
    report = verify(path)
    assert report.ok, report.verdict
    assert report.lines == lines + 1


def test_two_that_pack_the_same_file_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one finds done by the other is done."""
    operations.prepare_journal(tmp_path)
    path = operations.notes_of(tmp_path)
    journals = [Journal(path), Journal(path)]
    for journal in journals:
        with journal.locked():
            pass
    chmod = Path.chmod

    def meanwhile(file: Path, mode: int) -> None:
        monkeypatch.undo()
        journals[1].compress_sealed()
        chmod(file, mode)

    monkeypatch.setattr(Path, "chmod", meanwhile)
    journals[0].compress_sealed()
    assert all(sealed.compressed for sealed in journals[0].sealed())
    assert verify(path).ok


LOOKS: dict[str, Callable[[Path], Any]] = {
    "verify": lambda path: verify(path).ok,
    "events": lambda path: len(list(RecordedJournal(path).events())),
    "tail": lambda path: RecordedJournal(path).tail(100),
    "line": lambda path: RecordedJournal(path).line(6),
    "begin": lambda path: RecordedJournal(path).begin(),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("moment", [1, 2])
def test_a_reader_finds_every_file_while_another_packs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, moment: int
) -> None:
    """Whichever listing of the folder it has just made."""
    operations.prepare_journal(tmp_path)
    path = operations.notes_of(tmp_path)
    packer = Journal(path)
    with packer.locked():
        pass
    expected = LOOKS[look](path)
    glob, listings = Path.glob, []

    def overtaken(folder: Path, pattern: str) -> Any:
        found = list(glob(folder, pattern))
        listings.append(pattern)
        if len(listings) == moment:
            monkeypatch.undo()
            packer.compress_sealed()
        return iter(found)

    monkeypatch.setattr(Path, "glob", overtaken)
    assert LOOKS[look](path) == expected
