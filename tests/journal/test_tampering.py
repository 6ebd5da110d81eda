"""Every way to change a journal behind its back is a finding: kind, line, and what still stands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.journal import Journal, verify
from tests.journal.conftest import Forge

Lines = list[bytes]
Tamper = Callable[[Lines], Lines | bytes]


def edit(index: int, old: bytes, new: bytes) -> Tamper:
    def tamper(lines: Lines) -> Lines:
        assert lines[index].count(old) == 1
        return [*lines[:index], lines[index].replace(old, new), *lines[index + 1 :]]

    return tamper


def drop(*indexes: int) -> Tamper:
    return lambda lines: [line for index, line in enumerate(lines) if index not in indexes]


def insert_copy(of: int, at: int) -> Tamper:
    return lambda lines: [*lines[:at], lines[of], *lines[at:]]


def swap(one: int, other: int) -> Tamper:
    def tamper(lines: Lines) -> Lines:
        lines = list(lines)
        lines[one], lines[other] = lines[other], lines[one]
        return lines

    return tamper


def cut(count: int) -> Tamper:
    return lambda lines: b"".join(lines)[:-count]


def append(more: bytes) -> Tamper:
    return lambda lines: [*lines, more]


def new_hash(lines: Lines) -> Lines:
    return [*lines[:4], lines[4][:-67] + b"0" * 64 + lines[4][-3:], *lines[5:]]


def upper_case_hash(lines: Lines) -> Lines:
    return [*lines[:4], lines[4][:-67] + lines[4][-67:-3].upper() + lines[4][-3:], *lines[5:]]


def carriage_returns(lines: Lines) -> Lines:
    return [line.replace(b"\n", b"\r\n") for line in lines]


# A ten-line journal, its head in place: way, kind of the fault, its line, lines that stand.
tamperings = [
    pytest.param(edit(4, b"pump 4", b"pump 5"), "edited", 5, id="one-byte-of-a-payload"),
    pytest.param(edit(0, b"harbour", b"harbouR"), "edited", 1, id="one-byte-of-the-first-line"),
    pytest.param(edit(9, b"pump 9", b"pump 0"), "edited", 10, id="one-byte-of-the-last-line"),
    pytest.param(edit(4, b'"seq":4', b'"seq":3'), "edited", 5, id="number"),
    pytest.param(edit(4, b"noted", b"NOTED"), "edited", 5, id="event-type"),
    pytest.param(edit(4, b"349.25", b"949.25"), "edited", 5, id="timestamp"),
    pytest.param(edit(4, b'"n":4', b'"n":40'), "edited", 5, id="a-byte-more"),
    pytest.param(edit(4, b'"n":4,', b'"n":4,"m":1,'), "edited", 5, id="a-member-more"),
    pytest.param(new_hash, "edited", 5, id="hash"),
    pytest.param(upper_case_hash, "edited", 5, id="hash-in-upper-case"),
    pytest.param(drop(0), "removed", 1, id="first-line-removed"),
    pytest.param(drop(5), "removed", 6, id="middle-line-removed"),
    pytest.param(drop(5, 6, 7), "removed", 6, id="three-lines-removed"),
    pytest.param(drop(9), "truncated", 10, id="last-line-removed"),
    pytest.param(drop(*range(4, 10)), "truncated", 5, id="tail-cut"),
    pytest.param(cut(1), "truncated", 10, id="last-newline-cut"),
    pytest.param(cut(120), "truncated", 10, id="cut-inside-the-last-line"),
    pytest.param(cut(700), "truncated", 8, id="cut-inside-an-earlier-line"),
    pytest.param(lambda lines: b"", "truncated", 1, id="emptied"),
    pytest.param(insert_copy(3, 4), "inserted", 5, id="a-line-twice-in-a-row"),
    pytest.param(insert_copy(2, 7), "inserted", 8, id="a-copy-further-down"),
    pytest.param(insert_copy(9, 10), "inserted", 11, id="the-last-line-twice"),
    pytest.param(insert_copy(0, 10), "inserted", 11, id="the-beginning-again-at-the-end"),
    pytest.param(swap(4, 5), "reordered", 5, id="neighbours-swapped"),
    pytest.param(swap(2, 8), "reordered", 3, id="lines-far-apart-swapped"),
    pytest.param(swap(0, 9), "reordered", 1, id="first-and-last-swapped"),
    pytest.param(append(b"garbage"), "torn", 11, id="garbage-appended"),
    pytest.param(append(b"garbage\n"), "malformed", 11, id="a-line-of-garbage-appended"),
    pytest.param(append(b"\x00" * 512), "torn", 11, id="zeros-appended"),
    pytest.param(append(b"\n"), "malformed", 11, id="blank-line-appended"),
    pytest.param(lambda lines: [b"\n", *lines], "malformed", 1, id="blank-line-in-front"),
    pytest.param(lambda lines: [*lines[:3], b"\n", *lines[3:]], "malformed", 4, id="blank-line"),
    pytest.param(edit(3, b"\n", b""), "malformed", 4, id="two-lines-joined"),
    pytest.param(edit(3, b"\n", b","), "malformed", 4, id="two-lines-joined-by-a-comma"),
    pytest.param(edit(3, b',"n":3', b'\n"n":3'), "malformed", 4, id="a-line-broken-in-two"),
    pytest.param(carriage_returns, "malformed", 1, id="carriage-returns"),
    pytest.param(edit(6, b"\n", b"\r\n"), "malformed", 7, id="one-carriage-return"),
    pytest.param(
        lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]], "malformed", 1, id="byte-order-mark"
    ),
    pytest.param(edit(3, b'"n":3', b'"n":3,"n":3'), "malformed", 4, id="a-name-twice"),
    pytest.param(edit(3, b"pump", b"\\ud800"), "malformed", 4, id="lone-surrogate"),
    pytest.param(edit(3, b"pump", b"\xff\xfe"), "malformed", 4, id="not-utf-8"),
    pytest.param(edit(3, b'{"seq":3,', b'{"seq": 3,'), "malformed", 4, id="white-space"),
    pytest.param(edit(3, b"{", b'{"n":3,'), "malformed", 4, id="payload-before-the-number"),
]


@pytest.mark.parametrize(("tamper", "kind", "line"), tamperings)
def test_verify_finds_every_tampering(
    ten: Path, forge: Forge, tamper: Tamper, kind: str, line: int
) -> None:
    """Any change of the file behind dino's back is a finding that says kind and place."""
    assert verify(ten).ok
    done = tamper(forge.lines(ten))
    ten.write_bytes(done if isinstance(done, bytes) else b"".join(done))
    report = verify(ten)
    assert report.fault is not None
    found = (report.fault.kind, report.fault.line, report.fault.good_lines, report.lines)
    assert found == (kind, line, line - 1, line - 1)
    assert not report.ok
    assert report.head_hash is None
    assert report.as_dict()["fault"]["good_lines"] == line - 1
    assert report.verdict == f"{kind}: {report.fault.what}"


# What a forger does who can compute hashes: only the head outside the file tells.
forgeries = [
    pytest.param("one line resealed", "replaced", 6, 5, id="one-line-with-its-hash"),
    pytest.param("rechained from 4", "replaced", 10, 9, id="rewritten-from-the-middle"),
    pytest.param("rechained from 0", "replaced", 10, 9, id="rewritten-from-the-start"),
    pytest.param("rechained longer", "replaced", 10, 9, id="rewritten-with-longer-lines"),
    pytest.param("last resealed", "replaced", 10, 9, id="last-line-with-its-hash"),
    pytest.param("one more", "unacknowledged", 11, 10, id="well-formed-line-past-the-head"),
    pytest.param("two more and a torn one", "unacknowledged", 11, 10, id="lines-and-a-torn-one"),
]


@pytest.mark.parametrize(("forgery", "kind", "line", "good"), forgeries)
def test_verify_finds_what_the_chain_alone_would_not_show(
    ten: Path, forge: Forge, *, forgery: str, kind: str, line: int, good: int
) -> None:
    """The head remembers which line was acknowledged last, and how far the file reached."""
    lines, size = forge.lines(ten), ten.stat().st_size
    parent = forge.head(ten).event_hash
    one_more = forge.resealed(lines[9], seq=10, parent_hash=parent)
    more_still = forge.resealed(one_more, seq=11, parent_hash=one_more[-67:-3].decode())
    forged = {
        "one line resealed": [*lines[:4], forge.resealed(lines[4], n=5), *lines[5:]],
        "rechained from 4": forge.rechained(lines, 4, n=7),
        "rechained from 0": forge.rechained(lines, 0, origin={"workspace": "w-18"}),
        "rechained longer": forge.rechained(lines, 4, n=7777777),
        "last resealed": [*lines[:9], forge.resealed(lines[9], n=7)],
        "one more": [*lines, one_more],
        "two more and a torn one": [*lines, one_more, more_still, one_more[:-9]],
    }[forgery]
    ten.write_bytes(b"".join(forged))
    assert ten.stat().st_size != size or "more" not in forgery
    report = verify(ten)
    assert report.fault is not None
    assert (report.fault.kind, report.fault.line) == (kind, line)
    assert (report.fault.good_lines, report.lines) == (good, good)


def test_a_deleted_journal_is_missed(ten: Path) -> None:
    """The head remembers that there was one."""
    ten.unlink()
    report = verify(ten)
    assert (report.fault.kind, report.lines) == ("missing", 0)
    assert "10 lines" in report.verdict


def test_a_journal_that_never_was_is_no_finding(path: Path) -> None:
    """There is nothing to verify."""
    with pytest.raises(FileNotFoundError):
        verify(path)


def test_another_journal_under_this_name_is_foreign(ten: Path) -> None:
    """A journal knows its name, even when it comes with its own head."""
    other = ten.with_name("other.jsonl")
    Journal(other).append("noted")
    for suffix in (".jsonl", ".head"):
        other.with_suffix(suffix).replace(ten.with_suffix(suffix))
    report = verify(ten)
    assert (report.fault.kind, report.fault.line, report.lines) == ("foreign", 1, 0)
    assert "'other' under another name" in report.fault.what


@pytest.mark.parametrize("lines", [3, 9, 10, 30])
def test_the_same_journal_of_another_workspace_is_not_taken_for_ours(
    ten: Path, tmp_path: Path, lines: int
) -> None:
    """Copied over ours, shorter or longer, it does not hold the line our head names."""
    theirs = tmp_path / "theirs" / ten.name
    Journal(theirs, origin={"workspace": "another"}).append_many(
        [("noted", {"n": n, "text": "some text of about that length"}) for n in range(lines - 1)]
    )
    ten.write_bytes(theirs.read_bytes())
    report = verify(ten)
    assert report.fault.kind in ({"truncated"} if lines < 9 else {"truncated", "replaced"})
    assert report.origin == {"workspace": "another"}


def test_a_journal_that_does_not_start_at_its_beginning_is_foreign(ten: Path, forge: Forge) -> None:
    """Even where hashes and numbers are right."""
    first = forge.resealed(forge.lines(ten)[1], seq=0, parent_hash=None)
    ten.write_bytes(first)
    ten.with_suffix(".head").unlink()
    report = verify(ten)
    assert (report.fault.kind, report.fault.line) == ("foreign", 1)


def test_an_untouched_journal_is_consistent_and_unanchored(ten: Path) -> None:
    """Without a checkpoint held elsewhere no more is claimed than can be known."""
    report = verify(ten)
    assert (report.ok, report.lines, report.head_kept) == (True, 10, True)
    assert report.head_hash == Journal(ten).tail(1)[0]["event_hash"]
    assert report.verdict == "internally consistent, unanchored"
    assert report.as_dict()["anchored"] is False


def test_without_a_head_the_report_says_so(ten: Path, forge: Forge) -> None:
    """A tail cut together with the head cannot be seen, and no head is claimed to be kept."""
    ten.with_suffix(".head").unlink()
    ten.write_bytes(b"".join(forge.lines(ten)[:7]))
    report = verify(ten)
    assert (report.ok, report.lines, report.head_kept) == (True, 7, False)


# --- every byte ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A journal to be damaged again and again, and its right content."""
    path = tmp_path_factory.mktemp("victim") / "notes.jsonl"
    Journal(path, origin={"workspace": "w"}).append_many(
        [("noted", {"n": n, "x": n / 7, "text": "é🐟\n", "more": [None, True]}) for n in range(3)]
    )
    return path, path.read_bytes()


def overwrite(path: Path, content: bytes) -> None:
    """In place, so that the head stays exact for the file."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def test_no_bit_can_be_flipped_unnoticed(victim: tuple[Path, bytes], chance: Random) -> None:
    """Of every byte of the file some bit: each run draws which."""
    path, content = victim
    survivors = []
    with path.open("r+b") as file:
        for index, byte in enumerate(content):
            bit = chance.randrange(8)
            os.pwrite(file.fileno(), bytes([byte ^ (1 << bit)]), index)
            if verify(path).ok:
                survivors.append((index, bit))
            os.pwrite(file.fileno(), bytes([byte]), index)
    assert survivors == []
    assert verify(path).ok


@settings(max_examples=90)
@given(data=st.data())
def test_no_range_of_bytes_can_be_deleted_unnoticed(
    victim: tuple[Path, bytes], data: st.DataObject
) -> None:
    """Wherever it begins and ends."""
    path, content = victim
    start = data.draw(st.integers(0, len(content) - 1))
    stop = data.draw(st.integers(start + 1, len(content)))
    overwrite(path, content[:start] + content[stop:])
    assert not verify(path).ok
    overwrite(path, content)


@settings(max_examples=60)
@given(data=st.data(), more=st.binary(min_size=1, max_size=200))
def test_no_bytes_can_be_inserted_unnoticed(
    victim: tuple[Path, bytes], data: st.DataObject, more: bytes
) -> None:
    """Wherever, and whatever they are."""
    path, content = victim
    at = data.draw(st.integers(0, len(content)))
    overwrite(path, content[:at] + more + content[at:])
    assert not verify(path).ok
    overwrite(path, content)


def test_no_two_lines_can_be_swapped_unnoticed(victim: tuple[Path, bytes]) -> None:
    """Every pair of them."""
    path, content = victim
    lines = content.splitlines(keepends=True)
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            overwrite(path, b"".join(swap(one, other)(lines)))
            report = verify(path)
            assert (report.fault.kind, report.fault.line) == ("reordered", one + 1)
    overwrite(path, content)
