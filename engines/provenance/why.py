"""
Why something is as it is: the explanation with the fewest steps.

An activity needed all that it used; something that was derived by a rule needed all its premises;
something that came about in several ways needed one of them.  The least explanation in such a graph
of ands and ors is found from the origins on, cheapest first.

Source: Knuth 1977, "A generalization of Dijkstra's algorithm", doi:10.1016/0020-0190(77)90002-3.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engines.provenance.graph import MOST, Graph, described
from engines.provenance.model import LINEAGE, Edge, Kind, Node, Relation

# Who stands for a thing and what it is a case of say nothing about how it came about.
_NO_REASON = {Relation.ATTRIBUTED_TO, Relation.SPECIALIZATION_OF}


class Way(NamedTuple):
    """
    One way in which something came about: all of its edges together.

    Attributes:
        cost: Of the step itself.
    """

    effect: str
    edges: tuple[Edge, ...]
    cost: float

    @property
    def causes(self) -> list[str]:
        return sorted({edge.cause for edge in self.edges if edge.cause})


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why there is *node*.

    Attributes:
        steps: What came about how, nearest first; what is not among them is an origin.
        origins: Where the explanation ends.
        cost: Of all steps, each counted as often as it is needed.
        circular: Whether it follows only from itself; the steps are then once around.
        cut: Whether there was too much to look at; there may then be a shorter one.
    """

    node: Node
    steps: tuple[Way, ...]
    origins: tuple[str, ...]
    cost: float
    circular: bool = False
    cut: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "node": described(self.node),
            "steps": [
                {
                    "effect": way.effect,
                    "because": [_told(edge) for edge in way.edges],
                    "cost": way.cost,
                }
                for way in self.steps
            ],
            "origins": list(self.origins),
            "cost": self.cost,
            "circular": self.circular,
            "cut": self.cut,
        }


def explain(graph: Graph, id_: str, *, most: int = MOST) -> Explanation:
    """
    The shortest explanation of a node.

    Args:
        most: How many of its ancestors are looked at.

    Raises:
        NodeNotFound: There is none of that identifier.
    """
    node = graph.node(id_)
    reached = graph.ancestors(id_, most=most)
    kinds = {one.id: one.kind for one in [node, *(one for one, _ in reached.nodes)]}
    ways = ways_of(kinds, graph.among(kinds))
    costs, chosen = cheapest(kinds, ways)
    if id_ not in costs:
        steps = _once_around(id_, ways, costs)
        return Explanation(node, steps, (), float(len(steps)), circular=True, cut=reached.cut)
    steps = _needed(id_, chosen)
    reasons = {way.effect for way in steps}
    origins = {cause for way in steps for cause in way.causes} - reasons
    return Explanation(node, steps, tuple(sorted(origins)), costs[id_], cut=reached.cut)


def _told(edge: Edge) -> dict[str, Any]:
    by = {name: edge.attributes[name] for name in ("rule", "run") if name in edge.attributes}
    return {"relation": edge.relation.value, "cause": edge.cause, **by}


def ways_of(kinds: Mapping[str, Kind], edges: Iterable[Edge]) -> dict[str, list[Way]]:
    """In which ways each node came about."""
    grouped: dict[str, dict[tuple[str, ...], list[Edge]]] = defaultdict(lambda: defaultdict(list))
    for edge in edges:
        is_reason = edge.relation in LINEAGE and edge.relation not in _NO_REASON
        if edge.effect and edge.cause and is_reason:
            grouped[edge.effect][_way_of(edge, kinds[edge.effect])].append(edge)
    return {
        effect: [_way(effect, tuple(found)) for _, found in sorted(by_way.items())]
        for effect, by_way in grouped.items()
    }


def cheapest(
    kinds: Iterable[str], ways: Mapping[str, Sequence[Way]]
) -> tuple[dict[str, float], dict[str, Way]]:
    """What each node costs that rests on origins, and its cheapest way where it is none."""
    missing: dict[int, set[str]] = {}
    needing: dict[str, list[tuple[int, Way]]] = defaultdict(list)
    for number, way in enumerate(way for found in ways.values() for way in found):
        missing[number] = set(way.causes)
        for cause in missing[number]:
            needing[cause].append((number, way))
    costs: dict[str, float] = {}
    chosen: dict[str, Way] = {}
    sums: dict[int, float] = defaultdict(float)
    # A way is told from another of the same cost by its number: as things were said.
    waiting: list[tuple[float, str, int, Way | None]] = [
        (0.0, id_, -1, None) for id_ in kinds if id_ not in ways
    ]
    heapq.heapify(waiting)
    while waiting:
        cost, id_, _, by = heapq.heappop(waiting)
        if id_ in costs:
            continue
        costs[id_] = cost
        if by:
            chosen[id_] = by
        for number, way in needing[id_]:
            missing[number].discard(id_)
            sums[number] += cost
            if not missing[number]:
                heapq.heappush(waiting, (way.cost + sums[number], way.effect, number, way))
    return costs, chosen


def _way_of(edge: Edge, effect: Kind) -> tuple[str, ...]:
    """What an edge has in common with those that belong to the same way."""
    if effect is not Kind.ENTITY:
        return ("",)
    said = edge.attributes
    if edge.relation is Relation.GENERATED_BY:
        return "activity", edge.cause or ""
    if edge.relation is Relation.DERIVED_FROM and "prov:activity" in said:
        return "activity", str(said["prov:activity"])
    if edge.relation is Relation.MEMBER:
        return ("members",)
    if "rule" in said or "run" in said:
        return "rule", str(said.get("rule", "")), str(said.get("run", ""))
    return "derived", edge.cause or ""


def _way(effect: str, edges: tuple[Edge, ...]) -> Way:
    found = sorted(edges, key=lambda edge: (edge.relation.value, edge.cause or ""))
    return Way(effect, tuple(found), max(float(e.attributes.get("cost", 1.0)) for e in edges))


def _needed(id_: str, chosen: Mapping[str, Way]) -> tuple[Way, ...]:
    """The ways that the explanation goes, nearest first, each once."""
    steps: dict[str, Way] = {}
    level = [id_]
    while level:
        here = [chosen[one] for one in level if one in chosen and one not in steps]
        steps |= {way.effect: way for way in here}
        level = sorted({cause for way in here for cause in way.causes})
    return tuple(steps.values())


def _once_around(
    id_: str, ways: Mapping[str, Sequence[Way]], costs: Mapping[str, float]
) -> tuple[Way, ...]:
    """Once along a circle: of what rests on no origin, every way needs another such."""
    steps: dict[str, Way] = {}
    while id_ not in steps:
        way = ways[id_][0]
        steps[id_] = way
        id_ = next(cause for cause in way.causes if cause not in costs)
    return tuple(steps.values())
