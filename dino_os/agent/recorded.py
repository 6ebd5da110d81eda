"""
What was recorded of a run, in the place of its model, its skills and those who decided: nothing is
asked, nothing runs, nobody is bothered.  Whatever is wanted that is not on record is a difference.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_ai import AbstractToolset, ApprovalRequired, ModelRetry, RunContext, ToolDefinition
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.toolsets import ToolsetTool

from dino_os.agent.calls import NOT_RUN
from dino_os.agent.schema import tool_name
from dino_os.agent.toolset import BY_NAME, TRIES
from dino_os.agent.watching import Watch
from dino_os.agent_core.context import as_json
from dino_os.agent_core.unprepared import Unprepared
from dino_os.errors import ReplayDiffers
from engines.agent_log import Approval, ModelCall, Step, ToolCall

if TYPE_CHECKING:
    from dino_os.agent.posture import Marking
    from dino_os.agent_core.screening import Screen
    from dino_os.skill_index import Skill

# When and for which conversation something was said, and what says how a retry came about.
_PASSING = frozenset({"timestamp", "run_id", "conversation_id", "metadata", "retry", "state"})
_SHOWN = 120


class NoAnswer(Exception):
    """As far as it is on record, the model gave none."""


class StillWaiting(Exception):
    """As far as it is on record, nobody has decided."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The model was asked, by one provider or several; no response where none answered."""

    request: list[Any]
    response: ModelResponse | None


def turns_of(steps: Sequence[Step]) -> list[Turn]:
    """How often the model was asked, and what it said."""
    turns, request = list[Turn](), list[Any]()
    asked = [step for step in steps if isinstance(step, ModelCall)]
    for call in asked:
        request += call.request or []
        if call.outcome == "ok" and call.response:
            [response] = ModelMessagesTypeAdapter.validate_python(call.response)
            if isinstance(response, ModelResponse):
                turns.append(Turn(request, response))
                request = []
    return [*turns, Turn(request, None)] if request or (asked and not turns) else turns


class RecordedModel(Unprepared):
    """
    Says what was said, if it is asked what was asked.

    Attributes:
        step: How often it was asked.
    """

    def __init__(self, turns: Sequence[Turn], screen: Screen) -> None:
        super().__init__()
        self._turns = turns
        self._screen = screen
        self._seen = 0
        self.step = 0

    @property
    def model_name(self) -> str:
        return "recorded"

    @property
    def is_at_end(self) -> bool:
        return self.step >= len([turn for turn in self._turns if turn.response])

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """
        Raises:
            ReplayDiffers: Something else was asked.
            NoAnswer: The record ends here.
        """
        del model_settings, model_request_parameters
        if self.step >= len(self._turns):
            raise NoAnswer
        turn = self._turns[self.step]
        self.step += 1
        new = self._screen.messages(messages[self._seen :])
        now = as_json(new)
        if where := difference(_lasting(turn.request), _lasting(now), "messages"):
            raise ReplayDiffers(f"step {self.step}: the request differs at {where}")
        if turn.response is None:
            raise NoAnswer
        self._seen = len(messages) + 1
        return turn.response


class RecordedTools(AbstractToolset[None]):
    """
    Answers each call of a tool as it was answered.

    Attributes:
        made: How the calls of skills ended that were gone through.
    """

    def __init__(
        self, steps: Sequence[Step], turns: Sequence[Turn], marking: Marking, model: RecordedModel
    ) -> None:
        self._marking = marking
        self._model = model
        # Of each name of a call what became of it, in that order: servers may use a name again.
        self._then: defaultdict[str, deque[ToolCall | Approval]] = defaultdict(deque)
        for step in steps:
            if not isinstance(step, ModelCall):
                self._then[step.id if isinstance(step, ToolCall) else step.call_id].append(step)
        self._names = {part.tool_name for turn in turns for part in _called(turn)}
        # As above, by the step: nobody asks for what the library itself refused.
        self._told = [*map(_returned, turns), _returned(Turn([], None))]
        self.made: list[str] = []

    @property
    def id(self) -> str:
        return "recorded"

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        del ctx
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(name=name),
                max_retries=TRIES,
                args_validator=BY_NAME,
            )
            for name in sorted(self._names)
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[None], tool: ToolsetTool[None]
    ) -> Any:
        del tool
        call_id = ctx.tool_call_id or ""
        answers = self._told[self._model.step][call_id]
        told = answers.popleft() if answers else None
        if told and told["outcome"] == "retried":
            raise ModelRetry(told["content"])
        then = self._then[call_id]
        if then and isinstance(then[0], Approval) and not ctx.tool_call_approved:
            if told:  # it is told once the call comes back
                answers.appendleft(told)
            raise ApprovalRequired({"why": then[0].why})
        if then and isinstance(then[0], ToolCall):
            return self._as_it_was(name, tool_args, then[0])
        if told:
            return told["content"]  # of a tool that is none of the skills
        if self._model.is_at_end:  # what was told of it nobody was told
            raise ModelRetry("it fits nothing")
        raise ReplayDiffers(f"the call {call_id} of {name!r} is not on record")

    def _as_it_was(self, name: str, arguments: dict[str, Any], made: ToolCall) -> str:
        then, now = [tool_name(made.skill), made.arguments], [name, arguments]
        if where := difference(then, now, f"call {made.id}"):
            raise ReplayDiffers(f"another call is made: {where}")
        self._take(made)
        error = made.result.get("error")
        if error is None:
            return self._marking.marked(made.result, made.skill)
        ours = str(error).startswith(NOT_RUN)
        raise ToolFailed(error if ours else self._marking.marked(made.result, made.skill))

    def _take(self, made: ToolCall) -> None:
        self._then[made.id].popleft()
        self.made.append(made.outcome)

    # --- decisions ---------------------------------------------------------------------------

    def source_of(self, skill: Skill) -> str:
        return skill.sha256

    def approve(self, approval: Approval) -> None:
        """It was, then."""

    def recall(self, approval: Approval, made: ToolCall | None) -> None:
        """It was, then."""

    def refused(self, approval: Approval, by: str, *, again: bool = False) -> str:
        del by, again
        then = self._then[approval.call_id]
        if not then or not isinstance(then[0], ToolCall):
            raise ReplayDiffers(f"what became of the call {approval.call_id} is not on record")
        made = then[0]
        self._take(made)
        return str(made.result["error"])

    def decided(self, approval: Approval) -> Approval:
        """The decision that is on record."""
        then = self._then[approval.call_id]
        if not then or not isinstance(then[0], Approval):
            raise ReplayDiffers(f"nobody was asked about the call {approval.call_id}")
        one = then[0]
        then.popleft()
        if where := difference(one.arguments, approval.arguments, f"call {one.call_id}"):
            raise ReplayDiffers(f"people were asked about another call: {where}")
        return one


class Decided(Watch):
    """Those who decided, then."""

    answers = True

    def __init__(self, tools: RecordedTools) -> None:
        self._tools = tools

    def ask(self, approval: Approval) -> bool:
        approved = self._tools.decided(approval).approved
        if approved is None:
            raise StillWaiting
        return approved


def difference(then: Any, now: Any, where: str) -> str | None:
    """The first place at which two JSON values differ, and how; None where they do not."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in {**then, **now}:
            if found := difference(then.get(name), now.get(name), f"{where}.{name}"):
                return found
        return None
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            if found := difference(one, other, f"{where}[{number}]"):
                return found
        return None
    return None if then == now else f"{where}: {_short(then)} is on record, now it is {_short(now)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(item) for name, item in value.items() if name not in _PASSING}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _called(turn: Turn) -> Sequence[Any]:
    return turn.response.tool_calls if turn.response else ()


def _returned(turn: Turn) -> defaultdict[str, deque[dict[str, Any]]]:
    found: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
    for message in turn.request:
        for part in message["parts"]:
            if part["part_kind"] == "tool-return":
                found[part["tool_call_id"]].append(part)
    return found
