"""A JSON value, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines.redaction.fields import SECRET, fits, hint, kind_of
from engines.redaction.policy import Action

if TYPE_CHECKING:
    from engines.redaction.redactor import Redactor

_DEEPEST = 100
_SMALL = 10**10
_TOO_DEEP = "<nested>"


class Walk:
    """One value on its way to *destination*."""

    def __init__(self, redactor: Redactor, destination: str) -> None:
        self._redactor = redactor
        self._to = destination
        self._policy = redactor.policy

    def value(self, value: Any, path: str = "", name: str = "", depth: int = 0) -> Any:
        """The same without what must not be stored."""
        if isinstance(value, str):
            return self._text(value, name, depth)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value, name)
        if depth > _DEEPEST:
            return _TOO_DEEP
        if isinstance(value, Mapping):
            return self._fields(value, path, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, f"{path}[]", name, depth + 1) for item in value]
        if isinstance(value, bytes | bytearray):
            return self._redactor.redact_bytes(bytes(value), destination=self._to)
        return self._text(str(value), name, depth)

    def _fields(self, fields: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, item in fields.items():
            name = str(key)
            here = f"{path}.{name}" if path else name
            action = self._policy.of_field(here, self._to) if self._policy.has_fields else None
            if action is Action.DROP:
                self._redactor.counts["field"] += 1
                continue
            found = item if action is Action.KEEP else self._field(item, here, name, action, depth)
            out[self._name(name, out)] = found
        return out

    def _field(self, item: Any, path: str, name: str, action: Action | None, depth: int) -> Any:
        kind = kind_of(name)
        if action:
            return self._whole(item, kind or "field", action, depth)
        if kind and self._fits(kind, item):
            by_kind = self._policy.of_kind(kind, self._to)
            if by_kind is not Action.KEEP:
                return self._whole(item, kind, by_kind, depth)
        return self.value(item, path, name, depth + 1)

    def _fits(self, kind: str, item: Any) -> bool:
        if isinstance(item, bool) or item is None:
            return False
        if isinstance(item, str | int | float):
            # Counts of tokens are no tokens.
            return fits(kind, str(item)) and not (kind == SECRET and not isinstance(item, str))
        return False

    def _whole(self, item: Any, kind: str, action: Action, depth: int) -> Any:
        if item is None or isinstance(item, bool) or item == "":
            return item
        if isinstance(item, Mapping) and depth <= _DEEPEST:
            return {str(k): self._whole(v, kind, action, depth + 1) for k, v in item.items()}
        if isinstance(item, list | tuple) and depth <= _DEEPEST:
            return [self._whole(v, kind, action, depth + 1) for v in item]
        return self._redactor.replacement(kind, str(item), action)

    def _name(self, name: str, taken: Mapping[str, Any]) -> str:
        found = self._redactor.redact(name, destination=self._to)
        if found is name or found not in taken:
            return found
        return next(n for i in range(2, len(taken) + 3) if (n := f"{found} {i}") not in taken)

    def _text(self, text: str, name: str, depth: int) -> str:
        if text[:1] in "{[" and len(text) > 1 and (inner := _json(text)) is not None:
            redacted = self.value(inner, "", name, depth + 1)
            return text if redacted == inner else json.dumps(redacted, ensure_ascii=False)
        return self._redactor.redact(text, destination=self._to, field=name)

    def _number(self, number: float, name: str) -> Any:
        # Without a name that says more, only a card's or a long national number is one.
        if not hint(name) and (isinstance(number, float) or abs(number) < _SMALL):
            return number
        text = str(number)
        redacted = self._redactor.redact(text, destination=self._to, field=name)
        return number if redacted == text else redacted


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
