"""What is refused, not repaired: nothing is added to a journal that lost what was acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engines.errors import JournalBroken
from engines.journal import Journal, verify
from tests.journal.conftest import Forge, Snapshot

Change = Callable[[list[bytes]], list[bytes]]


def zero_line(index: int) -> Change:
    def damage(lines: list[bytes]) -> list[bytes]:
        return [*lines[:index], b"\x00" * (len(lines[index]) - 1) + b"\n", *lines[index + 1 :]]

    return damage


damages = [
    pytest.param(lambda lines: lines[:9], r"truncated: \d+ acknowledged bytes", id="line-removed"),
    pytest.param(lambda lines: [*lines[:9], lines[9][:-1]], "truncated: 1 ack", id="newline-cut"),
    pytest.param(lambda lines: [], "truncated", id="emptied"),
    pytest.param(zero_line(9), "malformed", id="last-line-zeroed"),
    pytest.param(
        lambda lines: [*lines[:9], lines[9].replace(b'"n":9', b'"n":8')],
        ":10: edited",
        id="last-line-edited",
    ),
    pytest.param(lambda lines: [*lines[:8], lines[9], lines[8]], "replaced", id="last-two-swapped"),
]


@pytest.mark.parametrize("same_boot", [True, False], ids=["exact-head", "earlier-boot"])
@pytest.mark.parametrize(("damage", "what"), damages)
def test_nothing_is_added_to_a_journal_whose_acknowledged_end_is_gone(
    ten: Path,
    forge: Forge,
    folder_bytes: Snapshot,
    *,
    damage: Change,
    what: str,
    same_boot: bool,
) -> None:
    """Every append first makes sure that the file ends in the whole line the head names."""
    open_before = Journal(ten)
    open_before.tail(1)
    ten.write_bytes(b"".join(damage(forge.lines(ten))))
    if not same_boot:
        forge.reboot(ten)
    before = folder_bytes(ten)
    for journal in (Journal(ten), open_before):
        with pytest.raises(JournalBroken, match=what):
            journal.append("noted")
        with pytest.raises(JournalBroken):
            journal.tail(3)
    assert folder_bytes(ten) == before


def test_a_bad_line_before_a_good_one_is_refused_without_a_head_too(
    ten: Path, forge: Forge, folder_bytes: Snapshot
) -> None:
    """It is not the mark of a crash."""
    ten.write_bytes(b"".join(zero_line(6)(forge.lines(ten))))
    ten.with_suffix(".head").unlink()
    before = folder_bytes(ten)
    for attempt in (lambda: Journal(ten).append("noted"), lambda: list(Journal(ten).events())):
        with pytest.raises(JournalBroken, match=r"notes\.jsonl:7: malformed"):
            attempt()
    assert folder_bytes(ten) == before


def test_a_deleted_journal_is_not_begun_again(ten: Path) -> None:
    """The head remembers that there was one."""
    ten.unlink()
    for attempt in (
        lambda: Journal(ten).append("noted"),
        lambda: list(Journal(ten).events()),
        lambda: Journal(ten).tail(1),
    ):
        with pytest.raises(JournalBroken, match="missing: the file is gone"):
            attempt()
    assert not ten.exists()


def test_an_open_journal_set_back_to_what_it_wrote_last_is_refused(ten: Path) -> None:
    """The file ends as this object left it, but another writer was acknowledged since."""
    journal = Journal(ten)
    journal.append("noted", {"n": 10})
    kept = ten.read_bytes()
    Journal(ten).append("noted", {"n": 11})
    ten.write_bytes(kept)
    with pytest.raises(JournalBroken, match="truncated"):
        journal.append("noted", {"n": 12})
    assert ten.read_bytes() == kept


def test_an_edited_line_is_named_by_file_and_number(ten: Path, forge: Forge) -> None:
    """So that a person can look at it."""
    lines = forge.lines(ten)
    ten.write_bytes(b"".join([*lines[:3], lines[3].replace(b"pump", b"PUMP"), *lines[4:]]))
    with pytest.raises(
        JournalBroken, match=r"notes\.jsonl:4: edited: .*; 3 lines before"
    ) as broken:
        list(Journal(ten).events())
    assert str(ten) in str(broken.value)
    assert "audit hashchain" in broken.value.hint


def test_a_head_that_names_another_line_is_believed(ten: Path, forge: Forge) -> None:
    """A line of the same size in the place of the acknowledged one is not chained onto."""
    forge.write_head(ten, replace(forge.head(ten), event_hash="0" * 64))
    with pytest.raises(JournalBroken, match=r":10: replaced"):
        Journal(ten).append("noted")
    assert verify(ten).fault.kind == "replaced"
