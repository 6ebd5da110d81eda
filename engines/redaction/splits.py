"""
Values in pieces: in items of a list that follow each other, or in fields that are numbered.

Only what is sure of itself once joined counts, and only where it begins and ends with a piece: any
words joined make something that looks like another thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import Any

from engines.redaction.model import LIKELY, SURE, Hit

_LONGEST, _MOST = 8192, 64
_numbered = re.compile(r"(.*?)[_-]?(\d{1,2})")

Find = Callable[[str], Sequence[Hit]]


def in_list(items: Sequence[Any], find: Find) -> Iterator[tuple[range, Hit, str]]:
    """The items that are pieces of one value, the hit of their whole, and that whole."""
    at = 0
    for is_text, run in groupby(items, key=lambda item: isinstance(item, str)):
        pieces = list(run)
        if is_text and 1 < len(pieces) <= _MOST:
            for span, hit, whole in _pieces(pieces, find):
                yield range(at + span.start, at + span.stop), hit, whole
        at += len(pieces)


def in_fields(fields: Mapping[str, Any], find: Find) -> Iterator[tuple[list[str], Hit, str]]:
    """As `in_list`, of the names of fields that differ in nothing but a number at their end."""
    rows: dict[str, list[tuple[int, str]]] = {}
    for name, value in fields.items():
        if not (isinstance(value, str) and name[-1:].isdigit()):
            continue
        if found := _numbered.fullmatch(name):
            rows.setdefault(found[1], []).append((int(found[2]), name))
    for row in rows.values():
        names = [name for _, name in sorted(row)]
        if 1 < len(names) <= _MOST:
            for span, hit, whole in _pieces([fields[name] for name in names], find):
                yield [names[i] for i in span], hit, whole


def _pieces(pieces: list[str], find: Find) -> Iterator[tuple[range, Hit, str]]:
    whole = "".join(pieces)
    if len(whole) > _LONGEST:
        return
    ends = list(accumulate(map(len, pieces)))
    starts = [0, *ends[:-1]]
    for hit in find(whole):
        # What is only likely must be all of it.
        enough = hit.score == SURE or (hit.score >= LIKELY and hit.end - hit.start == len(whole))
        if enough and hit.start in starts and hit.end in ends:
            first, last = starts.index(hit.start), ends.index(hit.end)
            if last > first:
                yield range(first, last + 1), hit, whole
