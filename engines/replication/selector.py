"""
Mango selectors for documents of this machine: `{"kind": "job", "age": {"$gt": 3}}`.

Servers evaluate theirs themselves; this is what they mean, so that the same selector chooses the
same documents in both directions.

Source: docs.couchdb.org, "/{db}/_find", selector syntax; order of values: view collation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from engines.errors import InvalidInput

Test = Callable[[Any], bool]
_ABSENT = object()
_RANKS: tuple[tuple[type, int], ...] = (
    (type(None), 1),
    (bool, 2),
    (int, 4),
    (float, 4),
    (str, 5),
    (list, 6),
    (dict, 7),
)
_TYPES: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def matcher(selector: Mapping[str, Any]) -> Test:
    """
    The test that *selector* stands for.

    Raises:
        InvalidInput: It is no selector; the text names the part that is not.
    """
    if not isinstance(selector, Mapping):
        raise InvalidInput(f"a selector must be a mapping, found {selector!r}"[:200])
    tests = [_part(name, value) for name, value in selector.items()]
    return lambda found: all(test(found) for test in tests)


def _part(name: str, value: Any) -> Test:
    if name in _JOINS:
        return _JOINS[name](value)
    if name.startswith("$"):
        return _condition(name, value)
    # A dot leads into an object; behind a backslash it is a dot of the name.
    path = [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", name)]
    test = _field(value)
    return lambda found: test(_at(found, path))


def _at(found: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(found, dict):
            found = found.get(part, _ABSENT)
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return _ABSENT
    return found


def _field(value: Any) -> Test:
    if not isinstance(value, Mapping):
        return _condition("$eq", value)
    if not value:
        return _condition("$eq", {})
    return matcher(value)


def _several(value: Any, operator: str) -> list[Test]:
    if not isinstance(value, list):
        raise InvalidInput(f"{operator} takes a list of selectors, found {value!r}"[:200])
    return [_field(one) for one in value]


def _and(value: Any) -> Test:
    tests = _several(value, "$and")
    return lambda found: all(test(found) for test in tests)


def _or(value: Any) -> Test:
    tests = _several(value, "$or")
    return lambda found: any(test(found) for test in tests)


def _nor(value: Any) -> Test:
    tests = _several(value, "$nor")
    return lambda found: not any(test(found) for test in tests)


def _not(value: Any) -> Test:
    test = _field(value)
    return lambda found: not test(found)


_JOINS: dict[str, Callable[[Any], Test]] = {"$and": _and, "$or": _or, "$nor": _nor, "$not": _not}


# --- conditions of one value -----------------------------------------------------------------


def _condition(operator: str, value: Any) -> Test:
    make = _CONDITIONS.get(operator)
    if make is None:
        raise InvalidInput(f"a selector has no operator {operator!r}")
    test = make(value)
    if operator == "$exists":
        return test
    return lambda found: found is not _ABSENT and test(found)


def _compared(value: Any, fits: Callable[[int], bool]) -> Test:
    return lambda found: fits(compare(found, value))


def _in(value: Any) -> Test:
    listed = _list(value, "$in")
    return lambda found: any(
        compare(one, wanted) == 0
        for wanted in listed
        for one in (found if isinstance(found, list) else [found])
    )


def _not_in(value: Any) -> Test:
    test = _in(value)
    return lambda found: not test(found)


def _exists(value: Any) -> Test:
    return lambda found: (found is not _ABSENT) == bool(value)


def _type(value: Any) -> Test:
    if value not in _TYPES:
        raise InvalidInput(f"$type is one of {', '.join(_TYPES)}, found {value!r}")
    kinds = _TYPES[value]
    return lambda found: isinstance(found, kinds) and isinstance(found, bool) == (bool in kinds)


def _size(value: Any) -> Test:
    return lambda found: isinstance(found, list) and len(found) == value


def _mod(value: Any) -> Test:
    if not (isinstance(value, list) and len(value) == 2 and value[0]):  # noqa: PLR2004  a pair
        raise InvalidInput(f"$mod takes a divisor and a remainder, found {value!r}")
    return lambda found: isinstance(found, int) and found % value[0] == value[1]


def _regex(value: Any) -> Test:
    try:
        pattern = re.compile(value)
    except (re.error, TypeError):
        raise InvalidInput(f"$regex takes a pattern, found {value!r}") from None
    return lambda found: isinstance(found, str) and pattern.search(found) is not None


def _all(value: Any) -> Test:
    listed = _list(value, "$all")
    return lambda found: (
        isinstance(found, list)
        and all(any(compare(one, wanted) == 0 for one in found) for wanted in listed)
    )


def _element(value: Any) -> Test:
    test = _field(value)
    return lambda found: isinstance(found, list) and any(map(test, found))


def _each(value: Any) -> Test:
    test = _field(value)
    return lambda found: isinstance(found, list) and bool(found) and all(map(test, found))


def _list(value: Any, operator: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"{operator} takes a list, found {value!r}"[:200])
    return value


_CONDITIONS: dict[str, Callable[[Any], Test]] = {
    "$eq": lambda value: _compared(value, lambda order: order == 0),
    "$ne": lambda value: _compared(value, lambda order: order != 0),
    "$gt": lambda value: _compared(value, lambda order: order > 0),
    "$gte": lambda value: _compared(value, lambda order: order >= 0),
    "$lt": lambda value: _compared(value, lambda order: order < 0),
    "$lte": lambda value: _compared(value, lambda order: order <= 0),
    "$in": _in,
    "$nin": _not_in,
    "$exists": _exists,
    "$type": _type,
    "$size": _size,
    "$mod": _mod,
    "$regex": _regex,
    "$all": _all,
    "$elemMatch": _element,
    "$allMatch": _each,
}


def compare(one: Any, other: Any) -> int:
    """Below 0 where *one* comes first: null, booleans, numbers, text, lists, objects."""
    ranks = _rank(one), _rank(other)
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    if isinstance(one, dict):
        one, other = ([[*pair] for pair in sorted(found.items())] for found in (one, other))
    if isinstance(one, list):
        for mine, theirs in zip(one, other, strict=False):
            if order := compare(mine, theirs):
                return order
        return len(one) - len(other)
    if one is None:
        return 0
    return bool(one > other) - bool(one < other)


def _rank(value: Any) -> int:
    return next((rank for kind, rank in _RANKS if type(value) is kind), 8)
