"""How runs of models are shown: as they go on, and afterwards."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from dino_os.agent.posture import visible
from dino_os.agent.watching import Watch
from dino_os.commands import output
from engines.agent_log import AgentRun, Approval, ModelCall, Step, ToolCall

if TYPE_CHECKING:
    from rich.status import Status

    from dino_os.agent.endings import Ended

NOT_YET = 75
_LEAST = 0.0001  # of money that is worth its digits
_WIDE = 200  # characters of a result on one line


class Shown(Watch):
    """
    Tells on standard error what a run does; on a terminal it asks there too, and shows that
    something goes on.

    Args:
        quiet: Say nothing but what is asked.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.answers = sys.stdin.isatty() and sys.stderr.isatty()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._going_on(None)

    def ask(self, approval: Approval) -> bool:
        self._going_on(None)
        show_call(approval, err=True)
        try:
            return click.confirm("Allow this call?", default=False, err=True)
        except click.Abort:
            raise KeyboardInterrupt from None

    def began(self, run: str) -> None:
        self._say(f"run {run}")

    def asking(self, step: int) -> None:
        self._going_on(f"step {step}: the model is asked …")

    def said(self, text: str) -> None:
        self._say(f"  {text.strip()}")

    def calling(self, skill: str, arguments: Mapping[str, Any]) -> None:
        self._say(f"  → {skill} {_line(arguments)}")
        self._going_on(f"{skill} runs …")

    def called(self, skill: str, outcome: str, result: Any, duration_s: float) -> None:
        told = result.get("data", result.get("error")) if isinstance(result, Mapping) else result
        self._say(f"  ← {skill} {outcome} in {duration_s:.2f} s: {_line(told)}")

    def invalid(self, skill: str, message: str) -> None:
        self._say(f"  ✗ {skill}: {message}")

    def note(self, text: str) -> None:
        self._say(f"  {text}")

    def spent(self, steps: int, tokens: int, money: float) -> None:
        self._say(f"step {steps}  {_cost(tokens, money)}")

    def _say(self, text: str) -> None:
        self._going_on(None)
        if not self._quiet:
            click.echo(output.printable(text), err=True)

    def _going_on(self, what: str | None) -> None:
        if self._status:
            self._status.stop()
            self._status = None
        if what and not self._quiet and sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415

            self._status = Console(stderr=True).status(Text(output.printable(what)))
            self._status.start()


def show_call(approval: Approval, *, err: bool = False) -> None:
    """A call that people are to decide: all of it, and why."""
    arguments = json.dumps(approval.arguments, ensure_ascii=False, indent=2)
    lines = [
        f"{approval.id}: {approval.skill} is to run with",
        *(f"  {visible(line)}" for line in arguments.split("\n")),
        f"it needs approval: {approval.why}",
    ]
    click.echo("\n".join(map(output.printable, lines)), err=err)


def show_end(ended: Ended, *, as_json: bool) -> None:
    """
    What came of a run; leaves with 75 where it waits for people.

    Raises:
        DinoError: Why it is not ok.
    """
    if as_json:
        output.emit_json(ended.as_dict())
    elif ended.waiting:
        for approval in ended.waiting:
            show_call(approval)
        output.say(f"the run waits: dino approve {ended.waiting[0].id} [--deny]")
    elif ended.outcome is None:
        output.say(f"another process goes on with run {ended.run}")
    else:
        if ended.output:
            output.say(ended.output)
        spent = _cost(ended.spent.tokens, ended.spent.money)
        calls = output.counted(len(ended.calls), "call")
        steps = output.counted(ended.steps, "step")
        click.echo(f"{ended.outcome}: {steps}, {calls}, {spent}; run {ended.run}", err=True)
    ended.check()
    if ended.outcome is None:
        sys.exit(NOT_YET)


def row(run: AgentRun) -> tuple[str, ...]:
    """A run in a table."""
    state = run.outcome or run.state.value
    began = str(run.as_dict()["began"])
    cost = _cost(run.spent.tokens, run.spent.money)
    goal = run.goal.partition("\n")[0]  # what was recalled stands behind it
    return run.id, began, run.kind, state, str(run.tool_calls), cost, goal


COLUMNS = ("run", "began", "kind", "state", "calls", "cost", "goal")


def show_step(step: Step) -> None:
    """A step of a run that is over, or not yet."""
    at = str(step.as_dict()["at"])
    if isinstance(step, ModelCall):
        tokens = f"{step.input_tokens:,} + {step.output_tokens:,} tokens"
        output.say(f"{at}  {step.provider} {step.model}: {step.outcome or 'no end'}, {tokens}")
        for line in _said(step.response):
            output.say(f"    {line}")
    elif isinstance(step, ToolCall):
        output.say(f"{at}  {step.skill} {_line(step.arguments)}")
        told = _line(step.result)
        output.say(f"    {step.outcome} in {step.duration_s:.2f} s: {told}")
        if step.skill_run:
            output.say(f"    run {step.skill_run}")
    else:
        output.say(f"{at}  approval {step.id}: {step.skill} {_line(step.arguments)}")
        output.say(f"    {step.why}")
        output.say(f"    {_decision(step)}")


def _decision(approval: Approval) -> str:
    if approval.approved is None:
        return "nobody has decided"
    used = "; the call was begun" if approval.used else ""
    word = "allowed" if approval.approved else "refused"
    return f"{word} by {approval.by} at the door {approval.door!r}{used}"


def _said(response: Any) -> list[str]:
    """What a model said in a recorded answer, and what it wanted called."""
    found = []
    with contextlib.suppress(TypeError, KeyError, AttributeError):
        for message in response or []:
            for part in message["parts"]:
                if part["part_kind"] == "text":
                    found += part["content"].splitlines()
                elif part["part_kind"] == "tool-call":
                    found.append(f"→ {part['tool_name']} {_line(part['args'])}")
    return found


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return visible(text if len(text) <= _WIDE else f"{text[:_WIDE]}…")


def _cost(tokens: int, money: float) -> str:
    if not money:
        return f"{tokens:,} tokens"
    return f"{tokens:,} tokens, " + (f"{money:.4f}" if money >= _LEAST else f"under {_LEAST}")
