"""PROV-N, the notation of PROV for people (https://www.w3.org/TR/prov-n/)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engines.provenance import names
from engines.provenance.model import FORMS, Edge, Kind, Node
from engines.provenance.prov_json import NAMED, Statements, literal, prefixes_of

_TIMES = ("prov:startTime", "prov:endTime")
_SMALL = 2**31  # within it a number needs no type
_ESCAPED = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)
_INTEGERS = ((2**63, "xsd:long"),)


def to_prov_n(found: Statements) -> str:
    """The document as text; the same statements give the same one."""
    lines = ["document"]
    for prefix, uri in prefixes_of(found).items():
        named = "default" if prefix == names.DEFAULT else f"prefix {prefix}"
        lines.append(f"  {named} <{uri}>")
    ordered = sorted(found.nodes, key=lambda node: (node.kind.value, node.id))
    lines += [f"  {_node(node)}" for node in ordered]
    lines += [f"  {_edge(edge)}" for edge in found.edges]
    return "\n".join([*lines, "endDocument", ""])


def _node(node: Node) -> str:
    places = [names.qualified(node.id)]
    said = dict(node.attributes)
    if node.kind is Kind.ACTIVITY:
        times = [said.pop(name, None) for name in _TIMES]
        places += [str(time or "-") for time in times] if any(times) else ()
    return f"{node.kind.value}({', '.join([*places, *_attributes(said)])})"


def _edge(edge: Edge) -> str:
    form = FORMS[edge.relation]
    said = dict(edge.attributes) if form.attributes else {}
    own = said.pop("id", None)
    rest = [said.pop(name, None) for name, _ in form.rest]
    shown = [
        "-" if value is None else names.qualified(value) if kind else str(value)
        for value, (_, kind) in zip(rest, form.rest, strict=True)
    ]
    ends = ["-" if id_ is None else names.qualified(id_) for id_ in (edge.effect, edge.cause)]
    places = [*ends, *(shown if any(one != "-" for one in shown) else ())]
    before = f"{names.qualified(own)}; " if own else ""
    return f"{edge.relation.value}({before}{', '.join([*places, *_attributes(said)])})"


def _attributes(said: Mapping[str, Any]) -> Iterator[str]:
    shown = [
        f"{names.attribute(name)}={_literal(one)}"
        for name, value in sorted(said.items())
        if value is not None and name not in NAMED
        for one in _each(literal(value))
    ]
    if shown:
        yield f"[{', '.join(shown)}]"


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return _typed(str(value["$"]), value)
    if isinstance(value, bool):
        return f'"{json.dumps(value)}" %% xsd:boolean'
    if isinstance(value, float):
        return f'"{value!r}" %% xsd:double'
    if isinstance(value, int) and not -_SMALL <= value < _SMALL:
        kind = next((name for size, name in _INTEGERS if -size <= value < size), "xsd:integer")
        return f'"{value}" %% {kind}'
    return str(value) if isinstance(value, int) else _quoted(str(value))


def _typed(text: str, literal: Mapping[str, Any]) -> str:
    kind = literal.get("type")
    if "lang" in literal:
        return f"{_quoted(text)}@{literal['lang']}"
    if kind in {"prov:QUALIFIED_NAME", "xsd:QName"}:
        return f"'{text}'"
    return f"{_quoted(text)} %% {kind}" if kind else _quoted(text)


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPED)}"'
