"""
Thousands of ways to change a journal behind its back, of every kind and drawn anew by each run: each
is found, and in the right place.

A line that somebody sealed anew, as anybody can who computes hashes, stands by itself; the first
line behind it that does not follow from it tells, and if there is none, the head.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from engines.errors import JournalError
from engines.journal import RecordedJournal, verify
from tests.journal import mutations, victims
from tests.journal.mutations import Change, FileChange, changed, changed_files
from tests.journal.victims import Beginning, Mutation, Victim, beginning

# Kind of change, and how many in a journal of one file and in one of several.
kinds = [
    (mutations.flip_a_bit, 150, 75),
    (mutations.change_a_byte, 150, 75),
    (mutations.insert_bytes, 100, 60),
    (mutations.delete_bytes, 100, 60),
    (mutations.cut, 100, 50),
    (mutations.cut_whole_lines, 25, 35),
    (mutations.append_garbage, 60, 40),
    (mutations.remove_lines, 40, 25),
    (mutations.swap_lines, 75, 30),
    (mutations.duplicate_a_line, 75, 40),
    (mutations.move_a_line, 75, 30),
    (mutations.take_one_from_another_journal, 30, 40),
    (mutations.seal_a_line_anew, 60, 40),
    (mutations.seal_all_from_a_line_on, 60, 40),
    (mutations.append_forged_lines, 50, 35),
]
file_kinds = [
    (mutations.remove_a_file, 8),
    (mutations.empty_a_file, 8),
    (mutations.swap_files, 21),
    (mutations.damage_a_packed_file, 75),
    (mutations.cut_a_packed_file, 50),
    (mutations.append_to_a_packed_file, 50),
    (mutations.pack_a_file_differently, 50),
]


@pytest.fixture(scope="module")
def ground() -> Iterator[Path]:
    """A folder in memory where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def one_file(ground: Path) -> Victim:
    return victims.plain(ground / "plain")


@pytest.fixture(scope="module")
def several_files(ground: Path) -> Victim:
    return victims.rotated(ground / "rotated")


def misses(victim: Victim, found: list[Mutation]) -> list[str]:
    """What verification and reading got wrong of these."""
    wrong = []
    for mutation in found:
        expected = beginning(victim, mutation)
        assert expected is not None
        victim.damage(mutation)
        try:
            wrong += [
                f"{what}; {mutation.files}"[:2000]
                for what in (*told(victim, expected), *read(victim, mutation))
            ]
        finally:
            victim.restore(mutation)
    assert verify(victim.path).ok
    return wrong


def told(victim: Victim, expected: Beginning) -> Iterator[str]:
    report = verify(victim.path)
    fault = report.fault
    if fault is None:
        yield f"not found: {expected}"
        return
    place = fault.file or victim.path.name, fault.line
    if place not in expected.places or {fault.good_lines, report.lines} != {expected.good_lines}:
        yield f"found {fault} ({report.lines} lines), not {expected}"


def read(victim: Victim, mutation: Mutation) -> Iterator[str]:
    """Lines handed out are those that were written, or the error comes behind them."""
    lines: list[bytes] = []
    try:
        for block in RecordedJournal(victim.path).blocks():
            lines += [line + b"\n" for line in block.lines]
    except JournalError:
        whole = zip(lines, victim.lines, strict=False)
        if any(line != right and line not in mutation.forged for line, right in whole):
            yield "an altered line was handed out"
        return
    if lines != victim.lines:
        yield f"{len(lines)} lines were read without an error"


@pytest.mark.parametrize(("change", "count"), [kind[:2] for kind in kinds])
def test_no_change_of_a_journal_goes_unnoticed(
    one_file: Victim, chance: Random, change: Change, count: int
) -> None:
    found = list(changed(one_file, change, count, chance))
    assert len(found) == count
    assert misses(one_file, found) == []


@pytest.mark.parametrize(("change", "count"), [kind[::2] for kind in kinds])
def test_no_change_of_a_sealed_file_goes_unnoticed(
    several_files: Victim, chance: Random, change: Change, count: int
) -> None:
    """Plain or packed, and of the live one behind them."""
    found = list(changed(several_files, change, count, chance))
    assert len(found) == count
    assert misses(several_files, found) == []


@pytest.mark.parametrize(("change", "count"), file_kinds)
def test_no_change_of_the_files_goes_unnoticed(
    several_files: Victim, chance: Random, change: FileChange, count: int
) -> None:
    found = list(changed_files(several_files, change, count, chance))
    assert len(found) == count
    assert misses(several_files, found) == []
