"""What cannot be true together is found: the cases that come with another implementation of PROV."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

import pytest

from engines.provenance import (
    FORMS,
    Edge,
    Kind,
    Node,
    Relation,
    Statements,
    from_prov_json,
    violations,
)
from tests.provenance.kit import edge

PROV = "{http://www.w3.org/ns/prov#}"
CASES = Path(str(files("prov") / "tests" / "unification"))
# Bundles and mentions are not taken in; that a thing is used twice is no longer forbidden.
NOT_OURS = ("bundle", "mention", "usage-fail1", "usage-fail5", "usage-fail6", "usage-fail7")
_ARE = {"plan": Kind.ENTITY, "collection": Kind.ENTITY, "person": Kind.AGENT}


def from_xml(file: Path) -> Statements:
    """As much of PROV-XML as the cases use."""
    nodes, edges = [], []
    for element in ET.parse(file).getroot():
        tag, own = element.tag.removeprefix(PROV), element.get(f"{PROV}id")
        said = {
            f"prov:{one.tag.removeprefix(PROV)}": one.get(f"{PROV}ref") or one.text
            for one in element
            if one.tag.startswith(PROV)
        }
        if tag in {*Kind, *_ARE}:
            times = {name: said[name] for name in said if name.endswith("Time")}
            nodes.append(Node(_ARE.get(tag) or Kind(tag), own, times))
            continue
        form = FORMS[Relation(tag)]
        more = {name: said[name] for name, _ in form.rest if name in said}
        more |= {"id": own} if own else {}
        edges.append(Edge(Relation(tag), said.get(form.effect), said.get(form.cause), more))
    return Statements(tuple(nodes), tuple(edges), {})


def test_the_cases_of_another_implementation() -> None:
    """All that may be said is found fine, all that may not is found out."""
    found = {}
    for file in sorted(CASES.glob("constraints/*.xml")):
        if not file.name.startswith(NOT_OURS):
            found[file.name] = bool(violations(from_xml(file))) == ("fail" in file.name)
    for file in sorted(CASES.glob("*.json")):
        said = from_prov_json(json.loads(file.read_bytes()))
        found[file.name] = bool(violations(said)) == ("FAIL" in file.name)
    assert len(found) > 140
    assert [name for name, right in found.items() if not right] == []


@pytest.mark.parametrize(
    ("edges", "number"),
    [
        ([edge("a", "b"), edge("b", "c"), edge("c", "a")], 42),
        ([edge("a", "a")], 42),
        ([edge("run", "b", Relation.GENERATED_BY), edge("run", "b")], 55),
        (
            # It was used before it was derived from what the same run made of it.
            [edge("r", "b", Relation.GENERATED_BY), edge("b", "a"), edge("a", "b")],
            42,
        ),
        (
            [
                edge("a", "b", Relation.SPECIALIZATION_OF),
                edge("b", "a", Relation.SPECIALIZATION_OF),
            ],
            52,
        ),
        ([Edge(Relation.ATTRIBUTED_TO, "a", None)], 0),
    ],
)
def test_what_cannot_be(edges: list[Edge], number: int) -> None:
    found = violations(Statements((), tuple(edges), {}))
    assert number in {one.number for one in found}


def test_long_chains_are_no_circles_and_take_no_recursion() -> None:
    chain = tuple(edge(f"n{n}", f"n{n + 1}") for n in range(20_000))
    assert violations(Statements((), chain, {})) == []
    assert violations(Statements((), (*chain, edge("n20000", "n0")), {}))
