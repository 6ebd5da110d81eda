"""
JSON values that users and skills hand in: taken as they are, or refused with the place at fault.

What memory keeps, the bus carries and a job is given must read back the same in every process, so
nothing is bent into shape: a key that is no text, a number that is not finite, half a surrogate
pair, a cycle or a value without measure is an error.  Tuples alone become lists, as JSON has it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from engines.errors import InvalidInput

# Within what journals (254) and every common reader accept, whatever the value is wrapped in.
DEEPEST = 200
MOST_PARTS = 4 * 2**20
_PLAIN = frozenset({str, int, bool, type(None)})
_NAMES = frozenset({str})
_NOTHING: Iterator[Any] = iter(())
_END: Any = (None, object())


def to_text(value: object, what: str, limit: int) -> str:
    """
    *value* as compact JSON.

    Args:
        what: What the value is called in errors.
        limit: Most bytes of the text.

    Raises:
        InvalidInput: It is not JSON, nested more than `DEEPEST` deep, of more than `MOST_PARTS`
            parts, or larger than *limit*.
    """
    if not is_flat(value):
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


def is_flat(value: object) -> bool:
    """Whether it is text, a whole number, a truth value, null, or a mapping of names to these."""
    if type(value) is not dict:
        return type(value) in _PLAIN
    return _NAMES.issuperset(map(type, value)) and _PLAIN.issuperset(map(type, value.values()))


def _check(value: object, what: str, limit: int) -> None:
    """Refuse what is not JSON; stops counting at *limit*, however often a part is held twice."""
    size = parts = 0
    path: list[Any] = []  # the steps to what is looked at; the first leads to the value itself
    inside: list[Iterator[tuple[Any, Any]]] = [iter([(None, value)])]
    while inside:
        step, item = next(inside[-1], _END)
        if item is _END[1]:
            inside.pop()
            path[-1:] = []
            continue
        count, held = _held_by(item, what, path, step)
        parts += count
        size += 1 + count + (len(item) if isinstance(item, str) else 0)
        if size > limit:
            raise _too_large(what, limit)
        if parts > MOST_PARTS:
            raise InvalidInput(
                f"{what} has more than {MOST_PARTS:,} parts",
                hint="keep it in a file, and here its name",
            )
        if count:
            if len(inside) > DEEPEST:
                raise InvalidInput(f"{what} is nested more than {DEEPEST} deep")
            path.append(step)
            inside.append(held)


def _held_by(
    item: object, what: str, path: list[Any], step: Any
) -> tuple[int, Iterator[tuple[Any, Any]]]:
    """How many parts *item* has, and those by their names or places."""
    if isinstance(item, dict):
        for key in item:
            if not isinstance(key, str):
                where = _path([*path, step])
                raise InvalidInput(f"{what}{where}: the key {key!r} is not text")
        return len(item), iter(item.items())
    if isinstance(item, list | tuple):
        return len(item), iter(enumerate(item))
    if isinstance(item, float) and not math.isfinite(item):
        raise InvalidInput(f"{what}{_path([*path, step])}: {item} is not a finite number")
    if not (item is None or isinstance(item, str | int | float)):
        kind = type(item).__name__
        raise InvalidInput(
            f"{what}{_path([*path, step])}: {kind} is not a JSON value",
            hint="JSON has text, numbers, true and false, null, lists, and mappings with text keys",
        )
    return 0, _NOTHING


def _path(steps: list[Any]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps[1:])


def _too_large(what: str, limit: int) -> InvalidInput:
    return InvalidInput(
        f"{what} is larger than {limit:,} bytes", hint="keep it in a file, and here its name"
    )
