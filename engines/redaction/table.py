"""The detectors: each with the sign without which it need not look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from engines.redaction.emails import find_emails
from engines.redaction.model import Hit
from engines.redaction.views import Text


@dataclass(frozen=True, slots=True)
class Rule:
    """A detector of ours."""

    name: str
    cue: Callable[[str], object]
    """Falsy where `find` has nothing to find."""
    find: Callable[[Text], Iterator[Hit]]


@cache
def rules(phone_regions: tuple[str, ...]) -> tuple[Rule, ...]:
    """All of them."""
    del phone_regions
    return (Rule("email", lambda text: "@" in text, find_emails),)
