"""The memory, messages, and orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dino_os.provenance.mapping.terms import (
    Mapper,
    activity,
    attributed,
    by,
    entity,
    facts,
    generated,
    informed,
    invalidated,
    is_short,
    line_of,
    revision,
    special,
    taken,
    used,
    who_wrote,
)
from dino_os.provenance.mapping.work import remembered
from engines.journal import Event
from engines.provenance import Edge, Node, Tapped


def memory_added(journal: str, event: Event) -> Tapped:
    nodes, edges = _entry(event, who_wrote(event))
    return taken(journal, event, ("key", "namespace"), nodes=nodes, edges=edges)


def memory_changed(journal: str, event: Event) -> Tapped:
    whom = who_wrote(event)
    found = [_entry(one, whom) for one in event["entries_changed"]]
    nodes = [node for some, _ in found for node in some]
    edges = [edge for _, some in found for edge in some]
    return taken(journal, event, nodes=nodes, edges=edges, data={"entries": len(found)})


def message_published(journal: str, event: Event) -> Tapped:
    message, run = f"message:{event['seq']}", event.get("run")
    whom = who_wrote(event)
    nodes = [entity(message, channel=event["channel"]), *whom]
    edges = [attributed(message, one.id) for one in whom]
    if run:
        nodes.append(activity(f"run:{run}"))
        edges.append(generated(message, f"run:{run}", event["timestamp"]))
    headers = event.get("headers") or {}
    more = {"run": run, "traceparent": headers.get("traceparent")}
    return taken(journal, event, ("channel", "id", "node"), nodes=nodes, edges=edges, **more)


def order_created(journal: str, event: Event) -> Tapped:
    order = f"order:{event['order_id']}"
    said = {name: event[name] for name in ("amount", "currency") if is_short(event.get(name))}
    nodes = [entity(order, **said), *(whom := who_wrote(event))]
    edges = [attributed(order, one.id) for one in whom]
    return taken(journal, event, ("order_id", *said), nodes=nodes, edges=edges)


def order_moved(journal: str, event: Event) -> Tapped:
    """A step of an order; what it does with the money or the goods lies behind it."""
    step, order = line_of(journal, event, "step"), f"order:{event['order_id']}"
    nodes = [activity(step, step=event["event_type"]), entity(order), *(whom := who_wrote(event))]
    edges = [used(step, order), *(by(step, one.id) for one in whom)]
    if task := event.get("task_id"):
        nodes.append(activity(f"task:{task}"))
        edges.append(informed(f"task:{task}", step))
    fields = ("order_id", "number", "provider", "amount", "state", "reason", "skill", "problem")
    return taken(journal, event, fields, nodes=nodes, edges=edges)


def _entry(event: Mapping[str, Any], whom: list[Node]) -> tuple[list[Node], list[Edge]]:
    if not isinstance(event.get("sha256"), str):
        return [], []
    name = remembered(event["key"], event.get("namespace"))
    id_ = revision("memory", name, event["sha256"])
    if event.get("deleted") or event.get("expired") or event.get("event_type") in _ENDS:
        return [entity(id_)], [invalidated(id_, None)]  # its run, if any, says so itself
    return [entity(id_), *whom], list(_stands(id_, f"memory:{name}", whom))


def _stands(id_: str, whole: str, whom: list[Node]) -> Iterator[Edge]:
    yield special(id_, whole)
    for one in whom:
        yield attributed(id_, one.id)


_ENDS = frozenset({"memory_deleted", "memory_expired"})
MEMORY: Mapping[str, Mapper] = {
    "memory_added": memory_added,
    "memory_deleted": memory_added,
    "memory_expired": memory_added,
    "memory_changed": memory_changed,
    "memory_cleared": facts("namespace", "entries"),
    "memory_restored": facts("entries"),
}
BUS: Mapping[str, Mapper] = {
    "message_published": message_published,
    "message_received": message_published,
}
ORDERS: Mapping[str, Mapper] = {
    "order_created": order_created,
    **dict.fromkeys(
        (
            *("payment_wanted", "payment_answered", "order_confirmed", "fulfilment_requested"),
            *("fulfilment_stuck", "order_fulfilled", "refund_wanted", "refund_answered"),
            *("order_refunded", "order_cancelling", "order_cancelled", "problem_found"),
            "problems_resolved",
        ),
        order_moved,
    ),
}
