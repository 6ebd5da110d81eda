"""Runs of scripted models for tests: what the model says is a list, and skills run in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from dino_os.agent.watching import Watch
from dino_os.tool_sandbox.policy import Policy
from dino_os.tool_sandbox.sandbox import Outcome
from engines.agent_log import Approval

Said = TextPart | ToolCallPart
Turn = Sequence[Said] | Callable[[list[ModelMessage]], Sequence[Said]]
SKILLS = '''
from pathlib import Path

@skill
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b

@skill(writes=["out"])
def save(text: str) -> str:
    """Write a text down."""
    with Path("out/saved").open("a") as file:
        file.write(f"{text}\\n")
    return "saved"

@skill
def much(size: int) -> str:
    """Return a lot."""
    print("p" * size)
    return "x" * size

@skill
def slow() -> None:
    """Take its time."""
    import time
    time.sleep(60)

@skill
def broken() -> None:
    """Fail."""
    raise LookupError("no such gauge")
'''


def say(text: str) -> TextPart:
    return TextPart(text)


def call(skill: str, call_id: str | None = None, **arguments: Any) -> ToolCallPart:
    named = {"tool_call_id": call_id} if call_id else {}
    return ToolCallPart(skill, arguments, **named)


class Script:
    """
    A model that says these things, one a step; in a run that goes on it says the next.

    Attributes:
        seen: The messages of each time that it was asked.
        offered: The names of the tools that it had then.
    """

    def __init__(self, *turns: Turn) -> None:
        self._turns = turns
        self.seen: list[list[ModelMessage]] = []
        self.offered: list[list[str]] = []

    def __call__(self, run: str, **terms: Any) -> FunctionModel:
        return FunctionModel(self._answer)

    def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.seen.append(messages)
        self.offered.append([tool.name for tool in info.function_tools])
        turn = self._turns[sum(isinstance(m, ModelResponse) for m in messages)]
        return ModelResponse(turn(messages) if callable(turn) else turn)

    @property
    def told(self) -> list[Any]:
        """What it was told last: the contents of the parts."""
        return [part.content for part in self.seen[-1][-1].parts]  # type: ignore[union-attr]


class Operator(Watch):
    """Somebody at a terminal, who gives these answers."""

    answers = True

    def __init__(self, *answers: bool) -> None:
        self._answers = [*answers]
        self.asked: list[Approval] = []
        self.heard: list[tuple[str, Any]] = []

    def ask(self, approval: Approval) -> bool:
        self.asked.append(approval)
        return self._answers.pop(0)

    def said(self, text: str) -> None:
        self.heard.append(("said", text))

    def invalid(self, skill: str, message: str) -> None:
        self.heard.append(("invalid", message))

    def called(self, skill: str, outcome: str, result: Any, duration_s: float) -> None:
        self.heard.append((skill, outcome))


def run_here(sandbox: object, policy: Policy, job: Mapping[str, Any], **how: Any) -> Outcome:
    """As the sandbox's `run`, without walls: what is tested here lies before it and behind it."""
    names: dict[str, Any] = {}
    exec(compile(job["sources"][job["file"]], job["file"], "exec"), names)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.chdir(policy.folder):
            result = names[job["name"]](**job["params"])
    except Exception as error:  # noqa: BLE001  as the sandbox does
        told = {"type": type(error).__name__, "message": str(error), "where": "mine.py:1"}
        return Outcome("finished", ok=False, code=1, walls=[], error=told)
    return Outcome(
        "finished", ok=True, code=0, walls=[], result=result, output=printed.getvalue().encode()
    )
