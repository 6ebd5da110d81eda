"""
What becomes of what is found: by its kind, by the field it stands in, by where the text goes.

The nearest rule decides: a field's before a kind's, a kind's before its group's, and each of a
destination before the general one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from engines.checks import did_you_mean
from engines.errors import InvalidInput
from engines.redaction.kinds import group_of

JOURNAL = "journal"


class Action(StrEnum):
    """What is done with a value."""

    HASH = "hash"
    """A pseudonym in its place; where no key is, as `MASK`."""
    MASK = "mask"
    """Its kind in its place."""
    DROP = "drop"
    """Nothing in its place; a field that is nothing else goes with its name."""
    KEEP = "keep"
    """It stays.  A field that is kept is not looked into."""


@dataclass(frozen=True)
class Rules:
    """Actions of kinds, of groups of kinds (`personal`, `secret`, `network`), and of fields."""

    default: Action | None = None
    kinds: Mapping[str, Action] = field(default_factory=dict)
    fields: Mapping[str, Action] = field(default_factory=dict)
    """
    By the path of a field, `customer.email`, with `*` for any part.  Items of a list are `[]`.  A
    name without a dot is that field wherever it stands.
    """

    def of_kind(self, kind: str) -> Action | None:
        return self.kinds.get(kind) or self.kinds.get(group_of(kind)) or self.default

    def of_field(self, path: str) -> Action | None:
        name = path.rpartition(".")[2].removesuffix("[]")
        for pattern, action in self.fields.items():
            if fnmatchcase(path if "." in pattern else name, pattern):
                return action
        return None


@dataclass(frozen=True)
class Policy:
    """The rules for every destination, and those of some before them."""

    rules: Rules = Rules(Action.HASH)
    destinations: Mapping[str, Rules] = field(default_factory=dict)
    phone_regions: tuple[str, ...] = ("US", "GB")
    """Whose national ways of writing a phone number are understood; those with + always are."""
    lowest_score: float = 0.5
    """Hits below it are let be."""

    def __post_init__(self) -> None:
        # One per policy: a class's cache would keep policies alive.
        object.__setattr__(self, "_field", lru_cache(4096)(self._field_action))

    def of_kind(self, kind: str, destination: str = JOURNAL) -> Action:
        """What to do with a value of that kind."""
        for rules in self._rules(destination):
            if action := rules.of_kind(kind):
                return action
        return Action.HASH

    def of_field(self, path: str, destination: str = JOURNAL) -> Action | None:
        """What to do with all of the field at *path*; None where its content decides."""
        found: Action | None = self._field(path, destination)  # type: ignore[attr-defined]
        return found

    @property
    def has_fields(self) -> bool:
        return any(r.fields for r in (self.rules, *self.destinations.values()))

    def _field_action(self, path: str, destination: str) -> Action | None:
        found = (rules.of_field(path) for rules in self._rules(destination))
        return next((action for action in found if action), None)

    def _rules(self, destination: str) -> Iterator[Rules]:
        if own := self.destinations.get(destination):
            yield own
        yield self.rules

    @classmethod
    def from_mapping(cls, form: Mapping[str, Any]) -> Policy:
        """
        The policy that a file spells out.

        Raises:
            InvalidInput: It has another form; the message names the place in it.
        """
        known = {"default", "kinds", "fields", "destinations", "phone_regions", "lowest_score"}
        _known(form, known, "$")
        ways = _table(form, "destinations", "$")
        return cls(
            rules=_rules(form, "$", Action.HASH),
            destinations={
                name: _rules(_as_table(rules, f"$.destinations.{name}", known=True), name)
                for name, rules in ways.items()
            },
            phone_regions=_regions(form.get("phone_regions", cls.phone_regions)),
            lowest_score=_share(form.get("lowest_score", cls.lowest_score)),
        )


def _rules(form: Mapping[str, Any], place: str, default: Action | None = None) -> Rules:
    if "default" in form:
        default = _action(form["default"], f"{place}.default")
    kinds = _table(form, "kinds", place)
    return Rules(
        default,
        {kind: _action(word, f"{place}.kinds.{kind}") for kind, word in kinds.items()},
        {
            path: _action(word, f"{place}.fields.{path}")
            for path, word in _table(form, "fields", place).items()
        },
    )


def _action(word: Any, place: str) -> Action:
    try:
        return Action(word)
    except ValueError:
        raise InvalidInput(
            f"{place}: expected one of {', '.join(Action)}, found {word!r}"
            f"{did_you_mean(str(word), list(Action))}"
        ) from None


def _table(form: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    return _as_table(form.get(name) or {}, f"{place}.{name}")


def _as_table(found: Any, place: str, *, known: bool = False) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise InvalidInput(f"{place}: expected names with values, found {found!r:.60}")
    if known:
        _known(found, {"default", "kinds", "fields"}, place)
    return found


def _known(form: Mapping[str, Any], known: set[str], place: str) -> None:
    for name in form:
        if name not in known:
            raise InvalidInput(f"{place}: no setting {name!r}{did_you_mean(str(name), known)}")


def _regions(found: Any) -> tuple[str, ...]:
    if isinstance(found, list | tuple) and all(isinstance(r, str) for r in found):
        return tuple(region.upper() for region in found)
    raise InvalidInput(f"$.phone_regions: expected codes of countries, found {found!r:.60}")


def _share(found: Any) -> float:
    if isinstance(found, int | float) and not isinstance(found, bool) and 0 <= found <= 1:
        return float(found)
    raise InvalidInput(f"$.lowest_score: expected a number from 0 to 1, found {found!r:.60}")
