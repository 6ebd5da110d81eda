"""How two runs differ: what is said of them, what went in and came out, and what led to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from engines.provenance.graph import MOST, Graph, described
from engines.provenance.model import Edge, Node, Relation

OWN = "…"
"""In place of a run's own name, in what is named after it."""
# Relation, and whether the run is its effect → what the other end is to the run.
_PARTS = {
    (Relation.USED, True): "inputs",
    (Relation.GENERATED_BY, False): "outputs",
    (Relation.INVALIDATED_BY, False): "ended",
    (Relation.ASSOCIATED_WITH, True): "by",
    (Relation.INFORMED_BY, True): "after",
    (Relation.INFORMED_BY, False): "before",
    (Relation.STARTED_BY, True): "started_by",
}


class Sides(NamedTuple):
    """
    Two sets of things.

    Attributes:
        changed: What is the same thing in another revision: (that of the first, of the second).
    """

    both: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def differ(self) -> bool:
        return bool(self.changed or self.only_first or self.only_second)

    def as_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "differ": self.differ}


@dataclass(frozen=True, slots=True)
class Difference:
    """
    How two runs differ.

    Attributes:
        facts: What is said of both, and differs: name → (of the first, of the second).
        parts: inputs, outputs, by (whom and which plan), after (which activities), …
        upstream: All that led to them.
        cut: Whether more led to them than was looked at.
    """

    first: Node
    second: Node
    facts: Mapping[str, tuple[Any, Any]]
    parts: Mapping[str, Sides]
    upstream: Sides
    cut: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            "first": described(self.first),
            "second": described(self.second),
            "facts": {name: list(values) for name, values in self.facts.items()},
            "parts": {name: sides.as_dict() for name, sides in self.parts.items()},
            "upstream": self.upstream.as_dict(),
            "cut": self.cut,
        }


def compare(graph: Graph, first: str, second: str, *, most: int = MOST) -> Difference:
    """
    How the runs *first* and *second* differ; other nodes can be compared too.

    Raises:
        NodeNotFound: One is not there.
    """
    nodes = graph.node(first), graph.node(second)
    ours, theirs = (_parts(node, graph.touching(node.id)) for node in nodes)
    reached = [graph.ancestors(node.id, most=most) for node in nodes]
    names = sorted({*nodes[0].attributes, *nodes[1].attributes})
    facts = {name: tuple(node.attributes.get(name) for node in nodes) for name in names}
    return Difference(
        *nodes,
        {name: (a, b) for name, (a, b) in facts.items() if a != b},
        {
            name: sides(ours.get(name, ()), theirs.get(name, ()))
            for name in dict.fromkeys(_PARTS.values())
            if name in ours or name in theirs
        },
        sides(
            *(
                _unnamed((one.id for one, _ in r.nodes), n)
                for r, n in zip(reached, nodes, strict=True)
            )
        ),
        any(one.cut for one in reached),
    )


def sides(first: Iterable[str], second: Iterable[str]) -> Sides:
    """What is in both, and what is not; revisions of one thing (`tide@…`) belong together."""
    ours, theirs = set(first), set(second)
    left, right = _by_thing(ours - theirs), _by_thing(theirs - ours)
    changed = [
        pair
        for thing in sorted(left.keys() & right.keys())
        for pair in zip(left[thing], right[thing], strict=False)
    ]
    a, b = {one for one, _ in changed}, {one for _, one in changed}
    return Sides(
        tuple(sorted(ours & theirs)),
        tuple(changed),
        tuple(sorted(ours - theirs - a)),
        tuple(sorted(theirs - ours - b)),
    )


def _unnamed(ids: Iterable[str], run: Node) -> set[str]:
    """What bears the name of the run it is of (`result:RUN@…`), without it."""
    own = run.id.partition(":")[2]
    return {id_.replace(own, OWN) for id_ in ids} if own else set(ids)


def _parts(run: Node, edges: Iterable[Edge]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        is_effect = edge.effect == run.id
        other = edge.cause if is_effect else edge.effect
        part = _PARTS.get((edge.relation, is_effect))
        if part and other:
            found[part] |= _unnamed([other], run)
        if part == "by" and (plan := edge.attributes.get("prov:plan")):
            found[part].add(str(plan))
    return found


def _by_thing(ids: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for id_ in sorted(ids):
        thing, at, _ = id_.rpartition("@")
        if at:
            found[thing].append(id_)
    return found
