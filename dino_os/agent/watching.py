"""Whoever watches a run: told what happens, and asked, where they are there to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engines.agent_log import Approval


class Watch:
    """
    Nobody: told of everything, silent, and not there to be asked.

    Attributes:
        answers: Whether `ask` may be called; where not, a call that people are to decide parks the
            run.
    """

    answers = False

    def ask(self, approval: Approval) -> bool:
        """Put a call to them; whether they allow it."""
        raise NotImplementedError

    def began(self, run: str) -> None:
        """A run began, or goes on."""

    def asking(self, step: int) -> None:
        """The model is about to be asked."""

    def said(self, text: str) -> None:
        """The model said what it is about to do."""

    def calling(self, skill: str, arguments: Mapping[str, Any]) -> None:
        """A skill is about to run."""

    def called(self, skill: str, outcome: str, result: Any, duration_s: float) -> None:
        """It ended so, or was refused."""

    def invalid(self, skill: str, message: str) -> None:
        """The model called a skill with what it does not take, and is told so."""

    def note(self, text: str) -> None:
        """Something that somebody should know, though it goes on."""

    def spent(self, steps: int, tokens: int, money: float) -> None:
        """Behind a step: what the run took so far."""
