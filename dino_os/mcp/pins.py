"""
What a server says of a tool, in the form that it is compared and pinned in.

A description is read by people once and by models at each turn: one that changes in between is
another tool.  All that a model sees of a tool counts, each byte of it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")

Told = Mapping[str, Any]
"""What a server says of a tool: those of `PINNED` that it says anything of."""


def pin(tool: Told) -> str:
    """The SHA-256 of what is pinned of *tool*, in hex."""
    kept = {name: tool[name] for name in PINNED if tool.get(name) is not None}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def difference(before: Sequence[Told], now: Sequence[Told]) -> list[str]:
    """A unified diff from the tools of *before* to those of *now*, in lines; none where equal."""
    first, second = ([*_lines(tools)] for tools in (before, now))
    return list(difflib.unified_diff(first, second, "imported", "offered now", lineterm="", n=2))


def _lines(tools: Sequence[Told]) -> Iterator[str]:
    for tool in sorted(tools, key=lambda tool: str(tool.get("name"))):
        # Escaped: what cannot be seen must show.
        yield from json.dumps(tool, indent=2, sort_keys=True, ensure_ascii=True).splitlines()
