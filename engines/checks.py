"""
Checks that the engines' models share: each returns the accepted value or says what is wrong.

Numbers must be finite everywhere.  Indices that live on a scale are clamped to it, as the code that
came from the earlier systems expects; files are held to the scale where they are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from engines.errors import InvalidInput

T = TypeVar("T")


def name(value: object, what: str) -> str:
    """*value* as a name: text that is not blank, without the space around it."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise InvalidInput(f"{what} must not be empty, found {value!r}")
    return text


def finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{what} must be a number, found {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise InvalidInput(f"{what} is too large: a number of {_digits(value)} digits") from None
    if not math.isfinite(number):
        raise InvalidInput(f"{what} must be finite, found {value!r}")
    return number


def _digits(number: float) -> int:
    return int(int(number).bit_length() * math.log10(2)) + 1


def at_least(value: Any, low: float, what: str) -> float:
    number = finite(value, what)
    if number < low:
        raise InvalidInput(f"{what} must be at least {low:g}, found {value!r}")
    return number


def whole(value: Any, what: str) -> int:
    number = finite(value, what)
    if number != int(number):
        raise InvalidInput(f"{what} must be a whole number, found {value!r}")
    return int(value)  # not of *number*, which is exact up to 2^53 only


def clamped(value: Any, what: str, low: float = 0.0, high: float = 1.0) -> float:
    return min(max(finite(value, what), low), high)


def words(value: Iterable[str] | None, what: str) -> tuple[str, ...]:
    """Lower-case words without doubles, in the order given."""
    if isinstance(value, str):
        raise InvalidInput(f"{what} must be a list of words, found the text {value!r}")
    cleaned = (name(word, what).lower() for word in value or ())
    return tuple(dict.fromkeys(cleaned))


def mapping(value: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput(f"{what} must be a mapping, found {value!r}")
    return dict(value or {})


def utc(value: datetime) -> datetime:
    """
    *value* in UTC; a time without a zone is taken to be UTC already.

    Raises:
        InvalidInput: Not a time, or one that cannot be recorded: at the very ends of the calendar.
    """
    if not isinstance(value, datetime):
        raise InvalidInput(f"a time must be a datetime, found {value!r}")
    try:
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        from_epoch(moment.timestamp())
    except (OverflowError, ValueError):
        raise InvalidInput(f"a time out of range: {value.isoformat()}") from None
    return moment


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def time_text(seconds: float | None) -> str | None:
    """*seconds* since the epoch as RFC 3339; None stays None."""
    return None if seconds is None else rfc3339(from_epoch(seconds))


def built(cls: type[T], data: Any, what: str) -> T:
    """*data* if it is a *cls* already, else one made from the mapping *data*."""
    if isinstance(data, cls):
        return data
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{what} must be a {cls.__name__} or a mapping, found {data!r}")
    try:
        return cls(**data)
    except TypeError as error:
        problem = str(error).removeprefix(f"{cls.__name__}.").removeprefix("__init__() ")
        raise InvalidInput(f"{what}: {problem}") from None


def did_you_mean(wrong: str, names: Iterable[str]) -> str:
    """A question in brackets where one of *names* is close to *wrong*, else nothing."""
    from difflib import get_close_matches  # noqa: PLC0415  only on the way to an error

    close = get_close_matches(str(wrong), list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
