"""
Whether statements can be true together: a part of PROV-CONSTRAINTS.

Checked are what an identifier can be (50, 53 to 55), that statements of one identifier agree (22 to
29), what can never be (51, 52), and that nothing happens before what it needs (30 to 49): events
that have to come one after the other must not come round in a circle.  Ends that were left out may
be anything.  Source: https://www.w3.org/TR/prov-constraints/, by whose numbers findings go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engines.provenance.model import FORMS, Edge, Kind, Relation
from engines.provenance.prov_json import Statements

_DISJOINT = {Kind.ENTITY, Kind.ACTIVITY}  # an agent may be either
_TIMES = {28: "prov:startTime", 29: "prov:endTime"}
_NUMBERS = {name: number for number, name in _TIMES.items()}
# Relation → the constraint that says there is one of it, and for a start or an end, of what.
_ONCE: Mapping[Relation, tuple[int, str | None]] = {
    Relation.GENERATED_BY: (24, None),
    Relation.INVALIDATED_BY: (25, None),
    Relation.STARTED_BY: (26, "prov:startTime"),
    Relation.ENDED_BY: (27, "prov:endTime"),
}
# Left out, these do not stand for what nobody knows, but for there being none.
_NONE_IS_SAID = {
    Relation.ASSOCIATED_WITH: ("prov:plan",),
    Relation.DERIVED_FROM: ("prov:activity",),
    Relation.ACTED_FOR: ("prov:activity",),
}
_NEEDS_NO_CAUSE = frozenset({*_ONCE, Relation.USED, Relation.ASSOCIATED_WITH})
_EVENTS = {
    Relation.USED: "usage",
    Relation.GENERATED_BY: "generation",
    Relation.INVALIDATED_BY: "invalidation",
    Relation.STARTED_BY: "start",
    Relation.ENDED_BY: "end",
}
Event = tuple[str, str]
"""Which kind of moment (start, end, generation, usage, invalidation), and of what."""


class Violation(NamedTuple):
    """
    A constraint that does not hold.

    Attributes:
        number: Its number in PROV-CONSTRAINTS; 0 where a place is empty that PROV-DM has filled.
        about: The identifiers that it is about.
    """

    number: int
    message: str
    about: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "about": list(self.about)}


class Order(NamedTuple):
    """That *earlier* comes no later than *later*; strictly: it comes before."""

    earlier: Event
    later: Event
    number: int
    strict: bool = False


def violations(said: Statements) -> list[Violation]:
    """The constraints that *said* violates, by number; nothing where it can all be true."""
    kinds = _kinds(said)
    found = [*_types(said, kinds), *_keys(said), *_impossible(said.edges), *_circles(said, kinds)]
    return sorted(set(found))


def _kinds(said: Statements) -> dict[str, set[Kind]]:
    found: dict[str, set[Kind]] = defaultdict(set)
    for node in said.nodes:
        found[node.id].add(node.kind)
    for edge in said.edges:
        form = FORMS[edge.relation]
        named = [(edge.effect, form.effect_kind), (edge.cause, form.cause_kind)]
        named += [
            (edge.attributes.get(name), kind)
            for name, kind in form.rest
            if name not in {"prov:generation", "prov:usage"}
        ]
        for id_, kind in named:
            if id_ and kind:
                found[id_].add(kind)
    return found


def _types(said: Statements, kinds: Mapping[str, set[Kind]]) -> Iterator[Violation]:
    for id_, are in kinds.items():
        if are >= _DISJOINT:
            yield Violation(55, f"{id_} is a thing and a doing at once", (id_,))
    relations: dict[str, set[Relation]] = defaultdict(set)
    for edge in said.edges:
        if own := edge.attributes.get("id"):
            relations[own].add(edge.relation)
    for own, named in relations.items():
        influence = named - {Relation.INFLUENCED_BY}  # which all others are too
        if len(influence) > 1:
            told = " and ".join(sorted(one.value for one in influence))
            yield Violation(53, f"{own} is {told} at once", (own,))
        if own in kinds:
            yield Violation(54, f"{own} is a relation and one of its ends", (own,))


def _keys(said: Statements) -> Iterator[Violation]:
    """Of what is said twice about one thing, each place has one value at most."""
    places: dict[tuple[int, str, str], set[str]] = defaultdict(set)
    for node in said.nodes:
        for number, name in _TIMES.items():
            if time := node.attributes.get(name):
                places[number, node.id, name].add(str(time))
    for edge in said.edges:
        _note_places(edge, places)
    for (number, id_, place), values in places.items():
        if len(values) > 1:
            told = " and ".join(sorted(values))
            yield Violation(number, f"{place} of {id_} is {told}", (id_,))


def _note_places(edge: Edge, places: dict[tuple[int, str, str], set[str]]) -> None:
    form, more, name = FORMS[edge.relation], edge.attributes, edge.relation.value
    own, time = more.get("id"), more.get("prov:time")
    if own:
        values = {form.effect: edge.effect, form.cause: edge.cause}
        values |= {place: more.get(place) for place, _ in form.rest}
        for place, value in values.items():
            if value is not None or place in _NONE_IS_SAID.get(edge.relation, ()):
                places[23, own, f"{name} {place}"].add("none" if value is None else str(value))
    number, moment = _ONCE.get(edge.relation, (0, None))
    starter = more.get("prov:starter") or more.get("prov:ender")
    other = starter if moment else edge.cause
    if number and edge.effect and other:
        pair = f"{edge.effect} by {other}"
        if own:
            places[number, pair, f"the identifier of {name}"].add(own)
        if time:
            places[number, pair, f"the time of {name}"].add(str(time))
    if moment and edge.effect and time:
        places[_NUMBERS[moment], edge.effect, moment].add(str(time))


def _impossible(edges: Sequence[Edge]) -> Iterator[Violation]:
    # What is said again under one identifier need not say all of it again.
    whole = {e.attributes["id"] for e in edges if "id" in e.attributes and e.effect and e.cause}
    for edge in edges:
        more, name = edge.attributes, edge.relation.value
        lacks = edge.effect is None or (edge.cause is None and edge.relation not in _NEEDS_NO_CAUSE)
        if lacks and more.get("id") not in whole:
            there = edge.effect or edge.cause or "nothing"
            yield Violation(0, f"{name} of {there} leaves out an end that it needs", (there,))
        unspecified = edge.relation is Relation.DERIVED_FROM and "prov:activity" not in more
        if unspecified and ("prov:generation" in more or "prov:usage" in more):
            told = f"{edge.effect} was derived by no activity, and yet by its generation or usage"
            yield Violation(51, told, (str(edge.effect),))


# --- what comes before what ----------------------------------------------------------------------


def _circles(said: Statements, kinds: Mapping[str, set[Kind]]) -> Iterator[Violation]:
    orders = [*_within(said.edges, kinds), *_between(said.edges, kinds)]
    after: dict[Event, list[Order]] = defaultdict(list)
    for order in orders:
        after[order.earlier].append(order)
    together = _components(after)
    for order in orders:
        if order.strict and together[order.earlier] == together[order.later]:
            earlier, later = order.earlier[1], order.later[1]
            told = f"{earlier} would have to be there before {later}, and {later} before {earlier}"
            yield Violation(order.number, told, (earlier, later))


def _within(edges: Iterable[Edge], kinds: Mapping[str, set[Kind]]) -> Iterator[Order]:
    """Of each thing and each doing by itself, and of the one in the other."""
    for id_, are in kinds.items():
        if Kind.ACTIVITY in are:
            yield Order(("start", id_), ("end", id_), 30)
        if Kind.ENTITY in are:
            yield Order(("generation", id_), ("invalidation", id_), 36)
    for edge in edges:
        if edge.relation not in _EVENTS or not edge.effect or not edge.cause:
            continue
        what = _EVENTS[edge.relation]
        if edge.relation is Relation.USED:
            here: Event = what, f"{edge.effect} {edge.cause}"
            yield from _in(here, ("start", edge.effect), ("end", edge.effect), 33)
            yield from _in(here, ("generation", edge.cause), ("invalidation", edge.cause), 37)
        elif edge.relation in {Relation.STARTED_BY, Relation.ENDED_BY}:
            number = 43 if what == "start" else 44
            there = ("generation", edge.cause), ("invalidation", edge.cause)
            yield from _in((what, edge.effect), *there, number)
        else:
            number = 34 if what == "generation" else 35
            yield from _in((what, edge.effect), ("start", edge.cause), ("end", edge.cause), number)


def _between(edges: Iterable[Edge], kinds: Mapping[str, set[Kind]]) -> Iterator[Order]:
    """Of two things, or two doings, that have to do with each other."""
    for edge in edges:
        effect, cause = edge.effect, edge.cause
        if not effect or not cause:
            continue
        if edge.relation is Relation.DERIVED_FROM:
            yield Order(("generation", cause), ("generation", effect), 42, strict=True)
        elif edge.relation is Relation.SPECIALIZATION_OF:
            yield Order(("specialization", cause), ("specialization", effect), 52, strict=True)
            yield Order(("generation", cause), ("generation", effect), 45)
            yield Order(("invalidation", effect), ("invalidation", cause), 46)
        elif edge.relation is Relation.INFORMED_BY:
            yield Order(("start", cause), ("end", effect), 35)
        elif edge.relation is Relation.ATTRIBUTED_TO and Kind.ENTITY in kinds[cause]:
            yield Order(("generation", cause), ("generation", effect), 48)
        elif edge.relation is Relation.ASSOCIATED_WITH and Kind.ENTITY in kinds[cause]:
            yield Order(("generation", cause), ("end", effect), 47)
            yield Order(("start", effect), ("invalidation", cause), 47)


def _in(event: Event, begin: Event, end: Event, number: int) -> Iterator[Order]:
    yield Order(begin, event, number)
    yield Order(event, end, number)


def _components(after: Mapping[Event, list[Order]]) -> dict[Event, int]:
    """Which events come round to each other: Tarjan's components, without recursion."""
    index: dict[Event, int] = {}
    low: dict[Event, int] = {}
    found: dict[Event, int] = {}
    open_: list[Event] = []
    for root in list(after):
        work = [(root, iter(after[root]))] if root not in index else []
        while work:
            event, left = work[-1]
            if event not in index:
                index[event] = low[event] = len(index)
                open_.append(event)
            for order in left:
                if order.later not in index:
                    work.append((order.later, iter(after.get(order.later, ()))))
                    break
                if order.later not in found:
                    low[event] = min(low[event], index[order.later])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[event])
                if low[event] == index[event]:
                    number = len(found)
                    while event not in found:
                        found[open_.pop()] = number
    return found
