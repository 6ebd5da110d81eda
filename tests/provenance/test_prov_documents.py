"""PROV-JSON and PROV-N: what is written another implementation reads, and comes back as it was."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prov.model import ProvDocument

from dino_os.provenance.picture import picture
from engines.errors import InvalidInput
from engines.provenance import (
    FORMS,
    Edge,
    Graph,
    Kind,
    Node,
    Relation,
    Statements,
    from_prov_json,
    names,
    to_dot,
    to_mermaid,
    to_prov_json,
    to_prov_n,
)
from tests.provenance.kit import domain, graphs, in_memory

TIME = "2027-01-15T10:00:00+00:00"
HOSTILE = ["a", "run:3f", "memory:tide/7@a1", "-x.", "a b", "é:ü", "x:y:z", "1:2", "a%41", "'(,)'"]
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    st.sampled_from(['a "quoted" \\ line', "<b>", "'"]),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def statements(draw: st.DrawFn) -> Statements:
    """Every relation, names of every kind, attributes of every type, ends left out."""
    ids = {kind: [f"{kind.value[:2]}{name}" for name in HOSTILE] for kind in Kind}
    attributes = st.dictionaries(st.sampled_from(["n", "note", "ex:q"]), VALUES, max_size=2)
    nodes = {
        (kind, name): Node(kind, name, draw(attributes))
        for kind in Kind
        for name in draw(st.lists(st.sampled_from(ids[kind]), max_size=2))
    }
    edges = {}
    for relation in draw(st.lists(st.sampled_from(list(Relation)), max_size=5)):
        form = FORMS[relation]
        effect, cause = (
            draw(st.sampled_from(ids[kind or Kind.ENTITY]))
            for kind in (form.effect_kind, form.cause_kind)
        )
        said = draw(attributes) if form.attributes else {}
        if ("prov:time", None) in form.rest and draw(st.booleans()):
            said["prov:time"] = TIME
        if relation is Relation.ASSOCIATED_WITH and draw(st.booleans()):
            said["prov:plan"] = draw(st.sampled_from(ids[Kind.ENTITY]))
        if relation is Relation.USED and draw(st.booleans()):
            said["id"] = f"use:{effect}"
        edges[relation, effect, cause] = Edge(relation, effect, cause, said)
    return Statements(tuple(nodes.values()), tuple(edges.values()), {"ex": "http://ex.org/"})


@settings(max_examples=15, deadline=None)
@given(statements())
def test_a_document_comes_back_as_it_was(said: Statements) -> None:
    document = json.loads(json.dumps(to_prov_json(said)))
    assert to_prov_json(from_prov_json(document)) == document
    index = in_memory(said.nodes, said.edges)
    index.take([{"seq": 2, "namespaces": from_prov_json(document).namespaces}])
    whole = json.loads(json.dumps(to_prov_json(Graph(index).statements())))
    again = from_prov_json(whole)
    index = in_memory(again.nodes, again.edges)
    index.take([{"seq": 2, "namespaces": again.namespaces}])
    assert to_prov_json(Graph(index).statements()) == whole


@settings(max_examples=15, deadline=None)
@given(statements())
def test_another_implementation_reads_what_is_written_and_writes_the_same(said: Statements) -> None:
    """The same document for it from both of our forms: its PROV-N of our PROV-JSON is ours."""
    theirs = ProvDocument.deserialize(content=json.dumps(to_prov_json(said)), format="json")
    again = ProvDocument.deserialize(content=theirs.serialize(format="json"), format="json")
    assert again == theirs
    assert lines(to_prov_n(said)) == lines(theirs.get_provn())


def lines(text: str) -> list[str]:
    """The records of a PROV-N document, however they are spaced, and without what says nothing."""
    found = []
    for line in map(str.strip, text.splitlines()):
        if "(" in line and not line.startswith(("prefix", "default")):
            head, _, rest = line.partition("(")
            body, _, attributes = rest[:-1].partition(", [")
            places = body.split(", ")
            while places[-1] == "-":
                places.pop()
            found.append(f"{head}({', '.join(places)} [{','.join(sorted(attributes.split(', ')))}")
    return sorted(found)


def test_names_are_encoded_one_to_one() -> None:
    ids = [*HOSTILE, "default:x", "prov:x", "a:", ":a", "_:b", "100%", "a%3Ab", "ß.", "…"]
    encoded = [names.qualified(id_) for id_ in ids]
    assert [names.identifier(name) for name in encoded] == ids
    assert len(set(encoded)) == len(ids)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "is an object"),
        ({"bundle": {}}, "bundles"),
        ({"entity": []}, "'entity'"),
        ({"entity": {"a": 1}}, "'a'"),
        ({"eaten": {}}, "'eaten'"),
        ({"prefix": {"ex": 1}}, "prefix"),
        ({"entity": {"": {}}}, "entity"),
    ],
)
def test_what_is_no_document_is_refused(document: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        from_prov_json(document)


def test_foreign_documents_are_taken_in_and_handed_out(tmp_path: Path) -> None:
    """Typed literals, languages, several values, and an identifier that is both agent and entity."""
    theirs = ProvDocument()
    theirs.add_namespace("ex", "http://ex.org/")
    theirs.set_default_namespace("http://default.org/")
    theirs.entity(
        "ex:e",
        {"prov:label": "e", "ex:size": 3, "prov:type": theirs.valid_qualified_name("prov:Plan")},
    )
    theirs.entity("both", {"ex:of": "one"})
    theirs.agent("both", {"prov:type": theirs.valid_qualified_name("prov:Person")})
    theirs.activity("ex:a", TIME, None, {"ex:ok": True})
    theirs.used("ex:a", "ex:e", TIME, "ex:u1")
    theirs.wasGeneratedBy("both", "ex:a")
    theirs.wasEndedBy("ex:a", None, None, TIME)
    document = json.loads(theirs.serialize(format="json"))
    provenance = domain(tmp_path)
    provenance.add_statements(*from_prov_json(document))
    ours = to_prov_json(provenance.graph.statements())
    assert ProvDocument.deserialize(content=json.dumps(ours), format="json") == theirs


@settings(max_examples=15, deadline=None)
@given(graphs())
def test_pictures_hold_all_there_is(made: tuple[list[Node], list[Edge]]) -> None:
    nodes, edges = made
    drawn = ET.fromstring(picture(nodes, edges, "title"))
    titles = [e.text for e in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert {node.id for node in nodes} <= set(titles)
    assert len(titles) == 1 + len(nodes) + len(edges)
    assert to_dot(nodes, edges).count(" -> ") == len(edges)
    assert to_mermaid(nodes, edges).count("-->") == len(edges)


def test_names_cannot_break_out_of_a_picture() -> None:
    bad = 'a"];\n<script>alert(1)</script>`#'
    nodes = [Node(Kind.ENTITY, bad), Node(Kind.ENTITY, "b")]
    edges = [Edge(Relation.DERIVED_FROM, bad, "b", {"rule": bad})]
    ET.fromstring(picture(nodes, edges, bad))
    assert '"];\n' not in to_dot(nodes, edges).replace('\\"];', "").split(bad)[0][:40]
    text = to_mermaid(nodes, edges)
    assert "<script>" not in text
    assert len(text.splitlines()) == 4
