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
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import md5
from typing import Any

from engines.errors import InvalidInput

# One digit more than is taken from elsewhere: edits of what was taken have names, too.
_is_rev = re.compile(r"([1-9][0-9]{0,14})-([^\x00-\x1f]{1,256})").fullmatch
_HEX = 32
_START = b"\x83l\x00\x00\x00\x05"  # version, a list of five
_TRUE, _FALSE, _NULL = b"d\x00\x04true", b"d\x00\x05false", b"d\x00\x04null"
_OBJECT, _NO_OBJECT = b"h\x01l", b"h\x01j"  # a tuple of one list
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
    found = [
        b"h\x03" + _bytes(name.encode()) + _bytes(kind.encode()) + _bytes(digest)
        for name, kind, digest in attachments
    ]
    # CouchDB collects them one in front of the other.
    rest = b"".join((b"l", _word(len(found)), *reversed(found), _NIL)) if found else _NIL
    return hash_of(body_term(body), *before, deleted=deleted, attachments=rest)


def body_term(body: dict[str, Any]) -> bytes:
    """
    A body as Erlang writes it.

    Raises:
        InvalidInput: It is not JSON.
    """
    out: list[bytes] = []
    try:
        _object(body, out)
    except UnicodeEncodeError:
        raise InvalidInput("a text holds half a surrogate pair, which is no text") from None
    return b"".join(out)


def hash_of(
    term: bytes, pos: int, old: str, *, deleted: bool = False, attachments: bytes = _NIL
) -> str:
    """As `new_hash`, of what is in Erlang's form already."""
    before = _bytes(_raw(old)) if old else b"a\x00"
    edit = b"".join(
        (_START, _TRUE if deleted else _FALSE, _integer(pos), before, term, attachments, _NIL)
    )
    return md5(edit, usedforsecurity=False).hexdigest()


def _raw(hash_: str) -> bytes:
    if len(hash_) == _HEX:
        try:
            raw = bytes.fromhex(hash_)
        except ValueError:
            return hash_.encode()
        if len(raw) == _HEX // 2:  # it takes spaces, too
            return raw
    return hash_.encode()


def _bytes(value: bytes) -> bytes:
    return _BYTES + _word(len(value)) + value


@lru_cache(4096)
def _member(name: str) -> bytes:
    """The beginning of a pair of that name."""
    if not isinstance(name, str):
        raise InvalidInput(f"a member's name must be text, found {name!r}"[:200])
    return _PAIR + _bytes(name.encode())


def _integer(value: int) -> bytes:
    if 0 <= value < 256:  # noqa: PLR2004  a byte
        return b"a" + value.to_bytes()
    if -(2**31) <= value < 2**31:
        return b"b" + _signed(value)
    size = (abs(value).bit_length() + 7) // 8
    head = b"n" + bytes((size,)) if size < 256 else b"o" + _word(size)  # noqa: PLR2004
    return head + bytes((value < 0,)) + abs(value).to_bytes(size, "little")


def _object(value: dict[str, Any], out: list[bytes]) -> None:
    if not value:
        out.append(_NO_OBJECT)
        return
    out.append(_OBJECT + _word(len(value)))
    for name, item in value.items():
        kind = type(item)
        if kind is str:  # as most are
            raw = item.encode()
            out.append(_member(name) + _BYTES + _word(len(raw)) + raw)
        elif kind is int:
            out.append(_member(name) + _integer(item))
        else:
            out.append(_member(name))
            _term(item, out)
    out.append(_NIL)


def _term(value: Any, out: list[bytes]) -> None:
    kind = type(value)
    if kind is str:
        out.append(_bytes(value.encode()))
    elif kind is dict:
        _object(value, out)
    elif kind is list or kind is tuple:
        _list(value, out)
    elif kind in _SCALARS:
        out.append(_SCALARS[kind](value))
    else:
        raise InvalidInput(
            f"{kind.__name__} is not a JSON value",
            hint="JSON has text, numbers, true and false, null, lists, and mappings with text keys",
        )


def _float(value: float) -> bytes:
    if not math.isfinite(value):
        raise InvalidInput(f"{value} is not a finite number")
    return b"F" + _double(value)


_SCALARS: dict[type, Callable[[Any], bytes]] = {
    int: _integer,
    float: _float,
    bool: lambda value: _TRUE if value else _FALSE,
    type(None): lambda _: _NULL,
}


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
