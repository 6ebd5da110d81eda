"""
What is known of the runs of models: facts only, all frozen.

Amounts of money are in the currency of the prices, tokens are the provider's own count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from engines import checks

OUTCOMES = frozenset(
    {"ok", "ok_no_action", "error", "timeout", "cancelled", "denied", "blocked", "delivery_failed"}
)
"""How runs, calls of models and calls of skills end."""
_DIGITS = 9  # of money: sums of prices per million tokens are no more exact


class Kind(StrEnum):
    """What a model is used for."""

    ASK = "ask"
    CHAT = "chat"
    RUN = "run"
    PERSONA = "persona"
    SKILL = "skill"
    QUEUED = "queued"


class State(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    PARKED = "parked"
    """It waits for people, and no process has it."""
    INTERRUPTED = "interrupted"
    """It began and did not end, and its process is gone."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls of models took; calls count once they begin."""

    calls: int = 0
    tokens: int = 0
    money: float = 0.0

    def plus(self, calls: int = 0, tokens: int = 0, money: float = 0.0) -> Spent:
        total = round(self.money + money, _DIGITS)
        return Spent(self.calls + calls, self.tokens + tokens, total)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Budget:
    """
    How much calls of models may take; None is no limit.

    Attributes:
        calls: So many, `tokens` and `money` so much, in a day (UTC).
        run_calls: As these, `run_tokens` and `run_money` in one run.
    """

    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    run_calls: int | None = None
    run_tokens: int | None = None
    run_money: float | None = None

    def of_day(self) -> dict[str, float | None]:
        return {"calls": self.calls, "tokens": self.tokens, "money": self.money}

    def of_run(self) -> dict[str, float | None]:
        return {"calls": self.run_calls, "tokens": self.run_tokens, "money": self.run_money}


@dataclass(frozen=True, slots=True)
class AgentRun:
    """
    A run of a model.

    Attributes:
        goal: Its beginning; `AgentLog.goal` has all of it.
        began: Seconds since the epoch, as `ended`.
        seq: Of the line that began it.
        outcome: One of `OUTCOMES` once it has ended.
        tainted: Whether it has taken in text that nobody vouches for: of a tool, a file, a memory.
        parent_run: The run in which it was begun: a model's, or a skill's.
    """

    id: str
    kind: str
    goal: str
    began: float
    seq: int
    pid: int
    model_wanted: str | None = None
    skills: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ""
    door: str = ""
    parent_run: str | None = None
    state: State = State.RUNNING
    outcome: str | None = None
    ended: float | None = None
    error: str | None = None
    spent: Spent = Spent()
    tool_calls: int = 0
    tainted: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "run": self.id,
            "kind": self.kind,
            "state": self.state.value,
            "outcome": self.outcome,
            "goal": self.goal,
            "model_wanted": self.model_wanted,
            "skills": list(self.skills),
            "limits": dict(self.limits),
            "actor": self.actor,
            "door": self.door,
            "parent_run": self.parent_run,
            "began": checks.time_text(self.began),
            "ended": checks.time_text(self.ended),
            "error": self.error,
            "spent": self.spent.as_dict(),
            "tool_calls": self.tool_calls,
            "tainted": self.tainted,
        }


@dataclass(frozen=True, slots=True)
class ModelCall:
    """
    A model was asked.

    Attributes:
        outcome: None where it did not end, or its process was killed.
        why: Why this provider.
        tried: The providers before it: {provider, reason} of each.
        request: The messages that were new since the run's last call.
        response: What came back.
    """

    id: str
    at: float
    provider: str
    model: str
    outcome: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0
    duration_s: float = 0.0
    why: str = ""
    tried: tuple[Mapping[str, str], ...] = ()
    request: Any = None
    response: Any = None

    def as_dict(self) -> dict[str, Any]:
        return _step("model_call", self)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """
    A model had a skill called, or tried to.

    Attributes:
        id: The model's name for the call.
        arguments: As the model wrote them: pseudonyms stand in place of secrets.
        skill_run: The run of the skill, where there was one.
        untrusted: Whether the result is text that nobody vouches for.
    """

    id: str
    at: float
    skill: str
    outcome: str
    arguments: Any = None
    result: Any = None
    skill_run: str | None = None
    untrusted: bool = True
    duration_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return _step("tool_call", self)


@dataclass(frozen=True, slots=True)
class Approval:
    """
    A call of a skill that people are to allow: with exactly these arguments, once.

    Attributes:
        call_id: The model's name for the call.
        covers: The hash of skill and arguments; see `arguments_sha256`.
        why: Why it needs approval.
        source_sha256: Of the skill's source that people were to judge.
        approved: None as long as nobody has decided.
        used: Whether the call was begun.
    """

    id: str
    run: str
    at: float
    call_id: str
    skill: str
    arguments: Any
    covers: str
    why: str
    source_sha256: str | None = None
    approved: bool | None = None
    by: str | None = None
    door: str | None = None
    used: bool = False

    def as_dict(self) -> dict[str, Any]:
        return _step("approval", self)


Step: TypeAlias = ModelCall | ToolCall | Approval
"""What happened in a run, in the order in which it began."""


def arguments_sha256(skill: str, arguments: Any) -> str:
    """What an approval covers: a skill and its arguments, whatever the order of their names."""
    text = json.dumps([skill, arguments], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _step(kind: str, found: Step) -> dict[str, Any]:
    told = {"step": kind, **asdict(found)}
    told["at"] = checks.time_text(found.at)
    return told
