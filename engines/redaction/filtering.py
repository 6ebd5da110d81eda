"""
A stream of lines, redacted as it goes: text, lines of JSON, or both mixed.

Never more is held than a private key has lines, or a line has characters up to a bound; a longer
line is cut, where something else than a word's character stands, into pieces that are looked at one
by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from engines.redaction.model import Hit
from engines.redaction.redactor import Redactor

_PIECE = 1 << 20  # characters of a line
_BACK = 1 << 14  # how far back a place is looked for to cut it
_BLOCK = 1 << 17  # characters that one key may have
_key_begins = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|PuTTY-User-Key-File-")
_key_ends = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY|Private-MAC: ")
_apart = re.compile(r"[^\w.+/=%@:-]")


@dataclass(frozen=True, slots=True)
class Found:
    """A hit in a stream: its line, from 1; `hit.start` counts from the beginning of that line."""

    line: int
    hit: Hit


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together: mostly one; those of a key."""

    line: int
    """The number of the first, from 1."""
    text: str

    def json(self) -> Any:
        """The value that it is; None where it is no object and no list."""
        if self.text.lstrip()[:1] in {"{", "["}:
            try:
                return json.loads(self.text)
            except (ValueError, RecursionError):
                return None
        return None


def blocks(stream: BinaryIO) -> Iterator[Block]:
    """The lines of *stream*, in UTF-8; bytes that are none come out as they went in."""
    held: list[str] = []
    first = number = 1
    size = 0
    for piece, ended in _pieces(stream):
        if held or _key_begins.search(piece):
            held.append(piece)
            size += len(piece)
            if size > _BLOCK or _key_ends.search(piece):
                yield Block(first, "".join(held))
                held, size = [], 0
        else:
            yield Block(number, piece)
        number += ended
        if not held:
            first = number
    if held:
        yield Block(first, "".join(held))


def redacted(redactor: Redactor, block: Block, destination: str) -> str:
    """The text of *block* without what must not be there; JSON stays JSON."""
    value = block.json()
    if value is None:
        return redactor.redact(block.text, destination=destination)
    clean = redactor.redact_json(value, destination=destination)
    if clean == value:
        return block.text
    end = "\n" if block.text.endswith("\n") else ""
    return json.dumps(clean, ensure_ascii=False, separators=(",", ":")) + end


def found_in(redactor: Redactor, block: Block) -> Iterator[Found]:
    """What stands in *block*, whatever becomes of it; of JSON too as the text that it is."""
    text = block.text
    line, start = block.line, 0
    for hit in redactor.find(text):
        line += text.count("\n", start, hit.start)
        start = hit.start
        yield Found(line, hit.moved(-(text.rfind("\n", 0, hit.start) + 1)))


def _pieces(stream: BinaryIO) -> Iterator[tuple[str, bool]]:
    """Pieces of text, each with whether its line ends with it."""
    rest = b""
    while data := stream.readline(_PIECE):
        text = (rest + data).decode("utf-8", "surrogateescape")
        rest = b""
        if not data.endswith(b"\n") and len(data) == _PIECE:
            cut = _cut(text)
            text, rest = text[:cut], text[cut:].encode("utf-8", "surrogateescape")
        yield text, text.endswith("\n")
    if rest:
        yield rest.decode("utf-8", "surrogateescape"), False


def _cut(text: str) -> int:
    for at in range(len(text) - 1, max(0, len(text) - _BACK), -1):
        if _apart.match(text[at]):
            return at + 1
    return len(text)
