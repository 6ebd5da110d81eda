"""What is found, and who finds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

SURE = 1.0
"""A check digit, a signature or a form that nothing else has."""
LIKELY = 0.85
"""A form that is hardly ever anything else, or a weaker one beside words that name it."""
POSSIBLE = 0.6
"""Only the words beside it say so."""


@dataclass(frozen=True, slots=True)
class Hit:
    """
    A place in a text.

    `start` and `end` count characters; `score` is from 0 to 1.  `rule` names what found it and
    `why` says on what grounds; neither ever holds the value.
    """

    kind: str
    start: int
    end: int
    rule: str
    score: float
    why: str
    value: str = field(default="", repr=False, compare=False)
    """The value in its plainest spelling, from which the pseudonym is made."""

    def moved(self, by: int) -> Hit:
        return replace(self, start=self.start + by, end=self.end + by)


class Detector(Protocol):
    """Finds values of some kinds.  Pure: the same text has the same hits."""

    name: str

    def find(self, text: str) -> Iterable[Hit]:
        """Hits in *text*, in any order; they may overlap."""
