"""A journal's files, changed behind its back: both verifiers judge the folder alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interop.conftest import by_dino, by_document, judged_alike
from tests.interop.hands import (
    body_of,
    following,
    hash_of,
    head_at,
    lines_of,
    packed,
    put,
    put_lines,
    read_head,
    rechained,
    seal,
    unpacked,
    write_head,
)

Copy = Callable[..., Path]
Lines = Callable[[list[bytes]], list[bytes]]
ONE, TWO, THREE, LIVE = (
    "notes.000001.jsonl",
    "notes.000002.jsonl.zst",
    "notes.000003.jsonl",
    "notes.jsonl",
)

# A frame that unpacks to nothing and holds what it likes (RFC 8878, section 3.1.2).
SKIPPABLE = b"\x50\x2a\x4d\x18\x06\x00\x00\x00hidden"


def edit(at: int, old: bytes, new: bytes) -> Lines:
    def change(lines: list[bytes]) -> list[bytes]:
        assert old in lines[at]
        lines[at] = lines[at].replace(old, new, 1)
        return lines

    return change


def resealed(at: int) -> Lines:
    def change(lines: list[bytes]) -> list[bytes]:
        lines[at] = seal(body_of(lines[at]).replace(b'"timestamp":1', b'"timestamp":2'))
        return lines

    return change


LINES: dict[str, Lines] = {
    "a-byte-edited": edit(2, b'"timestamp":1', b'"timestamp":2'),
    "a-hash-edited": lambda lines: [*lines[:2], lines[2][:-3] + b'g"}', *lines[3:]],
    "a-hash-in-capitals": lambda lines: [
        *lines[:2],
        lines[2][:-66] + lines[2][-66:].upper(),
        *lines[3:],
    ],
    "a-parent-edited": edit(2, b'"parent_hash":"', b'"parent_hash":"0'),
    "a-number-edited": edit(2, b'"seq":', b'"seq":1'),
    "the-first-line-edited": edit(0, b'"timestamp":1', b'"timestamp":2'),
    "the-first-line-of-another-type": edit(0, b'"event_type":"', b'"event_type":"x'),
    "the-last-line-edited": edit(-1, b'"timestamp":1', b'"timestamp":2'),
    "a-line-resealed": resealed(2),
    "the-first-line-resealed": resealed(0),
    "the-last-line-resealed": resealed(-1),
    "all-lines-resealed": lambda lines: rechained(resealed(0)(lines)),
    "a-line-removed": lambda lines: lines[:2] + lines[3:],
    "the-first-line-removed": lambda lines: lines[1:],
    "the-last-line-removed": lambda lines: lines[:-1],
    "two-lines-swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "the-first-two-swapped": lambda lines: [lines[1], lines[0], *lines[2:]],
    "all-lines-backwards": lambda lines: lines[::-1],
    "a-line-repeated": lambda lines: [*lines[:2], *lines[1:]],
    "the-last-line-repeated": lambda lines: [*lines, lines[-1]],
    "a-line-inserted": lambda lines: [*lines[:2], seal(b'{"a":1}'), *lines[2:]],
    "a-line-inserted-that-fits": lambda lines: [*lines[:2], following(lines[1]), *lines[2:]],
    "a-line-appended-that-fits": lambda lines: [*lines, following(lines[-1])],
    "an-empty-line": lambda lines: [*lines[:2], b"", *lines[2:]],
    "an-empty-line-in-front": lambda lines: [b"", *lines],
    "an-empty-line-at-the-end": lambda lines: [*lines, b""],
    "carriage-returns": lambda lines: [line + b"\r" for line in lines],
    "a-byte-order-mark": lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]],
    "a-line-split": lambda lines: [*lines[:2], lines[2][:50], lines[2][50:], *lines[3:]],
    "two-lines-joined": lambda lines: [lines[0], lines[1] + lines[2], *lines[3:]],
    "nothing-left": lambda lines: [],
    "one-line-left": lambda lines: lines[:1],
}


def whole(folder: Path) -> list[bytes]:
    return [
        *lines_of(folder / ONE),
        *unpacked(folder / TWO).split(b"\n")[:-1],
        *lines_of(folder / THREE),
        *lines_of(folder / LIVE),
    ]


@pytest.mark.parametrize("file", [ONE, TWO, THREE, LIVE])
@pytest.mark.parametrize("change", LINES.values(), ids=LINES)
def test_lines_changed_in_any_file_are_placed_alike(
    long: Path, copy: Copy, change: Lines, file: str
) -> None:
    folder = copy(long)
    if file == TWO:
        lines = change(unpacked(folder / file).split(b"\n")[:-1])
        put(folder / file, packed(b"".join(line + b"\n" for line in lines)))
    else:
        put_lines(folder / file, change(lines_of(folder / file)))
    assert not judged_alike(folder).sound


@pytest.mark.parametrize("home", [True, False], ids=["home", "copied"])
def test_what_is_left_alone_is_sound_to_both(
    long: Path, short: Path, copy: Copy, home: bool
) -> None:
    assert judged_alike(copy(long, home=home)).sound
    assert judged_alike(copy(short, home=home)).sound


Deed = Callable[[Path], object]


def swap_files(one: str, other: str) -> Deed:
    def deed(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        put(folder / one, second)
        put(folder / other, first)

    return deed


def begin_live(old: bytes, new: bytes) -> Deed:
    """The live file's first line, changed, and all behind it sealed anew; the head fits."""

    def deed(folder: Path) -> None:
        first, *rest = lines_of(folder / LIVE)
        assert old in first
        lines = rechained([seal(body_of(first).replace(old, new, 1)), *rest])
        put_lines(folder / LIVE, lines)
        head = read_head(folder)
        write_head(
            folder, event_hash=hash_of(lines[-1]).decode(), size=head["size"] + len(new) - len(old)
        )

    return deed


def cut(file: str, count: int) -> Deed:
    return lambda folder: put(folder / file, (folder / file).read_bytes()[:-count])


def append(file: str, more: bytes) -> Deed:
    return lambda folder: put(folder / file, (folder / file).read_bytes() + more)


def flip(file: str, at: float) -> Deed:
    def deed(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[int(len(content) * at)] ^= 1
        put(folder / file, bytes(content))

    return deed


def repack(folder: Path, frames: int) -> None:
    content = unpacked(folder / TWO)
    middle = len(content) // 2
    parts = [content] if frames == 1 else [content[:middle], content[middle:]]
    put(folder / TWO, b"".join(map(packed, parts)))


def alone_at(folder: Path, count: int, **members: object) -> None:
    """A head that acknowledges the first *count* lines only."""
    head_at(folder, whole(folder)[:count], **members)


def add_batch(folder: Path, *, arrived: int, boot: str | None = None) -> None:
    """Three lines under way behind the acknowledged end, of which *arrived* are there."""
    lines = whole(folder)
    more = [following(lines[-1])]
    more += [following(more[-1])]
    more += [following(more[-1])]
    size = sum(len(line) + 1 for line in [*lines, *more])
    append(LIVE, b"".join(line + b"\n" for line in more[:arrived]))(folder)
    head_at(folder, lines, pending=size, **({"boot": boot} if boot else {}))


BROKEN: dict[str, Deed] = {
    "first-file-gone": lambda folder: (folder / ONE).unlink(),
    "packed-file-gone": lambda folder: (folder / TWO).unlink(),
    "last-sealed-file-gone": lambda folder: (folder / THREE).unlink(),
    "all-sealed-files-gone": lambda folder: [file.unlink() for file in folder.glob("notes.0*")],
    "live-file-gone": lambda folder: (folder / LIVE).unlink(),
    "live-file-empty": lambda folder: put(folder / LIVE, b""),
    "live-file-empty-and-head-gone": lambda folder: [
        put(folder / LIVE, b""),
        (folder / "notes.head").unlink(),
    ],
    "live-file-is-a-sealed-one": lambda folder: put(folder / LIVE, (folder / THREE).read_bytes()),
    "live-file-is-the-first": lambda folder: put(folder / LIVE, (folder / ONE).read_bytes()),
    "sealed-files-swapped": swap_files(ONE, THREE),
    "sealed-and-live-swapped": swap_files(THREE, LIVE),
    "a-number-skipped": lambda folder: (folder / THREE).rename(folder / "notes.000009.jsonl"),
    "numbers-out-of-order": lambda folder: (folder / ONE).rename(folder / "notes.000003.jsonl"),
    "live-says-another-number": begin_live(b'"segment":4', b'"segment":5'),
    "live-says-a-lower-number": begin_live(b'"segment":4', b'"segment":3'),
    "live-says-the-first": begin_live(b'"segment":4', b'"segment":1'),
    "live-says-no-number": begin_live(b'"segment":4', b'"segment":"4"'),
    "live-says-another-offset": begin_live(b'"offset":', b'"offset":1'),
    "live-says-no-offset": begin_live(b'"offset":', b'"onset":'),
    "live-says-it-is-no-segment": begin_live(b'"segment_started"', b'"noted"'),
    "sealed-cut-in-a-line": cut(ONE, 50),
    "sealed-without-its-last-newline": cut(ONE, 1),
    "last-sealed-cut-in-a-line": cut(THREE, 50),
    "last-sealed-without-its-last-newline": cut(THREE, 1),
    "sealed-with-half-a-line-more": append(THREE, b'{"seq":'),
    "packed-file-cut": cut(TWO, 20),
    "packed-file-cut-by-one-byte": cut(TWO, 1),
    "packed-file-cut-to-its-magic": lambda folder: put(
        folder / TWO, (folder / TWO).read_bytes()[:4]
    ),
    "packed-file-empty": lambda folder: put(folder / TWO, b""),
    "packed-file-rots": flip(TWO, 0.5),
    "packed-file-of-something-else": lambda folder: put(folder / TWO, b"not packed at all"),
    "packed-file-with-more-behind": append(TWO, b"more"),
    "packed-file-with-a-frame-behind": append(TWO, packed(b"more\n")),
    "packed-file-with-hidden-bytes-behind": append(TWO, SKIPPABLE),
    "packed-file-with-half-a-frame-behind": append(TWO, packed(b"more")[:6]),
    "packed-in-two-frames": lambda folder: repack(folder, 2),
    "live-torn": cut(LIVE, 30),
    "live-without-its-last-newline": cut(LIVE, 1),
    "live-with-half-a-line-more": append(LIVE, b'{"seq":'),
    "live-with-zeros-behind": append(LIVE, b"\0" * 100),
    "unacknowledged": lambda folder: alone_at(folder, len(whole(folder)) - 2),
    "nothing-acknowledged": lambda folder: write_head(folder, seq=-1, event_hash=None, size=0),
    "more-acknowledged": lambda folder: head_at(
        folder, [*whole(folder), following(whole(folder)[-1])]
    ),
    "another-line-acknowledged": lambda folder: write_head(folder, event_hash="0" * 64),
    "another-sealed-line-acknowledged": lambda folder: alone_at(folder, 3, event_hash="0" * 64),
    "batch-arrived-in-part-here": lambda folder: add_batch(folder, arrived=2),
    "batch-arrived-here-unacknowledged": lambda folder: add_batch(folder, arrived=3),
    "batch-arrived-in-part-before-the-boot": lambda folder: add_batch(
        folder, arrived=2, boot="earlier"
    ),
}

HARMLESS: dict[str, Deed] = {
    "head-gone": lambda folder: (folder / "notes.head").unlink(),
    "head-unreadable": lambda folder: put(folder / "notes.head", b"\0" * 384),
    "head-empty": lambda folder: put(folder / "notes.head", b""),
    "head-of-an-earlier-boot": lambda folder: alone_at(folder, 5, boot="earlier"),
    "head-of-another-file": lambda folder: alone_at(folder, 5, file="1:1"),
    "head-of-nothing-before-the-boot": lambda folder: write_head(
        folder, seq=-1, event_hash=None, size=0, boot="earlier"
    ),
    "batch-arrived-before-the-boot": lambda folder: add_batch(folder, arrived=3, boot="earlier"),
    "plain-beside-a-bad-packed": lambda folder: put(folder / f"{ONE}.zst", b"bad"),
    "live-has-its-sealed-name-too": lambda folder: (folder / "notes.000004.jsonl").hardlink_to(
        folder / LIVE
    ),
    "sealed-with-a-number-to-come": lambda folder: put(folder / "notes.000007.jsonl", b"bad\n"),
    "packed-anew": lambda folder: repack(folder, 1),
    "names-that-are-nearly-ours": lambda folder: [
        put(folder / name, b"bad\n")
        for name in ("notes.b.jsonl", "notes.1.jsonl", "notes.000001x.jsonl", "xnotes.000001.jsonl")
    ],
    "tail-cut-with-its-head": lambda folder: [
        put_lines(folder / LIVE, lines_of(folder / LIVE)[:-1]),
        head_at(folder, whole(folder)),
    ],
}


@pytest.mark.parametrize("deed", BROKEN.values(), ids=BROKEN)
def test_a_broken_folder_is_refused_by_both(long: Path, copy: Copy, deed: Deed) -> None:
    folder = copy(long)
    deed(folder)
    assert not judged_alike(folder).sound


@pytest.mark.parametrize("deed", HARMLESS.values(), ids=HARMLESS)
def test_what_the_format_allows_is_sound_to_both(long: Path, copy: Copy, deed: Deed) -> None:
    """A tail cut together with its head among them: only a checkpoint held elsewhere shows that."""
    folder = copy(long)
    deed(folder)
    assert judged_alike(folder).sound


Edit = tuple[str, int, int, bytes]
edits: st.SearchStrategy[Edit] = st.tuples(
    st.sampled_from([ONE, TWO, THREE, LIVE, "notes.head"]),
    st.integers(0, 1 << 16),
    st.integers(0, 3) | st.integers(0, 400),
    st.binary(max_size=3) | st.sampled_from([b"\n", b'"', b"}\n{", b"0", b" "]),
)


def make(folder: Path, edits: list[Edit]) -> None:
    for file, at, length, more in edits:
        content = (folder / file).read_bytes()
        begin = at % (len(content) + 1)
        put(folder / file, content[:begin] + more + content[begin + length :])


@given(edit=edits, home=st.booleans())
@settings(max_examples=24)
def test_any_edit_of_any_file_is_placed_alike(
    long: Path, copy: Copy, edit: Edit, home: bool
) -> None:
    folder = copy(long, home=home)
    make(folder, [edit])
    judged_alike(folder)


@given(some=st.lists(edits, min_size=2, max_size=4), home=st.booleans())
@settings(max_examples=24)
def test_whether_edited_files_stand_is_judged_alike(
    long: Path, copy: Copy, some: list[Edit], home: bool
) -> None:
    """Which of several faults is the first is not always for one reader to know."""
    folder = copy(long, home=home)
    make(folder, some)
    assert by_dino(folder, "notes").sound == by_document(folder, "notes").sound
