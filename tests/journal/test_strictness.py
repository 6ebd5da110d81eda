"""Lines with a right hash that are not format 1: one entry per way to spell what is not allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import JournalBroken
from engines.journal import Journal, verify
from tests.journal.conftest import Forge

Spell = Callable[[bytes], bytes]


def edit(old: bytes, new: bytes) -> Spell:
    def spell(body: bytes) -> bytes:
        assert body.count(old) == 1
        return body.replace(old, new)

    return spell


def insert(member: bytes) -> Spell:
    return lambda body: body[:-1] + b"," + member + b"}"


def moved_to_the_front(name: str) -> Spell:
    def spell(body: bytes) -> bytes:
        event = json.loads(body)
        return json.dumps({name: event.pop(name)} | event, separators=(",", ":")).encode()

    return spell


def without(name: str) -> Spell:
    def spell(body: bytes) -> bytes:
        event = json.loads(body)
        del event[name]
        return json.dumps(event, separators=(",", ":")).encode()

    return spell


misspelled = [
    pytest.param(insert(b'"n":5'), "the name 'n' stands twice", id="name-twice"),
    pytest.param(insert(b'"x":{"a":1,"a":1}'), "'a' stands twice", id="name-twice-further-in"),
    pytest.param(insert(b'"seq":5'), "'seq' stands twice", id="reserved-name-twice"),
    pytest.param(insert(b'"event_hash":"x"'), "'event_hash' stands twice", id="two-hashes"),
    pytest.param(insert(b'"x":"\\ud800"'), "lone surrogate", id="lone-surrogate"),
    pytest.param(insert(b'"\\udc00":1'), "lone surrogate", id="lone-surrogate-in-a-name"),
    pytest.param(insert(b'"x":"\xed\xa0\x80"'), "not UTF-8", id="encoded-surrogate"),
    pytest.param(insert(b'"x":"\xff"'), "not UTF-8", id="not-utf-8"),
    pytest.param(insert(b'"x":"\xc0\xaf"'), "not UTF-8", id="overlong-utf-8"),
    pytest.param(insert(b'"x":"\x01"'), "not JSON", id="raw-control-character"),
    pytest.param(insert(b'"x":NaN'), "NaN is not JSON", id="nan"),
    pytest.param(insert(b'"x":-Infinity'), "-Infinity is not JSON", id="minus-infinity"),
    pytest.param(insert(b'"x":1e999'), "not JSON compliant", id="number-too-large"),
    pytest.param(insert(b'"x":01'), "not JSON", id="leading-zero"),
    pytest.param(insert(b'"x":[1,]'), "not JSON", id="trailing-comma"),
    pytest.param(insert(b'"x":"' + b"[" * 3 + b'"]'), "not JSON", id="unbalanced"),
    pytest.param(insert(b'"x":' + b"[" * 5000 + b"]" * 5000), "too deeply", id="nested-too-deeply"),
    pytest.param(insert(b' "x":1'), "white space", id="space"),
    pytest.param(edit(b'"n":5', b'"n":\t5'), "white space", id="tab"),
    pytest.param(insert(b'\r"x":1'), "white space", id="carriage-return-inside"),
    pytest.param(lambda body: b" " + body, "white space", id="space-in-front"),
    pytest.param(lambda body: b"\xef\xbb\xbf" + body, "byte order mark", id="byte-order-mark"),
    pytest.param(moved_to_the_front("n"), "out of order", id="payload-first"),
    pytest.param(moved_to_the_front("parent_hash"), "out of order", id="reserved-reordered"),
    pytest.param(without("timestamp"), "missing or out of order", id="no-timestamp"),
    pytest.param(without("event_type"), "missing or out of order", id="no-event-type"),
    pytest.param(without("parent_hash"), "missing or out of order", id="no-parent"),
    pytest.param(edit(b'"seq":5', b'"seq":5.0'), "wrong type", id="seq-is-a-float"),
    pytest.param(edit(b'"seq":5', b'"seq":"5"'), "wrong type", id="seq-is-text"),
    pytest.param(edit(b'"seq":5', b'"seq":-5'), "wrong type", id="seq-is-negative"),
    pytest.param(edit(b'"noted"', b'["noted"]'), "wrong type", id="type-is-a-list"),
    pytest.param(edit(b'"noted"', b"null"), "wrong type", id="type-is-null"),
    pytest.param(edit(b'"timestamp":', b'"timestamp":[],"t":'), "out of order", id="extra-member"),
    pytest.param(edit(b'350.25,"', b'350.25e0,"'), None, id="another-spelling-of-a-number"),
    pytest.param(insert(b'"x":"\\u0041"'), None, id="escaped-where-not-needed"),
    pytest.param(insert(b'"x":1E2'), None, id="exponent"),
    pytest.param(insert(b'"x":-0'), None, id="minus-zero"),
    pytest.param(insert(b'"x":"\\ud83d\\udc1f"'), None, id="surrogate-pair"),
]


@pytest.mark.parametrize(("spell", "why"), misspelled)
def test_the_right_hash_does_not_excuse_another_form(
    ten: Path, forge: Forge, spell: Spell, why: str | None
) -> None:
    """Format 1 has one form; only other spellings of the same JSON values are accepted."""
    lines = forge.lines(ten)[:6]
    body = lines[5][:-82] + b"}"
    lines[5] = forge.seal(spell(body))
    ten.write_bytes(b"".join(lines))
    ten.with_suffix(".head").unlink()
    report = verify(ten)
    if why is None:
        assert report.ok
        assert len(list(Journal(ten).events())) == 6
        return
    assert report.fault is not None
    assert (report.fault.kind, report.fault.line, report.lines) == ("malformed", 6, 5)
    assert why in report.fault.what


def without_head(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    path.with_suffix(".head").unlink()
    return path


def test_true_is_not_one(ten: Path, forge: Forge) -> None:
    """Python takes them for equal; a journal does not."""
    lines = forge.lines(ten)
    second = forge.seal(lines[1][:-82].replace(b'"seq":1', b'"seq":true') + b"}")
    report = verify(without_head(ten, lines[0], second))
    assert (report.fault.kind, report.fault.line) == ("malformed", 2)


def test_a_timestamp_is_a_number(ten: Path, forge: Forge) -> None:
    """Whatever else stands there would reach an engine that does arithmetic with it."""
    lines = forge.lines(ten)
    second = lines[1][:-82].replace(b'"timestamp":1789412346.25', b'"timestamp":"now"') + b"}"
    report = verify(without_head(ten, lines[0], forge.seal(second)))
    assert (report.fault.kind, report.fault.line) == ("malformed", 2)


def test_no_byte_stands_behind_the_hash(ten: Path, forge: Forge) -> None:
    """A hash before the last member would leave the members behind it bound by nothing."""
    lines = forge.lines(ten)
    tail = b',"n":1}'
    # The reader drops the last 81 bytes before it hashes; make that hash come out right.
    start = lines[1][:-82].replace(b',"n":1', b"")
    cut = 81 - len(b'"' + b"0" * 64 + b'"' + tail)
    name = b',"event_hash":'
    kept, lost = start + name[:-cut], name[-cut:]
    digest = forge.seal(kept + b"}")[-67:-3]
    line = kept + lost + b'"' + digest + b'"' + tail
    assert json.loads(line)["n"] == 1
    report = verify(without_head(ten, lines[0], line + b"\n"))
    assert (report.fault.kind, report.fault.line) == ("malformed", 2)


def test_one_line_is_one_event(ten: Path, forge: Forge) -> None:
    """An event broken in two and two events on one line are faults, even where all hashes fit."""
    birth, second, third, fourth = forge.lines(ten)[:4]
    broken = second[:-82].replace(b',"n":1', b"") + b',"pad":"' + b"x" * 80 + b'"'
    digests = [forge.seal(broken[:-81] + b"}")[-67:-3], forge.seal(b"}")[-67:-3]]
    rest = b'"event_hash":"' + digests[0] + b'"}'
    joined = third[:-82].replace(third[:-82].split(b'"')[11], digests[0])
    joined += b',"event_hash":"' + digests[1] + b'"},'
    joined += fourth[:-82].replace(fourth[:-82].split(b'"')[11], digests[1])
    joined = forge.seal(joined + b"}")
    events = json.loads(b"[" + broken + b"," + rest + b"," + joined + b"]")
    assert [event["seq"] for event in events] == [1, 2, 3]
    assert [event["parent_hash"] for event in events[1:]] == [digest.decode() for digest in digests]
    report = verify(without_head(ten, birth, broken + b"\n", rest + b"\n", joined))
    assert (report.fault.kind, report.fault.line, report.lines) == ("malformed", 2, 1)


@pytest.mark.parametrize("newline", [b"\r\n", b"\n\n", b" \n", b"\x00\n", b"\x0b\n"])
def test_a_line_ends_in_one_newline_and_nothing_else(
    ten: Path, forge: Forge, newline: bytes
) -> None:
    """A carriage return, a blank line, a space or a zero before the next line is a fault."""
    lines = forge.lines(ten)
    lines[3] = lines[3][:-1] + newline
    report = verify(without_head(ten, *lines))
    assert report.fault.kind == "malformed"
    assert report.fault.line == (5 if newline == b"\n\n" else 4)


def test_an_engine_reads_no_line_that_an_audit_would_refuse(ten: Path, forge: Forge) -> None:
    """Reading and verifying take the same path."""
    lines = forge.lines(ten)
    without_head(ten, *lines[:5], lines[5].replace(b'":', b'": ', 1), *lines[6:])
    assert not verify(ten).ok
    with pytest.raises(JournalBroken, match=r":6: malformed: white space"):
        list(Journal(ten).events())
