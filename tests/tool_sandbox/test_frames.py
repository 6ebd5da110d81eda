"""Frames on the sandbox's sockets: whatever comes is a message, or the end of the conversation."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.tool_sandbox import wire

LIMIT = 1 << 20
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
messages = st.dictionaries(texts, values, max_size=5)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


def read(data: bytes, *, limit: int = LIMIT, step: int | None = None) -> list[dict[str, Any]]:
    """What a reader makes of *data*, come in pieces of *step* bytes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader, found = wire.Reader(limit), []
        size = step or 1 << 15
        for at in range(0, len(data), size):
            theirs.sendall(data[at : at + size])
            assert reader.take(ours)
            found += reader.frames()
        return found


@settings(max_examples=30)
@given(st.lists(messages, max_size=4))
def test_what_is_sent_is_what_comes(sent: list[dict[str, Any]]) -> None:
    data = b"".join(map(wire.encode, sent))
    assert read(data) == sent
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.close()
        assert [wire.receive(ours, LIMIT) for _ in sent] == [(message, []) for message in sent]
        assert wire.receive(ours, LIMIT) is None


@settings(max_examples=18)
@given(st.lists(messages, min_size=1, max_size=2), st.integers(1, 7))
def test_it_does_not_matter_in_what_pieces_it_comes(sent: list[dict[str, Any]], step: int) -> None:
    assert read(b"".join(map(wire.encode, sent)), step=step) == sent


def test_a_message_may_be_split_at_every_byte() -> None:
    data = wire.encode({"call": {"é": [1, None, "\n"]}}) * 2
    for at in range(1, len(data)):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            reader, found = wire.Reader(LIMIT), []
            for part in (data[:at], data[at:]):
                theirs.sendall(part)
                reader.take(ours)
                found += list(reader.frames())
            assert len(found) == 2


@given(st.binary(max_size=60))
def test_garbage_is_a_message_or_the_end(data: bytes) -> None:
    """Nothing but `Malformed` is ever raised, and nothing but an object ever handed out."""
    with contextlib.suppress(wire.Malformed):
        assert all(isinstance(found, dict) for found in read(data))


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_a_body_is_an_object_or_the_end(body: bytes) -> None:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict) and _kept(found):
        assert read(framed(body)) == [found]
    else:
        with pytest.raises(wire.Malformed):
            read(framed(body))


def _kept(found: Any) -> bool:
    with contextlib.suppress(ValueError):
        return bool(json.dumps(found, ensure_ascii=False, allow_nan=False).encode())
    return False


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"1", b"null", b'"text"', b"{", b'{"a":}', b"{'a': 1}", b'{"a": NaN}',
        b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}', b'{"a": -1e999}',
        b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": "\xff"}', b'{"a": 1} {"b": 2}',
        b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", b'{"a": ' * 10_000 + b"1" + b"}" * 10_000,
        b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_could_harm_whoever_reads_on_is_no_message(body: bytes) -> None:
    with pytest.raises(wire.Malformed):
        read(framed(body))


def test_a_whole_character_may_be_written_in_two_halves() -> None:
    assert read(framed(b'{"a": "\\ud83d\\ude00 \\\\ud800"}')) == [{"a": "\U0001f600 \\ud800"}]


def test_a_message_of_many_small_parts_is_not_a_deep_one() -> None:
    wide = {"a": [{"b": [1]}] * 5000}
    assert read(wire.encode(wide)) == [wide]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "\ud800", {1, 2}])
def test_what_has_no_form_in_json_is_never_sent(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        wire.encode({"value": value})


def test_what_would_be_no_message_for_its_reader_is_never_sent() -> None:
    deep: list[Any] = []
    for _ in range(250):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        wire.encode({"value": deep})
    assert len(wire.encode({"value": json.loads("[" * 150 + "]" * 150)})) > 300


@pytest.mark.parametrize("size", [LIMIT + 1, 2**31, 2**32 - 1])
def test_a_longer_message_is_refused_by_its_length(
    ends: tuple[socket.socket, socket.socket], size: int
) -> None:
    """Before any of it is kept."""
    ours, theirs = ends
    theirs.sendall(struct.pack("!I", size) + b"{")
    reader = wire.Reader(LIMIT)
    reader.take(ours)
    with pytest.raises(wire.Malformed, match="limit"):
        list(reader.frames())
    theirs.sendall(struct.pack("!I", size))
    with pytest.raises(wire.Malformed, match="limit"):
        wire.receive(ours, LIMIT)


def test_a_message_as_long_as_the_limit_is_taken() -> None:
    message = {"a": "x" * 100}
    size = len(wire.encode(message)) - 4
    assert read(wire.encode(message), limit=size) == [message]
    with pytest.raises(wire.Malformed):
        read(wire.encode(message), limit=size - 1)


def test_half_a_message_is_none(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    whole = wire.encode({"done": {}})
    for size in range(len(whole)):
        theirs.sendall(whole[:size])
        assert not list(_taken(ours)) or size == 0
    theirs.close()
    assert wire.receive(ours, LIMIT) is None


def _taken(channel: socket.socket) -> Iterator[dict[str, Any]]:
    reader = wire.Reader(LIMIT)
    reader.take(channel)
    return reader.frames()


def test_descriptors_ride_along_with_their_message(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    read_end, write_end = os.pipe()
    wire.send(theirs, {"take": 1}, (write_end,))
    wire.send(theirs, {"none": 1})
    came = wire.receive(ours, LIMIT)
    assert came is not None
    os.close(write_end)
    os.write(came[1][0], b"through")
    assert os.read(read_end, 10) == b"through"
    assert wire.receive(ours, LIMIT) == ({"none": 1}, [])
    for descriptor in (read_end, *came[1]):
        os.close(descriptor)


def test_a_reader_that_nothing_came_for_waits_for_nothing(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    reader = wire.Reader(LIMIT)
    assert reader.take(ours)
    assert not list(reader.frames())
    theirs.close()
    assert not reader.take(ours)


def test_one_who_went_without_reading_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    """The kernel calls that a reset connection."""
    ours, theirs = ends
    wire.send(ours, {"a": 1})
    theirs.close()
    assert wire.receive(ours, LIMIT) is None
    with pytest.raises(ConnectionError):
        wire.send(ours, {"a": 1})
