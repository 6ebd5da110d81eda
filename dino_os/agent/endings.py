"""How runs of models end: one of a closed set of words, and for people an error with its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_ai import exceptions

from dino_os.agent.calls import Made
from dino_os.errors import AgentBlocked, AgentFailed, AgentTimedOut, Denied, DinoError
from engines.agent_log import Approval, BudgetSpent, Spent

_TIMED_OUT = AgentTimedOut.exit_code


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How far a run of a model came.

    Attributes:
        outcome: One of `engines.agent_log.OUTCOMES`; None where it waits for people.
        output: The model's last words.
        error: Why it is not ok.
        calls: The calls of skills that this process made or refused.
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
    spent: Spent = Spent()

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.run,
            "state": "parked" if self.outcome is None else "ended",
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
        f"nothing was done: none of {len(outcomes)} calls of skills ended well",
        hint="`dino agent show` tells how each ended",
    )


def ending_of(error: BaseException) -> tuple[str, DinoError]:
    """The outcome of a run that ended in *error*, and what people are told."""
    if isinstance(error, BudgetSpent):
        return "blocked", error
    if isinstance(error, exceptions.UsageLimitExceeded):
        text = str(error).partition("\n")[0]
        return "blocked", AgentBlocked(
            f"the run was stopped at its limit: {text}",
            hint="--max-steps and --max-tokens set it; smaller goals need fewer",
        )
    if isinstance(error, Denied):
        return "denied", error
    if isinstance(error, DinoError):
        return ("timeout" if error.exit_code == _TIMED_OUT else "error"), error
    if isinstance(error, exceptions.ModelTimeoutError):
        return "timeout", AgentTimedOut("the model did not answer in time")
    if isinstance(error, exceptions.UnexpectedModelBehavior):
        text = error.message.partition("\n")[0]
        return "error", AgentFailed(
            f"the model could not go on: {text}", hint="a larger model may; see `dino llm`"
        )
    return "error", AgentFailed(f"the model could not be asked: {type(error).__name__}")
