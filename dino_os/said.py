"""
What others say of themselves, made fit to be shown and to stand in a docstring.

Nobody has checked it, and a model may read it: it is quoted, on one line, and holds nothing that
people would not see.
"""

from __future__ import annotations

import unicodedata

_QUOTES = str.maketrans("“”", '""')
_LONGEST, _LONGEST_WHOLE = 240, 4_000


def said(text: object, most: int) -> str:
    """*text* on one line, at most so many characters, without what is not seen and our quotes."""
    if not isinstance(text, str):
        return ""
    shown = (" " if c.isspace() else c for c in text[: 4 * most] if c.isspace() or _is_seen(c))
    return " ".join("".join(shown).split()).translate(_QUOTES)[:most]


def docstring(introduction: str, text: object, helps: dict[str, str]) -> str:
    """The docstring of a skill: *introduction*, what is said of it in quotes, its parameters."""
    whole = said(text, _LONGEST_WHOLE)
    short = whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]}…"
    lines = [f"{introduction}: “{short or 'nothing'}”"]
    if short != whole:
        lines += ["", f"All that it says: “{whole}”"]
    if helps:
        lines += ["", "Args:", *(f"    {name}: {what}" for name, what in helps.items())]
    return "\n".join(lines)


def _is_seen(character: str) -> bool:
    """Not a control, nor one that only formats, as those that text is hidden in."""
    return unicodedata.category(character)[0] != "C"
