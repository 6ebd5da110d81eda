"""
Numbers: runs of digits in groups, `4111 1111 1111 1111`, and what they may be.

A run is found once; each row of groups in it is then looked up by its shape (`4 4 4 4`, `3-2-4`),
so that what it is not costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engines.redaction.model import Hit
from engines.redaction.views import Text

_group = re.compile(r"\d+")
_MOST_GROUPS, _MOST_DIGITS, CARD = 512, 19, 13


@dataclass(frozen=True, slots=True)
class Number:
    """A row of groups of digits."""

    scanned: Text
    digits: str
    shape: str
    """The groups' lengths and what stands between them, `3-2-4`."""
    start: int
    end: int

    def hit(self, kind: str, score: float, why: str, value: str = "") -> Hit:
        return Hit(kind, self.start, self.end, kind, score, why, value or self.digits)


Judge = Callable[[Number], Iterator[Hit]]


def find_numbers(scanned: Text, judges: tuple[Judge, ...], shapes: frozenset[str]) -> Iterator[Hit]:
    """What *judges* say of each row of groups that has one of *shapes*, or a card's length."""
    for start, end in scanned.numbers:
        groups = [found.span() for found in _group.finditer(scanned.text, start, end)]
        if len(groups) <= _MOST_GROUPS:
            for number in _rows(scanned, groups, shapes):
                for judge in judges:
                    yield from judge(number)


def _rows(scanned: Text, groups: list[tuple[int, int]], shapes: frozenset[str]) -> Iterator[Number]:
    text = scanned.text
    for first, (begin, _) in enumerate(groups):
        if not _free_before(text, begin):
            continue
        shape, size, here = "", 0, begin
        for start, end in groups[first : first + _MOST_DIGITS]:
            size += end - start
            if start - here > 1 or size > _MOST_DIGITS:
                break
            shape += f"{text[here:start]}{end - start}"
            here = end
            if (size >= CARD or shape in shapes) and _free_behind(text, here):
                digits = "".join(filter(str.isdigit, text[begin:here]))
                yield Number(scanned, digits, shape, begin, here)


def _free_before(text: str, at: int) -> bool:
    """Nothing that makes it a part of something longer, or of a fraction, stands before *at*."""
    before = text[at - 1 : at]
    return not (before.isalnum() or (before in {".", "-", "/"} and text[at - 2 : at - 1].isdigit()))


def _free_behind(text: str, at: int) -> bool:
    behind = text[at : at + 1]
    return not (
        behind.isalnum()
        or behind == "_"
        or (behind in {".", "-", "/"} and text[at + 1 : at + 2].isdigit())
    )
