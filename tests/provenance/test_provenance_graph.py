"""What led to this, what came of it, why: against looking at everything."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.provenance import (
    Edge,
    Graph,
    Kind,
    Node,
    NodeNotFound,
    Relation,
    compare,
    explain,
)
from engines.provenance.why import ways_of
from tests.provenance.kit import (
    NAMES,
    cheapest_costs,
    edge,
    fewest_steps,
    graphs,
    in_memory,
    upstream,
)

Made = tuple[list[Node], list[Edge]]


@settings(max_examples=15, deadline=None)
@given(graphs(), st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_walks_come_to_all_there_is_and_paths_are_the_shortest(
    made: Made, one: str, other: str
) -> None:
    nodes, edges = made
    graph = Graph(in_memory(nodes, edges))
    above = {node.id: steps for node, steps in graph.ancestors(one).nodes}
    assert {one, *above} == upstream(edges, one)
    assert above == {name: fewest_steps(edges, one, name) for name in above}
    below = {node.id for node, _ in graph.descendants(one).nodes}
    assert {one, *below} == {name for name in NAMES if one in upstream(edges, name)}
    path = graph.path(one, other)
    steps = fewest_steps(edges, one, other)
    assert (path is None) == (steps is None)
    if path:
        assert len(path) == steps + 1
        assert (path[0], path[-1]) == (one, other)
        said = {(e.effect, e.cause) for e in edges}
        assert all(pair in said for pair in itertools.pairwise(path))


@settings(max_examples=15, deadline=None)
@given(graphs(), st.sampled_from(NAMES))
def test_an_explanation_is_the_cheapest_there_is_and_holds(made: Made, wanted: str) -> None:
    """Every cause of a chosen way is explained too, or an origin; a circle explains nothing."""
    nodes, edges = made
    found = explain(Graph(in_memory(nodes, edges)), wanted)
    kinds = {node.id: node.kind for node in nodes}
    ways = ways_of(kinds, edges)
    cost = cheapest_costs(ways, kinds)[wanted]
    assert found.circular == (cost == math.inf)
    if found.circular:
        effects = [way.effect for way in found.steps]
        assert all(any(c in effects for c in way.causes) for way in found.steps)
        return
    assert found.cost == pytest.approx(cost)
    explained = {way.effect: way for way in found.steps}
    assert set(explained) <= upstream(edges, wanted)
    assert all(way in ways[effect] for effect, way in explained.items())
    for way in found.steps:
        assert all(c in explained or c in found.origins for c in way.causes)
    assert not any(ways.get(origin) for origin in found.origins)


def test_a_rule_needs_all_its_premises_and_of_two_rules_the_cheaper_is_told() -> None:
    edges = [
        edge("dock", "sea", rule="sail", cost=1.0),
        edge("tide", "sea", rule="sail", cost=1.0),
        edge("car", "sea", rule="drive", cost=5.0),
    ]
    found = explain(Graph(in_memory([], edges)), "sea")
    assert [way.causes for way in found.steps] == [["dock", "tide"]]
    assert (found.cost, found.origins) == (1.0, ("dock", "tide"))


def test_walks_end_where_they_are_told_to_and_say_so() -> None:
    chain = [edge(f"{n:03}", f"{n + 1:03}") for n in range(50)]
    graph = Graph(in_memory([], chain))
    assert [n.id for n, _ in graph.ancestors("050", depth=2).nodes] == ["049", "048"]
    cut = graph.ancestors("050", most=3)
    assert (len(cut.nodes), cut.cut) == (3, True)
    assert not graph.ancestors("050").cut
    with pytest.raises(NodeNotFound, match="'051'"):
        graph.ancestors("051")


def test_an_end_and_another_view_of_a_thing_led_to_nothing() -> None:
    ended = Edge(Relation.INVALIDATED_BY, "file", "cleaning")
    same = Edge(Relation.ALTERNATE_OF, "file", "copy")
    assert Graph(in_memory([], [ended, same])).ancestors("file").nodes == []


def test_names_need_not_be_written_out() -> None:
    nodes = [Node(Kind.ENTITY, name) for name in ("memory:a@11", "run:3f2a", "run:9c41", "x:3f77")]
    graph = Graph(in_memory(nodes, [Edge(Relation.SPECIALIZATION_OF, "memory:a@22", "memory:a")]))
    found = {name: graph.find(name).id for name in ("run:3f", "9c", "memory:a@11", "memory:a")}
    assert found == {
        "run:3f": "run:3f2a",
        "9c": "run:9c41",
        "memory:a@11": "memory:a@11",
        "memory:a": "memory:a@22",  # of revisions the latest
    }
    with pytest.raises(NodeNotFound, match="several begin with 'run:': run:3f2a, run:9c41"):
        graph.find("run:")
    with pytest.raises(NodeNotFound, match="nothing recorded"):
        graph.find("nothing")


def test_a_run_is_meant_before_what_bears_its_name() -> None:
    nodes = [Node(Kind.ENTITY, one) for one in ("run:9e8b94", "result:9e8b94@11", "data:9e8b94")]
    graph = Graph(in_memory(nodes, []))
    assert {graph.find(name).id for name in ("9e", "9e8b94", "run:9e")} == {"run:9e8b94"}
    assert graph.find("result:9e").id == "result:9e8b94@11"


def test_two_runs_differ_in_what_went_in_and_what_came_out() -> None:
    def run(name: str, tide: str, level: str, outcome: str) -> tuple[list[Node], list[Edge]]:
        run, result = f"run:{name}", f"result:{name}@{level}"
        return [Node(Kind.ACTIVITY, run, {"outcome": outcome, "skill": "plan"})], [
            Edge(Relation.USED, run, "data:params"),
            Edge(Relation.USED, run, f"memory:tide@{tide}"),
            Edge(Relation.GENERATED_BY, result, run),
        ]

    (one, ones), (two, twos) = run("aa", "11", "x", "ok"), run("bb", "22", "x", "error")
    found = compare(Graph(in_memory([*one, *two], [*ones, *twos])), "run:aa", "run:bb")
    assert found.facts == {"outcome": ("ok", "error")}
    assert found.parts["inputs"].both == ("data:params",)
    assert found.parts["inputs"].changed == (("memory:tide@11", "memory:tide@22"),)
    assert not found.parts["outputs"].differ  # each has its own, of the same content
    assert found.upstream.changed == (("memory:tide@11", "memory:tide@22"),)
