"""What a run was parked for, and what its record says became of that."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart

from engines.agent_log import Approval, Step, ToolCall

Settled = tuple[Approval, ToolCall | None]
"""An approval, and how the call that it is about ended, where it did."""


def tool_calls(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    """All calls that the model wanted."""
    answers = (message for message in messages if isinstance(message, ModelResponse))
    return [part for answer in answers for part in answer.tool_calls]


def settled(
    steps: Sequence[Step], approvals: Collection[str]
) -> tuple[list[Settled], ToolCall | None]:
    """
    What became of the calls that *approvals* are about, and a call beyond these, where one was.

    Only what is on record behind them counts: small models name each of their calls alike.
    """
    asked: dict[str, Approval] = {}
    made: dict[str, ToolCall] = {}
    beyond = None
    for step in steps:
        if isinstance(step, Approval) and step.id in approvals:
            asked[step.call_id] = step
        elif isinstance(step, ToolCall) and asked:
            if step.id in asked and step.id not in made:
                made[step.id] = step
            else:
                beyond = beyond or step
    return [(approval, made.get(call_id)) for call_id, approval in asked.items()], beyond
