"""What whoever watches a run is told while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Watch:
    """Told of everything, and silent; whoever shows something overrides what is to be shown."""

    def began(self, run: str) -> None:
        """A run began, or goes on."""

    def said(self, text: str) -> None:
        """The model said what it is about to do."""

    def calling(self, skill: str, arguments: Mapping[str, Any]) -> None:
        """A skill is about to run."""

    def called(self, skill: str, outcome: str, result: Any, duration_s: float) -> None:
        """It ended so, or was refused."""

    def invalid(self, skill: str, message: str) -> None:
        """The model called a skill with what it does not take, and is told so."""

    def spent(self, steps: int, tokens: int, money: float) -> None:
        """Behind a step: what the run took so far."""
