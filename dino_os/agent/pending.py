"""What in the messages of a run is still to be done, and what its record says of that."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart

from engines.agent_log import Approval, Step, ToolCall


def tool_calls(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    """All calls that the model wanted."""
    answers = (message for message in messages if isinstance(message, ModelResponse))
    return [part for answer in answers for part in answer.tool_calls]


def pending(messages: Sequence[ModelMessage]) -> list[str]:
    """The model's names for the calls of its last answer that have no result yet."""
    wanted: dict[str, None] = {}
    for message in messages:
        if isinstance(message, ModelResponse):  # small models name each call alike
            wanted = dict.fromkeys(part.tool_call_id for part in message.tool_calls)
        for part in message.parts:
            if isinstance(part, ToolReturnPart):
                wanted.pop(part.tool_call_id, None)
    return [*wanted]


def decided(steps: Sequence[Step], call_id: str) -> tuple[Approval | None, ToolCall | None]:
    """The last approval of the call of that name, and how the call ended after it."""
    approval, made = None, None
    for step in steps:
        if isinstance(step, Approval) and step.call_id == call_id:
            approval, made = step, None
        elif isinstance(step, ToolCall) and step.id == call_id:
            made = step
    return approval, made


def went_on(messages: Sequence[ModelMessage], steps: Sequence[Step]) -> ToolCall | None:
    """A call on record that the messages know nothing of, where there is one."""
    wanted = [part.tool_call_id for part in tool_calls(messages)]
    made = [step for step in steps if isinstance(step, ToolCall)]
    for call in made:
        if call.id not in wanted:
            return call
        wanted.remove(call.id)
    return None
