"""Runs, tools, tasks and what submits them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dino_os.provenance.mapping.terms import (
    Mapper,
    activity,
    by,
    entity,
    facts,
    generated,
    informed,
    invalidated,
    is_short,
    revision,
    special,
    taken,
    used,
    who_wrote,
)
from engines.checks import time_text
from engines.journal import Event
from engines.provenance import Edge, Node, Tapped

# A task's name says what it was made of: `bus:SKILL#LINE`, `cycle:N:TASK`, `order:ID:fulfil`.
_message = re.compile(r"bus:[^#]+#(\d+)").match
_assignment = re.compile(r"cycle:(\d+:.+)").match
_order = re.compile(r"order:([^:]+):").match
_MOST = 1000


def run_started(journal: str, event: Event) -> Tapped:
    run, began = f"run:{event['run_id']}", time_text(event["timestamp"])
    plan = revision("skill", event["skill"], event["source_sha256"])
    params = f"data:{event['params_sha256']}"
    whom = who_wrote(event)
    nodes = [
        activity(run, **{"prov:startTime": began}, skill=event["skill"]),
        entity(plan, **{"prov:type": {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"}}),
        entity(params),
        *whom,
    ]
    edges = [
        used(run, params, role="params"),
        used(run, plan, role="plan"),
        *(by(run, one.id, plan) for one in whom),
        *_led_to(run, event),
    ]
    return _of_run(journal, event, ("skill", "timeout_s", "task_id"), nodes, edges)


def run_finished(journal: str, event: Event) -> Tapped:
    run, outcome, at = f"run:{event['run_id']}", event["outcome"], event["timestamp"]
    said = {"prov:endTime": time_text(at), "outcome": outcome, "duration_s": event["duration_s"]}
    nodes, edges = [activity(run, **said)], list[Edge]()
    outputs = []
    if digest := event.get("result_sha256"):
        result = revision("result", event["run_id"], digest)
        nodes += [entity(result), entity(f"data:{digest}")]
        edges += [generated(result, run, at), special(result, f"data:{digest}")]
        outputs.append(digest)
    for node, edge in _memory(run, event.get("memory") or {}, at):
        nodes.append(node)
        edges += edge
    fields = ("skill", "cause", "error_type", "output_bytes", "peak_memory_bytes")
    return _of_run(journal, event, fields, nodes, edges, outputs=tuple(outputs))


def tool_started(journal: str, event: Event) -> Tapped:
    run, data = f"run:{event['run_id']}", f"data:{event['arguments_sha256']}"
    began = time_text(event["timestamp"])
    nodes = [
        activity(run, **{"prov:startTime": began}, tool=event["tool"]),
        entity(data),
        *(whom := who_wrote(event)),
    ]
    edges = [used(run, data, role="params"), *(by(run, one.id) for one in whom)]
    return _of_run(journal, event, ("tool",), nodes, [*edges, *_led_to(run, event)])


def tool_finished(journal: str, event: Event) -> Tapped:
    run, ended = f"run:{event['run_id']}", time_text(event["timestamp"])
    outcome = "ok" if event.get("success") else "error"
    nodes = [activity(run, **{"prov:endTime": ended}, outcome=outcome)]
    return _of_run(journal, event, ("tool", "cause"), nodes, [], outcome=outcome)


def task_submitted(journal: str, event: Event) -> Tapped:
    task, name = f"task:{event['task_id']}", event["task_id"]
    payload = event.get("payload") or {}
    said = {kind: payload[kind] for kind in ("skill", "call") if is_short(payload.get(kind))}
    nodes = [activity(task, **said, source=event.get("source")), *(whom := who_wrote(event))]
    edges = [by(task, one.id) for one in whom]
    for what, found in (
        ("message", _message(name)),
        ("assignment", _assignment(name)),
        ("order", _order(name)),
    ):
        if found:
            edges.append(used(task, f"{what}:{found[1]}"))
    edges += [informed(task, f"task:{one}") for one in event.get("after") or ()]
    fields = ("task_id", "source", "batch")
    return taken(journal, event, fields, nodes=nodes, edges=edges, data=said)


def task_ended(journal: str, event: Event) -> Tapped:
    ended = time_text(event["timestamp"]) if event.get("retry_at") is None else None
    outcome = event.get("outcome", "cancelled")
    node = activity(f"task:{event['task_id']}", **{"prov:endTime": ended}, outcome=outcome)
    more = {"outcome": outcome, "duration_s": event.get("duration_s")}
    return taken(journal, event, ("task_id", "reason", "retry_at"), nodes=[node], **more)


def occurrence_recorded(journal: str, event: Event) -> Tapped:
    job, edges = f"job:{event['job_id']}", list[Edge]()
    nodes = [entity(job)]
    if task := event.get("task_id"):
        nodes.append(activity(f"task:{task}"))
        edges.append(used(f"task:{task}", job))
    return taken(journal, event, ("job_id", "due", "why"), nodes=nodes, edges=edges)


def job_changed(journal: str, event: Event) -> Tapped:
    job = f"job:{event['job_id']}"
    said = {name: event[name] for name in ("name", "func") if is_short(event.get(name))}
    nodes = [entity(job, **said), *who_wrote(event)]
    return taken(journal, event, ("job_id", "name", "func"), nodes=nodes)


def _of_run(
    journal: str,
    event: Event,
    fields: tuple[str, ...],
    nodes: list[Node],
    edges: list[Edge],
    **more: Any,
) -> Tapped:
    digests = (event.get("params_sha256"), event.get("arguments_sha256"))
    found = {
        "run": event["run_id"],
        "parent": event.get("parent_run"),
        "outcome": event.get("outcome"),
        "duration_s": event.get("duration_s"),
        "traceparent": event.get("traceparent"),
        "inputs": tuple(one for one in digests if one),
        **more,
    }
    return taken(journal, event, fields, nodes=nodes, edges=edges, **found)


def _led_to(run: str, event: Event) -> Iterator[Edge]:
    if parent := event.get("parent_run"):
        yield informed(run, f"run:{parent}")
    if task := event.get("task_id"):
        yield informed(run, f"task:{task}")


def _memory(run: str, touched: Mapping[str, Any], at: float) -> Iterator[tuple[Node, list[Edge]]]:
    """What a run read, wrote and deleted of the memory."""
    for namespace, key, digest in touched.get("read", ())[:_MOST]:
        if digest:
            id_ = revision("memory", remembered(key, namespace), digest)
            yield entity(id_), [used(run, id_)]
    for namespace, key, digest in touched.get("wrote", ())[:_MOST]:
        if digest:
            id_, whole = revision("memory", name := remembered(key, namespace), digest), "memory:"
            yield entity(id_), [generated(id_, run, at), special(id_, f"{whole}{name}")]
    for namespace, key, digest in touched.get("deleted", ())[:_MOST]:
        if digest:
            id_ = revision("memory", remembered(key, namespace), digest)
            yield entity(id_), [invalidated(id_, run, at)]


def remembered(key: str, namespace: str | None) -> str:
    """How an entry of the memory is called."""
    return f"{namespace}/{key}" if namespace else key


RUNS: Mapping[str, Mapper] = {
    "run_started": run_started,
    "run_finished": run_finished,
    "tool_started": tool_started,
    "tool_finished": tool_finished,
}
TASKS: Mapping[str, Mapper] = {
    "task_submitted": task_submitted,
    "task_succeeded": task_ended,
    "task_failed": task_ended,
    "task_cancelled": task_ended,
    "task_requeued": facts("task_id"),
    "session_lost": facts("session", "why"),
    "health_changed": facts("check", "healthy", "value", "threshold"),
    "pool_scaled": facts("pool", "capacity", "was"),
}
JOBS: Mapping[str, Mapper] = {
    "job_added": job_changed,
    "job_changed": job_changed,
    "job_removed": facts("job_id"),
    "job_paused": facts("job_id"),
    "job_resumed": facts("job_id"),
    "occurrence_recorded": occurrence_recorded,
    "occurrence_ended": facts("job_id", "task_id", "outcome", "reason"),
    "occurrences_skipped": facts("job_id", "count", "reason", "why"),
    "clock_jumped": facts("by_s"),
}
ENTITIES: Mapping[str, Mapper] = {
    name: facts("entity_id", "entity_type", "command", "reason", "number", "outcome")
    for name in (
        *("entity_spawned", "entity_awakening", "entity_active", "entity_hibernating"),
        *("entity_deactivated", "entity_offline_adapting", "entity_error_correction"),
        *("entity_run_ended", "entity_alerted"),
    )
}
