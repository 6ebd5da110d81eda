"""What of a value can be searched for, and a user's query as one that full-text search reads."""

from __future__ import annotations

from typing import Any

_MOST_TERMS = 32
_LONGEST_TERM = 200


def text_of(value: Any) -> str:
    """All names, texts and numbers in *value*, a line each."""
    lines: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            lines += item
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
        elif item is not None:
            lines.append(str(item))
    return "\n".join(lines)


def terms(query: str) -> list[str]:
    """
    The different words of *query*, each as a phrase of FTS5's language.

    Nothing in them is syntax any more: a phrase ends only at a quotation mark that is not doubled,
    and NUL, which ends any query, parts words as a space does.
    """
    readable = query.replace("\0", " ").encode(errors="replace").decode().casefold()
    words = (word[:_LONGEST_TERM] for word in readable.split())
    found = dict.fromkeys(word for word in words if any(map(str.isalnum, word)))
    return ['"' + word.replace('"', '""') + '"' for word in [*found][:_MOST_TERMS]]
