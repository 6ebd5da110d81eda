"""A regular expression for any of many texts: a tree by their common beginnings."""

from __future__ import annotations

import re


def any_of(texts: list[str]) -> str:
    """
    A pattern of the longest of *texts*, which are sorted and without doubles.

    A plain alternation tries every one of them at every place.
    """
    if len(texts) == 1:
        return re.escape(texts[0])
    shared = _common_beginning(texts[0], texts[-1])
    ends_here = texts[0] == shared
    branches: dict[str, list[str]] = {}
    for text in texts[ends_here:]:
        rest = text[len(shared) :]
        branches.setdefault(rest[0], []).append(rest)
    inner = "|".join(map(any_of, branches.values()))
    return f"{re.escape(shared)}(?:{inner}){'?' if ends_here else ''}"


def _common_beginning(first: str, last: str) -> str:
    """Of sorted texts, what the first and the last share all share."""
    size = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:size] if size is not None else min(first, last, key=len)
