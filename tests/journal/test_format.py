"""Format 1: what a line is, and which payloads become one."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import InvalidInput
from engines.journal import Journal, verify
from tests.journal.conftest import Snapshot

RESERVED = ("seq", "event_type", "timestamp", "parent_hash", "event_hash")
HASH_MEMBER = re.compile(rb',"event_hash":"([0-9a-f]{64})"')

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**200), max_value=2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
payloads = st.dictionaries(st.text().filter(lambda key: key not in RESERVED), values, max_size=6)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth - 1):
        value = [value]
    return value


def payload_of(event: dict) -> dict:
    return {key: value for key, value in event.items() if key not in RESERVED}


def test_a_line_verifies_with_nothing_but_sha256(ten: Path) -> None:
    """Cut the hash member out, hash what remains: it is that hash and the next line's parent."""
    parent = None
    for number, line in enumerate(ten.read_bytes().splitlines()):
        member = list(HASH_MEMBER.finditer(line))[-1]
        rest = line[: member.start()] + line[member.end() :]
        event = json.loads(line)
        assert hashlib.sha256(rest).hexdigest() == member[1].decode()
        assert line == rest[:-1] + member[0] + b"}"
        assert (event["seq"], event["parent_hash"]) == (number, parent)
        parent = event["event_hash"]


def test_every_line_is_compact_and_in_the_documented_order(ten: Path) -> None:
    """Reserved members first, payload between, hash last; no space, one newline at the end."""
    content = ten.read_bytes()
    assert content.endswith(b"}\n")
    for line in content.splitlines():
        event = json.loads(line)
        assert list(event)[:4] == ["seq", "event_type", "timestamp", "parent_hash"]
        assert list(event)[-1] == "event_hash"
        assert json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() == line


def test_the_first_event_says_where_the_journal_belongs(ten: Path) -> None:
    """It is `journal_created` with name, format, origin and a random id, and has no parent."""
    first = json.loads(ten.read_bytes().splitlines()[0])
    assert first["event_type"] == "journal_created"
    assert first["parent_hash"] is None
    assert (first["journal"], first["format"]) == ("notes", 1)
    assert first["origin"] == {"workspace": "w-17", "name": "harbour"}
    assert re.fullmatch("[0-9a-f]{32}", first["id"])


def test_no_line_of_one_journal_fits_another(tmp_path: Path) -> None:
    """Two journals with the same origin, clock and events share no hash."""
    hashes = []
    for name in ("a", "b"):
        folder = tmp_path / name
        journal = Journal(folder / "notes.jsonl", origin={"workspace": "w"}, clock=lambda: 1.0)
        journal.append_many([("noted", {"n": n}) for n in range(3)])
        hashes.append({event["event_hash"] for event in journal.events()})
    assert hashes[0].isdisjoint(hashes[1])


@given(payload=st.dictionaries(st.text().filter(lambda key: key not in RESERVED), scalars))
@settings(max_examples=18)
def test_an_event_is_handed_out_as_it_will_be_read(
    tmp_path_factory: pytest.TempPathFactory, payload: dict
) -> None:
    """The same members in the same order, with values of the same types."""
    path = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    journal = Journal(path, clock=lambda: 1.5)
    written = journal.append("noted", payload)
    (_, read) = journal.events()
    assert repr(written) == repr(read)


def test_an_origin_may_be_asked_for_when_it_is_needed(path: Path) -> None:
    """A function given as origin is called once, by the event that creates the journal."""
    asked = []
    journal = Journal(path, origin=lambda: asked.append(1) or {"workspace": "late"})
    assert asked == []
    journal.append("noted")
    journal.append("noted")
    assert asked == [1]
    assert verify(path).origin == {"workspace": "late"}


def test_who_wrote_is_recorded_with_every_event(path: Path) -> None:
    """`by` stands in the payload, in the journal's own events too."""
    Journal(path, by="ada@terminal").append("noted")
    assert [event["by"] for event in Journal(path).events()] == ["ada@terminal"] * 2


@dataclass
class Rich:
    x: int = 1


refused = [
    *(pytest.param({name: 1}, "reserved name", id=f"reserved-{name}") for name in RESERVED),
    pytest.param({"x": math.nan}, "x: nan is not a finite number", id="nan"),
    pytest.param({"x": [1, {"y": math.inf}]}, r"x\[1\].y: inf", id="infinity-deep-inside"),
    pytest.param({"x": -math.inf}, "-inf is not a finite number", id="minus-infinity"),
    pytest.param({"x": None, "y": math.nan}, "y: nan is not", id="nan-beside-none"),
    pytest.param({"x": "null", "y": [None, -math.inf]}, r"y\[1\]: -inf", id="infinity-beside-null"),
    pytest.param({"x": math.nan, "big": 2**70}, "not a JSON value", id="nan-beside-a-big-integer"),
    pytest.param({"x": "\ud800"}, "lone surrogate", id="lone-surrogate"),
    pytest.param({"\udfff": 1}, "lone surrogate", id="lone-surrogate-in-a-key"),
    pytest.param({"x": {1: 2}}, "x: the key 1 is not text", id="number-as-key"),
    pytest.param({"x": [{None: 2}]}, "key None is not text", id="none-as-key"),
    pytest.param({"x": {True: 2}}, "key True is not text", id="boolean-as-key"),
    pytest.param({"x": b"bytes"}, "not a JSON value", id="bytes"),
    pytest.param({"x": {1, 2}}, "not a JSON value", id="set"),
    pytest.param({"x": datetime(2026, 1, 1, tzinfo=UTC)}, "not a JSON value", id="datetime"),
    pytest.param({"x": Rich()}, "not a JSON value", id="dataclass"),
    pytest.param({"x": nested(255)}, "nested more than 254 deep", id="nested-too-deeply"),
    pytest.param({"x": nested(900)}, "nested more than 254 deep", id="nested-far-too-deeply"),
]


@pytest.mark.parametrize(("payload", "why"), refused)
def test_what_is_not_json_is_refused_and_nothing_is_written(
    ten: Path, folder_bytes: Snapshot, payload: dict, why: str
) -> None:
    """The error says what and where; the files stay as they were."""
    before = folder_bytes(ten)
    with pytest.raises(InvalidInput, match=why) as refusal:
        Journal(ten).append("noted", payload)
    assert refusal.value.exit_code == 2
    assert folder_bytes(ten) == before
    assert verify(ten).ok


def test_a_refused_first_event_creates_no_journal(path: Path) -> None:
    """The beginning is not written for an event that was not accepted."""
    with pytest.raises(InvalidInput):
        Journal(path).append("noted", {"x": math.nan})
    assert not path.exists()


def test_one_bad_event_refuses_its_whole_batch(ten: Path, folder_bytes: Snapshot) -> None:
    """All or none."""
    before = folder_bytes(ten)
    with pytest.raises(InvalidInput):
        Journal(ten).append_many([("noted", {"n": 1}), ("noted", {"n": math.inf})])
    assert folder_bytes(ten) == before


@pytest.mark.parametrize(
    "event_type",
    ["", "1st", "a b", "a\n", "é", "x" * 65, '"', "a/b"],
    ids=["empty", "digit-first", "space", "newline", "accent", "too-long", "quote", "slash"],
)
def test_an_event_type_is_a_plain_name(path: Path, event_type: str) -> None:
    """Anything else is refused, so that types can be methods, file names and filters."""
    with pytest.raises(InvalidInput, match="not a name for an event type"):
        Journal(path).append(event_type)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.1 + 0.2, id="shortest-digits"),
        pytest.param(5e-324, id="smallest"),
        pytest.param(1.7976931348623157e308, id="largest"),
        pytest.param(1e22, id="whole"),
        pytest.param(123456789012345680.0, id="large-whole"),
        pytest.param(2**53 + 1, id="beyond-double"),
        pytest.param(2**63, id="beyond-int64"),
        pytest.param(2**64, id="beyond-uint64"),
        pytest.param(-(2**63) - 1, id="below-int64"),
        pytest.param(10**400, id="beyond-any-float"),
        pytest.param("\u2028\u2029\x85\x00\x7f\ufeff", id="odd-separators-and-controls"),
        pytest.param("line\r\nbreak\tand \\ \" '", id="escapes"),
        pytest.param("漁港 🐟 e\u0301 \U0010ffff", id="unicode"),
        pytest.param('","event_hash":"' + "0" * 64 + '"}', id="looks-like-a-hash-member"),
        pytest.param(nested(254), id="as-deep-as-allowed"),
        pytest.param({"": {"": [[], {}, None]}}, id="empty-names-and-containers"),
        pytest.param({"seq": 1, "event_hash": "x"}, id="reserved-names-further-in"),
    ],
)
def test_a_value_comes_back_as_it_was_written(path: Path, value: object) -> None:
    """From `append`, from `tail`, and from a reader that folds everything."""
    journal = Journal(path)
    written = journal.append("noted", {"value": value})
    assert (written["value"], type(written["value"])) == (value, type(value))
    assert Journal(path).tail(1) == [written]
    assert list(Journal(path).events())[-1] == written
    assert verify(path).ok


def test_minus_zero_keeps_its_sign(path: Path) -> None:
    """Equality would not show it."""
    assert math.copysign(1, Journal(path).append("noted", {"x": -0.0})["x"]) == -1
    assert math.copysign(1, Journal(path).tail(1)[0]["x"]) == -1


@settings(deadline=None, max_examples=45)
@given(bodies=st.lists(payloads, min_size=1, max_size=4))
def test_any_json_payload_survives_append_read_and_verify(
    new_path: Callable[[], Path], bodies: list[dict]
) -> None:
    """What was returned is what is read, and what is read is what was given."""
    path = new_path()
    written = Journal(path).append_many([("noted", body) for body in bodies])
    read = list(Journal(path).events())[1:]
    assert read == written
    assert [payload_of(event) for event in read] == bodies
    assert Journal(path).tail(len(bodies)) == written
    report = verify(path)
    assert (report.ok, report.lines) == (True, len(bodies) + 1)
