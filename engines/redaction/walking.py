"""A JSON value, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from engines.redaction.fields import GEO, SECRET, fits, hint, kind_of
from engines.redaction.model import Hit
from engines.redaction.policy import Action
from engines.redaction.splits import in_fields, in_list

if TYPE_CHECKING:
    from engines.redaction.redactor import Redactor

PRIVATE_KEY = "private_key"
# The private members of a key (RFC 7518, section 6).
_JWK = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
_DEEPEST = 100
_TOO_DEEP = "<nested>"
_SMALL = 10**10
_geo = re.compile(r"coord|geo|lat_?l|gps", re.IGNORECASE)
_DECIMALS = 3


class _Place(NamedTuple):
    """Where a value stands."""

    path: str = ""
    name: str = ""
    depth: int = 0

    def field(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, name, self.depth + 1)

    def item(self) -> _Place:
        return _Place(f"{self.path}[]", self.name, self.depth + 1)


class Walk:
    """One value on its way to *destination*."""

    def __init__(self, redactor: Redactor, destination: str) -> None:
        self._redactor = redactor
        self._to = destination
        self._policy = redactor.policy
        self._rules_fields = self._policy.has_fields

    def value(self, value: Any, place: _Place = _Place()) -> Any:  # noqa: B008, PLR0911  one a type
        """The same without what must not be stored."""
        if isinstance(value, str):
            return self._text(value, place)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value, place.name)
        if place.depth > _DEEPEST:
            return _TOO_DEEP
        if isinstance(value, Mapping):
            return self._fields(value, place)
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(list(value), place)
        if isinstance(value, bytes | bytearray):
            return self._redactor.redact_bytes(bytes(value), destination=self._to)
        return self._text(str(value), place)

    def _fields(self, fields: Mapping[Any, Any], place: _Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        is_jwk = "kty" in fields
        for key, item in fields.items():
            here = place.field(str(key))
            ruled = self._policy.of_field(here.path, self._to) if self._rules_fields else None
            if ruled is Action.DROP:
                self._redactor.counts["field"] += 1
                continue
            if ruled is not Action.KEEP:
                is_private = is_jwk and here.name in _JWK
                item = self._field(item, here, PRIVATE_KEY if is_private else "", ruled)  # noqa: PLW2901
            out[self._name(here.name, out)] = item
        for names, hit, whole in in_fields(out, self._found):
            out.update(zip(names, self._for_pieces(hit, whole, len(names)), strict=True))
        return out

    def _field(self, item: Any, here: _Place, kind: str, ruled: Action | None) -> Any:
        if self._redactor.is_done(item):
            return item
        said = kind or kind_of(here.name)
        if ruled:
            return self._whole(item, said or "field", ruled, here.depth)
        if said and (action := self._policy.of_kind(said, self._to)) is not Action.KEEP:
            if isinstance(item, str | int | float) and (kind or _fits(said, item)):
                return self._redactor.replacement(said, str(item), action)
            if isinstance(item, Mapping | list | tuple):
                return self.value(self._leaves(item, said, action, here.depth), here)
        return self.value(item, here)

    def _leaves(self, item: Any, kind: str, action: Action, depth: int) -> Any:
        """What lies within a field whose name says what it is, as far as it can be that."""
        if depth > _DEEPEST:
            return _TOO_DEEP
        if isinstance(item, Mapping):
            return {k: self._leaves(v, kind, action, depth + 1) for k, v in item.items()}
        if isinstance(item, list | tuple):
            return [self._leaves(one, kind, action, depth + 1) for one in item]
        if isinstance(item, str) and fits(kind, item):
            return self._redactor.replacement(kind, item, action)
        return item

    def _whole(self, item: Any, kind: str, action: Action, depth: int) -> Any:
        """*item* with all its values replaced, whatever they are."""
        if self._redactor.is_done(item) or item is None or isinstance(item, bool) or item == "":
            return item
        if isinstance(item, Mapping) and depth <= _DEEPEST:
            return {str(k): self._whole(v, kind, action, depth + 1) for k, v in item.items()}
        if isinstance(item, list | tuple) and depth <= _DEEPEST:
            return [self._whole(one, kind, action, depth + 1) for one in item]
        return self._redactor.replacement(kind, str(item), action)

    def _items(self, items: list[Any], place: _Place) -> list[Any]:
        if (degrees := _degrees(items)) and _geo.search(place.name):
            action = self._policy.of_kind(GEO, self._to)
            if action is not Action.KEEP:
                return [self._redactor.replacement(GEO, degrees, action)]
        below = place.item()
        out = [self.value(item, below) for item in items]
        for span, hit, whole in in_list(out, self._found):
            for at, text in zip(span, self._for_pieces(hit, whole, len(span)), strict=True):
                out[at] = text
        return out

    def _found(self, whole: str) -> list[Hit]:
        hits = self._redactor.find(whole)
        return [h for h in hits if self._policy.of_kind(h.kind, self._to) is not Action.KEEP]

    def _for_pieces(self, hit: Hit, whole: str, count: int) -> list[str]:
        """The first piece becomes what stands for all, the others their kind."""
        action = self._policy.of_kind(hit.kind, self._to)
        other = "" if action is Action.DROP else f"<{hit.kind}>"
        return [self._redactor.stands_for(hit, whole, action)] + [other] * (count - 1)

    def _name(self, name: str, taken: Mapping[str, Any]) -> str:
        found = self._redactor.redact(name, destination=self._to)
        if found is name or found not in taken:
            return found
        return next(n for i in range(2, len(taken) + 3) if (n := f"{found} {i}") not in taken)

    def _text(self, text: str, place: _Place) -> str:
        if text[:1] in "{[" and len(text) > 1 and (inner := _json(text)) is not None:
            redacted = self.value(inner, _Place("", place.name, place.depth + 1))
            return text if redacted == inner else json.dumps(redacted, ensure_ascii=False)
        return self._redactor.redact(text, destination=self._to, field=place.name)

    def _number(self, number: float, name: str) -> Any:
        # Without a name that says more, only a card's or a long national number is one.
        if not hint(name) and (isinstance(number, float) or abs(number) < _SMALL):
            return number
        text = str(number)
        redacted = self._redactor.redact(text, destination=self._to, field=name)
        return number if redacted == text else redacted


def _fits(kind: str, item: str | float) -> bool:
    if isinstance(item, bool):
        return False
    # Counts of tokens are no tokens.
    return fits(kind, str(item)) and (isinstance(item, str) or kind != SECRET)


def _degrees(items: list[Any]) -> str:
    """A pair of degrees, with or without a height, as one text; else nothing."""
    if len(items) not in {2, 3} or not all(isinstance(item, float) for item in items):
        return ""
    texts = [str(item) for item in items]
    fine = all(len(text.partition(".")[2]) >= _DECIMALS for text in texts[:2])
    return ",".join(texts) if fine and max(map(abs, items[:2])) <= 180 else ""  # noqa: PLR2004


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
