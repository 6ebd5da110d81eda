"""
JSON values that users and skills hand in: taken as they are, or refused with the place at fault.

What memory keeps, the bus carries and a job is given must read back the same in every process, so
nothing is bent into shape: a key that is no text, a number that is not finite, half a surrogate
pair, a cycle or a value without measure is an error.  Tuples alone become lists, as JSON has it.
"""

from __future__ import annotations

import json
import math
from typing import Any

from engines.errors import InvalidInput

# Within what journals (254) and every common reader accept, whatever the value is wrapped in.
DEEPEST = 200
_Trail = tuple[Any, Any, int]  # the trail of what holds it, the step from there, how deep


def to_text(value: object, what: str, limit: int) -> str:
    """
    *value* as compact JSON.

    Args:
        what: What the value is called in errors.
        limit: Most bytes of the text.

    Raises:
        InvalidInput: It is not JSON, nested more than `DEEPEST` deep, or larger than *limit*.
    """
    _check(value, what, limit)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} holds half a surrogate pair, which is no text") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} cannot be written as JSON: {error}") from None
    if size > limit:
        raise _too_large(what, limit)
    return text


def _check(value: object, what: str, limit: int) -> None:
    """Refuse what is not JSON; stops counting at *limit*, however often a part is held twice."""
    waiting: list[tuple[Any, _Trail | None]] = [(value, None)]
    size = 0
    while waiting:
        item, trail = waiting.pop()
        held = _held_by(item, what, trail)
        size += 1 + len(held) + (len(item) if isinstance(item, str) else 0)
        if size > limit:
            raise _too_large(what, limit)
        depth = trail[2] + 1 if trail else 1
        if held and depth > DEEPEST:
            raise InvalidInput(f"{what} is nested more than {DEEPEST} deep")
        waiting += [(inner, (trail, step, depth)) for step, inner in held]


def _held_by(item: object, what: str, trail: _Trail | None) -> list[tuple[Any, Any]]:
    """The parts of *item* by their names or places."""
    if isinstance(item, dict):
        for key in item:
            if not isinstance(key, str):
                raise InvalidInput(f"{what}{_path(trail)}: the key {key!r} is not text")
        return list(item.items())
    if isinstance(item, list | tuple):
        return list(enumerate(item))
    if isinstance(item, float) and not math.isfinite(item):
        raise InvalidInput(f"{what}{_path(trail)}: {item} is not a finite number")
    if not (item is None or isinstance(item, str | int | float)):
        kind = type(item).__name__
        raise InvalidInput(
            f"{what}{_path(trail)}: {kind} is not a JSON value",
            hint="JSON has text, numbers, true and false, null, lists, and mappings with text keys",
        )
    return []


def _path(trail: _Trail | None) -> str:
    if trail is None:
        return ""
    outer, step, _ = trail
    return f"{_path(outer)}[{step}]" if isinstance(step, int) else f"{_path(outer)}.{step}"


def _too_large(what: str, limit: int) -> InvalidInput:
    return InvalidInput(
        f"{what} is larger than {limit:,} bytes", hint="keep it in a file, and here its name"
    )
