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
