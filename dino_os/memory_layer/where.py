"""
Conditions on entries, as SQL: a namespace, tags, what the metadata must say, and not expired.

A condition on metadata is `{"field": value}` or `{"field": {"$gt": value, …}}`; several fields must
all hold, `$and` and `$or` take lists of conditions.  Values are compared within their kind only: no
text is greater than a number, and `true` is not 1.  A field that is not there is None.  Everything
that a user says goes into bound parameters; fields are looked up by `json_each`, where a name is
never a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dino_os.errors import InvalidInput
from engines import checks

_DEEPEST = 16
_MOST = 250  # conditions; SQLite's own limit on depth is 1,000
_MOST_VALUES = 1_000
_COMPARE = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_KNOWN = ("$eq", "$ne", "$in", *_COMPARE)
_WITH_TAG = "e.id IN (SELECT id FROM tags WHERE tag = ?)"
_HAS_TAG = "EXISTS (SELECT 1 FROM tags WHERE tag = ? AND tags.id = e.id)"
_LARGEST = 2**63
_NUMBERS = "'integer', 'real'"

Sql = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Which entries count.

    Attributes:
        condition: SQL on the row `e` of the table entries.
        values: Its bound parameters.
        narrow: Whether a user asked for less than everything.
        indexed: Whether an index leads to them.
    """

    condition: str
    values: tuple[Any, ...]
    narrow: bool
    indexed: bool

    @property
    def check(self) -> str:
        """The same condition for rows that come from elsewhere; *condition* is to list them by."""
        return self.condition.replace(_WITH_TAG, _HAS_TAG)


def scope_of(
    now: float,
    *,
    namespace: str | None = None,
    tags: Iterable[str] = (),
    where: Mapping[str, Any] | None = None,
) -> Scope:
    """
    The entries of *namespace* (None: of all) that have all *tags* and satisfy *where* at *now*.

    Raises:
        InvalidInput: *where* is no condition.
    """
    parts: list[Sql] = [("(e.expires IS NULL OR e.expires > ?)", [now])]
    if namespace is not None:
        parts.append(("e.ns = ?", [namespace]))
    parts += [(_WITH_TAG, [tag]) for tag in dict.fromkeys(tags)]
    indexed = len(parts) > 1
    if where:
        parts.append(_Compiler().condition(where, 0))
    condition, values = _joined(parts, " AND ")
    return Scope(condition, tuple(values), len(parts) > 1, indexed)


class _Compiler:
    """One condition's way into SQL; counts, so that none is too large for SQLite."""

    def __init__(self) -> None:
        self._count = 0

    def condition(self, where: object, depth: int) -> Sql:
        if not isinstance(where, Mapping) or not where:
            raise _wrong(f"a condition must be a mapping that is not empty, found {where!r:.80}")
        if depth > _DEEPEST:
            raise _wrong(f"conditions are nested deeper than {_DEEPEST}")
        return _joined([self._one(name, wanted, depth) for name, wanted in where.items()], " AND ")

    def _one(self, name: object, wanted: Any, depth: int) -> Sql:
        self._count += 1
        if self._count > _MOST:
            raise _wrong(f"there are more than {_MOST} conditions")
        if name in {"$and", "$or"}:
            if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
                raise _wrong(f"{name} takes a list of conditions, found {wanted!r:.80}")
            parts = [self.condition(part, depth + 1) for part in wanted]
            return _joined(parts, " AND " if name == "$and" else " OR ")
        if not isinstance(name, str) or name.startswith("$"):
            raise _wrong(f"{name!r:.80} is neither a field nor one of $and, $or")
        if not isinstance(wanted, Mapping):
            return _equal(name, wanted)
        if not wanted:
            raise _wrong(f"{name!r:.80}: nothing is asked of it")
        return _joined([_operator(name, *item) for item in wanted.items()], " AND ")


def _operator(field: str, operator: object, wanted: Any) -> Sql:
    if operator == "$eq":
        return _equal(field, wanted)
    if operator == "$ne":
        sql, values = _equal(field, wanted)
        return f"NOT {sql}", values
    if operator == "$in":
        return _among(field, wanted)
    if operator not in _COMPARE:
        raise _wrong(f"{field!r:.80}: {operator!r:.80} is none of {', '.join(_KNOWN)}")
    kind, value = (
        ("'text'", _text(wanted)) if isinstance(wanted, str) else (_NUMBERS, _number(wanted))
    )
    return _has(field, f"m.type IN ({kind}) AND m.value {_COMPARE[str(operator)]} ?", [value])


def _among(field: str, wanted: object) -> Sql:
    if not isinstance(wanted, Sequence) or isinstance(wanted, str):
        raise _wrong(f"{field!r:.80}: $in takes a list, found {wanted!r:.80}")
    if len(wanted) > _MOST_VALUES:
        raise _wrong(f"{field!r:.80}: $in takes at most {_MOST_VALUES:,} values")
    texts = [_text(value) for value in wanted if isinstance(value, str)]
    numbers = [value for value in wanted if _is_number(value)]
    others = [value for value in wanted if not isinstance(value, str) and not _is_number(value)]
    parts = [_equal(field, value) for value in dict.fromkeys(map(_plain, others))]
    for kind, values in (("'text'", texts), (_NUMBERS, [*map(_number, numbers)])):
        marks = ", ".join("?" * len(values))
        parts.append(_has(field, f"m.type IN ({kind}) AND m.value IN ({marks})", values))
    return _joined(parts, " OR ")


def _equal(field: str, wanted: Any) -> Sql:
    if wanted is None:
        sql, values = _has(field, "m.type <> 'null'", [])
        return f"NOT {sql}", values
    if isinstance(wanted, bool):
        return _has(field, f"m.type = '{str(wanted).lower()}'", [])
    if isinstance(wanted, str):
        return _has(field, "m.type = 'text' AND m.value = ?", [_text(wanted)])
    if _is_number(wanted):
        return _has(field, f"m.type IN ({_NUMBERS}) AND m.value = ?", [_number(wanted)])
    raise _wrong(f"{field!r:.80} is compared with text, numbers, true, false or null")


def _has(field: str, condition: str, values: list[Any]) -> Sql:
    """That the metadata has *field*, and of its row `m` of json_each *condition* holds."""
    sql = f"EXISTS (SELECT 1 FROM json_each(e.metadata) AS m WHERE m.key = ? AND {condition})"  # noqa: S608  constants only
    return sql, [_text(field), *values]


def _joined(parts: list[Sql], by: str) -> Sql:
    values = [value for _, own in parts for value in own]
    return (f"({by.join(sql for sql, _ in parts)})" if parts else "0"), values


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    number = checks.finite(value, "a value to compare with")
    return value if abs(value) < _LARGEST else number


def _plain(value: Any) -> Any:
    if value is not None and not isinstance(value, bool):
        raise _wrong(f"$in takes texts, numbers, true, false or null, found {value!r:.80}")
    return value


def _text(value: str) -> str:
    return value.encode(errors="replace").decode()


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(f"where: {what}")
