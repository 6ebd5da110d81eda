"""
What a token can be narrowed to: a cell, a flow, and a path with all that lies below it.

A path is held against a prefix part by part, and only where it means one thing to everybody: one
with `..`, an empty part, a backslash or an encoded slash lies below no prefix, nor one that a
server might decode twice, in too many bytes, or without what follows a semicolon.
"""

from __future__ import annotations

import re

from engines.errors import InvalidInput

is_cell = re.compile(r"[a-z0-9._:-]{1,64}").fullmatch
is_flow = re.compile(r"[a-z0-9._:/-]{1,128}").fullmatch
_plain = re.compile(r"(/|(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?)").fullmatch
_encoded = re.compile(
    r"%(?![0-9a-f]{2})|%(2[5ef]|3b|5c|[01][0-9a-f]|7f|c[01]|e0%[89]|f0%8)", re.IGNORECASE
).search
_LONGEST = 512


def check_cell(cell: object) -> None:
    """
    Raises:
        InvalidInput: *cell* is no name of a cell, and not "" either.
    """
    if cell != "" and not (isinstance(cell, str) and is_cell(cell)):
        raise InvalidInput(
            f"not a name of a cell: {cell!r:.80}", hint="small letters, digits and . _ : -"
        )


def is_prefix(path: str) -> bool:
    """Whether a token can be narrowed to *path*."""
    return len(path) <= _LONGEST and "?" not in path and is_clear(path)


def is_clear(path: str) -> bool:
    """Whether *path*, without its query, means the same to whoever reads it."""
    if not _plain(path) or _encoded(path):
        return False
    named = [part.partition(";") for part in path.split("/")]
    return not any(name in {".", ".."} or (more and not name) for name, more, _ in named)


def lies_within(path: str, prefix: str) -> bool:
    """Whether a request for *path*, which may have a query, is one below *prefix*."""
    bare = path.partition("?")[0]
    if not is_clear(bare):
        return False
    return bare == prefix or bare.startswith(prefix if prefix.endswith("/") else f"{prefix}/")
