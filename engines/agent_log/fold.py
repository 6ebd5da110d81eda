"""
What is known of runs without looking anything up: the fold over `agent_log.jsonl`.

Of each run it holds what lists show; what was said in it stands in the journal alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engines import checks
from engines.agent_log.model import AgentRun, Approval, Spent, State
from engines.engine import Engine
from engines.journal import Event

_RUNS, _DAYS = 10_000, 400  # so many of the last are remembered
_LATE_S = 2 * 86_400.0
"""A call that has not ended by then never will."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a call that has not ended may take."""

    run: str
    day: str
    at: float
    tokens: int
    money: float


class AgentFold(Engine):
    """Runs, what they wait for, and what was spent."""

    def reset(self) -> None:
        self._runs: dict[str, AgentRun] = {}
        self._reserved: dict[str, Reserved] = {}
        self._days: dict[str, Spent] = {}
        self._approvals: dict[str, Approval] = {}
        # Run → what the event that parked it last says of its messages.
        self._parked: dict[str, dict[str, Any]] = {}

    def apply_agent_run_started(self, event: Event) -> None:
        run = AgentRun(
            event["run"],
            event["kind"],
            event["goal"],
            event["at"],
            event["seq"],
            event["pid"],
            model_wanted=event.get("model_wanted"),
            skills=tuple(event["skills"]),
            limits=event["limits"],
            actor=event["actor"],
            door=event["door"],
            parent_run=event.get("parent_run"),
        )
        self._runs[run.id] = run
        if len(self._runs) > _RUNS:
            oldest = next((r.id for r in self._runs.values() if r.state is State.ENDED), run.id)
            del self._runs[oldest]

    def apply_model_call_started(self, event: Event) -> None:
        at, run = event["at"], event["run"]
        call = Reserved(run, day_of(at), at, event["tokens"], event["money"])
        old = [name for name, one in self._reserved.items() if at - one.at > _LATE_S]
        for name in old:
            del self._reserved[name]
        self._reserved[event["call"]] = call
        self._spend(run, call.day, calls=1)

    def apply_model_call_finished(self, event: Event) -> None:
        if call := self._reserved.pop(event["call"], None):
            tokens = event["input_tokens"] + event["output_tokens"]
            # One that nobody read is none: days without a server leave the budget as it was.
            calls = -1 if event["outcome"] != "ok" and not tokens else 0
            self._spend(call.run, call.day, calls=calls, tokens=tokens, money=event["money"])

    def apply_agent_tool_called(self, event: Event) -> None:
        if run := self._runs.get(event["run"]):
            tainted = run.tainted or event["untrusted"]
            self._runs[run.id] = replace(run, tool_calls=run.tool_calls + 1, tainted=tainted)

    def apply_agent_run_tainted(self, event: Event) -> None:
        self._set(event["run"], tainted=True)

    def apply_approval_asked(self, event: Event) -> None:
        approval = approval_in(event)
        self._approvals[approval.id] = approval

    def apply_approval_decided(self, event: Event) -> None:
        if one := self._approvals.get(event["approval"]):
            self._approvals[one.id] = moved(one, event)

    apply_approval_used = apply_approval_decided

    def apply_agent_run_parked(self, event: Event) -> None:
        self._parked[event["run"]] = {
            name: event[name] for name in event if name.startswith(("seq", "messages", "sealed"))
        }
        self._set(event["run"], state=State.PARKED)

    def apply_agent_run_resumed(self, event: Event) -> None:
        self._set(event["run"], state=State.RUNNING, pid=event["pid"])

    def apply_agent_run_finished(self, event: Event) -> None:
        run, error = event["run"], event.get("error")
        ended = {"outcome": event["outcome"], "ended": event["at"], "error": error}
        self._set(run, state=State.ENDED, **ended)
        self._parked.pop(run, None)
        for one in [*self._approvals.values()]:
            if one.run == run:
                del self._approvals[one.id]

    def _set(self, run: str, **changes: Any) -> None:
        if found := self._runs.get(run):
            self._runs[run] = replace(found, **changes)

    def _spend(self, run: str, day: str, **amounts: Any) -> None:
        self._days[day] = self._days.get(day, Spent()).plus(**amounts)
        if len(self._days) > _DAYS:
            del self._days[min(self._days)]
        if found := self._runs.get(run):
            self._runs[run] = replace(found, spent=found.spent.plus(**amounts))


def approval_in(event: Mapping[str, Any], arguments: Any = None) -> Approval:
    """
    The approval that *event* asks for.

    Args:
        arguments: Those that it covers, where they lie in a file; None leaves what the event says.
    """
    return Approval(
        event["approval"],
        event["run"],
        event["at"],
        event["call_id"],
        event["skill"],
        arguments if arguments is not None else event.get("arguments"),
        event["covers"],
        event["why"],
        event.get("source_sha256"),
    )


def moved(approval: Approval, event: Mapping[str, Any]) -> Approval:
    """*approval* after *event*, which decides it or uses it up."""
    if event["event_type"] == "approval_used":
        return replace(approval, used=True)
    return replace(approval, approved=event["approved"], by=event["decided_by"], door=event["door"])


def day_of(at: float) -> str:
    """The day (UTC) of a time in seconds since the epoch."""
    return checks.from_epoch(at).date().isoformat()
