"""Models at work: their runs, what they were asked, and who allowed the calls that they wanted."""

from __future__ import annotations

from collections.abc import Mapping

from dino_os.provenance.mapping.terms import (
    Mapper,
    activity,
    agent,
    by,
    facts,
    informed,
    taken,
    who_wrote,
)
from engines.checks import time_text
from engines.journal import Event
from engines.provenance import Edge, Tapped


def run_started(journal: str, event: Event) -> Tapped:
    run, began = f"run:{event['run']}", time_text(event["timestamp"])
    nodes = [
        activity(run, **{"prov:startTime": began}, kind=event["kind"]),
        *(whom := who_wrote(event)),
    ]
    edges = [by(run, one.id) for one in whom]
    if parent := event.get("parent_run"):
        edges.append(informed(run, f"run:{parent}"))
    return taken(journal, event, ("kind",), nodes=nodes, edges=edges, run=event["run"])


def run_finished(journal: str, event: Event) -> Tapped:
    ended, outcome = time_text(event["timestamp"]), event["outcome"]
    node = activity(f"run:{event['run']}", **{"prov:endTime": ended}, outcome=outcome)
    return taken(journal, event, nodes=[node], outcome=outcome, run=event["run"])


def call_started(journal: str, event: Event) -> Tapped:
    call, who = f"model_call:{event['call']}", f"agent:{event['provider']}/{event['model']}"
    began = time_text(event["timestamp"])
    nodes = [activity(call, **{"prov:startTime": began}), agent(who)]
    edges = [by(call, who), informed(f"run:{event['run']}", call)]
    fields = ("provider", "model")
    return taken(journal, event, fields, nodes=nodes, edges=edges, run=event["run"])


def call_finished(journal: str, event: Event) -> Tapped:
    ended, outcome = time_text(event["timestamp"]), event["outcome"]
    call = activity(
        f"model_call:{event['call']}",
        **{"prov:endTime": ended},
        outcome=outcome,
        input_tokens=event["input_tokens"],
        output_tokens=event["output_tokens"],
    )
    more = {"outcome": outcome, "duration_s": event["duration_s"], "run": event["run"]}
    fields = ("input_tokens", "output_tokens", "money")
    return taken(journal, event, fields, nodes=[call], **more)


def skill_called(journal: str, event: Event) -> Tapped:
    """The model's run and that of the skill; which knows already who began it."""
    outcome, edges = event["outcome"], list[Edge]()
    if run := event.get("skill_run"):
        edges.append(informed(f"run:{run}", f"run:{event['run']}"))
    more = {"outcome": outcome, "duration_s": event["duration_s"], "run": event["run"]}
    return taken(journal, event, ("skill", "untrusted", "skill_run"), edges=edges, **more)


def decided(journal: str, event: Event) -> Tapped:
    """Somebody allowed a call, or refused it."""
    approval, who = f"approval:{event['approval']}", f"agent:{event['decided_by']}@{event['door']}"
    outcome = "ok" if event["approved"] else "denied"
    nodes = [activity(approval, outcome=outcome), agent(who)]
    edges = [by(approval, who), informed(f"run:{event['run']}", approval)]
    return taken(journal, event, nodes=nodes, edges=edges, outcome=outcome, run=event["run"])


MODELS: Mapping[str, Mapper] = {
    "agent_run_started": run_started,
    "agent_run_finished": run_finished,
    "model_call_started": call_started,
    "model_call_finished": call_finished,
    "agent_tool_called": skill_called,
    "approval_asked": facts("run", "approval", "skill"),
    "approval_decided": decided,
    "agent_run_parked": facts("run"),
    "agent_run_resumed": facts("run"),
    "agent_run_tainted": facts("run"),
}
