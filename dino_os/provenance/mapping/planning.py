"""Cycles and what goes into them, rounds of assignment, plans by rules, and what is handed out."""

from __future__ import annotations

from collections.abc import Mapping

from dino_os.provenance.mapping.terms import (
    Mapper,
    activity,
    attributed,
    by,
    derived,
    entity,
    facts,
    generated,
    informed,
    is_short,
    line_of,
    revision,
    taken,
    used,
    who_wrote,
)
from engines.checks import time_text
from engines.journal import Event
from engines.provenance import Edge, Tapped


def cycle_run_started(journal: str, event: Event) -> Tapped:
    """A run of the configured cycle, and the files that it read, by content."""
    run, nodes, edges = f"cycle_run:{event['run']}", [], list[Edge]()
    for source in event.get("sources") or ():
        content = (source.get("marks") or {}).get("content") or {}
        for path, digest in content.items():
            file = revision("file", path, str(digest))
            nodes.append(entity(file, source=source.get("source")))
            edges.append(used(run, file))
    began = time_text(event["timestamp"])
    nodes += [activity(run, **{"prov:startTime": began}), *(whom := who_wrote(event))]
    edges += [by(run, one.id) for one in whom]
    return taken(journal, event, ("run", "name", "started_by"), nodes=nodes, edges=edges)


def cycle_run_planned(journal: str, event: Event) -> Tapped:
    run, cycle = f"cycle_run:{event['run']}", f"cycle:{event['cycle']}"
    nodes = [activity(run), activity(cycle)]
    edges = [informed(cycle, run)]
    return taken(journal, event, ("run", "cycle"), nodes=nodes, edges=edges)


def cycle_started(journal: str, event: Event) -> Tapped:
    cycle, began = f"cycle:{event['cycle']}", time_text(event["timestamp"])
    nodes = [activity(cycle, **{"prov:startTime": began}), *(whom := who_wrote(event))]
    edges = [by(cycle, one.id) for one in whom]
    return taken(journal, event, ("cycle",), nodes=nodes, edges=edges)


def task_planned(journal: str, event: Event) -> Tapped:
    """A signal went in; who does something about it came out, or that nobody does."""
    name = f"{event['cycle']}:{event['task_id']}"
    cycle, signal = f"cycle:{event['cycle']}", f"signal:{name}"
    said = {n: event[n] for n in ("zone", "sector", "severity") if is_short(event.get(n))}
    nodes, edges = [activity(cycle), entity(signal, **said)], [used(cycle, signal)]
    if event.get("agent"):
        assignment = f"assignment:{name}"
        nodes.append(entity(assignment, assigned_to=event["agent"]))
        edges += [
            generated(assignment, cycle, event["timestamp"]),
            derived(assignment, signal, **{"prov:activity": cycle}),
        ]
    fields = ("cycle", "task_id", "zone", "sector", "severity", "agent", "confidence", "cause")
    return taken(journal, event, fields, nodes=nodes, edges=edges)


def cycle_completed(journal: str, event: Event) -> Tapped:
    ended = time_text(event["timestamp"])
    nodes = [activity(f"cycle:{event['cycle']}", **{"prov:endTime": ended})]
    return taken(journal, event, ("cycle", "tasks", "assigned", "unassigned"), nodes=nodes)


def assignment_decided(journal: str, event: Event) -> Tapped:
    decision = line_of(journal, event, "decision")
    nodes = [entity(decision, assigned_to=event["agent"]), *(whom := who_wrote(event))]
    edges = [attributed(decision, one.id) for one in whom]
    fields = ("task_id", "agent", "confidence", "skill_match")
    return taken(journal, event, fields, nodes=nodes, edges=edges)


def trajectory_planned(journal: str, event: Event) -> Tapped:
    """A plan, and by which of its rules each fact follows from others."""
    plan = f"plan:{event['path_id']}"
    nodes, edges = [entity(plan, cost=event["cost"]), *(whom := who_wrote(event))], list[Edge]()
    for rule, premises, conclusion, cost in event.get("derivation") or ():
        facts_ = [f"fact:{symbol}" for symbol in (*premises, conclusion)]
        nodes += [entity(one) for one in facts_]
        told = {"rule": rule, "run": event["path_id"], "cost": cost}
        edges += [derived(facts_[-1], one, **told) for one in facts_[:-1]]
    edges += [derived(plan, f"fact:{goal}") for goal in event["goals"]]
    edges += [attributed(plan, one.id) for one in whom]
    fields = ("path_id", "cost", "bound", "gap", "steps", "fold")
    return taken(journal, event, fields, nodes=nodes, edges=edges)


def delivery_queued(journal: str, event: Event) -> Tapped:
    delivery, source = f"delivery:{event['delivery']}", str(event.get("source") or "")
    nodes, edges = [activity(delivery)], list[Edge]()
    if source.startswith("cycle:"):
        nodes.append(activity(source))
        edges.append(informed(delivery, source))
    kind = (event.get("to") or {}).get("kind")
    fields = ("delivery", "source")
    return taken(journal, event, fields, nodes=nodes, edges=edges, data={"to": kind})


CYCLE_RUNS: Mapping[str, Mapper] = {
    "run_started": cycle_run_started,
    "run_planned": cycle_run_planned,
    "run_submitted": facts("run", "tasks"),
    "run_handed_over": facts("run"),
    "run_undone": facts("run", "reason"),
}
CYCLES: Mapping[str, Mapper] = {
    "cycle_started": cycle_started,
    "task_planned": task_planned,
    "cycle_completed": cycle_completed,
}
ASSIGNMENTS: Mapping[str, Mapper] = {
    "round_planned": facts("tasks", "assigned", "method", "value", "bound", "gap", "optimal"),
    "assignment_decided": assignment_decided,
    "task_left_over": facts("task_id", "cause"),
    "weights_changed": facts("why"),
}
TRAJECTORIES: Mapping[str, Mapper] = {"trajectory_planned": trajectory_planned}
OUTBOX: Mapping[str, Mapper] = {
    "delivery_queued": delivery_queued,
    "delivery_delivered": facts("delivery"),
    "delivery_given_up": facts("delivery", "attempts"),
}
