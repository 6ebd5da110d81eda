"""
Frames on a socket: four bytes of length, then one JSON object; descriptors may ride along.

Both sides of the sandbox's wall speak it.  Whoever reads from inside trusts nothing: a frame has a
limit, and what is no JSON object ends the conversation.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is part of every start on the far side
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

_LENGTH = struct.Struct("!I")
_MOST_DESCRIPTORS = 8
_CHUNK = 1 << 16
MOST_VALUES = 1_000_000
_ESCAPED, _INFINITY = b"\\u", float("inf")
_DEEPEST = 200  # whoever shows or keeps a value goes down into it
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_MARKS = bytes(set(range(256)) - set(b"[]{}"))


class Malformed(Exception):
    """What came is no frame."""


def encode(message: Mapping[str, Any]) -> bytes:
    """
    The frame for *message*.

    Raises:
        TypeError: It holds what JSON cannot.
        ValueError: It holds a number or a text that JSON has no form for, or is nested too deep.
    """
    body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    _check_depth(body)
    return _LENGTH.pack(len(body)) + body


def send(
    channel: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send *message* and, with its first byte, *descriptors*."""
    frame = encode(message)
    if descriptors:
        sent = socket.send_fds(channel, [frame], list(descriptors))
        frame = frame[sent:]
    channel.sendall(frame)


def receive(channel: socket.socket, limit: int) -> tuple[dict[str, Any], list[int]] | None:
    """
    The next message and the descriptors that came with it; None where the other side is gone.

    Raises:
        Malformed: It is no frame, or longer than *limit*.
    """
    try:
        return _receive(channel, limit)
    except ConnectionError:  # it went without having read all that it was sent
        return None


def _receive(channel: socket.socket, limit: int) -> tuple[dict[str, Any], list[int]] | None:
    head, descriptors = b"", list[int]()
    while len(head) < _LENGTH.size:
        more, came, _, _ = socket.recv_fds(channel, _LENGTH.size - len(head), _MOST_DESCRIPTORS)
        descriptors += came
        if not more:
            for descriptor in descriptors:
                os.close(descriptor)
            return None
        head += more
    size = _sized(head, limit)
    body = bytearray()
    while len(body) < size:
        if not (more := channel.recv(min(size - len(body), 1 << 20))):
            return None
        body += more
    return _parse(bytes(body)), descriptors


class Reader:
    """
    Frames out of what comes in, bit by bit, from a side that may send anything.

    Args:
        limit: The longest frame, in bytes; more than that is never kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._came = bytearray()

    def take(self, channel: socket.socket) -> bool:
        """Read what is there without waiting; False where the other side is gone."""
        try:
            data = channel.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self._came += data
        return bool(data)

    def frames(self) -> Iterator[dict[str, Any]]:
        """
        Every message that is complete.

        Raises:
            Malformed: What came is no frame.
        """
        while len(self._came) >= _LENGTH.size:
            end = _LENGTH.size + _sized(self._came[: _LENGTH.size], self._limit)
            if len(self._came) < end:
                return
            body = bytes(self._came[_LENGTH.size : end])
            del self._came[:end]
            yield _parse(body)


def _sized(head: bytes | bytearray, limit: int) -> int:
    size: int = _LENGTH.unpack(head)[0]
    if size > limit:
        raise Malformed(f"a message of {size:,} bytes; the limit is {limit:,}")
    return size


def too_many(body: bytes) -> bool:
    """Whether *body* holds more values than a parent has room for: each takes far more than it."""
    return body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES + len(body) // 64


def _parse(body: bytes) -> dict[str, Any]:
    if too_many(body):
        raise Malformed(f"a message of more than {MOST_VALUES:,} values")
    try:
        _check_depth(body)
        message = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
        if _ESCAPED in body:  # half a character can be written only so, and nowhere kept
            json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed("a message that is not JSON") from None
    if not isinstance(message, dict):
        raise Malformed("a message that is not an object")
    return message


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) < _INFINITY else _refuse(text)


def _check_depth(body: bytes) -> None:
    """By the text alone: what is nested too deep is not even read."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return
    depth = 0
    for mark in _STRING.sub(b"", body).translate(None, _NO_MARKS):
        depth += 1 if mark in b"[{" else -1
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
