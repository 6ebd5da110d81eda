"""Small graphs, by hand and by chance, and the questions to them answered by looking at all."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from engines.provenance import LINEAGE, Edge, Kind, Node, ProvenanceDomain, Relation, Way
from engines.provenance.index import Index


class AsIs:
    """A redactor that finds nothing: for laws that are about other things."""

    def redact(self, text: str) -> str:
        return text

    def redact_json(self, value: Any) -> Any:
        return value

    redact_dict = redact_json


def domain(folder: Path, **given: Any) -> ProvenanceDomain:
    return ProvenanceDomain(folder / "provenance_log.jsonl", redactor=AsIs(), **given)


def edge(cause: str, effect: str, relation: Relation = Relation.DERIVED_FROM, **said: Any) -> Edge:
    return Edge(relation, effect, cause, said)


NAMES = [f"n{number}" for number in range(7)]
_KINDS = {name: list(Kind)[number % 2] for number, name in enumerate(NAMES)}
_BETWEEN = {
    (Kind.ENTITY, Kind.ENTITY): Relation.DERIVED_FROM,
    (Kind.ENTITY, Kind.ACTIVITY): Relation.GENERATED_BY,
    (Kind.ACTIVITY, Kind.ENTITY): Relation.USED,
    (Kind.ACTIVITY, Kind.ACTIVITY): Relation.INFORMED_BY,
}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    """Few nodes, edges between any two: with circles, several ways, and rules."""
    pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
    edges = []
    for effect, cause in draw(st.lists(pairs, max_size=14, unique=True)):
        relation = _BETWEEN[_KINDS[effect], _KINDS[cause]]
        said = {}
        if relation is Relation.DERIVED_FROM:
            rule = draw(st.sampled_from(["", "r1", "r2"]))
            said = {"rule": rule, "cost": draw(st.sampled_from([1.0, 2.0]))} if rule else {}
        edges.append(Edge(relation, effect, cause, said))
    return [Node(_KINDS[name], name) for name in NAMES], edges


def upstream(edges: Iterable[Edge], start: str) -> set[str]:
    """By going on until nothing is added."""
    found = {start}
    while True:
        more = {e.cause for e in edges if e.effect in found and e.relation in LINEAGE} - found
        if not more:
            return found
        found |= more


def cheapest_costs(ways: dict[str, list[Way]], nodes: Iterable[str]) -> dict[str, float]:
    """By trying every way of every node again and again."""
    costs = {name: math.inf if ways.get(name) else 0.0 for name in nodes}
    for _ in range(2 * len(costs) + 2):
        for name, found in ways.items():
            best = min(way.cost + sum(costs[cause] for cause in way.causes) for way in found)
            costs[name] = min(costs[name], best)
    return costs


def fewest_steps(edges: Iterable[Edge], effect: str, cause: str) -> int | None:
    above: dict[str, set[str]] = defaultdict(set)
    for one in edges:
        above[one.effect].add(one.cause)
    level = {effect}
    for steps in itertools.count():
        if cause in level:
            return steps
        if steps > len(NAMES):
            return None
        level = {c for e in level for c in above[e]}
    return None


def in_memory(nodes: Iterable[Node], edges: Iterable[Edge]) -> Index:
    """An index of these, without a journal."""
    index = Index(None)
    rows = [node.as_row() for node in nodes], [one.as_row() for one in edges]
    index.take([{"seq": 1, "nodes": rows[0], "edges": rows[1]}])
    return index
