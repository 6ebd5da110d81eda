"""
Texts within a text, in base64 or hex.

A run is decoded where that gives a text that can be read.  Nothing of a run can be taken out on its
own: where it holds something, all of it goes.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from engines.redaction.model import LIKELY, POSSIBLE
from engines.redaction.views import Text

# Short ones decode to something readable by chance: those must be sure of what they hold.
_run = re.compile(r"[A-Za-z0-9+/_-]{16,1048576}={0,2}")
_hex = re.compile(r"(?:0[xX])?((?:[2-7][0-9A-Fa-f]|0[9aAdD]){8,524288})")
_part = re.compile(r"[^/_-]{16,}")
_unreadable = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_LONG = 24
_stretch = re.compile(rb"[\t\n\r -~]{16,1048576}")
_STUCK = 28  # characters, with what is stuck to them
_HEAD = 16  # characters of base64 that show what the rest is like
_TAIL = 4  # bytes that may begin a character and not end it


@dataclass(frozen=True, slots=True)
class Run:
    """A part of a text that decodes to `text`; hits that score below `lowest` do not count."""

    text: str
    start: int
    end: int
    how: str
    lowest: float


def runs(scanned: Text) -> Iterator[Run]:
    """The runs in its long words that decode to something readable."""
    for span in scanned.long:
        for found in _run.finditer(scanned.text, *span):
            yield from _in_run(found[0], found.start())


def _in_run(run: str, start: int) -> Iterator[Run]:
    if inner := _read(run):
        yield Run(inner[0], start, start + len(run), inner[1], _lowest(inner[0]))
        return
    # A slash or a dash may part it from what stands before it.
    parts = False
    for part in _part.finditer(run):
        if part[0] != run and (inner := _read(part[0])):
            parts = True
            end = start + part.end()
            yield Run(inner[0], start + part.start(), end, inner[1], _lowest(inner[0]))
    if not parts and len(run) >= _STUCK and not (run.islower() or run.isupper()):
        for text in _stuck(run):
            yield Run(text, start, start + len(run), "in base64", _lowest(text))


def _stuck(run: str) -> Iterator[str]:
    """What can be read in *run* where other letters stand right before it."""
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    for skipped in range(4):
        shifted = body[skipped:]
        shifted = shifted[: len(shifted) - (len(shifted) % 4 == 1)]
        raw = binascii.a2b_base64(shifted + "=" * (-len(shifted) % 4))
        for found in _stretch.finditer(raw):
            yield found[0].decode()


def _read(run: str) -> tuple[str, str] | None:
    if found := _hex.fullmatch(run):
        return bytes.fromhex(found[1]).decode("latin-1"), "in hex"
    inner = _readable(run)
    return (inner, "in base64") if inner else None


def _lowest(inner: str) -> float:
    return POSSIBLE if len(inner) >= _LONG else LIKELY


def _readable(run: str) -> str:
    body = run.rstrip("=").replace("-", "+").replace("_", "/")
    if len(body) % 4 == 1:
        body = body[:-1]
    head = _decoded(body[:_HEAD])
    if not head or _unreadable.search(head):
        return ""
    inner = _decoded(body)
    return "" if _unreadable.search(inner) else inner


def _decoded(body: str) -> str:
    raw = binascii.a2b_base64(body + "=" * (-len(body) % 4))
    if raw.isascii():
        return raw.decode()
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        # The head of a longer one may end within a character.
        return raw[: error.start].decode() if error.start > len(raw) - _TAIL else ""
