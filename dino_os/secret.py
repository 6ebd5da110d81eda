"""
A value that must not be seen: everything shows a mask, only `reveal()` hands it out.

Not a `str` on purpose: what formats, logs, serialises or copies text would take it for some.  It
keeps a value out of what is written by accident; it does not hide it from code in this process.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

_MASK = "••••••••"
_TELLING_SIZE, _TOLD = 20, 4  # of a long value the end helps people to tell two apart


class Secret:
    """Holds *value*; equal to a `Secret` or text of the same value, in constant time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            # What it is goes unsaid: it may be the value in another form.
            raise TypeError("a Secret holds text")
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The value itself."""
        value: str = object.__getattribute__(self, "_value")
        return value

    def masked(self) -> str:
        """A mask, and behind it the end of a value that is long enough to spare it."""
        return mask(self.reveal())

    def __repr__(self) -> str:
        return "Secret('••••••••')"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return _MASK

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            other = other.reveal()
        if not isinstance(other, str):
            return NotImplemented
        ours, theirs = (text.encode("utf-8", "surrogatepass") for text in (self.reveal(), other))
        return hmac.compare_digest(ours, theirs)

    # Hashing would have to agree with the text's own hash, which a log may well show.
    __hash__ = None  # type: ignore[assignment]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled; reveal() it where it is used")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to show; reveal() it where it is used")


def mask(value: str) -> str:
    """What may be shown of *value*."""
    return _MASK + (value[-_TOLD:] if len(value) >= _TELLING_SIZE else "")
