"""What a crash leaves behind: only an unacknowledged tail is cut, and it is kept aside."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import JournalBroken
from engines.journal import Journal, verify
from tests.journal.conftest import Forge, Snapshot

Change = Callable[[list[bytes]], list[bytes]]


def evidence_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}.unacknowledged-*"))


def next_lines(path: Path, forge: Forge, count: int) -> list[bytes]:
    """Lines that would follow on, as another writer would have written them."""
    line = forge.lines(path)[-1]
    seq, lines = forge.head(path).seq, []
    for number in range(seq + 1, seq + 1 + count):
        line = forge.resealed(line, seq=number, parent_hash=line[-67:-3].decode(), n=number)
        lines.append(line)
    return lines


def add(path: Path, *more: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(more))


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"{", id="one-byte"),
        pytest.param(b'{"seq":10,"event_type":"noted","time', id="half-a-line"),
        pytest.param(b"\x00" * 4096, id="zeros"),
        pytest.param(b"\x00" * 300 + b"\n", id="zeros-and-a-newline"),
        pytest.param(b"\n", id="blank-line"),
        pytest.param(b"not json\nnor this\n", id="garbage-lines"),
        pytest.param(b"x" * 300_000, id="longer-than-a-block"),
    ],
)
def test_an_unacknowledged_tail_is_set_aside_and_reported(
    ten: Path, forge: Forge, left: bytes
) -> None:
    """The bytes become evidence, the journal records it, the caller is told, the chain goes on."""
    before = ten.read_bytes()
    add(ten, left)
    told = []
    journal = Journal(ten, on_recovery=lambda path, found: told.append((path, found)))
    journal.append("noted", {"n": 10})
    (evidence,) = evidence_of(ten)
    digest = hashlib.sha256(left).hexdigest()
    assert evidence.read_bytes() == left
    assert evidence.name == f"notes.unacknowledged-{len(before)}-{digest[:8]}"
    ((where, found),) = told
    assert (where, found.path, found.size, found.sha256) == (ten, evidence, len(left), digest)
    recovered, noted = journal.tail(2)
    assert (recovered["event_type"], noted["n"]) == ("journal_recovered", 10)
    assert recovered["set_aside_bytes"] == len(left)
    assert recovered["set_aside_sha256"] == digest
    assert recovered["kept_in"] == evidence.name
    assert ten.read_bytes().startswith(before)
    assert verify(ten).ok


def test_whole_lines_past_an_exact_head_were_never_acknowledged(ten: Path, forge: Forge) -> None:
    """The head did not move, so nobody was told; they go aside, good as they are."""
    lines = next_lines(ten, forge, 3)
    add(ten, *lines)
    assert len(list(Journal(ten).events())) == 10
    assert Journal(ten).tail(1)[0]["n"] == 9
    Journal(ten).append("noted", {"n": "next"})
    assert evidence_of(ten)[0].read_bytes() == b"".join(lines)
    assert [event.get("n") for event in Journal(ten).tail(3)] == [9, None, "next"]
    assert verify(ten).ok


def test_readers_leave_what_a_crash_left(ten: Path, folder_bytes: Snapshot) -> None:
    """Moving it aside is the next writer's business."""
    add(ten, b'{"seq":10')
    before = folder_bytes(ten)
    assert len(list(Journal(ten).events())) == 10
    assert len(Journal(ten).tail(20)) == 10
    assert verify(ten).fault.kind == "torn"
    assert folder_bytes(ten) == before


def test_recovery_happens_once(ten: Path) -> None:
    """The second opening finds nothing to report."""
    add(ten, b"half a li")
    told = []
    for _ in range(3):
        Journal(ten, on_recovery=lambda *found: told.append(found)).append("noted")
    assert len(told) == 1
    types = [event["event_type"] for event in Journal(ten).events()]
    assert types.count("journal_recovered") == 1


def test_a_torn_beginning_is_set_aside_and_the_journal_begins_anew(path: Path) -> None:
    """Nothing was acknowledged, so there is no chain yet that could record it."""
    path.write_bytes(b'{"seq":0,"event_type":"journal_cr')
    told = []
    Journal(path, on_recovery=lambda *found: told.append(found)).append("noted")
    assert [event["event_type"] for event in Journal(path).events()] == ["journal_created", "noted"]
    assert len(told) == len(evidence_of(path)) == 1
    assert verify(path).ok


def test_an_empty_file_is_a_journal_that_never_began(path: Path) -> None:
    """A writer may have died between creating the file and its first line."""
    path.touch()
    assert list(Journal(path).events()) == []
    Journal(path).append("noted")
    assert verify(path).lines == 2


# --- after a reboot, or in a copy: the head is a lower bound ---------------------------------


def test_whole_lines_past_the_head_of_an_earlier_boot_count(ten: Path, forge: Forge) -> None:
    """The head is not synced: they may well have been acknowledged."""
    add(ten, *next_lines(ten, forge, 3))
    forge.reboot(ten)
    assert [event["seq"] for event in Journal(ten).tail(3)] == [10, 11, 12]
    assert verify(ten).ok
    Journal(ten).append("noted", {"n": "next"})
    assert Journal(ten).tail(1)[0]["seq"] == 13
    assert evidence_of(ten) == []


def test_a_torn_line_past_the_head_of_an_earlier_boot_is_set_aside_alone(
    ten: Path, forge: Forge
) -> None:
    """The whole lines before it count."""
    lines = next_lines(ten, forge, 3)
    add(ten, *lines[:2], lines[2][:-1])
    forge.reboot(ten)
    Journal(ten).append("noted")
    assert evidence_of(ten)[0].read_bytes() == lines[2][:-1]
    types = [event["event_type"] for event in Journal(ten).tail(3)]
    assert types == ["noted", "journal_recovered", "noted"]
    assert verify(ten).ok


@pytest.mark.parametrize(
    "arrived",
    [
        pytest.param(lambda lines: lines[:1], id="its-first-line"),
        pytest.param(lambda lines: lines[:2], id="all-but-its-last-line"),
        pytest.param(lambda lines: [*lines[:2], lines[2][:50]], id="its-last-line-torn"),
        pytest.param(lambda lines: [*lines[:2], lines[2][:-1]], id="its-last-newline-missing"),
        pytest.param(lambda lines: [b"\x00" * len(lines[0]), *lines[1:]], id="a-hole-in-front"),
        pytest.param(
            lambda lines: [lines[0], b"\x00" * len(lines[1]), lines[2]], id="a-hole-in-the-middle"
        ),
        pytest.param(lambda lines: [*lines[:2], b"\x00" * len(lines[2])], id="a-hole-at-the-end"),
    ],
)
def test_a_batch_that_did_not_arrive_whole_is_set_aside_whole(
    ten: Path, forge: Forge, arrived: Change
) -> None:
    """All or none, even when a power cut let its blocks reach the disk in any order."""
    lines, size = next_lines(ten, forge, 3), ten.stat().st_size
    left = b"".join(arrived(lines))
    add(ten, left)
    forge.reboot(ten, pending=size + sum(map(len, lines)))
    assert len(list(Journal(ten).events())) == 10
    Journal(ten).append("noted", {"n": "next"})
    assert evidence_of(ten)[0].read_bytes() == left
    assert [event.get("n") for event in Journal(ten).tail(3)] == [9, None, "next"]
    assert verify(ten).ok


def test_a_batch_that_arrived_whole_counts_with_all_that_follows(ten: Path, forge: Forge) -> None:
    """Its note in the head may outlive it on the disk."""
    lines, size = next_lines(ten, forge, 5), ten.stat().st_size
    add(ten, *lines)
    forge.reboot(ten, pending=size + sum(map(len, lines[:3])))
    assert len(list(Journal(ten).events())) == 15
    Journal(ten).append("noted")
    assert evidence_of(ten) == []


def test_a_hole_behind_which_lines_were_acknowledged_is_refused(
    ten: Path, forge: Forge, folder_bytes: Snapshot
) -> None:
    """A good line after a bad one is not what a crash leaves."""
    lines, size = next_lines(ten, forge, 5), ten.stat().st_size
    add(ten, lines[0], b"\x00" * len(lines[1]), *lines[2:])
    forge.reboot(ten, pending=size + sum(map(len, lines[:3])))
    before = folder_bytes(ten)
    with pytest.raises(JournalBroken, match=r":12: malformed"):
        Journal(ten).append("noted")
    assert folder_bytes(ten) == before


def test_a_copied_workspace_goes_on_where_the_original_was(ten: Path, tmp_path: Path) -> None:
    """The head belongs to another file now, and is still a lower bound."""
    copy = tmp_path / "copy" / ten.name
    copy.parent.mkdir()
    for suffix in (".jsonl", ".head"):
        copy.with_suffix(suffix).write_bytes(ten.with_suffix(suffix).read_bytes())
    Journal(copy).append("noted", {"n": "in the copy"})
    assert (verify(copy).lines, verify(ten).lines) == (11, 10)


# --- the head itself -------------------------------------------------------------------------

lost_heads = [
    pytest.param(lambda head: head.unlink(), id="missing"),
    pytest.param(lambda head: head.write_bytes(b""), id="empty"),
    pytest.param(lambda head: head.write_bytes(head.read_bytes()[:-1]), id="cut"),
    pytest.param(lambda head: head.write_bytes(b"\x00" * 384), id="zeros"),
    pytest.param(
        lambda head: head.write_bytes(head.read_bytes().replace(b'"seq":9', b'"seq":8')),
        id="edited",
    ),
]


@pytest.mark.parametrize("lose", lost_heads)
def test_without_a_trustworthy_head_every_whole_line_counts(
    ten: Path, forge: Forge, lose: Callable[[Path], object]
) -> None:
    """The journal is read from its beginning, and the head is written anew."""
    lose(ten.with_suffix(".head"))
    assert len(list(Journal(ten).events())) == 10
    assert verify(ten).head_kept is False
    add(ten, b"torn")
    Journal(ten).append("noted")
    types = [event["event_type"] for event in Journal(ten).tail(3)]
    assert types == ["noted", "journal_recovered", "noted"]
    report = verify(ten)
    assert (report.ok, report.lines, report.head_kept) == (True, 12, True)
    assert forge.head(ten).seq == 11


def test_bytes_after_the_head_do_not_matter(ten: Path) -> None:
    """Its check covers what is read of it, and what is read is what is written."""
    head = ten.with_suffix(".head")
    head.write_bytes(head.read_bytes() + b"x")
    assert verify(ten).head_kept
    Journal(ten).append("noted")
    report = verify(ten)
    assert (report.ok, report.lines, report.head_kept) == (True, 11, True)


def test_a_head_deleted_under_an_open_journal_is_written_anew(ten: Path) -> None:
    """A lock on a deleted file would exclude nobody."""
    journal = Journal(ten)
    journal.append("noted")
    ten.with_suffix(".head").unlink()
    journal.append("noted")
    Journal(ten).append("noted")
    journal.append("noted")
    report = verify(ten)
    assert (report.ok, report.lines, report.head_kept) == (True, 14, True)
