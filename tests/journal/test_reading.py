"""Reading: forwards from any place, and backwards from the tail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engines.errors import JournalBroken
from engines.journal import START, Journal, Position
from tests.journal.conftest import Forge, Snapshot

BLOCK = 1 << 16


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of many blocks, some of its lines longer than a block."""
    path = tmp_path_factory.mktemp("long") / "notes.jsonl"
    pads = [1, BLOCK - 200, BLOCK, 5 * BLOCK + 7, *([300] * 400), 17 * BLOCK, 1, 2, 3 * BLOCK]
    Journal(path).append_many([("noted", {"n": n, "pad": "x" * p}) for n, p in enumerate(pads)])
    return path


@pytest.fixture
def big_file(path: Path) -> Path:
    """A journal of many blocks that a test may damage."""
    Journal(path).append_many([("noted", {"n": n, "pad": "x" * 300}) for n in range(2000)])
    return path


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        byte = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 1]), offset)


def test_a_journal_that_was_never_begun_is_empty(path: Path) -> None:
    """Reading it is no error and creates nothing."""
    journal = Journal(path)
    assert list(journal.events()) == []
    assert list(journal.read()) == []
    assert journal.tail(5) == []
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("count", [-1, 0, 1, 2, 3, 4, 5, 100, 408, 409, 410, 10_000])
def test_tail_is_the_end_of_all_events(long_file: Path, count: int) -> None:
    """However many are asked for, and however long the lines."""
    everything = list(Journal(long_file).events())
    assert len(everything) == 410 - 1
    assert Journal(long_file).tail(count) == (everything[-count:] if count > 0 else [])


def test_lines_longer_than_a_block_are_read_whole(long_file: Path) -> None:
    """Every payload comes back with its length, in order."""
    events = [event for event in Journal(long_file).events() if event["event_type"] == "noted"]
    assert [event["n"] for event in events] == list(range(408))
    assert [len(event["pad"]) for event in events[:4]] == [1, BLOCK - 200, BLOCK, 5 * BLOCK + 7]


def test_reading_goes_on_from_the_place_behind_each_block(long_file: Path) -> None:
    """From every position handed out, exactly the rest is read."""
    everything = list(Journal(long_file).events())
    blocks = list(Journal(long_file).read())
    assert len(blocks) > 3
    for events, behind in blocks:
        assert behind.seq == events[-1]["seq"] + 1
        assert behind.parent_hash == events[-1]["event_hash"]
        rest = [event for more, _ in Journal(long_file).read(behind) for event in more]
        assert rest == everything[behind.seq :]


def test_the_end_of_a_journal_is_a_place_to_read_from_later(path: Path) -> None:
    """What was appended since, by anybody, and nothing else."""
    journal = Journal(path)
    journal.append("noted", {"n": 0})
    end = journal.end
    assert list(journal.read(end)) == []
    Journal(path).append_many([("noted", {"n": 1}), ("noted", {"n": 2})])
    ((events, behind),) = journal.read(end)
    assert [event["n"] for event in events] == [1, 2]
    assert behind.offset == path.stat().st_size


@pytest.mark.parametrize("offset", [1, 10, 5000, 300_000])
def test_a_damaged_beginning_does_not_disturb_the_tail(big_file: Path, offset: int) -> None:
    """Only the end of the file is read; a full reading finds the damage."""
    expected = Journal(big_file).tail(20)
    flip(big_file, offset)
    assert Journal(big_file).tail(20) == expected
    with pytest.raises(JournalBroken):
        list(Journal(big_file).events())


@pytest.mark.parametrize("from_end", [2, 40, 70, 200, 900, 1500], ids=lambda n: f"{n}-from-end")
def test_a_damaged_tail_is_never_handed_out(big_file: Path, from_end: int) -> None:
    """Hashes and links of the lines that tail returns are checked."""
    flip(big_file, big_file.stat().st_size - from_end)
    with pytest.raises(JournalBroken, match=str(big_file)):
        Journal(big_file).tail(5)


def test_tail_checks_the_links_among_its_lines(big_file: Path, forge: Forge) -> None:
    """A line exchanged for a well-formed one is found by its neighbour."""
    lines = forge.lines(big_file)
    lines[-3] = forge.resealed(lines[-3], n=7777)
    big_file.write_bytes(b"".join(lines))
    with pytest.raises(JournalBroken, match=r":2000: replaced"):
        Journal(big_file).tail(5)


def test_events_before_the_fault_are_handed_out_and_the_fault_is_named(
    big_file: Path, forge: Forge
) -> None:
    """A reader gets every good line, then the file, the line and the kind."""
    lines = forge.lines(big_file)
    lines[1234] = lines[1234].replace(b'"n":', b'"m":')
    big_file.write_bytes(b"".join(lines))
    seen: list[int] = []
    with pytest.raises(JournalBroken) as broken:  # noqa: PT012  it is raised midway
        for event in Journal(big_file).events():
            seen.append(event["seq"])  # noqa: PERF401  the reading stops in the middle
    assert seen == list(range(1234))
    message = str(broken.value)
    assert f"{big_file}:1235: edited: " in message
    assert "1234 lines before it stand" in message
    assert broken.value.exit_code == 1


def test_a_position_of_another_history_is_refused(ten: Path) -> None:
    """A reader that remembers other lines than are there is told, not fed."""
    stale = Position(3, "0" * 64, sum(map(len, ten.read_bytes().splitlines(keepends=True)[:3])))
    with pytest.raises(JournalBroken, match=r":4: replaced"):
        list(Journal(ten).read(stale))


def test_a_journal_set_back_behind_a_reader_is_refused(ten: Path) -> None:
    """File and head restored from an older copy: what was folded is no longer there."""
    reader = Journal(ten)
    old = {file: file.read_bytes() for file in (ten, ten.with_suffix(".head"))}
    reader.append("noted", {"n": 10})
    *_, (_, behind) = reader.read(START)
    for file, content in old.items():
        file.write_bytes(content)
    with pytest.raises(JournalBroken, match="lines that were read before are gone"):
        list(reader.read(behind))


def test_reading_needs_no_right_to_write(ten: Path, folder_bytes: Snapshot) -> None:
    """Neither file nor head nor folder is touched."""
    head = ten.with_suffix(".head")
    before = (folder_bytes(ten), head.read_bytes(), head.stat().st_mtime_ns)
    journal = Journal(ten)
    assert len(list(journal.events())) == len(journal.tail(100)) == 10
    assert (folder_bytes(ten), head.read_bytes(), head.stat().st_mtime_ns) == before


def test_what_was_staged_is_not_read_before_it_is_committed(path: Path) -> None:
    """Neither by the writer itself nor by anybody else."""
    journal = Journal(path)
    with journal.locked():
        journal.stage("noted", {"n": 1})
        assert list(journal.events()) == []
    assert list(journal.events()) == []
    with journal.locked():
        journal.stage("noted", {"n": 2})
        journal.commit()
    assert [event.get("n") for event in Journal(path).events()] == [None, 2]
