"""
Texts within a text, in base64 or hex.

A run is decoded where that gives a text that can be read.  Nothing of a run can be taken out on its
own: where it holds something, all of it goes.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass

from engines.redaction.model import LIKELY, POSSIBLE

# Short ones decode to something readable by chance: those must be sure of what they hold.
_base64 = re.compile(r"[A-Za-z0-9+/_-]{10,65536}={0,2}")
_hex = re.compile(
    r"(?<![0-9A-Za-z])(?:0[xX])?((?:[2-7][0-9A-Fa-f]|0[9aAdD]){6,32768})(?![0-9A-Za-z])"
)
_unreadable = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_LONG = 24
_LONGEST = 1 << 16
_SMALLEST_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text that decodes to another; hits in it that score below `lowest` do not count."""

    text: str
    start: int
    end: int
    how: str
    lowest: float


def runs(text: str) -> Iterator[Run]:
    """The runs of *text* that decode to something readable."""
    for found in _hex.finditer(text):
        inner = bytes.fromhex(found[1]).decode("latin-1")
        yield Run(inner, found.start(), found.end(), "in hex", _lowest(inner))
    for found in _base64.finditer(text):
        if inner := _from_base64(found[0]):
            yield Run(inner, found.start(), found.end(), "in base64", _lowest(inner))


def _lowest(inner: str) -> float:
    return POSSIBLE if len(inner) >= _LONG else LIKELY


def _from_base64(run: str) -> str:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    if len(body) % 4 == 1:
        body = body[:-1]
    head = _decode(body[:32])
    if not head or _unreadable.search(head):
        return ""
    inner = head if len(body) <= 32 else _decode(body)
    return "" if _unreadable.search(inner) else inner


def _decode(body: str) -> str:
    try:
        raw = b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        # The head of a longer one may end within a character.
        return raw[: error.start].decode() if error.start > len(raw) - 4 else ""
