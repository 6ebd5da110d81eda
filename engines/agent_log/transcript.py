"""What happened in one run, step by step, read from the lines of its journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from engines.agent_log.fold import approval_in, moved
from engines.agent_log.model import Approval, ModelCall, Step, ToolCall
from engines.filed import Filed

_Event = Mapping[str, Any]
_MOVES = {"approval_decided", "approval_used"}


def steps_of(events: Iterable[_Event], contents: Filed) -> list[Step]:
    """
    The steps of the one run that *events* are of.

    Raises:
        FiledBroken: What was said is not there, or not as it was recorded.
    """
    steps: dict[str, Step] = {}
    for event in events:
        kind = event["event_type"]
        if kind == "model_call_started":
            call = ModelCall(event["call"], event["at"], event["provider"], event["model"])
            steps[call.id] = call
        elif kind == "model_call_finished":
            begun = steps.get(event["call"])
            if isinstance(begun, ModelCall):
                steps[begun.id] = _ended(begun, event, contents)
        elif kind == "agent_tool_called":
            steps[f"tool {event['seq']}"] = _tool_call(event, contents)
        elif kind == "approval_asked":
            steps[event["approval"]] = approval_in(event, contents.kept("arguments", event))
        elif kind in _MOVES:
            asked = steps.get(event["approval"])
            if isinstance(asked, Approval):
                steps[asked.id] = moved(asked, event)
    return [*steps.values()]


def _ended(call: ModelCall, event: _Event, contents: Filed) -> ModelCall:
    return replace(
        call,
        provider=event.get("provider", call.provider),
        model=event.get("model", call.model),
        outcome=event["outcome"],
        input_tokens=event["input_tokens"],
        output_tokens=event["output_tokens"],
        money=event["money"],
        duration_s=event["duration_s"],
        why=event["why"],
        tried=tuple(event["tried"]),
        request=contents.kept("request", event),
        response=contents.kept("response", event),
    )


def _tool_call(event: _Event, contents: Filed) -> ToolCall:
    return ToolCall(
        event["call_id"],
        event["at"],
        event["skill"],
        event["outcome"],
        arguments=contents.kept("arguments", event),
        result=contents.kept("result", event),
        skill_run=event.get("skill_run"),
        untrusted=event["untrusted"],
        duration_s=event["duration_s"],
    )
