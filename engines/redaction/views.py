r"""
A text as it reads once decoded, with the way back to where each character came from.

What is undone: characters that only look like others or like nothing (full-width letters, digits
of any script, zero-width and combining marks, unusual spaces and dashes), %XX, \uXXXX and \xXX,
numeric entities.  Letters of other alphabets that look like Latin ones are left as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from engines.redaction.model import Hit

_SPACE, _DASH, _INVISIBLE = " ", "-", ""
_BLANK, _DOTS = "\u115f\u1160\u3164\uffa0\u2800", "\u3002\uff0e\uff61\u2024\ufe52"
# One character in UTF-8 at a time, so that each has its own place.
_percent = re.compile(
    r"%[cCdD][0-9a-fA-F]%[89abAB][0-9a-fA-F]"
    r"|%[eE][0-9a-fA-F](?:%[89abAB][0-9a-fA-F]){2}"
    r"|%[fF][0-7](?:%[89abAB][0-9a-fA-F]){3}"
    r"|%[0-9a-fA-F]{2}"
)
_escape = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[/ntr\"\\]"
)
_entity = re.compile(r"&#(?:[xX][0-9a-fA-F]{1,6}|[0-9]{1,7});")
_digits = re.compile(r"(?<![A-Za-z0-9])\d[\d ().\-/+]{5,}\d")
_day = re.compile(r"(?:19|20)\d\d([-/.])(?:0\d|1[0-2])\1(?:[0-2]\d|3[01])(?!\d)")
_LONG, _FEWEST = 16, 7
_ascii_word, _word = re.compile(r"[a-z]+"), re.compile(r"[^\W\d_]+")
_long = re.compile(r"[^\s\"'`<>()\[\]{},;]{16,}")
_unmarked = {"n": "\n", "t": "\t", "r": "\r"}


class Text:
    """A text to look into, and what most detectors want to know of it."""

    __slots__ = ("is_ascii", "long", "low", "numbers", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_ascii = text.isascii()
        self.low = _small(text)
        """In small letters, character for character."""
        self.words = frozenset((_ascii_word if self.is_ascii else _word).findall(self.low))
        """Its words, in small letters: what detectors have as signs is looked up among them."""
        self.long = list(_long_words(text))
        """Where words of sixteen characters or more stand, as every key is."""
        self.numbers = list(_numbers(text))
        """Where runs of at least seven digits and signs stand, but for days."""

    def says(self, words: frozenset[str], foreign: tuple[str, ...] = ()) -> bool:
        """Whether one of *words* is among its own, or any of *foreign* is anywhere in it."""
        if not words.isdisjoint(self.words):
            return True
        return not self.is_ascii and self.holds(foreign)

    def holds(self, stems: tuple[str, ...]) -> bool:
        """Whether any of *stems* is anywhere in it, in small letters."""
        low = self.low
        for stem in stems:  # noqa: SIM110  `any` takes twice as long
            if stem in low:
                return True
        return False


def _small(text: str) -> str:
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(c if len(s := c.lower()) != 1 else s for c in text)


def _long_words(text: str) -> Iterator[tuple[int, int]]:
    words = text.split()
    if max(map(len, words), default=0) < _LONG:
        return
    at = 0
    for word in words:
        if len(word) >= _LONG:
            at = text.index(word, at)
            for part in _long.finditer(text, at, at + len(word)):
                yield part.span()
            at += len(word)


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    for run in _digits.finditer(text):
        start, end = run.span()
        if day := _day.match(text, start):
            start = day.end()
        if end - start >= _FEWEST:
            yield start, end


@dataclass(frozen=True)
class View:
    """A decoded text; character i of it stands for `starts[i]` to `ends[i]` of the other."""

    text: str
    starts: list[int]
    ends: list[int]

    def back(self, hit: Hit, how: str) -> Hit:
        """The same hit in the text that this is a view of."""
        return replace(
            hit,
            start=self.starts[hit.start],
            end=self.ends[hit.end - 1],
            rule=f"{hit.rule} {how}" if how else hit.rule,
            value=hit.value or self.text[hit.start : hit.end],
        )


def plain(text: str) -> View | None:
    """With look-alikes undone; None where there are none."""
    if text.isascii() or text.translate(_plain) == text:
        return None
    out, places = [], []
    for at, c in enumerate(text):
        if made := _plain[ord(c)]:
            out.append(made)
            places.append(at)
    return View("".join(out), places, [at + 1 for at in places])


def decoded(text: str) -> Iterator[tuple[View, str]]:
    """Each way in which parts of *text* can be decoded, with its name."""
    if "%" in text and _percent.search(text):
        yield _replaced(text, _percent, _from_percent), "url-encoded"
    if "\\" in text and _escape.search(text):
        yield _replaced(text, _escape, _from_escape), "escaped"
    if "&#" in text and _entity.search(text):
        yield _replaced(text, _entity, _from_entity), "as entities"


class _Plain(dict[int, str]):
    """Made as characters come: most texts have few that differ."""

    def __missing__(self, code: int) -> str:
        found = self[code] = _plain_character(chr(code))
        return found


_plain = _Plain()


def _plain_character(c: str) -> str:
    # A ligature's or a sign's several characters stay one, or "№" would start a word.
    other = unicodedata.normalize("NFKC", c)
    if len(other) == 1:
        c = other
    category = unicodedata.category(c)
    if c.isascii():
        return c
    if category == "Nd":
        return str(unicodedata.decimal(c))
    if category in {"Cf", "Mn", "Me"} or c in _BLANK:
        return _INVISIBLE
    if category == "Zs":
        return _SPACE
    if category == "Pd" or c == "\u2212":
        return _DASH
    return "." if c in _DOTS else c


def _replaced(text: str, pattern: re.Pattern[str], make: Callable[[str], str]) -> View:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    here = 0
    for found in (*pattern.finditer(text), None):
        start = found.start() if found else len(text)
        out.append(text[here:start])
        starts += range(here, start)
        ends += range(here + 1, start + 1)
        if found:
            made = make(found[0])
            out.append(made)
            here = found.end()
            starts += [start] * len(made)
            ends += [here] * len(made)
    return View("".join(out), starts, ends)


def _from_percent(found: str) -> str:
    raw = bytes.fromhex(found.replace("%", ""))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _from_escape(found: str) -> str:
    if len(found) == 2:  # noqa: PLR2004  a sign behind a backslash
        return _unmarked.get(found[1], found[1])
    codes = [int(code, 16) for code in re.findall(r"[ux]([0-9a-fA-F]+)", found)]
    raw = b"".join(code.to_bytes(2, "little") for code in codes)
    return raw.decode("utf-16-le", "replace")


def _from_entity(found: str) -> str:
    digits = found[2:-1]
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    return chr(code) if code <= 0x10FFFF else found  # noqa: PLR2004  the last code point
