"""Rotation: one chain through many files, sealed, packed, and every way to break that."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import JournalBroken, JournalError
from engines.journal import START, Journal, RecordedJournal, Rotation, files_of, rotation, verify
from tests.journal.conftest import Forge

SMALL = Rotation(max_bytes=2000)


def grown(path: Path, count: int = 40, *, pack: bool = False) -> list[int]:
    """A journal of *count* notes over several files; what the notes say."""
    journal = Journal(path, rotation=SMALL)
    for number in range(count):
        journal.append("noted", {"n": number})
    if pack:
        journal.compress_sealed()
    journal.close()
    return list(range(count))


def notes(path: Path) -> list[int]:
    return [e["n"] for e in RecordedJournal(path).events() if e["event_type"] == "noted"]


@pytest.mark.parametrize("pack", [False, True])
def test_a_rotated_journal_reads_and_verifies_as_one(path: Path, pack: bool) -> None:
    said = grown(path, pack=pack)
    files = files_of(path)
    assert len(files) > 3
    assert files[0].name == ("notes.000001.jsonl.zst" if pack else "notes.000001.jsonl")
    assert notes(path) == said
    report = verify(path)
    assert report.ok
    assert report.segments == len(files)
    assert [e["seq"] for e in RecordedJournal(path).events()] == list(range(report.lines))


def test_sealed_files_cannot_be_written_by_mistake(path: Path) -> None:
    grown(path)
    assert {file.stat().st_mode & 0o777 for file in files_of(path)[:-1]} == {0o444}


def test_a_live_file_begins_by_saying_which_it_is(path: Path) -> None:
    grown(path)
    first = next(e for e in RecordedJournal(path).events() if e["event_type"] == "segment_started")
    sealed = files_of(path)[0].read_bytes()
    assert (first["segment"], first["offset"]) == (2, len(sealed))
    assert first["seq"] == sealed.count(b"\n")


def test_an_old_live_file_is_sealed_by_its_age(path: Path) -> None:
    now = [1_000_000.0]
    journal = Journal(path, clock=lambda: now[0], rotation=Rotation(None, max_age_s=60))
    journal.append("noted", {"n": 0})
    now[0] += 59
    journal.append("noted", {"n": 1})
    assert len(files_of(path)) == 1
    now[0] += 2
    journal.append("noted", {"n": 2})
    assert len(files_of(path)) == 2
    now[0] -= 10_000  # a clock set back seals nothing and breaks nothing
    journal.append("noted", {"n": 3})
    assert len(files_of(path)) == 2
    assert verify(path).ok


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("count", [1, 5, 30, 1000])
def test_the_tail_reaches_back_through_sealed_files(path: Path, count: int, pack: bool) -> None:
    grown(path, pack=pack)
    events = list(RecordedJournal(path).events())
    assert RecordedJournal(path).tail(count) == events[-count:]


@given(pieces=st.lists(st.integers(1, 12), min_size=1, max_size=8))
@settings(max_examples=15)
def test_reading_can_go_on_from_any_block(new_path: Callable[[], Path], pieces: list[int]) -> None:
    """Across the end of files that were sealed meanwhile."""
    path = new_path()
    journal = Journal(path, rotation=SMALL)
    reader, seen, here = RecordedJournal(path), [], START
    for number, count in enumerate(pieces):
        journal.append_many([("noted", {"n": number, "pad": "x" * 100})] * count)
        for events, behind in reader.read(here):
            seen += [e["seq"] for e in events]
            here = behind
    assert seen == list(range(journal.end.seq))


def test_single_lines_are_found_in_whatever_file(path: Path) -> None:
    grown(path, pack=True)
    whole = RecordedJournal(path)
    lines = [line for block in whole.blocks() for line in block.lines]
    assert [whole.line(seq) for seq in range(len(lines))] == lines
    with pytest.raises(IndexError):
        whole.line(len(lines))


def test_two_writers_notice_each_others_rotation(path: Path) -> None:
    one, other = Journal(path, rotation=SMALL), Journal(path, rotation=SMALL)
    for number in range(40):
        (one if number % 2 else other).append("noted", {"n": number})
    assert notes(path) == list(range(40))
    assert verify(path).ok


def test_packing_is_given_up_where_the_copy_reads_back_differently(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that lies: the plain file stays, nothing half done is left."""
    journal = Journal(path, rotation=SMALL)
    for number in range(20):
        journal.append("noted", {"n": number})
    before = sorted(file.name for file in path.parent.iterdir())

    def lying(fd: int) -> None:
        os.pwrite(fd, b"\0" * 30, 20)

    monkeypatch.setattr(rotation, "sync_data", lying)
    with pytest.raises(OSError, match=r"cannot be unpacked|reads back"):
        journal.compress_sealed()
    assert sorted(file.name for file in path.parent.iterdir()) == before
    assert verify(path).ok


def test_what_one_left_who_died_while_packing_is_in_nobodys_way(path: Path) -> None:
    """Its draft was made ready already, and cannot be written to."""
    said = grown(path)
    draft = path.with_name(".notes.000001.jsonl.zst.tmp")
    draft.write_bytes(b"half")
    draft.chmod(0o444)
    packed = Journal(path)
    with packed.locked():
        packed.compress_sealed()
    assert not draft.exists()
    assert files_of(path)[0].name == "notes.000001.jsonl.zst"
    assert notes(path) == said


@pytest.mark.parametrize("call", ["os.open", "write_all", "sync_data", "os.link", "sync_folder"])
def test_a_rotation_that_fails_leaves_the_live_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The event that made it due is acknowledged all the same; the next commit tries again."""
    journal = Journal(path, rotation=SMALL)
    while journal.end.offset < 1600:
        journal.append("noted", {"n": 0})

    def fault(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"engines.journal.rotation.{call}", fault)
        if call == "os.open":  # only the new file's
            patch.undo()
            patch.setattr(rotation, "start_next", fault)
            patch.setattr("engines.journal.journal.start_next", fault)
        journal.append("noted", {"n": 1})
        journal.append("noted", {"n": 2})
    assert files_of(path) == [path]
    assert notes(path)[-2:] == [1, 2]
    journal.append("noted", {"n": 3})
    assert len(files_of(path)) == 2
    assert verify(path).ok
    assert notes(Path(path))[-3:] == [1, 2, 3]


def test_a_crash_between_the_two_names_changes_nothing(path: Path) -> None:
    """The live file already has its sealed name too: readers and writers go by its number."""
    journal = Journal(path, rotation=None)
    journal.append_many([("noted", {"n": number}) for number in range(5)])
    path.with_name("notes.000001.jsonl").hardlink_to(path)
    path.with_name(".notes.jsonl.next").write_bytes(b"half a li")
    assert notes(path) == list(range(5))
    after = Journal(path, rotation=SMALL)
    for number in range(5, 30):
        after.append("noted", {"n": number})
    assert notes(path) == list(range(30))
    assert len(files_of(path)) > 2
    assert verify(path).ok


# --- tampering with sealed files ---------------------------------------------------------------


def rewrite(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def test_an_edited_line_in_a_sealed_file_is_named_with_file_and_line(
    path: Path, forge: Forge
) -> None:
    grown(path)
    second = files_of(path)[1]
    lines = forge.lines(second)
    before = len(forge.lines(files_of(path)[0]))
    rewrite(second, b"".join([*lines[:3], lines[3].replace(b'"n":', b'"n":1'), *lines[4:]]))
    fault = verify(path).fault
    assert fault is not None
    assert (fault.kind, fault.file, fault.line) == ("edited", "notes.000002.jsonl", 4)
    assert fault.good_lines == before + 3
    with pytest.raises(JournalBroken, match=r"notes\.000002\.jsonl:4: edited"):
        notes(path)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sealed_file_that_is_gone_is_missed(path: Path, jobs: int) -> None:
    grown(path)
    first, second, third, *_ = files_of(path)
    gone = len(second.read_bytes().splitlines())
    second.unlink()
    fault = verify(path, jobs=jobs).fault
    assert fault is not None
    assert (fault.kind, fault.file, fault.line) == ("removed", third.name, 1)
    assert f"{gone} lines missing" in fault.what
    assert fault.good_lines == len(first.read_bytes().splitlines())
    with pytest.raises(JournalBroken, match="in no file"):
        notes(path)


def test_the_first_file_cannot_go_unless_a_line_says_that_it_was_pruned(path: Path) -> None:
    grown(path)
    files_of(path)[0].unlink()
    fault = verify(path).fault
    assert fault is not None
    assert fault.kind == "missing"
    assert "no line says that they were pruned" in fault.what


def test_sealed_files_that_change_places_are_found(path: Path) -> None:
    grown(path)
    first, second = files_of(path)[:2]
    one, other = first.read_bytes(), second.read_bytes()
    rewrite(first, other)
    rewrite(second, one)
    assert not verify(path).ok


@pytest.mark.parametrize("cut", [1, 50])
def test_a_sealed_file_that_was_cut_is_found(path: Path, cut: int) -> None:
    grown(path)
    first = files_of(path)[0]
    rewrite(first, first.read_bytes()[:-cut])
    fault = verify(path).fault
    assert fault is not None
    assert fault.file.startswith("notes.00000")


def test_a_packed_file_that_rots_is_an_error_that_names_it(path: Path) -> None:
    grown(path, pack=True)
    first = files_of(path)[0]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1
    rewrite(first, bytes(content))
    with pytest.raises(JournalError, match=r"notes\.000001\.jsonl\.zst"):
        notes(path)
    fault = verify(path).fault
    assert fault is not None
    assert (fault.kind, fault.file) == ("malformed", first.name)


def test_another_journal_named_alike_is_not_taken_in(path: Path) -> None:
    """`notes.b.jsonl` and `notes.1.jsonl` are not our segments."""
    said = grown(path)
    for name in ("notes.b.jsonl", "notes.1.jsonl", "notes.000001x.jsonl", "other.000001.jsonl"):
        path.with_name(name).write_bytes(b"something else\n")
    assert notes(path) == said
    assert verify(path).ok


def test_several_processes_find_what_one_finds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same report, sound or not, roots included."""
    monkeypatch.setattr(import_module("engines.journal.spanning"), "_WORTH_A_PROCESS", 0)
    grown(path, 200)
    sizes = [0, 1, 7, 100, 150, 205]
    assert verify(path, sizes=sizes, jobs=2) == verify(path, sizes=sizes)
    third = files_of(path)[2]
    rewrite(third, third.read_bytes().replace(b'"n":2', b'"n":3', 1))
    found = verify(path, sizes=sizes, jobs=2)
    assert not found.ok
    assert found == verify(path, sizes=sizes)
