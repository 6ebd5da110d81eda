"""
How things that journals speak of are called in the graph, and how a line becomes an event.

    run:ID          a run of a skill or a tool    result:RUN@SHA   what it returned
    task:ID         what a worker is given        data:SHA         a content, wherever it is
    skill:NAME@SHA  the source that ran           memory:KEY@SHA   a value under its key
    agent:WHO       who, through which door       message:LINE     what was said on the bus
    cycle:N         a planning cycle              assignment:N:ID  who does what
    model_call:ID   a model was asked              approval:ID      people allowed a call, or not
    message:LINE~2  the same of the second journal of that name, in the place of the first

Of a digest behind an @ sixteen digits are shown.  A result is not the content itself: what happens
to be equal was not therefore derived from it.  Which fields of a line are taken over is said for
each type; what is not named is not taken over, so that nothing comes along unseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engines.checks import time_text
from engines.journal import Event
from engines.provenance import Edge, Kind, Link, Node, Relation, Tapped

Mapper = Callable[[str, Event], Tapped]
"""Journal and line → what is taken over."""

# What is named after a line: `message:LINE` of the bus, and what `line_of` makes.
_of_line = re.compile(
    r"message:[0-9]+|(?:step|decision|passage|access|sync):(?P<journal>[a-z_]+)/[0-9]+"
).fullmatch
_SHOWN, _LONGEST = 16, 200
_SCALARS = (str, int, float, bool)


def activity(id_: str, **said: Any) -> Node:
    return Node(Kind.ACTIVITY, id_, _known(said))


def entity(id_: str, **said: Any) -> Node:
    return Node(Kind.ENTITY, id_, _known(said))


def agent(id_: str, **said: Any) -> Node:
    return Node(Kind.AGENT, id_, _known(said))


def used(doing: str, thing: str, **said: Any) -> Edge:
    return Edge(Relation.USED, doing, thing, _known(said))


def generated(thing: str, doing: str, at: float | None = None) -> Edge:
    return Edge(Relation.GENERATED_BY, thing, doing, _known({"prov:time": time_text(at)}))


def invalidated(thing: str, doing: str | None, at: float | None = None) -> Edge:
    return Edge(Relation.INVALIDATED_BY, thing, doing, _known({"prov:time": time_text(at)}))


def informed(later: str, earlier: str) -> Edge:
    return Edge(Relation.INFORMED_BY, later, earlier)


def by(doing: str, who: str, plan: str | None = None) -> Edge:
    return Edge(Relation.ASSOCIATED_WITH, doing, who, _known({"prov:plan": plan}))


def attributed(thing: str, who: str) -> Edge:
    return Edge(Relation.ATTRIBUTED_TO, thing, who)


def special(thing: str, general: str) -> Edge:
    return Edge(Relation.SPECIALIZATION_OF, thing, general)


def derived(thing: str, source: str, **said: Any) -> Edge:
    return Edge(Relation.DERIVED_FROM, thing, source, _known(said))


def revision(kind: str, name: str, sha256: str) -> str:
    """The identifier of one revision of a thing."""
    return f"{kind}:{name}@{sha256[:_SHOWN]}"


def who_wrote(event: Event) -> list[Node]:
    """Who wrote a line and through which door, where it says so."""
    return [agent(f"agent:{event['by']}")] if event.get("by") else []


def line_of(journal: str, event: Event, kind: str) -> str:
    """The identifier of what a line itself is about."""
    return f"{kind}:{journal}/{event['seq']}"


def taken(
    journal: str,
    event: Event,
    fields: Iterable[str] = (),
    *,
    nodes: Iterable[Node] = (),
    edges: Iterable[Edge] = (),
    **more: Any,
) -> Tapped:
    """The event of a line, with those of its *fields* that are no longer than a line of text."""
    facts = {name: event[name] for name in fields if is_short(event.get(name))}
    return Tapped(
        event["event_type"],
        event["timestamp"],
        data={**facts, **more.pop("data", {})},
        source=Link(journal, event["seq"]),
        nodes=tuple(nodes),
        edges=tuple(edges),
        **_known(more),
    )


def told_apart(told: Tapped, number_of: Callable[[str], int]) -> Tapped:
    """*told*, in which the lines of a second journal of a name are not those of the first."""

    def renamed(id_: str | None) -> str | None:
        found = _of_line(id_ or "")
        number = number_of(found["journal"] or "bus") if found else 1
        return f"{id_}~{number}" if number > 1 else id_

    nodes = [node._replace(id=renamed(node.id) or "") for node in told.nodes]
    edges = [e._replace(effect=renamed(e.effect), cause=renamed(e.cause)) for e in told.edges]
    return told._replace(nodes=tuple(nodes), edges=tuple(edges))


def facts(*fields: str) -> Mapper:
    """Takes these fields over, and says nothing for the graph."""

    def mapper(journal: str, event: Event) -> Tapped:
        return taken(journal, event, fields, outcome=event.get("outcome"), run=event.get("run"))

    return mapper


def is_short(value: Any) -> bool:
    """Whether a value is worth taking over as it is."""
    return isinstance(value, _SCALARS) and len(str(value)) <= _LONGEST


def _known(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
