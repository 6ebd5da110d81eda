"""
PROV-JSON, written and read (https://www.w3.org/submissions/prov-json/).

What is written here and read again is the same graph; identifiers are encoded as `names` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engines.errors import InvalidInput
from engines.provenance import names
from engines.provenance.model import FORMS, Edge, Kind, Node, Relation, checked_id

_BLANK = "_:"
NAMED = frozenset(name for form in FORMS.values() for name, kind in form.rest if kind)
"""Attributes whose values are identifiers."""
_RELATION_NAMES = {relation.value: relation for relation in Relation}
_KIND_NAMES = {kind.value: kind for kind in Kind}


class Statements(NamedTuple):
    """A part of a graph, or all of it; a node stands in it once for each kind it is said to be."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    namespaces: Mapping[str, str]


def to_prov_json(found: Statements) -> dict[str, Any]:
    """The document; the same statements give the same one."""
    document: dict[str, Any] = {"prefix": prefixes_of(found)}
    for node in sorted(found.nodes, key=_by_id):
        document.setdefault(node.kind.value, {})[names.qualified(node.id)] = _said(node.attributes)
    for edge in found.edges:
        form = FORMS[edge.relation]
        ends = {form.effect: edge.effect, form.cause: edge.cause}
        told = {name: names.qualified(id_) for name, id_ in ends.items() if id_ is not None}
        if form.attributes:
            told |= _said(edge.attributes)
        records = document.setdefault(edge.relation.value, {})
        own = edge.attributes.get("id")
        key = names.qualified(own) if own else f"{_BLANK}{edge.relation.value}{len(records) + 1}"
        records.setdefault(key, []).append(told)
    for relation in document.keys() & _RELATION_NAMES.keys():
        records = document[relation]
        document[relation] = {k: v if len(v) > 1 else v[0] for k, v in records.items()}
    return document


def from_prov_json(document: Mapping[str, Any]) -> Statements:
    """
    What a document says.

    Raises:
        InvalidInput: It is none, or has bundles, which are not taken in.
    """
    if not isinstance(document, dict):
        raise InvalidInput("PROV-JSON is an object")
    nodes: list[Node] = []
    edges: list[Edge] = []
    for part, records in document.items():
        if part == "prefix":
            continue
        if part == "bundle":
            raise InvalidInput(
                "the document has bundles, which are not taken in",
                hint="export each as a document of its own",
            )
        if not isinstance(records, dict):
            raise InvalidInput(f"PROV-JSON: {part!r} is not an object of records")
        if kind := _KIND_NAMES.get(part):
            nodes += [
                Node(kind, checked_id(names.identifier(id_), part), _read(said))
                for id_, said in _one_by_one(records, part)
            ]
        elif relation := _RELATION_NAMES.get(part):
            edges += [_edge(relation, id_, said) for id_, said in _one_by_one(records, part)]
        else:
            raise InvalidInput(f"PROV-JSON: nothing is called {part!r}")
    given = document.get("prefix", {})
    if not isinstance(given, dict) or not all(isinstance(uri, str) for uri in given.values()):
        raise InvalidInput("PROV-JSON: 'prefix' is not an object of texts")
    used = prefixes_of(Statements(tuple(nodes), tuple(edges), {}))
    return Statements(
        tuple(nodes),
        tuple(edges),
        {name: uri for name, uri in given.items() if used.get(name, "") != uri},
    )


def prefixes_of(found: Statements) -> dict[str, str]:
    """The prefixes that a document of these statements declares."""
    ids = [node.id for node in found.nodes]
    attributes = [names.attribute(name) for node in found.nodes for name in node.attributes]
    for edge in found.edges:
        ids += [id_ for id_ in (edge.effect, edge.cause) if id_ is not None]
        ids += [str(edge.attributes[name]) for name in NAMED | {"id"} if name in edge.attributes]
        if FORMS[edge.relation].attributes:
            attributes += [names.attribute(n) for n in edge.attributes if n != "id"]
    return names.prefixes([*ids, *attributes], found.namespaces)


def literal(value: Any) -> Any:
    """An attribute's value as PROV-JSON has it: a scalar, a typed literal, or several."""
    if isinstance(value, list) and value:
        return [literal(one) for one in value]
    is_typed = isinstance(value, dict) and isinstance(value.get("$"), str) and len(value) <= 3  # noqa: PLR2004  $, type, lang
    if is_typed or isinstance(value, str | int | float):
        return value
    return {"$": json.dumps(value, sort_keys=True, ensure_ascii=False), "type": "dino:json"}


def _said(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        names.attribute(name): names.qualified(value) if name in NAMED else literal(value)
        for name, value in sorted(attributes.items())
        if name != "id" and value is not None
    }


def _read(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        names.own_attribute(name): names.identifier(str(value)) if name in NAMED else _value(value)
        for name, value in said.items()
    }


def _value(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type") == "dino:json":
        return json.loads(value["$"])
    return [_value(one) for one in value] if isinstance(value, list) else value


def _edge(relation: Relation, id_: str, said: Mapping[str, Any]) -> Edge:
    form = FORMS[relation]
    effect, cause = (
        checked_id(names.identifier(str(said[name])), relation.value) if name in said else None
        for name in (form.effect, form.cause)
    )
    rest = {name: value for name, value in said.items() if name not in form[:2]}
    own = {} if id_.startswith(_BLANK) else {"id": names.identifier(id_)}
    return Edge(relation, effect, cause, _read(rest) | own)


def _one_by_one(records: Mapping[str, Any], part: str) -> Iterator[tuple[str, Any]]:
    """Several records may stand under one identifier, as a list."""
    for id_, said in records.items():
        for one in said if isinstance(said, list) else [said]:
            if not isinstance(one, dict):
                raise InvalidInput(f"PROV-JSON: {part} {id_!r} is not an object")
            yield id_, one


def _by_id(node: Node) -> tuple[str, str]:
    return node.kind.value, node.id
