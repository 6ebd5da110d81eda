"""One line that is not as it should be, in a chain that is whole: both verifiers must see it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interop.conftest import judged_alike
from tests.interop.hands import body_of, head_at, lines_of, put_lines, rechained, seal

Copy = Callable[..., Path]
Change = Callable[[bytes], bytes]
LAST = b',"text":"pump 3 is back","n":0}'


def swap(old: bytes, new: bytes) -> Change:
    def change(body: bytes) -> bytes:
        assert old in body
        return body.replace(old, new, 1)

    return change


def payload(more: bytes) -> Change:
    """The second line's payload, replaced by *more*."""
    return swap(LAST, b"," + more + b"}")


def member(name: bytes, value: bytes) -> Change:
    """The value of a reserved member, replaced."""

    def change(body: bytes) -> bytes:
        found = re.search(rb'"' + name + rb'":("[^"]*"|[^,]*)', body)
        assert found
        return body[: found.start(1)] + value + body[found.end(1) :]

    return change


def without(name: bytes) -> Change:
    def change(body: bytes) -> bytes:
        begin = body.index(b'"' + name + b'"')
        return body[:begin] + body[body.index(b",", begin) + 1 :]

    return change


def place(folder: Path, index: int, change: Change) -> int:
    """Change one line's body, seal the chain and the head anew, and say which line it is."""
    lines = lines_of(folder / "notes.jsonl")
    lines[index] = seal(change(body_of(lines[index])))
    lines = [*lines[:index], *rechained(lines[index:])]
    put_lines(folder / "notes.jsonl", lines)
    head_at(folder, lines)
    return index + 1


FAULTS = {
    "name-twice": payload(b'"a":1,"a":1'),
    "name-twice-by-escape": payload(b'"a":1,"\\u0061":1'),
    "name-twice-below": payload(b'"x":[{"a":{"b":1,"b":2}}]'),
    "reserved-name-in-the-payload": payload(b'"seq":1'),
    "event-hash-twice": payload(b'"event_hash":"' + b"0" * 64 + b'"'),
    "space": swap(b'"seq":1', b'"seq": 1'),
    "space-below": payload(b'"a":[1, 2]'),
    "tab": swap(b'{"seq"', b'{\t"seq"'),
    "space-in-front": swap(b"{", b" {"),
    "carriage-return": payload(b'"a":1\r'),
    "byte-order-mark": swap(b"{", b"\xef\xbb\xbf{"),
    "bad-utf8": payload(b'"a":"\xff"'),
    "overlong-utf8": payload(b'"a":"\xc0\xaf"'),
    "surrogate-as-utf8": payload(b'"a":"\xed\xa0\x80"'),
    "half-a-pair": payload(b'"a":"\\ud83e"'),
    "other-half-of-a-pair": payload(b'"a":"\\udd95 "'),
    "half-a-pair-as-a-name": payload(b'"\\ud83e":1'),
    "half-a-pair-below": payload(b'"a":[{"b":"\\ud83e"}]'),
    "nan": payload(b'"a":NaN'),
    "infinity": payload(b'"a":-Infinity'),
    "number-that-is-infinite": payload(b'"a":1e999'),
    "leading-zero": payload(b'"a":01'),
    "leading-plus": payload(b'"a":+1'),
    "bare-point": payload(b'"a":1.'),
    "hexadecimal": payload(b'"a":0x1'),
    "single-quotes": payload(b"'a':1"),
    "trailing-comma": payload(b'"a":[1,]'),
    "control-character": payload(b'"a":"\x01"'),
    "bad-escape": payload(b'"a":"\\x41"'),
    "array": lambda body: b"[" + body[1:-1] + b"]",
    "second-object": lambda body: body[:-1] + b"},{}",
    "seq-true": swap(b'"seq":1', b'"seq":true'),
    "seq-float": swap(b'"seq":1', b'"seq":1.0'),
    "seq-text": swap(b'"seq":1', b'"seq":"1"'),
    "seq-negative": swap(b'"seq":1', b'"seq":-1'),
    "seq-ahead": swap(b'"seq":1', b'"seq":2'),
    "seq-behind": swap(b'"seq":1', b'"seq":0'),
    "timestamp-text": member(b"timestamp", b'"0"'),
    "timestamp-true": member(b"timestamp", b"true"),
    "timestamp-null": member(b"timestamp", b"null"),
    "timestamp-infinite": member(b"timestamp", b"1e999"),
    "type-empty": swap(b'"noted"', b'""'),
    "type-with-a-space": swap(b'"noted"', b'"not ed"'),
    "type-with-a-digit-first": swap(b'"noted"', b'"1noted"'),
    "type-with-a-newline": swap(b'"noted"', b'"noted\\n"'),
    "type-too-long": swap(b'"noted"', b'"' + b"n" * 65 + b'"'),
    "type-not-ascii": swap(b'"noted"', '"notéd"'.encode()),
    "type-number": swap(b'"noted"', b"7"),
    "type-null": member(b"event_type", b"null"),
    "parent-null": member(b"parent_hash", b"null"),
    "parent-number": member(b"parent_hash", b"0"),
    "parent-false": member(b"parent_hash", b"false"),
    "parent-of-nothing": member(b"parent_hash", b'"' + b"0" * 64 + b'"'),
    "parent-in-capitals": lambda body: re.sub(
        rb'(?<="parent_hash":")[0-9a-f]+', lambda found: found[0].upper(), body
    ),
    "no-seq": without(b"seq"),
    "no-type": without(b"event_type"),
    "no-timestamp": without(b"timestamp"),
    "no-parent": without(b"parent_hash"),
    "payload-in-front": swap(b'{"seq"', b'{"a":1,"seq"'),
    "payload-between": swap(b'"timestamp"', b'"a":1,"timestamp"'),
    "too-deep": payload(b'"a":' + b"[" * 100_000 + b"]" * 100_000),
    "digits-beyond-reading": payload(b'"a":' + b"9" * 5000),
}

SPELLINGS = {
    "nothing-but-the-reserved": swap(LAST, b"}"),
    "escaped-letters": payload(b'"\\u0061":"\\u00e9\\/\\ud83e\\udd95"'),
    "escaped-reserved-name": swap(b'"seq"', b'"\\u0073eq"'),
    "escaped-type": swap(b'"noted"', b'"n\\u006fted"'),
    "white-space-in-text": payload(b'"a b":" \\r\\n\\t : , "'),
    "quotes-and-backslashes": payload(b'"a\\"\\\\":"\\\\\\" : "'),
    "odd-numbers": payload(b'"a":[-0,1E5,1e+05,0.10,1.0e-400,123456789012345678901234567890]'),
    "one-name-in-two-objects": payload(b'"a":{"n":1},"b":{"n":1},"n":1'),
    "reserved-name-below": payload(b'"a":{"seq":1,"event_hash":"x"}'),
    "byte-order-mark-in-text": payload('"a":"\ufeff"'.encode()),
    "delete-and-separators-in-text": payload('"a":"\x7f\x85\u2028\u00a0"'.encode()),
    "time-whole": member(b"timestamp", b"0"),
    "time-negative": member(b"timestamp", b"-1e3"),
    "time-backwards": member(b"timestamp", b"5.5"),
    "type-of-64": swap(b'"noted"', b'"' + b"n" * 64 + b'"'),
    "type-with-all-it-may-have": swap(b'"noted"', b'"_Az09_.-"'),
    "deep": payload(b'"a":' + b"[" * 200 + b"]" * 200),
    "parent-escaped": lambda body: re.sub(
        rb'(?<="parent_hash":")[0-9a-f]', lambda found: b"\\u00%02x" % ord(found[0]), body
    ),
}

BIRTHS = {
    "of-another-type": swap(b'"journal_created"', b'"journal_begun"'),
    "of-another-journal": swap(b'"journal":"notes"', b'"journal":"zones"'),
    "of-no-journal": without(b"journal"),
    "of-format-2": swap(b'"format":1', b'"format":2'),
    "of-format-true": swap(b'"format":1', b'"format":true'),
    "of-no-format": without(b"format"),
    "of-no-origin": without(b"origin"),
    "of-origin-text": swap(b'"origin":{"name":"test"}', b'"origin":"test"'),
    "of-no-id": lambda body: re.sub(rb',"id":"[^"]*"', b"", body),
    "with-a-parent": member(b"parent_hash", b'"' + b"0" * 64 + b'"'),
    "numbered-1": swap(b'"seq":0', b'"seq":1'),
}


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
def test_a_line_that_breaks_the_form_is_refused_by_both(
    short: Path, copy: Copy, change: Change
) -> None:
    """Its hash fits, all that follow fit it, and the head fits too: only its form is wrong."""
    folder = copy(short)
    line = place(folder, 1, change)
    found = judged_alike(folder)
    assert not found.sound
    assert found.line == line


@pytest.mark.parametrize("change", SPELLINGS.values(), ids=SPELLINGS)
def test_another_spelling_of_the_form_is_taken_by_both(
    short: Path, copy: Copy, change: Change
) -> None:
    folder = copy(short)
    place(folder, 1, change)
    assert judged_alike(folder).sound


@pytest.mark.parametrize("change", BIRTHS.values(), ids=BIRTHS)
def test_a_first_line_that_is_not_this_journals_is_refused_by_both(
    short: Path, copy: Copy, change: Change
) -> None:
    folder = copy(short)
    place(folder, 0, change)
    found = judged_alike(folder)
    assert (found.sound, found.line) == (False, 1)


SCRAPS = [
    b"",
    b" ",
    b"\xff",
    b'"',
    b"\\",
    b"0",
    b"e",
    b",",
    b"}",
    b"\r",
    b"\\ud800",
    b"[",
    b"\0",
    b"-",
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab\u00e9\\", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    value=json_values,
    ascii_only=st.booleans(),
    edit=st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.sampled_from(SCRAPS)),
)
@settings(max_examples=30)
def test_bytes_put_into_a_payload_make_both_say_the_same(
    short: Path, copy: Copy, value: object, ascii_only: bool, edit: tuple[int, int, bytes]
) -> None:
    """The chain fits whatever was put there, so the form alone decides."""
    text = json.dumps({"v": value}, ensure_ascii=ascii_only, separators=(",", ":")).encode()[1:-1]
    at, cut, scrap = edit
    at %= len(text) + 1
    folder = copy(short)
    place(folder, 1, payload(text[:at] + scrap + text[at + cut :]))
    judged_alike(folder)
