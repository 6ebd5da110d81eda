"""
Revisions: their names, CouchDB's hash of an edit, and which leaf wins.

A revision is called `N-hash`: how many edits led to it, and what tells it from others.  CouchDB
hashes the edit itself, so the same edit made on two sides that cannot see each other gets the same
name, and is no conflict.  The hash is the MD5 of the edit in Erlang's external term format:
[deleted, N before, hash before, body, attachments].

Source: CouchDB, src/couch/src/couch_db.erl (`new_revid`); erlang.org, "External Term Format".
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from functools import lru_cache
from hashlib import md5
from typing import Any

from engines.errors import InvalidInput

_is_rev = re.compile(r"([1-9][0-9]{0,14})-([^\x00-\x1f]{1,256})").fullmatch
_is_md5 = re.compile(r"[0-9a-fA-F]{32}").fullmatch
_START = b"\x83l\x00\x00\x00\x05"  # version, a list of five
_TRUE, _FALSE, _NULL = b"d\x00\x04true", b"d\x00\x05false", b"d\x00\x04null"
_BODY = b"h\x01"  # a tuple of one
_PAIR = b"h\x02"
_NIL = b"j"
_BYTES = b"m"
_SHORT = 2**16
_word = struct.Struct(">I").pack
_signed = struct.Struct(">i").pack
_double = struct.Struct(">d").pack


def parse(rev: object) -> tuple[int, str]:
    """
    The position and the hash of the revision called *rev*.

    Raises:
        InvalidInput: It is no revision's name.
    """
    found = _is_rev(rev) if isinstance(rev, str) else None
    if found is None:
        raise InvalidInput(f"not a revision: {rev!r}"[:200], hint="one reads like 3-8f0c…")
    return int(found[1]), found[2]


def new_hash(
    body: dict[str, Any],
    before: tuple[int, str] = (0, ""),
    *,
    deleted: bool = False,
    attachments: Iterable[tuple[str, str, bytes]] = (),
) -> str:
    """
    What CouchDB calls this edit of the revision *before*.

    Args:
        body: Without the members that begin with an underscore, in the order as written.
        attachments: Name, media type and MD5 of each, in the order as written.

    Raises:
        InvalidInput: The body is not JSON.
    """
    pos, old = before
    out = [_START, _TRUE if deleted else _FALSE, _integer(pos)]
    out.append(_bytes(_raw(old)) if old else b"a\x00")
    _object(body, out)
    found = [
        b"h\x03" + _bytes(name.encode()) + _bytes(kind.encode()) + _bytes(digest)
        for name, kind, digest in attachments
    ]
    # CouchDB collects them one in front of the other.
    out += [b"l", _word(len(found)), *reversed(found), _NIL, _NIL] if found else [_NIL, _NIL]
    return md5(b"".join(out), usedforsecurity=False).hexdigest()


def _raw(hash_: str) -> bytes:
    return bytes.fromhex(hash_) if _is_md5(hash_) else hash_.encode()


def _bytes(value: bytes) -> bytes:
    return _BYTES + _word(len(value)) + value


@lru_cache(4096)
def _member(name: str) -> bytes:
    """The beginning of a pair of that name."""
    if not isinstance(name, str):
        raise InvalidInput(f"a member's name must be text, found {name!r}"[:200])
    return _PAIR + _text(name)


def _text(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise InvalidInput("a text holds half a surrogate pair, which is no text") from None
    return _BYTES + _word(len(raw)) + raw


def _integer(value: int) -> bytes:
    if 0 <= value < 256:  # noqa: PLR2004  a byte
        return b"a" + bytes((value,))
    if -(2**31) <= value < 2**31:
        return b"b" + _signed(value)
    size = (abs(value).bit_length() + 7) // 8
    head = b"n" + bytes((size,)) if size < 256 else b"o" + _word(size)  # noqa: PLR2004
    return head + bytes((value < 0,)) + abs(value).to_bytes(size, "little")


def _object(value: dict[str, Any], out: list[bytes]) -> None:
    out.append(_BODY)
    if value:
        out += (b"l", _word(len(value)))
        for name, item in value.items():
            out.append(_member(name))
            _term(item, out)
    out.append(_NIL)


def _term(value: Any, out: list[bytes]) -> None:
    kind = type(value)
    if kind is str:
        out.append(_text(value))
    elif kind is int:
        out.append(_integer(value))
    elif kind is dict:
        _object(value, out)
    elif kind is list or kind is tuple:
        _list(value, out)
    elif value is None:
        out.append(_NULL)
    elif kind is bool:
        out.append(_TRUE if value else _FALSE)
    elif kind is float:
        if not math.isfinite(value):
            raise InvalidInput(f"{value} is not a finite number")
        out.append(b"F" + _double(value))
    else:
        raise InvalidInput(
            f"{kind.__name__} is not a JSON value",
            hint="JSON has text, numbers, true and false, null, lists, and mappings with text keys",
        )


def _list(value: list[Any] | tuple[Any, ...], out: list[bytes]) -> None:
    if not value:
        out.append(_NIL)
    elif len(value) < _SHORT and all(type(n) is int and 0 <= n < 256 for n in value):  # noqa: PLR2004
        # What may be a text is written as one.
        out += (b"k", struct.pack(">H", len(value)), bytes(value))
    else:
        out += (b"l", _word(len(value)))
        for item in value:
            _term(item, out)
        out.append(_NIL)
