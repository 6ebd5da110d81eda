"""How far a run may go, and what it was asked to keep to; recorded, so that it goes on with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The limits of one run.

    Attributes:
        max_steps: So often the model is asked.
        max_tokens: Questions and answers together; None is no limit but the budget's.
        timeout_s: Of each call of a skill, where its own is longer.
        ask_each: Whether every call is put to people.
        local_only: Whether only models on this machine or its network are asked.
        remember: Whether earlier runs are recalled, and this one is remembered.
    """

    max_steps: int
    max_tokens: int | None = None
    timeout_s: float | None = None
    ask_each: bool = False
    local_only: bool = False
    remember: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        """As they were recorded, by this version or another."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in recorded.items() if name in known})
