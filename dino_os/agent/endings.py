"""How runs of models end: one of a closed set of words, and for people an error with its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import exceptions

from dino_os.agent.calls import Made
from dino_os.errors import (
    AgentBlocked,
    AgentFailed,
    Denied,
    DinoError,
    ModelTimedOut,
    ModelUnavailable,
)
from engines.agent_log import Approval, BudgetSpent, Spent

_TIMED_OUT = ModelTimedOut.exit_code


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How far a run of a model came.

    Attributes:
        outcome: One of `engines.agent_log.OUTCOMES`; None where it waits for people, or where
            another process goes on with it.
        output: The model's last words.
        error: Why it is not ok.
        calls: The calls of skills that were made or refused.
        waiting: What people are to decide.
        steps: How often the model was asked, in all.
    """

    run: str
    outcome: str | None
    output: str = ""
    error: DinoError | None = None
    calls: tuple[Made, ...] = ()
    waiting: tuple[Approval, ...] = ()
    steps: int = 0
    spent: Spent = field(default_factory=Spent)

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "state": "ended" if self.outcome else "parked" if self.waiting else "running",
            "outcome": self.outcome,
            "output": self.output,
            "error": self.error.message if self.error else None,
            "calls": [made.as_dict() for made in self.calls],
            "waiting": [approval.as_dict() for approval in self.waiting],
            "steps": self.steps,
            "spent": self.spent.as_dict(),
        }

    def check(self) -> Ended:
        """
        Return it, if the run is ok or waits.

        Raises:
            DinoError: Why it is not.
        """
        if self.error:
            raise self.error
        return self


def outcome_of(outcomes: list[str]) -> tuple[str, DinoError | None]:
    """How a run ends whose model came to an answer, by how its calls of skills ended."""
    if "ok" in outcomes:
        return "ok", None
    if not outcomes:
        return "ok_no_action", None
    if set(outcomes) == {"denied"}:
        return "denied", Denied(
            "nothing was done: each call that the model wanted was refused",
            hint="`dino agent show` tells why",
        )
    return "error", AgentFailed(
        "no call of a skill ended well",
        hint="`dino agent show` tells how each ended",
    )


def ending_of(error: BaseException) -> tuple[str, DinoError]:
    """The outcome of a run that ended in *error*, and what people are told."""
    if isinstance(error, ModelUnavailable):
        error = ModelUnavailable(error.message, hint="`dino llm check` asks each of them")
    if isinstance(error, DinoError):
        return _word_of(error), error
    if isinstance(error, exceptions.UsageLimitExceeded):
        limit = "tokens" if "token" in error.message else "steps"
        return "blocked", AgentBlocked(
            f"the model had no answer within its limit of {limit}",
            hint=f"--max-{limit} sets it; `dino agent show` tells how far it came",
        )
    if isinstance(error, exceptions.ModelTimeoutError):
        return "timeout", ModelTimedOut("the model did not answer in time")
    if isinstance(error, exceptions.UnexpectedModelBehavior):
        text = error.message.partition("\n")[0].partition(". ")[0]
        return "error", AgentFailed(f"the model could not go on: {text}")
    return "error", AgentFailed(f"the model could not be asked: {type(error).__name__}")


def _word_of(error: DinoError) -> str:
    if isinstance(error, BudgetSpent):
        return "blocked"
    if isinstance(error, Denied):
        return "denied"
    return "timeout" if error.exit_code == _TIMED_OUT else "error"
